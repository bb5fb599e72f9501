//! `skew-guard explain`: what happens to one request, and why.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use skew_guard::config::Config;
use skew_guard::decision::{Action, Decision, Forward};
use skew_guard::headers::{self, Headers};
use skew_guard::policy::{GoneReason, Policy};
use skew_guard::reply::amend::{Amendment, Change, amend, observe};
use skew_guard::reply::failure::{NO_CLUSTER_FOUND, NO_HEALTHY_UPSTREAM};
use skew_guard::reply::local::Reply;
use skew_guard::reply::response::Response;
use skew_guard::source::Carrier;
use skew_guard::table::Table;

use crate::Clock;
use crate::answer::{Answer, Verdict};
use crate::documents;

/// Show what the filter does with a request, and by which rule
///
/// The decision, what is written to the request, the filter's own answer, and what is changed in the
/// upstream's, from the same code that runs in the gateway.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard explain plugin.json --path /api/cart --header 'x-bundle-version: 1.4.2'
  skew-guard explain values.yaml --path / --as navigation --header 'cookie: pin=1.4.2'
  skew-guard explain skew-guard.yaml --path /assets/v-1.4.2/main.js --as asset \\
    --response-header 'content-type: text/html'
  skew-guard explain plugin.json --path /api/cart --header 'x-bundle-version: 1.4.2' \\
    --failure no-healthy-upstream")]
pub struct Explain {
    /// A file with one configuration
    config: PathBuf,
    /// The request's path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// Its method
    #[arg(long, default_value = "GET")]
    method: String,
    /// Its host; by default one in the configuration's scope
    #[arg(long)]
    host: Option<String>,
    /// A header of the request, 'name: value' (repeatable)
    #[arg(long = "header", value_name = "HEADER", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// What the browser loads, as its headers say it
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
    /// The status of the upstream's answer
    #[arg(long, default_value_t = 200, conflicts_with = "failure")]
    status: u16,
    /// A header of the upstream's answer, 'name: value' (repeatable)
    #[arg(long = "response-header", value_name = "HEADER", value_parser = parse_header)]
    response_headers: Vec<(String, String)>,
    /// A failure of Envoy's instead of an answer
    #[arg(long)]
    failure: Option<Failure>,
    #[command(flatten)]
    clock: Clock,
}

/// What a browser may load.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The document of a tab
    Navigation,
    /// A script's call, with fetch
    Fetch,
    /// A script, style, image and the like
    Asset,
    /// The document of a frame
    Frame,
}

/// How Envoy may fail to reach a release.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Failure {
    /// The release's cluster has no healthy pod (UH)
    NoHealthyUpstream,
    /// There is no such cluster (NC)
    NoCluster,
}

impl Kind {
    fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Navigation => &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("accept", "text/html"),
            ],
            Self::Fetch => &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            Self::Asset => &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
            Self::Frame => &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
                ("accept", "text/html"),
            ],
        }
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    // The first character may be the colon of a pseudo header.
    let colon = text
        .char_indices()
        .skip(1)
        .find(|(_, letter)| *letter == ':')
        .map(|(at, _)| at)
        .ok_or("a header is written 'name: value'")?;
    let (name, value) = text.split_at(colon);
    let value = value.trim_start_matches(':').trim();
    Ok((name.trim().to_ascii_lowercase(), value.to_owned()))
}

/// What is said of a request.
struct Explanation {
    /// One line each: what, and how it is.
    facts: Vec<(&'static str, String)>,
    decision: Value,
}

impl Explain {
    /// Runs the command.
    pub fn run(&self) -> Result<Answer> {
        let loaded = documents::read_one(&self.config)?.load_valid()?;
        let explanation = match self.table(&loaded.config).decided_by(&loaded.policy) {
            Some(decision) => self.explain(&loaded.policy, &decision),
            None => untouched(),
        };
        let facts = explanation.facts.iter();
        let lines: Vec<_> = facts
            .map(|(what, how)| format!("{what:<10}{how}"))
            .collect();
        Ok(Answer {
            verdict: Verdict::Good,
            text: lines.join("\n"),
            json: explanation.decision,
        })
    }

    fn table(&self, config: &Config) -> Table {
        let host = self.host.clone().unwrap_or_else(|| guarded_host(config));
        let mut table = Table::new(&self.method, &host, &self.path, self.clock.seconds());
        let implied = self.kind.map_or(&[][..], Kind::headers);
        for (name, value) in implied {
            if !self.headers.iter().any(|(given, _)| given == name) {
                table = table.with(name, value);
            }
        }
        self.headers
            .iter()
            .fold(table, |table, (name, value)| table.with(name, value))
    }

