//! Measures one class of requests: all chains in one Envoy, turn by turn.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{self, Bootstrap};
use skew_guard_lab::envoy::{Envoy, Launch};
use skew_guard_lab::xds;

use crate::Options;
use crate::chain::{self, Chain, Modules, Restoration};
use crate::class::Class;
use crate::client::{Answer, Client};
use crate::cpu::Thread;
use crate::head::Head;
use crate::report::{ClassReport, Cost, Figure};
use crate::upstream::Upstream;

/// So many that the filters are most of what is measured.
const COPIES: usize = 20;

/// What all measurements share.
pub struct Bench {
    /// Envoy's binary.
    pub envoy: std::path::PathBuf,
    /// The upstream of all chains.
    pub upstream: Upstream,
    /// The modules.
    pub modules: Modules,
    /// The command line.
    pub options: Options,
}

impl Bench {
    /// Measures one class.
    pub async fn measure(&self, class: &Class) -> Result<ClassReport> {
        let chains = chain::chains(class, &self.modules);
        let request = class.request();
        let alone = self.start(&chains, &Restoration::none(), 1).await?;
        let views = self.look(&alone, &chains, &request).await?;
        drop(alone);
        let restoration = Restoration::between(&views)?;
        let envoy = self.start(&chains, &restoration, COPIES).await?;
        self.check(&envoy, &chains, class, &views).await?;
        let samples = self.run(&envoy, &chains, &request).await?;
        let headers = views.first().map_or(0, |view| view.request.size());
        report(class, &chains, &samples, headers)
    }

    async fn start(&self, chains: &[Chain], undo: &Restoration, copies: usize) -> Result<Envoy> {
        let listeners = chains.iter().map(|chain| {
            let filters = chain::copies(chain.filter.as_ref(), undo, copies);
            listener(&chain.name, &filters)
        });
        let bootstrap = Bootstrap::of(listeners.collect(), vec![self.cluster()]);
        Launch::of(&self.envoy)
            .workers(1)
            .start(bootstrap.value())
            .await
    }

    fn cluster(&self) -> Value {
        let endpoint =
            json!({ "endpoint": { "address": xds::socket_address(self.upstream.address()) } });
        json!({
            "name": "upstream",
            "type": "STATIC",
            "load_assignment": { "cluster_name": "upstream", "endpoints": [{ "lb_endpoints": [endpoint] }] },
        })
    }

    /// What one request becomes in each chain.
    async fn look(&self, envoy: &Envoy, chains: &[Chain], request: &[u8]) -> Result<Vec<View>> {
        let mut views = Vec::new();
        for chain in chains {
            let mut client = Client::connect(envoy.listener(&chain.name).await?)?;
            let answer = client.ask(request)?;
            let request = Head::parse(&self.upstream.seen())?;
            views.push(View { request, answer });
        }
        Ok(views)
    }

    /// Makes sure that every copy does what a single one does.
    async fn check(
        &self,
        envoy: &Envoy,
        chains: &[Chain],
        class: &Class,
        alone: &[View],
    ) -> Result<()> {
        let untouched = alone.first().context("no chain")?;
        for (chain, alone) in chains.iter().zip(alone) {
            let before = counted(envoy, class).await?;
            let views = self
                .look(envoy, std::slice::from_ref(chain), &class.request())
                .await?;
            let view = views.first().context("no answer")?;
            let differences = alone.answer.differences(&view.answer);
            ensure!(
                differences.is_empty(),
                "{}: answered otherwise by many copies: {differences:?}",
                chain.name
            );
            let differences = untouched.request.differences(&view.request);
            ensure!(
                differences.is_empty(),
                "{}: not undone: {differences:?}",
                chain.name
            );
            let expected = if chain.is_ours && class.outcome.is_some() {
                COPIES as u64
            } else {
                0
            };
            let count = counted(envoy, class).await? - before;
            ensure!(
                count == expected,
                "{}: {count} copies counted {:?}",
                chain.name,
                class.outcome
            );
        }
        Ok(())
    }

