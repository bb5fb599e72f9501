//! The behaviours of `tests/specification`, in real Envoy, over HTTP/1.1 and over HTTP/2.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_behaviour::{Behaviour, Case, Counts, Lines, Seen, Upstream};
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::wait;

use crate::application::{ANSWER, CASE, answer_of};
use crate::gateway::Spec;
use crate::http_2;
use crate::lab::Lab;
use crate::specification;

/// What the client speaks.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Http1,
    Http2,
}

/// The request header that names the cluster that should answer.
const CLUSTER: &str = "x-cluster";

/// The request header that names the route without a cluster.
const ROUTE: &str = "x-route";

/// Distinguishes each case and each gateway from all others.
static CASES: AtomicU64 = AtomicU64::new(0);

/// A gateway that stays open and takes one configuration after another, which costs less than a listener for each.
pub struct Bench {
    spec: Spec,
    address: SocketAddr,
    configuration: Value,
}

impl Bench {
    async fn open(lab: &Lab) -> Result<Self> {
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        let spec = Spec::of(lab, &format!("specified-{number}"))?.routes(routes());
        let address = lab.listen(spec.listener()).await?;
        Ok(Self {
            spec,
            address,
            configuration: Value::Null,
        })
    }

    /// Envoy ignores a configuration that changes nothing.
    async fn take(&mut self, lab: &Lab, configuration: &Value) -> Result<()> {
        if self.configuration != *configuration {
            self.spec.take(lab, configuration).await?;
            self.configuration = configuration.clone();
        }
        Ok(())
    }
}

/// What answers cases that do not reach the application.
fn met<T: Ord>(of: impl Fn(Upstream) -> Option<T>) -> BTreeSet<T> {
    let behaviours = specification::all().into_iter();
    let groups = behaviours.flat_map(|behaviour| behaviour.groups);
    let cases = groups.flat_map(|group| group.cases);
    cases.filter_map(|case| of(case.upstream)).collect()
}

/// The clusters without pods that behaviours use.
pub fn clusters_without_pods() -> BTreeSet<&'static str> {
    met(|upstream| match upstream {
        Upstream::NoPods(cluster) => Some(cluster),
        _ => None,
    })
}

/// Checks all of a behaviour.
pub async fn see(lab: &Lab, behaviour: &Behaviour, protocol: Protocol) -> Result<()> {
    let mut bench = match lab.idle_bench() {
        Some(bench) => bench,
        None => Bench::open(lab).await?,
    };
    for group in &behaviour.groups {
        bench.take(lab, &group.configuration).await?;
        for case in &group.cases {
            let seen = exchange(lab, &bench, case, protocol).await;
            let seen = seen.with_context(|| case.request.to_string())?;
            case.judge(&group.configuration, &seen);
        }
    }
    lab.leave(bench);
    Ok(())
}

/// A route for each that has no cluster, and one to the cluster that the request names.
fn routes() -> Vec<Value> {
    let absent = met(|upstream| match upstream {
        Upstream::NoCluster(route) => Some(route),
        _ => None,
    });
    let absent = absent.into_iter().map(|route| {
        json!({
            "name": route,
            "match": { "prefix": "/", "headers": [{ "name": ROUTE, "string_match": { "exact": route } }] },
            "route": { "cluster": "nowhere" },
        })
    });
    let named = json!({
        "name": "named",
        "match": { "prefix": "/" },
        "route": { "cluster_header": CLUSTER },
    });
    absent.chain([named]).collect()
}

async fn exchange(lab: &Lab, bench: &Bench, case: &Case, protocol: Protocol) -> Result<Seen> {
    let id = CASES.fetch_add(1, Ordering::Relaxed).to_string();
    let is_envoys_failure = !matches!(case.upstream, Upstream::Answers { .. });
    let before = counts(lab, bench, case).await?;
    let answer = send(bench, case, &id, protocol).await?;
    let counted = Seen::risen(&before, &counts(lab, bench, case).await?);
    let details = if is_envoys_failure || case.expected.gives_reasons() {
        details(bench, &id).await?
    } else {
        String::new()
    };
    let received = if is_envoys_failure {
        let is_own = details.starts_with("skew_guard_");
        (!is_own).then(Lines::new)
    } else {
        lab.application().received(&id)
    };
    Ok(Seen {
        received,
        status: answer.status,
        answer: answer.headers,
        body: answer.body,
        details,
        counted,
    })
}

/// What the gateway has counted, if the case is about that.
async fn counts(lab: &Lab, bench: &Bench, case: &Case) -> Result<Counts> {
    if case.expected.counts() {
        Ok(lab.metrics().await?.counts(bench.spec.name()))
    } else {
        Ok(Counts::new())
    }
}

async fn send(bench: &Bench, case: &Case, id: &str, protocol: Protocol) -> Result<RawAnswer> {
    let told;
    let meets = match &case.upstream {
        Upstream::Answers {
            status,
            headers,
            body,
        } => {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            told = answer_of(*status, &headers, body);
            vec![(CLUSTER, "application"), (ANSWER, &told)]
        }
        Upstream::NoPods(cluster) | Upstream::Refuses(cluster) => vec![(CLUSTER, *cluster)],
        Upstream::NoCluster(route) => vec![(ROUTE, *route)],
    };
    let lines = case.request.lines().into_iter();
    let lines = lines.filter_map(|(name, value)| match name {
        ":authority" => Some(("host", value)),
        name if name.starts_with(':') => None,
        name => Some((name, value)),
    });
    let lines: Vec<_> = lines
        .chain(meets.iter().map(|(name, value)| (*name, value.as_bytes())))
        .chain([(CASE, id.as_bytes())])
        .collect();
    let (method, path) = (case.request.value(":method"), case.request.value(":path"));
    match protocol {
        Protocol::Http1 => http::request(bench.address, &method, &path, &lines).await,
        Protocol::Http2 => http_2::request(bench.address, &method, &path, &lines).await,
    }
}

/// Why the answer was given, as the access log says.
async fn details(bench: &Bench, id: &str) -> Result<String> {
    wait::until_some("the line in the access log", async || {
        let log = bench.spec.access_log()?;
        let mut lines = log.lines().map(|line| line.split(' ').rev());
        let line = lines.find_map(|mut words| {
            let details = words.next()?;
            (words.next()? == id).then(|| details.to_owned())
        });
        Ok(line)
    })
    .await
}