    fn explain(&self, policy: &Policy, decision: &Decision) -> Explanation {
        let upstream = Upstream::new(self, decision);
        let (written, reply, amendment) = match &decision.action {
            _ if !policy.enforce => (
                vec![removed(policy)],
                None,
                observe(policy, decision, &upstream),
            ),
            Action::Reply(answer) => (
                Vec::new(),
                Some(Reply::of(policy, decision.client.as_ref(), answer)),
                Amendment::default(),
            ),
            Action::Forward(forward) => (
                written_request(policy, forward),
                None,
                amend(policy, decision, &upstream),
            ),
        };
        let Amendment {
            changes, counted, ..
        } = amendment;
        let mut facts = facts(policy, decision);
        facts.extend(written.iter().map(|line| ("request", line.clone())));
        if let Some(reply) = &reply {
            facts.extend(reply_lines(reply).into_iter().map(|line| ("reply", line)));
        } else if changes.is_empty() {
            facts.push(("response", "unchanged".to_owned()));
        }
        facts.extend(changes.iter().map(|change| ("response", said(change))));
        facts.extend(counted.map(|kind| ("counted", format!("answer {}", kind.name()))));
        let decision = json!({
            "outcome": decision.outcome.name(),
            "class": decision.class.name(),
            "rule": decision.rule as u8,
            "because": decision.rule.to_string(),
            "client": decision.client_version().map(|version| version.as_str()),
            "release": decision.release().map(|release| release.version.as_str()),
            "route": decision.release().map(|release| release.route.as_str()),
            "enforced": policy.enforce,
            "request": written,
            "reply": reply.as_ref().map(reply_json),
            "response": changes.iter().map(said).collect::<Vec<_>>(),
            "answer": counted.map(|kind| kind.name()),
        });
        Explanation { facts, decision }
    }
}

fn untouched() -> Explanation {
    Explanation {
        facts: vec![(
            "untouched",
            "rule 1: the request is outside hosts or paths".to_owned(),
        )],
        decision: json!({"outcome": null, "rule": 1, "because": "rule 1: the request is outside hosts or paths"}),
    }
}

fn guarded_host(config: &Config) -> String {
    config.hosts.iter().flatten().next().map_or_else(
        || "example.com".to_owned(),
        |host| host.to_string().replace('*', "any"),
    )
}

fn facts(policy: &Policy, decision: &Decision) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("outcome", decision.outcome.name().to_owned()),
        ("because", decision.rule.to_string()),
        ("class", decision.class.name().to_owned()),
    ];
    if let Some(client) = &decision.client {
        let carrier = match client.carrier {
            Carrier::Header => "a header",
            Carrier::Url => "the URL",
            Carrier::Cookie => "a cookie",
        };
        facts.push(("client", format!("{}, said in {carrier}", client.version)));
        let why = policy.refuses(&client.version).map(|gone| match gone {
            GoneReason::Denied => "it is one of denied",
            _ => "it is below minVersion",
        });
        facts.extend(why.map(|why| ("gone", why.to_owned())));
    }
    facts.push((
        "release",
        match (&decision.action, decision.release()) {
            (Action::Reply(_), _) => "none: the filter answers itself".to_owned(),
            (_, Some(release)) => format!("{}, route {}", release.version, release.route),
            (_, None) => "the mesh's choice".to_owned(),
        },
    ));
    if !policy.enforce {
        facts.push((
            "observed",
            "enforce is false: the decision is only counted".to_owned(),
        ));
    }
    facts
}

fn written_request(policy: &Policy, forward: &Forward) -> Vec<String> {
    let mut lines = vec![match &forward.release {
        Some(release) => format!("{}: {}", policy.route_header, release.route),
        None => removed(policy),
    }];
    lines.extend(forward.removed.iter().map(|name| format!("{name} removed")));
    lines
}

fn removed(policy: &Policy) -> String {
    format!("{} removed", policy.route_header)
}

fn reply_lines(reply: &Reply) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", reply.status, reply.details)];
    lines.extend(
        reply
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    lines.extend(
        reply
            .grpc_status
            .map(|status| format!("grpc-status: {status}")),
    );
    if !reply.body.is_empty() {
        lines.push(text(&reply.body));
    }
    lines
}

fn reply_json(reply: &Reply) -> Value {
    let headers: Vec<_> = reply
        .headers
        .iter()
        .map(|(name, value)| json!([name, value]))
        .collect();
    json!({
        "status": reply.status,
        "details": reply.details,
        "headers": headers,
        "grpcStatus": reply.grpc_status,
        "body": String::from_utf8_lossy(&reply.body),
    })
}

fn said(change: &Change) -> String {
    match change {
        Change::Set(name, value) => format!("{name}: {value}"),
        Change::Add(name, value) => format!("{name}: {value} (added)"),
        Change::Remove(name) => format!("{name} removed"),
        Change::Body(body) => format!("body: {}", text(body)),
    }
}

/// A body, for a person.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_end().to_owned()
}

/// The upstream's answer that was described.
struct Upstream<'a> {
    failure: Option<Failure>,
    headers: Vec<u8>,
    decision: &'a Decision,
}

impl<'a> Upstream<'a> {
    fn new(explain: &Explain, decision: &'a Decision) -> Self {
        let status = match explain.failure {
            Some(_) => 503,
            None => explain.status,
        };
        let mut headers = vec![(":status".to_owned(), status.to_string())];
        headers.extend(explain.response_headers.iter().cloned());
        Self {
            failure: explain.failure,
            headers: headers::serialize(&headers),
            decision,
        }
    }
}

impl Response for Upstream<'_> {
    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.headers)
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        let route = || {
            let release = self.decision.release();
            release.map(|release| release.route.clone().into_bytes())
        };
        match (path, self.failure) {
            (["response", "flags"], failure) => Some(flags(failure).to_le_bytes().to_vec()),
            (["response", "code_details"], None) => Some(b"via_upstream".to_vec()),
            (["response", "code_details"], Some(Failure::NoHealthyUpstream)) => {
                Some(b"no_healthy_upstream".to_vec())
            }
            (["response", "code_details"], Some(Failure::NoCluster)) => {
                Some(b"cluster_not_found".to_vec())
            }
            (["xds", "cluster_name"], Some(Failure::NoHealthyUpstream))
            | (["xds", "route_name"], _) => route(),
            _ => None,
        }
    }

    fn has_body(&self) -> bool {
        !matches!(self.failure, Some(Failure::NoCluster))
    }
}

fn flags(failure: Option<Failure>) -> u64 {
    match failure {
        None => 0,
        Some(Failure::NoHealthyUpstream) => NO_HEALTHY_UPSTREAM,
        Some(Failure::NoCluster) => NO_CLUSTER_FOUND,
    }
}
