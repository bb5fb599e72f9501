//! One look after the other, until all gateways show what is wanted or the time is over.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Problem;
use crate::fan_out;
use crate::metrics::Metrics;

use super::gateway_state::{GatewayState, Wanted};
use super::source::{Source, Target};

/// Workers lag behind their gateway's main thread for a moment.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How a wait has ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Each gateway of the last look, in order.
    pub gateways: Vec<(String, GatewayState)>,
    /// Why there are none to ask.
    pub problem: Option<String>,
}

impl Outcome {
    /// Whether what was wanted is in force, in at least one gateway and in all.
    pub fn is_settled(&self) -> bool {
        let is_in_force = |state: &GatewayState| matches!(state, GatewayState::InForce(_));
        self.problem.is_none()
            && self.gateways.iter().all(|(_, state)| state.is_settled())
            && self.gateways.iter().any(|(_, state)| is_in_force(state))
    }

    fn state(&self, gateway: &str) -> Option<&GatewayState> {
        let mut gateways = self.gateways.iter();
        gateways.find_map(|(name, state)| (name == gateway).then_some(state))
    }
}

/// Waits, and tells `progress` whenever a gateway shows something else. A problem that waiting cannot solve ends it at
/// once.
pub fn until(
    source: &Source<'_>,
    wanted: &Wanted,
    timeout: Duration,
    progress: &mut dyn FnMut(String),
) -> Result<Outcome, Problem> {
    let started = Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let mut before = Outcome::default();
    loop {
        let seen = poll(source, wanted, &before, left())?;
        tell_changes(&before, &seen, progress);
        if seen.is_settled() || left() < POLL_INTERVAL {
            return Ok(seen);
        }
        before = seen;
        thread::sleep(POLL_INTERVAL);
    }
}

fn tell_changes(before: &Outcome, after: &Outcome, progress: &mut dyn FnMut(String)) {
    if let Some(problem) = &after.problem
        && before.problem != after.problem
    {
        progress(problem.clone());
    }
    for (name, state) in &after.gateways {
        if before.state(name) != Some(state) {
            progress(format!("{name} {state}"));
        }
    }
    for (name, _) in &before.gateways {
        if after.problem.is_none() && after.state(name).is_none() {
            progress(format!("{name} is no longer a gateway"));
        }
    }
}

/// One look at every gateway, all at once.
fn poll(
    source: &Source<'_>,
    wanted: &Wanted,
    before: &Outcome,
    left: Duration,
) -> Result<Outcome, Problem> {
    let targets = match source.list() {
        Ok(targets) => targets,
        Err(problem) if problem.is_transient() => {
            return Ok(Outcome {
                problem: Some(problem.to_string()),
                ..Outcome::default()
            });
        }
        Err(problem) => return Err(problem),
    };
    let seen = fan_out::all(&targets, |target| scrape(target, wanted, left));
    let lost = || GatewayState::Unreachable("the look failed".to_owned());
    let seen = seen.into_iter().map(|state| state.unwrap_or_else(lost));
    let gateways = targets.into_iter().zip(seen);
    let gateways: Vec<_> = gateways
        .filter(|(target, state)| {
            !(target.is_leaving && matches!(state, GatewayState::Unreachable(_)))
        })
        .map(|(target, state)| {
            let state = state.after(before.state(&target.name));
            (target.name, state)
        })
        .collect();
    let problem = gateways.is_empty().then(|| source.in_words());
    Ok(Outcome { gateways, problem })
}

fn scrape(target: &Target, wanted: &Wanted, left: Duration) -> GatewayState {
    if target.is_skipped {
        return GatewayState::Skipped;
    }
    let limit = left.clamp(Duration::from_secs(1), Duration::from_secs(10));
    match target.metrics(limit) {
        Err(why) => GatewayState::Unreachable(why),
        Ok(metrics) => GatewayState::of(Metrics(&metrics), wanted),
    }
}
