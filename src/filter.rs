//! The shell around the decision: it takes a configuration into force, and for each request reads,
//! decides, applies and counts.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use crate::config::{self, Config, State};
use crate::decision::rules::decide;
use crate::decision::{Action, Decision, Forward, Outcome};
use crate::headers::Headers;
use crate::host::Host;
use crate::last_good::{LastGood, StandIn};
use crate::policy::{Policy, Release};
use crate::reply::amend::{Amendment, Change, amend, observe};
use crate::reply::local::Reply;
use crate::reply::response::Response;
use crate::request::{Class, Request};
use crate::scope::Scope;
use crate::telemetry;
use crate::telemetry::log_line::{LogLine, RequestName};

mod counters;

use counters::{Counters, OpenStream, record};

/// A configuration in force, and what counts by it.
pub struct Installation {
    mode: Mode,
    /// Where a good configuration is in force: how it was written, for who has to note it.
    in_force: Option<Rc<[u8]>>,
    storage_key: String,
    counters: Counters,
    last_skew_logged: Cell<u64>,
}

/// What the filter does with requests.
enum Mode {
    /// A good configuration is in force.
    Guard(Box<Policy>),
    /// No good configuration is known, but scope and route header could be read: a client must still
    /// not choose its release.
    PassThrough { scope: Scope, route_header: String },
    /// Not even that could be read: nothing is touched.
    Inert,
}

impl Installation {
    /// Takes a configuration into force. A wrong one is reported, and the last good one stays: a typo
    /// must not take a site down, and Envoy re-applies what a filter refuses to every later change.
    pub fn configure(host: &dyn Host, configuration: &[u8]) -> Self {
        let plugin = plugin_name(host);
        let storage_key = storage_key(host, &plugin);
        let loaded = Config::load(configuration);
        record(
            host,
            &telemetry::refused(&plugin),
            u64::from(loaded.is_err()),
        );
        let counters = Counters::new(&plugin);
        let mut left = Vec::new();
        let (mode, in_force) = match loaded {
            Ok(config) => {
                left = keep(host, &storage_key, configuration, &config);
                let policy = Policy::from(config);
                log::info!("skew-guard {plugin}: in force: {}", summary(&policy));
                (Mode::Guard(Box::new(policy)), Some(configuration.into()))
            }
            Err(problems) => {
                if let Some(refusals) = host.counter(&telemetry::refusals(&plugin)) {
                    host.add(refusals, 1);
                }
                log::error!("skew-guard {plugin}: configuration refused:\n{problems}");
                stand_in(host, &plugin, &storage_key, configuration)
            }
        };
        let revision = match &mode {
            Mode::Guard(policy) => {
                counters.define(host, policy, &left);
                policy.revision.unwrap_or_default()
            }
            Mode::PassThrough { .. } | Mode::Inert => 0,
        };
        record(host, &telemetry::revision(&plugin), revision);
        if let Some(bytes) = &in_force {
            IN_FORCE.with_borrow_mut(|all| {
                all.retain(|(_, one)| one.strong_count() > 0);
                all.push((storage_key.clone(), Rc::downgrade(bytes)));
            });
        }
        Self {
            mode,
            in_force,
            storage_key,
            counters,
            last_skew_logged: Cell::new(0),
        }
    }

    /// Touches nothing: what is in force before any configuration has come.
    #[must_use]
    pub fn inert() -> Self {
        Self {
            mode: Mode::Inert,
            in_force: None,
            storage_key: String::new(),
            counters: Counters::default(),
            last_skew_logged: Cell::new(0),
        }
    }

    /// Notes that the configuration is still in force; to be called every [`crate::kept::NOTE_INTERVAL`] seconds.
    pub fn note(&self, host: &dyn Host) {
        let Some(bytes) = &self.in_force else {
            return;
        };
        // Not what this VM kept: it may be an old one, whose last stream is still open.
        let kept = host.kept_by_any(&self.storage_key).unwrap_or_default();
        let mut kept = LastGood::read(&kept);
        if kept.note(bytes, host.now()) {
            host.keep(&self.storage_key, &kept.written());
        }
    }
}

thread_local! {
    /// The configurations of all installations of this VM, each under its storage key, as long as these
    /// live: one that was replaced goes when its last request is through.
    static IN_FORCE: RefCell<Vec<(String, Weak<[u8]>)>> = const { RefCell::new(Vec::new()) };
}

fn is_in_force(storage_key: &str, bytes: &[u8]) -> bool {
    IN_FORCE.with_borrow(|all| {
        all.iter()
            .filter(|(key, _)| key == storage_key)
            .filter_map(|(_, one)| one.upgrade())
            .any(|one| *one == *bytes)
    })
}

fn kept(host: &dyn Host, storage_key: &str) -> LastGood {
    LastGood::read(&host.kept(storage_key).unwrap_or_default())
}

