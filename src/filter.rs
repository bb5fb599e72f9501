//! The shell around the decision: it takes a configuration into force, and for each request reads,
//! decides, applies and counts. All that knows Proxy-Wasm beside the host is at its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::config;
use crate::decision::{Decision, Outcome, decide};
use crate::host::Host;
use crate::policy::{Policy, Release};
use crate::reply::{Amendment, Change, Outgoing, Reply, amend};
use crate::request::{Class, Incoming, Request};
use crate::scope::Scope;
use crate::telemetry::{self, Sight};

/// A configuration in force, and what counts by it.
pub struct Installation {
    mode: Mode,
    plugin: String,
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
        let key = storage_key(host, &plugin);
        let loaded = Policy::load(configuration);
        host.gauge(&telemetry::refused(&plugin), u64::from(loaded.is_err()));
        let mode = match loaded {
            Ok(policy) => {
                host.keep(&key, configuration);
                log::info!("skew-guard {plugin}: in force: {}", summary(&policy));
                Mode::Guard(Box::new(policy))
            }
            Err(problems) => {
                if let Some(refusals) = host.counter(&telemetry::refusals(&plugin)) {
                    host.increment(refusals);
                }
                log::error!("skew-guard {plugin}: configuration refused:\n{problems}");
                stand_in(host, &plugin, &key, configuration)
            }
        };
        let revision = match &mode {
            Mode::Guard(policy) => policy.revision.unwrap_or_default(),
            Mode::PassThrough { .. } | Mode::Inert => 0,
        };
        host.gauge(&telemetry::revision(&plugin), revision);
        Self {
            mode,
            plugin,
            counters: Counters::default(),
            last_skew_logged: Cell::new(0),
        }
    }
}

impl Installation {
    /// Touches nothing: what is in force before any configuration has come.
    #[must_use]
    pub fn inert() -> Self {
        Self {
            mode: Mode::Inert,
            plugin: String::new(),
            counters: Counters::default(),
            last_skew_logged: Cell::new(0),
        }
    }
}

/// What is in force in the place of a wrong configuration.
fn stand_in(host: &dyn Host, plugin: &str, key: &str, wrong: &[u8]) -> Mode {
    let kept = host.kept(key).and_then(|bytes| Policy::load(&bytes).ok());
    if let Some(policy) = kept {
        log::warn!(
            "skew-guard {plugin}: the last good one stays in force: {}",
            summary(&policy)
        );
        return Mode::Guard(Box::new(policy));
    }
    match config::remains(wrong) {
        Some(remains) => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass without {}",
                remains.route_header
            );
            Mode::PassThrough {
                scope: Scope::new(remains.hosts, remains.paths),
                route_header: remains.route_header,
            }
        }
        None => {
            log::warn!(
                "skew-guard {plugin}: no good configuration is known; requests pass untouched"
            );
            Mode::Inert
        }
    }
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
    format!("skew-guard/{plugin}/{}", String::from_utf8_lossy(&root_id))
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
    format!(
        "{revision}, {} releases, current {current}{mode}",
        policy.releases.len()
    )
}

/// The ids of the counters that were needed so far, by release, outcome or sight, and class.
#[derive(Default)]
struct Counters {
    requests: RefCell<Vec<Option<u32>>>,
    answers: RefCell<Vec<Option<u32>>>,
}

impl Counters {
    fn request(&self, host: &dyn Host, release: Option<&Release>, outcome: Outcome, class: Class) {
        let place = (place_of(release) * Outcome::ALL.len() + outcome.index()) * Class::ALL.len()
            + class.index();
        count(host, &self.requests, place, || {
            telemetry::requests(release, outcome, class)
        });
    }

    fn answer(&self, host: &dyn Host, release: Option<&Release>, sight: Sight) {
        let place = place_of(release) * Sight::ALL.len() + sight.index();
        count(host, &self.answers, place, || {
            telemetry::answers(release, sight)
        });
    }
}

fn place_of(release: Option<&Release>) -> usize {
    release.map_or(0, |release| release.index + 1)
}

fn count(
    host: &dyn Host,
    ids: &RefCell<Vec<Option<u32>>>,
    place: usize,
    name: impl FnOnce() -> String,
) {
    let mut ids = ids.borrow_mut();
    if ids.len() <= place {
        ids.resize(place + 1, None);
    }
    let Some(id) = ids.get_mut(place) else {
        return;
    };
    if id.is_none() {
        *id = host.counter(&name());
    }
    if let Some(id) = *id {
        host.increment(id);
    }
}

/// One request and its answer.
pub struct Exchange<H> {
    host: H,
    installation: Rc<Installation>,
    decision: Option<Decision>,
    body: Option<Vec<u8>>,
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the next filter.
    On,
    /// No further: it was answered.
    Answered,
}

impl<H: Host> Exchange<H> {
    /// A request that is about to arrive.
    pub fn new(host: H, installation: Rc<Installation>) -> Self {
        Self {
            host,
            installation,
            decision: None,
            body: None,
        }
    }

