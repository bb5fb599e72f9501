//! Behaviours on a host that only records what it is asked. `tests/envoy` shows the same in real Envoy.

use std::rc::Rc;
use std::time::SystemTime;

use skew_guard::filter::{Exchange, Flow, Installation};
use skew_guard::reply::failure::{
    NO_CLUSTER_FOUND, NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE,
};
use skew_guard::reply::local::Reply;
use skew_guard_behaviour::{Behaviour, Case, Counts, Lines, Request, Seen, Upstream, policy};
use skew_guard_invariants::host::FakeHost;

/// What the host returns when the filter asks for a random number.
const DRAWN: u32 = 7;

/// Fails the test if a behaviour is not seen.
#[track_caller]
pub fn see(behaviour: &Behaviour) {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970");
    for group in &behaviour.groups {
        let configuration = group.configuration.to_string();
        // An invalid one would let everything pass.
        let _good = policy(&configuration);
        let host = FakeHost::at(now.as_secs(), DRAWN);
        let installation = Rc::new(Installation::configure(&host, configuration.as_bytes()));
        for case in &group.cases {
            case.judge(&group.configuration, &exchange(&host, &installation, case));
        }
    }
}

fn exchange(host: &FakeHost, installation: &Rc<Installation>, case: &Case) -> Seen {
    let before = counts(host);
    // As Envoy hands them to a filter.
    let lines = case.request.lines().into_iter();
    let lines: Vec<_> = lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_ascii()))
        .collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    host.receive(&lines);
    let mut exchange = Exchange::new(host.clone(), Rc::clone(installation));
    let mut seen = match exchange.on_request_headers() {
        Flow::Answered => answered(&host.last_reply().expect("a reply")),
        Flow::Continue => forwarded(host, &mut exchange, case),
    };
    if case.request.value(":method") == "HEAD" {
        seen.body.clear();
    }
    seen.counted = Seen::risen(&before, &counts(host));
    seen
}

fn answered(reply: &Reply) -> Seen {
    let lines = reply.headers.iter();
    let mut answer: Lines = lines
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    // As Envoy translates it.
    let grpc_status = reply.grpc_status.map(|status| status.to_string());
    answer.extend(grpc_status.map(|status| ("grpc-status".to_owned(), status.into_bytes())));
    Seen {
        received: None,
        status: reply.status,
        answer,
        body: reply.body.clone(),
        details: reply.details.to_owned(),
        counted: Vec::new(),
    }
}

fn forwarded(host: &FakeHost, exchange: &mut Exchange<FakeHost>, case: &Case) -> Seen {
    let received = host.request();
    let (headers, body) = come(host, &case.upstream, &case.request);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    answer(host, exchange, &headers, body);
    let status = host.response_lines(":status").concat();
    Seen {
        received: Some(received),
        status: status.parse().expect("a status"),
        answer: host.response(),
        body: host.body_bytes(),
        details: String::new(),
        counted: Vec::new(),
    }
}

/// Passes an answer through the filter, its body in one part.
pub fn answer(
    host: &FakeHost,
    exchange: &mut Exchange<FakeHost>,
    headers: &[(&str, &str)],
    body: &str,
) {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    host.respond(&headers, body.as_bytes());
    exchange.on_response_headers(!body.is_empty());
    if !body.is_empty() {
        exchange.on_response_body(body.len());
    }
}

/// Sets the attributes of an answer, and returns its lines and its body.
fn come<'u>(
    host: &FakeHost,
    upstream: &'u Upstream,
    request: &Request,
) -> (Vec<(&'static str, String)>, &'u str) {
    let (flag, cluster, route) = match upstream {
        Upstream::Answers { .. } => (0, "application", ""),
        Upstream::NoPods(cluster) => (NO_HEALTHY_UPSTREAM, *cluster, ""),
        Upstream::NoCluster(route) => (NO_CLUSTER_FOUND, "", *route),
        Upstream::Refuses(cluster) => (UPSTREAM_CONNECTION_FAILURE, *cluster, ""),
    };
    host.attribute_is("response.flags", &flag.to_le_bytes());
    host.attribute_is("xds.cluster_name", cluster.as_bytes());
    host.attribute_is("xds.route_name", route.as_bytes());
    let status = |status: u16| (":status", status.to_string());
    let is_grpc = ["application/grpc", "application/grpc+proto"]
        .contains(&request.value("content-type").as_str());
    match upstream {
        Upstream::Answers {
            status: code,
            headers,
            body,
        } => {
            let lines = std::iter::once(status(*code)).chain(headers.clone());
            (lines.collect(), body)
        }
        _ if is_grpc => {
            let grpc = [("content-type", "application/grpc"), ("grpc-status", "14")];
            let grpc = grpc.map(|(name, value)| (name, value.to_owned()));
            (std::iter::once(status(200)).chain(grpc).collect(), "")
        }
        Upstream::NoCluster(_) => (vec![status(503)], ""),
        Upstream::NoPods(_) | Upstream::Refuses(_) => {
            let body = "no healthy upstream";
            let length = ("content-length", body.len().to_string());
            let kind = ("content-type", "text/plain".to_owned());
            (vec![status(503), length, kind], body)
        }
    }
}

/// What has been counted so far.
fn counts(host: &FakeHost) -> Counts {
    let metrics = host.metrics().into_iter();
    metrics
        .filter(|(name, _)| name.ends_with("_total"))
        .filter_map(|(name, count)| Some((tags(&name)?, count)))
        .collect()
}

/// The tags of a counter of the filter: release, outcome and class, or release and answer.
fn tags(name: &str) -> Option<String> {
    let tags = name.split(";.;").filter_map(|tag| tag.split_once("=.="));
    let tags: Vec<_> = tags
        .filter(|(tag, _)| *tag != "plugin")
        .map(|(_, value)| value)
        .collect();
    (!tags.is_empty()).then(|| tags.join(" "))
}