    /// Microseconds of CPU for one request: of each chain, for each round.
    async fn run(&self, envoy: &Envoy, chains: &[Chain], request: &[u8]) -> Result<Vec<Vec<f64>>> {
        let worker = Thread::worker_of(envoy.id())?;
        let mut clients = Vec::new();
        for chain in chains {
            clients.push(Client::connect(envoy.listener(&chain.name).await?)?);
        }
        let mut samples = vec![Vec::new(); chains.len()];
        // The first round is for V8, which optimises what runs often.
        for round in 0..=self.options.rounds() {
            for (client, samples) in clients.iter_mut().zip(&mut samples) {
                let before = worker.time()?;
                let sent = client.send(request, self.options.requests(), 200)?;
                let spent = worker.time()? - before;
                if round > 0 {
                    samples.push(micros(spent, sent));
                }
            }
        }
        Ok(samples)
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many requests")]
fn micros(spent: std::time::Duration, requests: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / requests as f64
}

fn listener(name: &str, filters: &[Value]) -> Value {
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } });
    bootstrap::listener(name, filters, &[route])
}

/// How often the filter has counted the class's outcome.
async fn counted(envoy: &Envoy, class: &Class) -> Result<u64> {
    let tag = format!("outcome=.={};.;", class.outcome.unwrap_or_default());
    let stats = envoy.stats("skew_guard_requests_total").await?;
    Ok(stats
        .iter()
        .filter(|(name, _)| name.contains(&tag))
        .map(|(_, count)| count)
        .sum())
}

/// A request as the upstream saw it, and the answer as the client saw it.
struct View {
    request: Head,
    answer: Answer,
}

impl Restoration {
    fn none() -> Self {
        Self {
            request: Vec::new(),
            response: Vec::new(),
        }
    }

    /// All that any of the chains changed, as it is in the first, which changes nothing.
    fn between(views: &[View]) -> Result<Self> {
        let untouched = views.first().context("no chain")?;
        let restored = |head: fn(&View) -> &Head| {
            let original = head(untouched);
            let changed: BTreeSet<_> = views
                .iter()
                .flat_map(|view| original.differences(head(view)))
                .collect();
            changed
                .into_iter()
                .map(|name| {
                    let values = original.values(&name).to_vec();
                    (name, values)
                })
                .collect()
        };
        Ok(Self {
            request: restored(|view| &view.request),
            response: restored(|view| &view.answer),
        })
    }
}

fn report(
    class: &Class,
    chains: &[Chain],
    samples: &[Vec<f64>],
    headers: usize,
) -> Result<ClassReport> {
    let of = |name: &str| -> Result<Vec<f64>> {
        let place = chains.iter().position(|chain| chain.name == name);
        place
            .and_then(|place| samples.get(place))
            .cloned()
            .with_context(|| format!("no chain {name}"))
    };
    let nothing = of(chain::NOTHING)?;
    let one_copy = |samples: &[f64]| -> Vec<f64> {
        samples
            .iter()
            .zip(&nothing)
            .map(|(all, nothing)| (all - nothing) / COPIES as f64)
            .collect()
    };
    let simple = one_copy(&of(chain::SIMPLE_LUA)?);
    let equal = one_copy(&of(chain::EQUAL_LUA)?);
    let by = |cost: &[f64], lua: &[f64]| {
        Figure::of(cost.iter().zip(lua).map(|(cost, lua)| cost / lua).collect())
    };
    let costs = chains
        .iter()
        .zip(samples)
        .filter(|(chain, _)| chain.filter.is_some())
        .map(|(chain, samples)| {
            let cost = one_copy(samples);
            Cost {
                chain: chain.name.clone(),
                of_simple_lua: by(&cost, &simple),
                of_equal_lua: by(&cost, &equal),
                micros: Figure::of(cost),
            }
        });
    Ok(ClassReport {
        class: class.name,
        what: class.what,
        copies: COPIES,
        headers,
        costs: costs.collect(),
        nothing: Figure::of(nothing),
    })
}