    /// The request's headers are there.
    pub fn on_request_headers(&mut self) -> Flow {
        let installation = Rc::clone(&self.installation);
        let incoming = FromHost(&self.host);
        let request = Request::new(&incoming);
        match &installation.mode {
            Mode::Inert => Flow::On,
            Mode::PassThrough {
                scope,
                route_header,
            } => {
                if scope.holds(&request) {
                    self.host.remove_request_header(route_header);
                    self.count(None, Outcome::Unconfigured, Class::Other);
                }
                Flow::On
            }
            Mode::Guard(policy) => match decide(policy, &request) {
                None => Flow::On,
                Some(decision) => {
                    self.count(
                        decision.release.as_deref(),
                        decision.outcome,
                        decision.class,
                    );
                    let reply = Reply::to(policy, &request, &decision).filter(|_| policy.enforce);
                    self.apply(policy, decision, reply)
                }
            },
        }
    }

    fn apply(&mut self, policy: &Policy, decision: Decision, reply: Option<Reply>) -> Flow {
        if let Some(reply) = reply {
            self.host.reply(&reply);
            return Flow::Answered;
        }
        // Setting replaces every copy that the client sent.
        match &decision.release {
            Some(release) if policy.enforce => {
                self.host
                    .set_request_header(&policy.route_header, &release.route);
            }
            _ => self.host.remove_request_header(&policy.route_header),
        }
        if decision.unconditional && policy.enforce {
            self.host.remove_request_header("if-none-match");
            self.host.remove_request_header("if-modified-since");
        }
        self.decision = Some(decision);
        Flow::On
    }

    /// The answer's headers are there; `has_body` says whether more follows.
    pub fn on_response_headers(&mut self, has_body: bool) {
        let Some(decision) = self.decision.take() else {
            return;
        };
        let Mode::Guard(policy) = &self.installation.mode else {
            return;
        };
        let answer = AnswerFromHost {
            host: &self.host,
            has_body,
        };
        let amendment = amend(policy, &decision, &answer);
        if let Some(sight) = amendment.sight {
            let release = decision.release.as_deref();
            self.installation
                .counters
                .answer(&self.host, release, sight);
        }
        self.log_skew(&decision, &amendment);
        let enforce = policy.enforce;
        if enforce {
            self.change(amendment.changes);
        }
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
        let asked = decision
            .client
            .as_ref()
            .map(|client| &client.version)
            .or_else(|| decision.release.as_ref().map(|release| &release.version));
        let asked = asked.map_or("", |version| version.as_str());
        let route = decision
            .release
            .as_ref()
            .map_or("none", |release| &release.route);
        log::warn!(
            "skew-guard {}: skewed: version {asked} was asked for (route {route}), and a pod of {pod} answered",
            self.installation.plugin
        );
    }
}

struct FromHost<'h, H>(&'h H);

impl<H: Host> Incoming for FromHost<'_, H> {
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.0.request_header(name)
    }

    fn every(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.request_header_lines(name)
    }

    fn now(&self) -> u64 {
        self.0.now()
    }

    fn draw(&self) -> u32 {
        self.0.draw()
    }
}

struct AnswerFromHost<'h, H> {
    host: &'h H,
    has_body: bool,
}

impl<H: Host> Outgoing for AnswerFromHost<'_, H> {
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.host.response_header(name)
    }

    fn every(&self, name: &str) -> Vec<Vec<u8>> {
        self.host.response_header_lines(name)
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.host.attribute(path)
    }

    fn has_body(&self) -> bool {
        self.has_body
    }
}

#[cfg(target_arch = "wasm32")]
mod proxy_wasm_contexts {
    use std::rc::Rc;

    use proxy_wasm::traits::{Context, HttpContext, RootContext};
    use proxy_wasm::types::{Action, ContextType, LogLevel};

    use super::{Exchange, Flow, Installation};
    use crate::host::ProxyWasm;

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(Root { installation: None }));
    }}

    struct Root {
        installation: Option<Rc<Installation>>,
    }

    impl Context for Root {}

    impl RootContext for Root {
        /// Always true: Envoy would answer a first wrong configuration with 500 for every request, and
        /// freeze all listeners after a later one.
        fn on_configure(&mut self, size: usize) -> bool {
            let configuration = ProxyWasm.configuration(size);
            self.installation = Some(Rc::new(Installation::configure(&ProxyWasm, &configuration)));
            true
        }

        fn get_type(&self) -> Option<ContextType> {
            Some(ContextType::HttpContext)
        }

        fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
            let installation = match &self.installation {
                Some(installation) => Rc::clone(installation),
                None => Rc::new(Installation::inert()),
            };
            Some(Box::new(Exchange::new(ProxyWasm, installation)))
        }
    }

    impl Context for Exchange<ProxyWasm> {}

    /// The callbacks of a request; `trim-module` takes those out of the module that are not here.
    impl HttpContext for Exchange<ProxyWasm> {
        fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
            match self.on_request_headers() {
                Flow::On => Action::Continue,
                Flow::Answered => Action::Pause,
            }
        }

        fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
            self.on_response_headers(!end_of_stream);
            Action::Continue
        }

        fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
            self.on_response_body(size);
            Action::Continue
        }
    }
}
