//! Whether each listed release has pods in each service.

use skew_guard::config::State;

use super::Finding;
use crate::cluster::{Installation, Kubectl, Problem};
use crate::status::pods::by_route;

pub fn findings(kubectl: &Kubectl, installation: &Installation) -> Result<Vec<Finding>, Problem> {
    let Ok(loaded) = installation.loaded() else {
        return Ok(vec![Finding::Problem(
            "the plugin refuses its configuration; run skew-guard check on the manifests to see why"
                .to_owned(),
        )]);
    };
    let by_route = by_route(kubectl, installation)?;
    let mut findings = Vec::new();
    for release in &loaded.config.releases {
        let state = release.state;
        if state == State::Retired {
            continue;
        }
        let services = by_route.get(release.route.as_str());
        for pods in services.into_iter().flatten() {
            let version = &release.version;
            let service = &pods.service;
            if pods.all == 0 {
                let which = format!("{version} has no pods of service {service}");
                findings.push(match loaded.config.current.as_ref() {
                    Some(current) if current.share_of(version).is_some() => Finding::Problem(format!(
                        "{which}, and it is current: every visitor gets 503. Do its pods have the labels of its subset?"
                    )),
                    _ if state == State::Draining => Finding::Warning(format!(
                        "{which}: its tabs are told to reload. Set it to retired"
                    )),
                    _ => Finding::Warning(format!(
                        "{which}: as it should be until they are deployed; after that, they lack the labels of its subset"
                    )),
                });
            } else if pods.ready == 0 {
                findings.push(Finding::Warning(format!(
                    "{version} has {} pods of service {service}, and none is ready",
                    pods.all
                )));
            }
        }
    }
    Ok(findings)
}
