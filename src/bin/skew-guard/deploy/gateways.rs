//! The gateways, as a deployment waits for them: again and again for a while, so that whoever loses the Lease
//! in the meantime does not wait to the end.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use skew_guard::rollout::LoadedConfig;

use super::report::Report;
use crate::cluster::{Gateways, Installation, Kubectl};
use crate::probe::{self, InstalledGateways};
use crate::wait;

/// How long is waited before the Lease is looked at again.
const POLL_DURATION: Duration = Duration::from_secs(15);

/// Time for a second round: a gateway may not know yet of pods that have just become ready.
const PROBE_DURATION: Duration = Duration::from_secs(4);

/// What was seen of the gateways.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub in_force: Vec<String>,
    /// On a person's word.
    pub skipped: Vec<String>,
    told: BTreeSet<String>,
}

impl Watch {
    /// How many gateways were asked, and which were not.
    pub fn in_words(&self) -> String {
        let asked = match self.in_force.as_slice() {
            [only] => format!("gateway {only}"),
            all => format!("{} gateways", all.len()),
        };
        if self.skipped.is_empty() {
            asked
        } else {
            format!(
                "{asked}; NOT ASKED, as you said: {}",
                self.skipped.join(", ")
            )
        }
    }

    /// The gateways that have the newest revision, all of them; or what is lacking.
    pub fn poll(
        &mut self,
        kubectl: &Kubectl,
        namespace: &str,
        helm_release: &str,
        gateways: &Gateways,
        newest: &LoadedConfig,
        report: &Report,
    ) -> Result<Result<Vec<String>, String>> {
        let mut told = std::mem::take(&mut self.told);
        let seen = wait::in_force(
            kubectl,
            namespace,
            helm_release,
            gateways,
            POLL_DURATION,
            &mut |line| {
                if told.insert(line.clone()) {
                    report.note(line);
                }
            },
        )?;
        self.told = told;
        Ok(match seen {
            wait::Seen::InForce { loaded, .. } if !has_same_list(newest, &loaded) => {
                let why = "the plugin in the cluster has another list than Helm's newest revision: either someone has changed it without Helm, or helm and kubectl are pointed at different clusters (HELM_KUBECONTEXT)";
                if self.told.insert(why.to_owned()) {
                    report.note(why);
                }
                Err(why.to_owned())
            }
            wait::Seen::InForce {
                gateways, skipped, ..
            } => {
                self.told.clear();
                self.in_force.clone_from(&gateways);
                self.skipped = skipped;
                Ok(gateways)
            }
            wait::Seen::Lacking(why) => Err(why),
        })
    }
}

/// Whether both say the same of every release, and of new visitors.
fn has_same_list(one: &LoadedConfig, other: &LoadedConfig) -> bool {
    let releases = |loaded: &LoadedConfig| -> Vec<_> {
        let releases = loaded.config.releases.iter();
        releases
            .map(|release| (release.version.clone(), release.state, release.until))
            .collect()
    };
    let shares = |loaded: &LoadedConfig| -> Vec<_> {
        let current = loaded.config.current.iter();
        let shares = current.flat_map(|current| current.shares());
        shares
            .map(|(version, weight)| (version.clone(), weight))
            .collect()
    };
    releases(one) == releases(other) && shares(one) == shares(other)
}

/// Why the pods of a release do not answer through every gateway, in a first round and another; nothing where they do.
pub fn unanswered(
    kubectl: &Kubectl,
    namespace: &str,
    helm_release: &str,
    gateways: &Gateways,
    version: &str,
) -> Result<Option<String>> {
    let installation = Installation::of(kubectl, namespace, helm_release)?;
    let installed = InstalledGateways {
        kubectl,
        installation: &installation,
        gateways,
    };
    // What it complains of is told below.
    let outcome = probe::until_answered(installed, version, PROBE_DURATION, &mut |_| {})?;
    Ok((!outcome.is_good()).then(|| {
        let complaints: Vec<_> = outcome.complaints().collect();
        complaints.join("; ")
    }))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_list_is_another_one_if_a_release_its_state_or_current_differs() -> Result<()> {
        let loaded = |json: &str| {
            LoadedConfig::load(json.as_bytes()).map_err(|problems| anyhow!("{problems}"))
        };
        let list = loaded(
            r#"{"releases": [{"version": "2.0.0"}, {"version": "1.0.0"}], "current": "1.0.0", "revision": 2}"#,
        )?;
        for (other, is_same) in [
            (
                r#"{"releases": [{"version": "2.0.0", "route": "v2"}, {"version": "1.0.0"}], "current": [{"version": "1.0.0", "weight": 1}], "pinCookie": {"name": "pin"}, "revision": 7}"#,
                true,
            ),
            (
                r#"{"releases": [{"version": "1.0.0"}], "current": "1.0.0"}"#,
                false,
            ),
            (
                r#"{"releases": [{"version": "2.0.0", "state": "draining"}, {"version": "1.0.0"}], "current": "1.0.0"}"#,
                false,
            ),
            (
                r#"{"releases": [{"version": "2.0.0"}, {"version": "1.0.0"}], "current": "2.0.0"}"#,
                false,
            ),
        ] {
            assert_eq!(has_same_list(&list, &loaded(other)?), is_same, "{other}");
        }
        Ok(())
    }
}
