//! The loop, and what it shares with the buttons.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use skew_guard_lab::http;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::desired_state::{DesiredState, Phase, Refusal};
use super::fleet::Fleet;
use super::gateway::Gateway;

/// Between two pods of a roll-out: slow enough to watch.
const PACE: Duration = Duration::from_millis(600);

/// Between two pods when it is started over.
const QUICK: Duration = Duration::from_millis(100);

/// How often to check whether a pod has died.
const LOOK: Duration = Duration::from_millis(250);

/// Everything that the controls need.
pub struct Controller {
    pub gateway: Gateway,
    pub tool: PathBuf,
    pub client: reqwest::Client,
    status: Mutex<Status>,
    pressed: Notify,
}

/// What is wanted, and how far it is.
#[derive(Debug, Clone)]
pub struct Status {
    pub desired: DesiredState,
    /// Whether the desired roll-out is done.
    pub settled: bool,
    /// Where the pods listen, in order.
    pub pods: Vec<SocketAddr>,
}

impl Controller {
    pub fn new(
        desired: DesiredState,
        gateway: Gateway,
        fleet: &Fleet,
        tool: PathBuf,
    ) -> Result<Self> {
        let status = Status {
            desired,
            settled: true,
            pods: fleet.addresses(),
        };
        Ok(Self {
            gateway,
            tool,
            client: http::client()?,
            status: Mutex::new(status),
            pressed: Notify::new(),
        })
    }

    /// What is wanted, and how far it is.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Changes the desired state: `change` gets it, and whether the roll-out is done.
    pub fn press(
        &self,
        change: impl FnOnce(&mut DesiredState, bool) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut status = self.lock();
        let (settled, phase) = (status.settled, status.desired.phase);
        change(&mut status.desired, settled)?;
        // All other changes take a moment, and no pods.
        status.settled &= status.desired.phase == phase;
        drop(status);
        self.pressed.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings everything to the desired state, for ever; ends when the gateway does.
    pub async fn follow(&self, mut fleet: Fleet) -> Result<()> {
        let mut next_pod = Instant::now();
        loop {
            let desired = self.lock().desired.clone();
            let ready = fleet.is_as_wanted(&desired);
            self.gateway.configure(desired.configuration(ready)).await?;
            let moved = Instant::now() >= next_pod && fleet.step(&desired, &self.gateway).await?;
            let pause = if moved { pace(&desired) } else { LOOK };
            if moved {
                next_pod = Instant::now() + pause;
            }
            self.note(&fleet, ready);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.pressed.notified() => {}
            }
            let alive = self.gateway.envoy().admin_get("/ready").await;
            alive.with_context(|| {
                format!(
                    "Envoy ended; it printed:\n{}",
                    self.gateway.envoy().log_tail()
                )
            })?;
        }
    }

    /// `configured` says that the filter's configuration is that of a completed roll-out.
    fn note(&self, fleet: &Fleet, configured: bool) {
        let mut status = self.lock();
        status.pods = fleet.addresses();
        status.settled = configured && fleet.is_as_wanted(&status.desired);
    }
}

fn pace(desired: &DesiredState) -> Duration {
    match desired.phase {
        Phase::Before => QUICK,
        Phase::Deployed | Phase::Retired => PACE,
    }
}