/// Keeps a configuration that is taken into force; the routes that the one before served and this one does not.
fn keep(host: &dyn Host, storage_key: &str, configuration: &[u8], config: &Config) -> Vec<String> {
    let mut kept = kept(host, storage_key);
    let replaced = kept.take(configuration, config, host.now());
    host.keep(storage_key, &kept.written());
    let mut left: Vec<_> = replaced.iter().flat_map(served_routes).collect();
    left.retain(|route| !served_routes(config).any(|served| served == *route));
    left.into_iter().map(str::to_owned).collect()
}

fn served_routes(config: &Config) -> impl Iterator<Item = &str> {
    config
        .releases
        .iter()
        .filter(|release| release.state != State::Retired)
        .map(|release| release.route.as_str())
}

/// What is in force in the place of a wrong configuration, and how that was written.
fn stand_in(
    host: &dyn Host,
    plugin: &str,
    storage_key: &str,
    wrong: &[u8],
) -> (Mode, Option<Rc<[u8]>>) {
    let partial = config::load_partial(wrong);
    let kept = kept(host, storage_key);
    let found = kept.stand_in_for(partial.as_ref(), host.now(), |bytes| {
        is_in_force(storage_key, bytes)
    });
    if let Some(StandIn { config, bytes, age }) = found {
        let policy = Policy::from(config);
        log::warn!(
            "skew-guard {plugin}: the last good one stays in force: {}; last in force {age} seconds ago",
            summary(&policy)
        );
        return (Mode::Guard(Box::new(policy)), Some(bytes.into()));
    }
    let readable = partial.and_then(|partial| {
        let scope = Scope::new(partial.hosts?, partial.paths?);
        Some((scope, partial.route_header?))
    });
    let mode = match readable {
        Some((scope, route_header)) => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass without {route_header}"
            );
            Mode::PassThrough {
                scope,
                route_header,
            }
        }
        None => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass untouched"
            );
            Mode::Inert
        }
    };
    (mode, None)
}

/// The plugin's name up to a `~`, behind which Istio notes how the plugin came about: an upgrade of
/// Istio changes that.
fn plugin_name(host: &dyn Host) -> String {
    let name = host.attribute(&["plugin_name"]).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    name.split('~').next().unwrap_or_default().to_owned()
}

fn storage_key(host: &dyn Host, plugin: &str) -> String {
    let root_id = host.attribute(&["plugin_root_id"]).unwrap_or_default();
    format!(
        "skew-guard/kept/{plugin}/{}",
        String::from_utf8_lossy(&root_id)
    )
}

fn summary(policy: &Policy) -> String {
    let revision = policy.revision.map_or_else(
        || "no revision".to_owned(),
        |revision| format!("revision {revision}"),
    );
    let current = policy
        .current
        .as_ref()
        .map_or("the mesh's choice", |current| {
            current.heaviest.version.as_str()
        });
    let mode = if policy.enforce {
        ""
    } else {
        ", observing only"
    };
    let releases: Vec<_> = policy
        .releases
        .iter()
        .map(|release| format!("{} {}", release.version, release.state().name()))
        .collect();
    format!(
        "{revision}, releases {}, current {current}{mode}, module {}",
        releases.join(", "),
        env!("CARGO_PKG_VERSION")
    )
}

/// One request and its answer.
pub struct Exchange<H: Host> {
    host: H,
    installation: Rc<Installation>,
    pending: Pending,
    body: Option<Vec<u8>>,
    /// Where it may be open for long.
    stream: Option<OpenStream<H>>,
}

/// What the answer is awaited for.
enum Pending {
    /// Nothing: it is passed on as it is.
    Nothing,
    /// The decision was carried out, and goes on with the answer.
    Amendment(Decision),
    /// The decision was only counted, and so is what is seen on the answer.
    Observation(Decision),
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the next filter.
    Continue,
    /// No further: it was answered.
    Answered,
}

impl<H: Host + Clone> Exchange<H> {
    /// A request that is about to arrive.
    pub fn new(host: H, installation: Rc<Installation>) -> Self {
        Self {
            host,
            installation,
            pending: Pending::Nothing,
            body: None,
            stream: None,
        }
    }

    /// The request's headers are there.
    pub fn on_request_headers(&mut self) -> Flow {
        let installation = Rc::clone(&self.installation);
        match &installation.mode {
            Mode::Inert => Flow::Continue,
            Mode::PassThrough {
                scope,
                route_header,
            } => self.pass_through(scope, route_header),
            Mode::Guard(policy) => self.guard(policy),
        }
    }

    fn pass_through(&self, scope: &Scope, route_header: &str) -> Flow {
        let map = self.host.request_headers();
        let request = Request::new(Headers::new(&map), &self.host);
        if scope.holds(&request) {
            log::debug!(
                "skew-guard {}: {}: unconfigured",
                self.installation.counters.plugin(),
                RequestName(&request)
            );
            self.host.remove_request_header(route_header);
            self.count(None, Outcome::Unconfigured, Class::Other);
        }
        Flow::Continue
    }

