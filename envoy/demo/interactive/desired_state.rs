//! The desired state of the shop, which buttons make sense, and what that means for the filter. Pure.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::site::{NEW, OLD, route_of};

/// The release that only testers reach.
pub const STAGED: &str = "2.1.0";

/// How many pods the shop has.
pub const PODS: usize = 8;

/// How many of them stay with the old release until it is retired, for tabs that are still open.
const PODS_FOR_OLD_TABS: usize = 2;

/// How far the roll-out has been ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is only the old release.
    Before,
    /// The new one is deployed beside it.
    Deployed,
    /// The old one is gone for good.
    Retired,
}

/// The key that opens the staged release. It differs in each run: it is not a secret, but not a default either.
#[derive(Debug, Clone)]
pub struct Key(String);

impl Key {
    /// One that nobody can guess.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .context("reading /dev/urandom")?;
        Ok(Self(hex(&bytes)))
    }

    /// The link that opens the staged release.
    pub fn link(&self) -> String {
        format!("/?preview={}:{STAGED}", self.0)
    }

    fn hash(&self) -> String {
        hex(&Sha256::digest(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The desired state.
#[derive(Debug, Clone)]
pub struct DesiredState {
    /// Pages of another round must be loaded again.
    pub round: u64,
    /// How far the roll-out goes.
    pub phase: Phase,
    /// Whether skew-guard is on.
    pub guard: bool,
    /// How many of a hundred new visitors get the new release.
    pub share: u8,
    /// What opens the staged release.
    pub key: Key,
}

/// Why a button cannot be pressed now, in a sentence for its reader.
pub type Refusal = &'static str;

/// For each button why it cannot be pressed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Refusals {
    pub deploy: Option<Refusal>,
    pub retire: Option<Refusal>,
    pub weights: Option<Refusal>,
    pub preview: Option<Refusal>,
}

impl DesiredState {
    /// Before the roll-out, without skew-guard.
    pub fn new(key: Key) -> Self {
        // Tabs outlive the demo: those left by an earlier run are of another round.
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        let round = started.map_or(0, |since| since.as_secs() * 1_000);
        Self {
            round,
            phase: Phase::Before,
            guard: false,
            share: 100,
            key,
        }
    }

    /// What cannot be pressed now; `settled` says that all pods are as wanted.
    pub fn refusals(&self, settled: bool) -> Refusals {
        let deploy = match self.phase {
            Phase::Before if settled => None,
            Phase::Before => Some("Pods of 1.4.2 come back first."),
            Phase::Deployed if settled => Some("2.0.0 is deployed."),
            Phase::Deployed => Some("Pods become 2.0.0, one by one …"),
            Phase::Retired => Some("There are only pods of 2.0.0."),
        };
        let retire = match self.phase {
            Phase::Before => Some("Deploy 2.0.0 first."),
            Phase::Deployed if settled => None,
            Phase::Deployed => Some("When 2.0.0 is deployed."),
            Phase::Retired => Some("1.4.2 is retired."),
        };
        let weights = match retire {
            None if !self.guard => Some("Turn skew-guard on: it does the weighing."),
            other => other,
        };
        let preview = (!self.guard).then_some("Turn skew-guard on: it checks the key.");
        Refusals {
            deploy,
            retire,
            weights,
            preview,
        }
    }

    /// Orders the roll-out. Pressed again it changes nothing.
    pub fn deploy(&mut self, settled: bool) -> Result<(), Refusal> {
        if self.phase == Phase::Before {
            refuse(self.refusals(settled).deploy)?;
            self.phase = Phase::Deployed;
        }
        Ok(())
    }

    /// Orders the end of the old release. Pressed again it changes nothing.
    pub fn retire(&mut self, settled: bool) -> Result<(), Refusal> {
        if self.phase != Phase::Retired {
            refuse(self.refusals(settled).retire)?;
            self.phase = Phase::Retired;
        }
        Ok(())
    }

    /// Gives this many of a hundred new visitors the new release.
    pub fn weigh(&mut self, share: u8, settled: bool) -> Result<(), Refusal> {
        refuse(self.refusals(settled).weights)?;
        if share > 100 {
            return Err("A share is at most 100 of 100.");
        }
        self.share = share;
        Ok(())
    }

    /// Starts over.
    pub fn start_over(&mut self) {
        self.round += 1;
        self.phase = Phase::Before;
        self.guard = false;
        self.share = 100;
    }

    /// Which release the pod of that number, counted from 0, should have.
    pub fn release_of(&self, pod: usize) -> &'static str {
        let new = match self.phase {
            Phase::Before => 0,
            Phase::Deployed => PODS - PODS_FOR_OLD_TABS,
            Phase::Retired => PODS,
        };
        if pod < new { NEW } else { OLD }
    }

    /// The keys of the filter's configuration: each step of the README's "life of a release" when its pods are there.
    pub fn configuration(&self, settled: bool) -> Map<String, Value> {
        let release = |version: &str, state: &str| json!({ "version": version, "route": route_of(version), "state": state });
        let (new, old, current) = match self.phase {
            Phase::Before => (None, "live", json!(OLD)),
            Phase::Deployed if !settled => (Some("live"), "live", json!(OLD)),
            Phase::Deployed => match self.share {
                100 => (Some("live"), "draining", json!(NEW)),
                0 => (Some("live"), "live", json!(OLD)),
                share => (Some("live"), "live", weights(share)),
            },
            Phase::Retired => (Some("live"), "retired", json!(NEW)),
        };
        let staged = Some(release(STAGED, "staged"));
        let releases = [
            staged,
            new.map(|state| release(NEW, state)),
            Some(release(OLD, old)),
        ];
        Map::from_iter([
            ("enforce".to_owned(), json!(self.guard)),
            (
                "releases".to_owned(),
                releases.into_iter().flatten().collect(),
            ),
            ("current".to_owned(), current),
            ("pinCookie".to_owned(), json!({ "name": "demo-release" })),
            ("preview".to_owned(), json!({ "sha256": self.key.hash() })),
        ])
    }
}

fn refuse(refusal: Option<Refusal>) -> Result<(), Refusal> {
    refusal.map_or(Ok(()), Err)
}

fn weights(new: u8) -> Value {
    json!([{ "version": NEW, "weight": new }, { "version": OLD, "weight": 100 - new }])
}

#[cfg(test)]
mod tests {
    use skew_guard::config::Config;

    use super::*;

    fn desired(phase: Phase) -> DesiredState {
        let mut desired = DesiredState::new(Key("key".into()));
        desired.phase = phase;
        desired
    }

    fn pods_of(release: &str, desired: &DesiredState) -> usize {
        let pods = (0..PODS).map(|pod| desired.release_of(pod));
        pods.filter(|of| *of == release).count()
    }

    #[test]
    fn old_tabs_have_pods_until_their_release_is_retired() {
        let pods = [Phase::Before, Phase::Deployed, Phase::Retired].map(desired);
        assert_eq!(
            pods.each_ref().map(|desired| pods_of(OLD, desired)),
            [8, 2, 0]
        );
        assert_eq!(
            pods.each_ref().map(|desired| pods_of(NEW, desired)),
            [0, 6, 8]
        );
    }

    #[test]
    fn buttons_can_be_pressed_in_their_order_only() {
        let mut desired = desired(Phase::Before);
        assert_eq!(desired.retire(true), Err("Deploy 2.0.0 first."));
        assert_eq!(desired.deploy(true), Ok(()));
        assert_eq!(desired.retire(false), Err("When 2.0.0 is deployed."));
        assert_eq!(desired.retire(true), Ok(()));
        assert_eq!(desired.phase, Phase::Retired);
    }

    #[test]
    fn a_button_that_is_pressed_again_changes_nothing() {
        let mut desired = desired(Phase::Before);
        for settled in [true, false, true] {
            assert_eq!(desired.deploy(settled), Ok(()));
            assert_eq!(desired.phase, Phase::Deployed);
        }
        for settled in [true, false, true] {
            assert_eq!(desired.retire(settled), Ok(()));
            assert_eq!(desired.deploy(settled), Ok(()));
            assert_eq!(desired.phase, Phase::Retired);
        }
    }

    #[test]
    fn starting_over_is_another_round_for_every_tab() {
        let mut desired = desired(Phase::Retired);
        desired.guard = true;
        let round = desired.round;
        desired.start_over();
        assert_eq!((desired.phase, desired.guard), (Phase::Before, false));
        assert_ne!(desired.round, round);
        assert_eq!(desired.deploy(false), Err("Pods of 1.4.2 come back first."));
    }

    #[test]
    fn weights_need_both_releases_and_the_guard() {
        let mut desired = desired(Phase::Deployed);
        assert!(desired.weigh(50, true).is_err());
        desired.guard = true;
        assert!(desired.weigh(50, false).is_err());
        assert_eq!(
            desired.weigh(101, true),
            Err("A share is at most 100 of 100.")
        );
        assert_eq!(desired.weigh(50, true), Ok(()));
        assert_eq!(
            desired.configuration(true).get("current"),
            Some(&json!([{ "version": NEW, "weight": 50 }, { "version": OLD, "weight": 50 }]))
        );
    }

    #[test]
    fn the_filter_takes_the_configuration_of_every_moment() {
        for phase in [Phase::Before, Phase::Deployed, Phase::Retired] {
            for (settled, guard, share) in [
                (true, true, 100),
                (false, false, 100),
                (true, true, 30),
                (true, true, 0),
            ] {
                let mut desired = desired(phase);
                (desired.guard, desired.share) = (guard, share);
                let configuration = Value::Object(desired.configuration(settled)).to_string();
                let loaded = Config::load(configuration.as_bytes());
                assert!(loaded.is_ok(), "{configuration}: {:?}", loaded.err());
            }
        }
    }
}
