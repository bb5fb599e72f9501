//! Chains side by side in one Envoy, measured in turn.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{self, Bootstrap};
use skew_guard_lab::envoy::{Envoy, Launch};
use skew_guard_lab::xds;

use crate::Options;
use crate::chain::{self, Chain, Modules, Restoration};
use crate::cpu::Thread;
use skew_guard_traffic::client::Client;
use skew_guard_traffic::head::Head;
use skew_guard_traffic::upstream::Upstream;

/// What all measurements share.
pub struct Bench {
    /// Envoy's binary.
    pub envoy: PathBuf,
    /// The upstream of all chains.
    pub upstream: Upstream,
    /// The modules.
    pub modules: Modules,
    /// The command line.
    pub options: Options,
}

/// Chains that get the same request.
pub struct Race<'a> {
    /// The chains.
    pub chains: &'a [Chain],
    /// The request.
    pub request: &'a [u8],
    /// The status of the answer.
    pub status: u16,
    /// What Envoy's route does with the request.
    pub route: Value,
    /// How many requests each chain gets in a round.
    pub requests: usize,
}

/// A request as the upstream saw it, and the answer as the client saw it.
pub struct View {
    /// The request; empty if none reached the upstream.
    pub request: Head,
    /// The answer.
    pub answer: Head,
}

/// The route to the upstream.
pub fn to_upstream() -> Value {
    json!({ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } })
}

impl Bench {
    /// Starts Envoy with a listener for each chain, each with this many copies of the chain's filter.
    pub async fn start(&self, race: &Race<'_>, undo: &Restoration, copies: usize) -> Result<Envoy> {
        let listeners = race.chains.iter().map(|chain| {
            let filters = chain::copies(chain.filter.as_ref(), undo, copies);
            listener(&chain.name, &filters, &race.route)
        });
        self.launch(&Bootstrap::of(listeners.collect(), vec![self.cluster()]))
            .await
    }

    /// Starts Envoy with one worker.
    pub async fn launch(&self, bootstrap: &Bootstrap) -> Result<Envoy> {
        Launch::of(&self.envoy)
            .workers(1)
            .start(bootstrap.value())
            .await
    }

    fn cluster(&self) -> Value {
        let address = xds::socket_address(self.upstream.address());
        let endpoints = json!([{ "lb_endpoints": [{ "endpoint": { "address": address } }] }]);
        json!({
            "name": "upstream",
            "type": "STATIC",
            "load_assignment": { "cluster_name": "upstream", "endpoints": endpoints },
        })
    }

    /// What a chain makes of one request.
    pub async fn look(&self, envoy: &Envoy, chain: &Chain, request: &[u8]) -> Result<View> {
        let mut client = Client::connect(envoy.listener(&chain.name).await?)?;
        let answer = client.ask(request)?;
        let request = match self.upstream.take_seen() {
            Some(request) => Head::parse(&request)?,
            None => Head::default(),
        };
        Ok(View { request, answer })
    }

    /// Microseconds of CPU per request, for each chain and each round.
    pub async fn run(&self, envoy: &Envoy, race: &Race<'_>) -> Result<Vec<Vec<f64>>> {
        let worker = Thread::worker_of(envoy.id())?;
        let mut lanes = Vec::new();
        for (place, chain) in race.chains.iter().enumerate() {
            lanes.push(Lane {
                place,
                client: Client::connect(envoy.listener(&chain.name).await?)?,
                samples: Vec::new(),
            });
        }
        // The first round lets V8 optimise what runs often.
        for round in 0..=self.options.rounds() {
            for lane in &mut lanes {
                let before = worker.time()?;
                let sent = lane.client.send(race.request, race.requests, race.status)?;
                let spent = worker.time()? - before;
                if round > 0 {
                    lane.samples.push(micros(spent, sent));
                }
            }
            // No chain is always first, or always equally far from the one that it is compared with.
            lanes.rotate_left(1);
        }
        lanes.sort_by_key(|lane| lane.place);
        Ok(lanes.into_iter().map(|lane| lane.samples).collect())
    }
}

/// A chain under load.
struct Lane {
    place: usize,
    client: Client,
    samples: Vec<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many requests")]
fn micros(spent: Duration, requests: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / requests as f64
}

fn listener(name: &str, filters: &[Value], route: &Value) -> Value {
    let mut listener = bootstrap::listener(name, filters, std::slice::from_ref(route));
    let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config");
    if let Some(manager) = manager.and_then(Value::as_object_mut) {
        // Envoy's default limit is 60 KiB for all headers together, and the worst request has more.
        manager.insert("max_request_headers_kb".into(), json!(96));
    }
    listener
}

/// How often filters have counted that outcome.
pub async fn counted(envoy: &Envoy, outcome: &str) -> Result<u64> {
    let tag = format!("outcome=.={outcome};.;");
    let stats = envoy.stats("skew_guard_requests_total").await?;
    let counts = stats.iter().filter(|(name, _)| name.contains(&tag));
    Ok(counts.map(|(_, count)| count).sum())
}

/// Fails if two messages differ.
pub fn ensure_alike(what: &str, one: &Head, other: &Head) -> Result<()> {
    let differences = one.differences(other);
    ensure!(
        differences.is_empty(),
        "{what}: {differences:?} differ:\n{one}\n\n{other}"
    );
    Ok(())
}