    fn guard(&mut self, policy: &Policy) -> Flow {
        let map = self.host.request_headers();
        let request = Request::new(Headers::new(&map), &self.host);
        let Some(decision) = decide(policy, &request) else {
            return Flow::Continue;
        };
        let release = decision.release().map(Rc::as_ref);
        self.count(release, decision.outcome, decision.class);
        if request.opens_stream() && matches!(decision.action, Action::Forward(_)) {
            let counters = &self.installation.counters;
            self.stream = counters.open_stream(self.host.clone(), release);
        }
        if policy.log_outcome {
            let outcome = decision.outcome.name();
            self.host.set_attribute(telemetry::OUTCOME, outcome);
        }
        log::debug!(
            "skew-guard {}: {}",
            self.installation.counters.plugin(),
            LogLine {
                request: &request,
                decision: &decision,
                enforced: policy.enforce,
            }
        );
        if policy.enforce {
            if is_forged(policy, &request, &decision) {
                self.host.remove_request_header(&policy.route_header);
            }
            self.carry_out(policy, decision)
        } else {
            self.host.remove_request_header(&policy.route_header);
            self.pending = Pending::Observation(decision);
            Flow::Continue
        }
    }

    fn carry_out(&mut self, policy: &Policy, decision: Decision) -> Flow {
        match &decision.action {
            Action::Reply(answer) => {
                let client = decision.client.as_ref();
                self.host.reply(&Reply::of(policy, client, answer));
                Flow::Answered
            }
            Action::Forward(forward) => {
                self.forward(policy, forward);
                self.pending = Pending::Amendment(decision);
                Flow::Continue
            }
        }
    }

    fn forward(&self, policy: &Policy, forward: &Forward) {
        let route_header = &policy.route_header;
        match &forward.release {
            // Setting replaces every copy that the client sent.
            Some(release) => self.host.set_request_header(route_header, &release.route),
            None => self.host.remove_request_header(route_header),
        }
        for name in &forward.removed {
            self.host.remove_request_header(name);
        }
    }

    /// The answer's headers are there; `has_body` says whether more follows.
    pub fn on_response_headers(&mut self, has_body: bool) {
        let installation = Rc::clone(&self.installation);
        let Mode::Guard(policy) = &installation.mode else {
            return;
        };
        let answer = HostResponse::new(&self.host, has_body);
        let (decision, amendment) = match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => return,
            Pending::Amendment(decision) => {
                let amendment = amend(policy, &decision, &answer);
                (decision, amendment)
            }
            Pending::Observation(decision) => {
                let amendment = observe(policy, &decision, &answer);
                (decision, amendment)
            }
        };
        if let Some(sight) = amendment.sight {
            let release = decision.release().map(Rc::as_ref);
            installation.counters.answer(&self.host, release, sight);
        }
        self.log_skew(&decision, &amendment);
        self.change(amendment.changes);
    }

    fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Set(name, value) => self.host.set_response_header(name, &value),
                Change::Add(name, value) => self.host.add_response_header(name, &value),
                Change::Remove(name) => self.host.remove_response_header(name),
                Change::Body(body) => self.body = Some(body),
            }
        }
    }

    /// A part of the answer's body is there, this many bytes.
    pub fn on_response_body(&mut self, size: usize) {
        if let Some(body) = &mut self.body {
            // The first part becomes the whole new body, the others nothing.
            self.host.replace_response_body(size, &std::mem::take(body));
        }
    }

    fn count(&self, release: Option<&Release>, outcome: Outcome, class: Class) {
        self.installation
            .counters
            .request(&self.host, release, outcome, class);
    }

    /// At most once a second: where labels and routes disagree, every answer would be a line.
    fn log_skew(&self, decision: &Decision, amendment: &Amendment) {
        let Some(pod) = &amendment.skewed_to else {
            return;
        };
        let now = self.host.now();
        if self.installation.last_skew_logged.replace(now) == now {
            return;
        }
        let release = decision.release();
        let asked = decision
            .client_version_for_logs()
            .or(release.map(|release| &release.version))
            .map_or("", |version| version.as_str());
        let route = release.map_or("none", |release| &release.route);
        log::warn!(
            "skew-guard {}: skewed: version {asked} was asked for (route {route}), and a pod of {pod} answered",
            self.installation.counters.plugin()
        );
    }
}

/// Whether a request that goes no further has a route header, which is the client's own: an access log would show it as
/// a release that had been chosen.
fn is_forged(policy: &Policy, request: &Request<'_>, decision: &Decision) -> bool {
    matches!(decision.action, Action::Reply(_)) && request.header(&policy.route_header).is_some()
}

/// The answer that the host has; its headers are read when something is asked about them.
struct HostResponse<'h, H> {
    host: &'h H,
    headers: OnceCell<Vec<u8>>,
    has_body: bool,
}

impl<'h, H> HostResponse<'h, H> {
    fn new(host: &'h H, has_body: bool) -> Self {
        Self {
            host,
            headers: OnceCell::new(),
            has_body,
        }
    }
}

impl<H: Host> Response for HostResponse<'_, H> {
    fn headers(&self) -> Headers<'_> {
        Headers::new(self.headers.get_or_init(|| self.host.response_headers()))
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.host.attribute(path)
    }

    fn has_body(&self) -> bool {
        self.has_body
    }
}
