//! What a trap does to traffic under each fail strategy. Our module never traps; this is what the choice of a strategy
//! means for one that does.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use skew_guard_lab::bootstrap::Plugin;
use skew_guard_lab::{trap, wait};
use tempfile::NamedTempFile;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec};
use crate::lab::Lab;
use crate::received::Received;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    after_a_trap_fail_open_serves_without_the_filter_until_its_configuration_changes,
    after_a_trap_fail_closed_refuses_every_request_until_its_configuration_changes,
    after_a_trap_fail_reload_refuses_briefly_and_then_serves_with_the_filter_again,
];

/// How many requests are sent after a trap.
const AFTERWARDS: usize = 20;

/// What answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    /// The plugin, and then a pod.
    Plugin,
    /// A pod alone: routes obey whatever route header the client sent.
    PodAlone,
    /// An error, with this status.
    Refusal(u16),
}

async fn after_a_trap_fail_open_serves_without_the_filter_until_its_configuration_changes(
    lab: &Lab,
) -> Result<()> {
    let lab = lab.another(1, &[]).await?;
    let mut gateway = TrappingGateway::open(&lab, "FAIL_OPEN").await?;
    ensure!(
        gateway.trap().await? == Met::Refusal(503),
        "the request itself"
    );
    gateway.meets_only(Met::PodAlone).await?;
    gateway.changes().await?;
    gateway.meets_only(Met::Plugin).await
}

async fn after_a_trap_fail_closed_refuses_every_request_until_its_configuration_changes(
    lab: &Lab,
) -> Result<()> {
    let lab = lab.another(1, &[]).await?;
    let mut gateway = TrappingGateway::open(&lab, "FAIL_CLOSED").await?;
    ensure!(
        gateway.trap().await? == Met::Refusal(503),
        "the request itself"
    );
    gateway.meets_only(Met::Refusal(503)).await?;
    gateway.changes().await?;
    gateway.meets_only(Met::Plugin).await
}

async fn after_a_trap_fail_reload_refuses_briefly_and_then_serves_with_the_filter_again(
    lab: &Lab,
) -> Result<()> {
    let lab = lab.another(1, &[]).await?;
    let gateway = TrappingGateway::open(&lab, "FAIL_RELOAD").await?;
    ensure!(
        gateway.trap().await? == Met::Refusal(503),
        "the request itself"
    );
    wait::until("the plugin to be back", async || {
        Ok(gateway.ask().await? == Met::Plugin)
    })
    .await?;
    gateway.meets_only(Met::Plugin).await
}

/// A gateway with the plugin that traps, in its own Envoy.
struct TrappingGateway<'l> {
    gateway: Gateway<'l>,
    lab: &'l Lab,
    _module: NamedTempFile,
}

impl<'l> TrappingGateway<'l> {
    async fn open(lab: &'l Lab, strategy: &str) -> Result<Self> {
        let module = NamedTempFile::with_suffix(".wasm")?;
        std::fs::write(module.path(), trap::module()?)?;
        let plugin = Plugin::of(module.path()).named("trap").failing(strategy);
        let gateway = Spec::of(lab, "trap")?
            .plugin(|_| plugin)
            .configured_by_text("1")?
            .open(lab)
            .await?;
        let opened = Self {
            gateway,
            lab,
            _module: module,
        };
        opened.meets_only(Met::Plugin).await?;
        ensure!(!traps(lab), "nothing has trapped yet");
        Ok(opened)
    }

    /// One plain request.
    async fn ask(&self) -> Result<Met> {
        self.ask_with(&[]).await
    }

    async fn trap(&self) -> Result<Met> {
        let trigger = trap::trigger();
        let headers: Vec<_> = trigger
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let met = self.ask_with(&headers).await?;
        ensure!(traps(self.lab), "Envoy says that something trapped");
        Ok(met)
    }

    async fn ask_with(&self, headers: &[(&str, &str)]) -> Result<Met> {
        let answer = self.gateway.get("/api/request", headers).await?;
        if answer.status != 200 {
            return Ok(Met::Refusal(answer.status));
        }
        let received = Received::from(&answer)?;
        Ok(if received.lines(trap::PASSED.0) == [trap::PASSED.1] {
            Met::Plugin
        } else {
            Met::PodAlone
        })
    }

    async fn meets_only(&self, expected: Met) -> Result<()> {
        let mut met = BTreeMap::<Met, usize>::new();
        for _ in 0..AFTERWARDS {
            *met.entry(self.ask().await?).or_default() += 1;
        }
        ensure!(
            met == BTreeMap::from([(expected, AFTERWARDS)]),
            "met {met:?}, not {expected:?}"
        );
        Ok(())
    }

    async fn changes(&mut self) -> Result<()> {
        self.gateway.configure_by_text("2").await
    }
}

/// Whether Envoy says that a module of its own trapped.
pub fn traps(lab: &Lab) -> bool {
    lab.envoy().log().contains("RuntimeError")
}
