//! The releases, by what the list, the gateways and the cluster say.

use std::collections::BTreeMap;

use skew_guard::config::{Config, ReleaseConfig, State};
use skew_guard::rollout::Side;
use skew_guard::telemetry::Stage;

use super::counts::History;
use super::release::{Pods, Standing};
use crate::document::chart_route;

type PodsByRoute = BTreeMap<String, Vec<Pods>>;

/// All releases that are served or have pods, in the order of the list.
pub fn standings(
    side: Option<&Side>,
    pods: Option<&PodsByRoute>,
    history: &History,
) -> Vec<Standing> {
    let Some(Side { config, .. }) = side else {
        return history
            .routes()
            .into_iter()
            .map(|route| seen(route, history))
            .collect();
    };
    let mut standings = Vec::new();
    let mut left = pods.cloned().unwrap_or_default();
    for release in &config.releases {
        let own = of_release(&mut left, release);
        let is_over = release.state == State::Retired;
        if !is_over || own.iter().any(|pods| pods.all > 0) {
            standings.push(listed(config, release, pods.map(|_| own), history));
        }
    }
    // Subsets that no release has, and pods that nobody will ask for.
    left.retain(|_, pods| pods.iter().any(|pods| pods.all > 0));
    standings.extend(left.into_iter().map(|(route, pods)| Standing {
        stage: Some(Stage::Over),
        pods: Some(pods),
        ..seen(route, history)
    }));
    standings
}

/// The pods of a release. The route of a retired one is not in the plugin's configuration.
fn of_release(left: &mut PodsByRoute, release: &ReleaseConfig) -> Vec<Pods> {
    let slug = chart_route(release.version.as_str());
    let own = left.remove(release.route.as_str());
    own.or_else(|| left.remove(&slug)).unwrap_or_default()
}

fn listed(
    config: &Config,
    release: &ReleaseConfig,
    pods: Option<Vec<Pods>>,
    history: &History,
) -> Standing {
    let current = config.current.as_ref();
    let share = current.and_then(|current| current.share_of(&release.version));
    let stage = Stage::new(release.state, share.is_some());
    Standing {
        name: release.version.to_string(),
        route: release.route.to_string(),
        stage: Some(stage),
        until: release.until.filter(|_| stage == Stage::Draining),
        share: share.filter(|(share, of)| share < of),
        pods,
        traffic: history.of(release.route.as_str()),
    }
}

/// A release of which only gateways know.
fn seen(route: String, history: &History) -> Standing {
    let traffic = history.of(&route);
    let stage = match traffic.stages.as_slice() {
        [stage] => Some(*stage),
        _ => None,
    };
    Standing {
        name: route.clone(),
        route,
        stage,
        until: None,
        share: None,
        pods: None,
        traffic,
    }
}
