//! What an installation counts: the ids of its metrics, and when they are defined.

use std::cell::RefCell;

use crate::decision::Outcome;
use crate::host::Host;
use crate::policy::{Policy, Release};
use crate::request::Class;
use crate::telemetry::{self, AnswerKind, PREDEFINED_CLASSES, ReleaseState};

/// The ids of the metrics needed so far, by release, and by outcome and class or kind of answer.
#[derive(Default)]
pub struct Counters {
    plugin: String,
    requests: Ids,
    answers: Ids,
    open_streams: Ids,
}

/// Ids by their places, those that were needed.
type Ids = RefCell<Vec<Option<u32>>>;

impl Counters {
    /// Counters of the plugin of this name, none of them defined.
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            ..Self::default()
        }
    }

    /// The plugin's name, as every counter has it.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Defines the series that show that a release is idle, for each release that a policy serves, so that nobody
    /// has to tell absence from 0. `left` are the routes of releases that it no longer serves.
    pub fn define(&self, host: &dyn Host, policy: &Policy, left: &[String]) {
        for release in &policy.releases {
            for class in PREDEFINED_CLASSES {
                self.request_id(host, Some(release), Outcome::Pinned, class);
            }
            self.open_streams_id(host, Some(release));
            self.show(host, &release.route, ReleaseState::of(policy, release));
        }
        for route in left {
            self.show(host, route, ReleaseState::NotServed);
        }
    }

    fn show(&self, host: &dyn Host, route: &str, state: ReleaseState) {
        record(
            host,
            &telemetry::release_state(&self.plugin, route),
            state.number(),
        );
    }

    /// Counts a request.
    pub fn request(
        &self,
        host: &dyn Host,
        release: Option<&Release>,
        outcome: Outcome,
        class: Class,
    ) {
        if let Some(id) = self.request_id(host, release, outcome, class) {
            host.add(id, 1);
        }
    }

    /// Counts an answer by its kind.
    pub fn answer(&self, host: &dyn Host, release: Option<&Release>, kind: AnswerKind) {
        let slot = slot_of(release) * AnswerKind::ALL.len() + kind.index();
        let id = id_at(&self.answers, slot, || {
            host.counter(&telemetry::answers(&self.plugin, release, kind))
        });
        if let Some(id) = id {
            host.add(id, 1);
        }
    }

    /// Counts a stream as open for as long as the returned value lives.
    pub fn open_stream<H: Host>(
        &self,
        host: H,
        release: Option<&Release>,
    ) -> Option<OpenStream<H>> {
        let gauge = self.open_streams_id(&host, release)?;
        host.add(gauge, 1);
        Some(OpenStream { host, gauge })
    }

    fn request_id(
        &self,
        host: &dyn Host,
        release: Option<&Release>,
        outcome: Outcome,
        class: Class,
    ) -> Option<u32> {
        let slot = (slot_of(release) * Outcome::ALL.len() + outcome.index()) * Class::ALL.len()
            + class.index();
        id_at(&self.requests, slot, || {
            host.counter(&telemetry::requests(&self.plugin, release, outcome, class))
        })
    }

    fn open_streams_id(&self, host: &dyn Host, release: Option<&Release>) -> Option<u32> {
        id_at(&self.open_streams, slot_of(release), || {
            host.gauge(&telemetry::open_streams(&self.plugin, release))
        })
    }
}

/// A stream that is counted as open until it is dropped. The gauge is never set: all workers share it, and it
/// outlives a VM and its configurations, so only whoever added one may take one away.
pub struct OpenStream<H: Host> {
    host: H,
    gauge: u32,
}

impl<H: Host> Drop for OpenStream<H> {
    fn drop(&mut self) {
        self.host.add(self.gauge, -1);
    }
}

/// Gives the gauge of this name a value.
pub fn record(host: &dyn Host, name: &str, value: u64) {
    if let Some(gauge) = host.gauge(name) {
        host.record(gauge, value);
    }
}

fn slot_of(release: Option<&Release>) -> usize {
    release.map_or(0, |release| release.index + 1)
}

fn id_at(ids: &Ids, slot: usize, define: impl FnOnce() -> Option<u32>) -> Option<u32> {
    let mut ids = ids.borrow_mut();
    if ids.len() <= slot {
        ids.resize(slot + 1, None);
    }
    let id = ids.get_mut(slot)?;
    if id.is_none() {
        *id = define();
    }
    *id
}
