//! One look at every gateway: what is in force there, and what it has counted.

use std::time::Duration;

use super::counts::Counts;
use crate::cluster::Problem;
use crate::fan_out;
use crate::metrics::Metrics;
use crate::wait::gateway_state::{GatewayState, Routes, Wanted, in_force};
use crate::wait::source::{Source, Target};

/// How long to wait for one gateway.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What gateways should have.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub plugins: Vec<String>,
    /// By default the newest that any of them has.
    pub revision: Option<u64>,
    pub routes: Option<Routes>,
}

/// What a gateway shows.
#[derive(Clone, Debug)]
pub struct GatewayStatus {
    pub gateway: String,
    pub state: GatewayState,
    pub revision: Option<u64>,
    pub counts: Option<Counts>,
}

impl GatewayStatus {
    /// Whether it may have answered requests that nobody sees.
    pub fn is_unseen(&self) -> bool {
        self.counts.is_none() && self.state != GatewayState::Skipped
    }
}

/// All gateways of now.
pub fn scrape(source: &Source<'_>, expected: &Expected) -> Result<Vec<GatewayStatus>, Problem> {
    let targets = source.list()?;
    let seen = fan_out::all(&targets, |target| gateway_status(target, expected));
    let lost = |target| {
        GatewayStatus::without(
            target,
            GatewayState::Unreachable("the look failed".to_owned()),
        )
    };
    let mut seen: Vec<_> = targets
        .iter()
        .zip(seen)
        .map(|(target, seen)| (target, seen.unwrap_or_else(|| lost(target))))
        .filter(|(target, seen)| !(target.is_leaving && seen.is_unseen()))
        .map(|(_, seen)| seen)
        .collect();
    if expected.revision.is_none() {
        let newest = seen.iter().filter_map(|seen| seen.revision).max();
        for seen in &mut seen {
            seen.compare(newest);
        }
    }
    Ok(seen)
}

fn gateway_status(target: &Target, expected: &Expected) -> GatewayStatus {
    if target.is_skipped {
        return GatewayStatus::without(target, GatewayState::Skipped);
    }
    let text = match target.metrics(TIMEOUT) {
        Ok(text) => text,
        Err(why) => return GatewayStatus::without(target, GatewayState::Unreachable(why)),
    };
    let metrics = Metrics(&text);
    let (plugin, revision) = match in_force(metrics, &expected.plugins) {
        Ok(in_force) => in_force,
        Err(state) => return GatewayStatus::without(target, state),
    };
    let wanted = Wanted {
        revision: expected.revision.unwrap_or(revision),
        plugins: expected.plugins.clone(),
        routes: expected.routes.clone(),
        drained: false,
    };
    GatewayStatus {
        gateway: target.name.clone(),
        state: GatewayState::of(metrics, &wanted),
        revision: Some(revision),
        counts: Some(Counts::of(metrics, &plugin)),
    }
}

impl GatewayStatus {
    fn without(target: &Target, state: GatewayState) -> Self {
        Self {
            gateway: target.name.clone(),
            state,
            revision: None,
            counts: None,
        }
    }

    /// A gateway that has an older revision than another one is late.
    fn compare(&mut self, newest: Option<u64>) {
        if let (GatewayState::InForce(_), Some(revision)) = (&self.state, self.revision)
            && newest > Some(revision)
        {
            self.state = GatewayState::Other(revision);
        }
    }
}
