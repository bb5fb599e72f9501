//! The next step of a list of releases, from the code that takes it.

use std::time::Duration;

use serde_json::Map;
use skew_guard::config::{ReleaseConfig, State};
use skew_guard::rollout::{
    Edit, Lifecycle, LoadedConfig, Refusal, ReleaseSpec, Step, changes, written_time,
};
use skew_guard::version::Version;

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// The release that takes it.
    pub version: Version,
    /// The step's name, if it is not the one that `release` takes by default.
    pub step: Option<&'static str>,
    /// What it changes, or why it is not made.
    pub changes: Result<Vec<String>, String>,
}

/// Where the list is changed, and by which command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(String),
    Cluster {
        namespace: String,
        helm_release: String,
    },
}

impl Place {
    /// The command that takes this step.
    pub fn command(&self, next: &NextStep) -> String {
        let NextStep { version, step, .. } = next;
        match (self, step) {
            (Self::File(file), None) => format!("skew-guard release {file} {version}"),
            (Self::File(file), Some(step)) => {
                format!("skew-guard release {file} {version} --step {step}")
            }
            (
                Self::Cluster {
                    namespace,
                    helm_release,
                },
                step,
            ) => {
                let of = format!("--helm-release {helm_release} --namespace {namespace}");
                match step {
                    None => format!("skew-guard deploy {version} {of}"),
                    Some(_) => format!("skew-guard tidy {of}"),
                }
            }
        }
    }

    /// What `tidy` waits for before it retires a release that drains: it goes by `until` alone.
    pub fn wait_of_tidy(&self, name: &str, until: Option<u64>, now: u64) -> Option<String> {
        match (self, until) {
            (Self::File(_), _) => None,
            (Self::Cluster { .. }, Some(until)) if until <= now => None,
            (Self::Cluster { .. }, Some(until)) => Some(format!(
                "{name} drains until {}, and tidy does not retire it before",
                written_time(until)
            )),
            (Self::Cluster { .. }, None) => Some(format!(
                "{name} has no until, so tidy never retires it: give it one in the list"
            )),
        }
    }
}

/// The next step; none where everything is done.
pub fn next(loaded: &LoadedConfig, now: u64, drain_for: Duration) -> Option<NextStep> {
    let releases = &loaded.config.releases;
    let newest = releases
        .iter()
        .find(|release| matches!(release.state, State::Staged | State::Live));
    let forward = newest.and_then(|newest| step(loaded, now, drain_for, newest, None));
    forward.or_else(|| {
        let mut oldest = releases.iter().rev();
        let draining = oldest.find(|release| release.state == State::Draining)?;
        step(loaded, now, drain_for, draining, Some(Step::Retired))
    })
}

fn step(
    loaded: &LoadedConfig,
    now: u64,
    drain_for: Duration,
    release: &ReleaseConfig,
    step: Option<Step>,
) -> Option<NextStep> {
    let spec = ReleaseSpec {
        version: release.version.clone(),
        step,
        drain_until: now.saturating_add(drain_for.as_secs()),
        percent: None,
        route: None,
        labels: Map::new(),
    };
    let made = Lifecycle::new(loaded, now).release(&spec);
    if made.as_ref().is_ok_and(Vec::is_empty) {
        return None;
    }
    Some(NextStep {
        version: spec.version,
        step: step.map(|_| "retired"),
        changes: made
            .and_then(|edits| changed(loaded, &edits))
            .map_err(|refusal| refusal.to_string()),
    })
}

/// What a step changes, except that the revision is raised, which goes without saying.
fn changed(loaded: &LoadedConfig, edits: &[Edit]) -> Result<Vec<String>, Refusal> {
    let edits: Vec<_> = edits
        .iter()
        .filter(|edit| !matches!(edit, Edit::Revision(_)))
        .cloned()
        .collect();
    let after = loaded.after(&edits).map_err(Refusal::Invalid)?;
    Ok(changes(loaded, &after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_retires_nothing_before_its_until_and_nothing_without_one() {
        let cluster = Place::Cluster {
            namespace: "shop".to_owned(),
            helm_release: "shop".to_owned(),
        };
        let file = Place::File("shop.json".to_owned());
        let wait = |place: &Place, until| place.wait_of_tidy("1.4.2", until, 86_400);
        assert_eq!(wait(&cluster, Some(86_400)), None);
        assert_eq!(
            wait(&cluster, Some(172_800)).as_deref(),
            Some("1.4.2 drains until 1970-01-03T00:00:00Z, and tidy does not retire it before")
        );
        assert_eq!(
            wait(&cluster, None).as_deref(),
            Some("1.4.2 has no until, so tidy never retires it: give it one in the list")
        );
        assert_eq!(wait(&file, Some(172_800)), None);
    }
}
