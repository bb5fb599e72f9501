//! The shell around the decision: it puts a configuration into force, and for each request reads,
//! decides, applies and counts.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::decision::rules::decide;
use crate::decision::{Action, Decision, Forward, Outcome};
use crate::headers::Headers;
use crate::host::Host;
use crate::policy::{Policy, Release};
use crate::reply::amend::{Amendment, Change, amend, observe};
use crate::reply::local::Reply;
use crate::reply::response::Response;
use crate::request::{Class, Request};
use crate::scope::Scope;
use crate::telemetry;
use crate::telemetry::log_line::{LogLine, RequestName};

mod counters;
mod installation;

pub use installation::Installation;

use counters::OpenStream;
use installation::Mode;

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
    /// Nothing: it is passed on unchanged.
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

    /// The request's headers have arrived.
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
        if let Some(kind) = amendment.counted {
            let release = decision.release().map(Rc::as_ref);
            installation.counters.answer(&self.host, release, kind);
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

    /// At most once a second: if labels and routes disagree, every answer would be a line.
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

/// The answer that the host has; its headers are read only when they are needed.
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
