//! The releases, by what the list, the gateways and the cluster say.

use std::collections::BTreeMap;

use skew_guard::config::{Config, ReleaseConfig, State};
use skew_guard::rollout::LoadedConfig;
use skew_guard::telemetry::ReleaseState;

use super::counts::History;
use super::release::{Pods, ReleaseStatus};
use crate::document::chart_route;

type PodsByRoute = BTreeMap<String, Vec<Pods>>;

/// All releases that are served or have pods, in the order of the list.
pub fn release_statuses(
    loaded: Option<&LoadedConfig>,
    pods: Option<&PodsByRoute>,
    history: &History,
) -> Vec<ReleaseStatus> {
    let Some(LoadedConfig { config, .. }) = loaded else {
        return history
            .routes()
            .into_iter()
            .map(|route| seen(route, history))
            .collect();
    };
    let mut statuses = Vec::new();
    let mut left = pods.cloned().unwrap_or_default();
    for release in &config.releases {
        let own = of_release(&mut left, release);
        let is_over = release.state == State::Retired;
        if !is_over || own.iter().any(|pods| pods.all > 0) {
            statuses.push(listed(config, release, pods.map(|_| own), history));
        }
    }
    // Subsets without a release, and pods that nobody will ask for.
    left.retain(|_, pods| pods.iter().any(|pods| pods.all > 0));
    statuses.extend(left.into_iter().map(|(route, pods)| ReleaseStatus {
        state: Some(ReleaseState::NotServed),
        pods: Some(pods),
        ..seen(route, history)
    }));
    statuses
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
) -> ReleaseStatus {
    let current = config.current.as_ref();
    let share = current.and_then(|current| current.share_of(&release.version));
    let state = ReleaseState::new(release.state, share.is_some());
    ReleaseStatus {
        name: release.version.to_string(),
        route: release.route.to_string(),
        state: Some(state),
        until: release.until.filter(|_| state == ReleaseState::Draining),
        share: share.filter(|(share, of)| share < of),
        pods,
        traffic: history.of(release.route.as_str()),
    }
}

/// A release that only gateways know.
fn seen(route: String, history: &History) -> ReleaseStatus {
    let traffic = history.of(&route);
    let state = match traffic.states.as_slice() {
        [state] => Some(*state),
        _ => None,
    };
    ReleaseStatus {
        name: route.clone(),
        route,
        state,
        until: None,
        share: None,
        pods: None,
        traffic,
    }
}
