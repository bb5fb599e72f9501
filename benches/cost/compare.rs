//! One class of requests: what a copy of each filter costs.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::envoy::Envoy;

use crate::bench::{Bench, Race, View, counted, ensure_alike, to_upstream};
use crate::chain::{self, Chain, Restoration};
use crate::report::{ClassReport, Cost, Figure};
use skew_guard_traffic::class::{Answer, Class};
use skew_guard_traffic::head::Head;
use skew_guard_traffic::plugin::{self, Style};

/// Measures a class.
pub async fn compare(bench: &Bench, class: &Class) -> Result<ClassReport> {
    let chains = chain::chains(class, &bench.modules);
    let request = class.request();
    let race = race(bench, class, &chains, &request);
    let copies = copies(bench, class);

    let alone = bench.start(&race, &Restoration::default(), 1).await?;
    let views = views(bench, &alone, &race).await?;
    drop(alone);

    let restoration = match class.answer {
        Answer::Upstream => Restoration::between(&views)?,
        Answer::Own => Restoration::default(),
    };
    let envoy = bench.start(&race, &restoration, copies).await?;
    check_copies(bench, &envoy, class, &race, &views).await?;
    let samples = bench.run(&envoy, &race).await?;
    let unequal = lua_differences(&chains, &views)?;
    report(class, &chains, &samples, copies, unequal)
}

fn copies(bench: &Bench, class: &Class) -> usize {
    match class.answer {
        Answer::Upstream => bench.options.copies,
        Answer::Own => 1,
    }
}

fn race<'a>(bench: &Bench, class: &Class, chains: &'a [Chain], request: &'a [u8]) -> Race<'a> {
    let requests = bench.options.requests();
    match class.answer {
        Answer::Upstream => Race {
            chains,
            request,
            status: 200,
            route: to_upstream(),
            requests,
        },
        // A single copy costs little beside the rest of Envoy, so it takes more requests to see it.
        Answer::Own => Race {
            chains,
            request,
            status: 409,
            route: same_answer(),
            requests: requests * 5,
        },
    }
}

/// The filter's own answer from a route: what Envoy needs for it without a filter.
fn same_answer() -> Value {
    let body = format!(
        r#"{{"error":"client_outdated","client":"{}","current":"{}"}}"#,
        plugin::RETIRED,
        plugin::CURRENT
    );
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-client-update", "required"),
        ("x-client-current", plugin::CURRENT),
    ];
    let headers = headers.map(|(key, value)| {
        json!({
            "header": { "key": key, "value": value },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        })
    });
    json!({
        "match": { "prefix": "/" },
        "direct_response": { "status": 409, "body": { "inline_string": body } },
        "response_headers_to_add": headers,
    })
}

async fn views(bench: &Bench, envoy: &Envoy, race: &Race<'_>) -> Result<Vec<View>> {
    let mut views = Vec::new();
    for chain in race.chains {
        views.push(bench.look(envoy, chain, race.request).await?);
    }
    Ok(views)
}

/// The headers in which the equal Lua filter differs.
fn lua_differences(chains: &[Chain], views: &[View]) -> Result<BTreeSet<String>> {
    let of = |name: &str| {
        let mut pairs = chains.iter().zip(views);
        let found = pairs.find(|(chain, _)| chain.name == name);
        found.map(|(_, view)| view).context("no such chain")
    };
    let ours = of(&chain::ours(chain::OURS, Style::Chart, 2))?;
    let lua = of(chain::EQUAL_LUA)?;
    let mut differences = ours.request.differences(&lua.request);
    differences.extend(ours.answer.differences(&lua.answer));
    Ok(differences)
}

/// Makes sure that every copy does what a single one does, and that its changes are undone after it.
async fn check_copies(
    bench: &Bench,
    envoy: &Envoy,
    class: &Class,
    race: &Race<'_>,
    alone: &[View],
) -> Result<()> {
    let outcome = class.outcome.unwrap_or_default();
    let untouched = alone.first().context("no chain")?;
    for (chain, alone) in race.chains.iter().zip(alone) {
        let before = counted(envoy, outcome).await?;
        let many = bench.look(envoy, chain, race.request).await?;
        ensure_alike(&chain.name, &alone.answer, &many.answer)?;
        if class.answer == Answer::Upstream {
            ensure_alike(&chain.name, &untouched.request, &many.request)?;
        }
        let counts = chain.is_ours && class.outcome.is_some();
        let expected = if counts {
            copies(bench, class) as u64
        } else {
            0
        };
        let count = counted(envoy, outcome).await? - before;
        ensure!(
            count == expected,
            "{}: {count} copies instead of {expected} counted {outcome:?}",
            chain.name
        );
    }
    Ok(())
}

impl Restoration {
    /// Everything that any of the chains changed, as it is in the first, which changes nothing.
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

#[expect(clippy::cast_precision_loss, reason = "there are not so many copies")]
fn report(
    class: &Class,
    chains: &[Chain],
    samples: &[Vec<f64>],
    copies: usize,
    unequal: BTreeSet<String>,
) -> Result<ClassReport> {
    let of = |name: &str| {
        let place = chains.iter().position(|chain| chain.name == name);
        let found = place.and_then(|place| samples.get(place)).cloned();
        found.with_context(|| format!("no chain {name}"))
    };
    let nothing = of(chain::NOTHING)?;
    // From the same round, so that a temporary slowdown affects both.
    let one_copy = |samples: &[f64]| -> Vec<f64> {
        let pairs = samples.iter().zip(&nothing);
        pairs
            .map(|(all, nothing)| (all - nothing) / copies as f64)
            .collect()
    };
    let simple = one_copy(&of(chain::SIMPLE_LUA)?);
    let equal = one_copy(&of(chain::EQUAL_LUA)?);
    let costs = chains.iter().zip(samples).filter_map(|(chain, samples)| {
        chain.filter.as_ref()?;
        let cost = one_copy(samples);
        Some(Cost {
            chain: chain.name.clone(),
            of_simple_lua: Figure::ratio(&cost, &simple),
            of_equal_lua: Figure::ratio(&cost, &equal),
            micros: Figure::of(cost),
        })
    });
    Ok(ClassReport {
        class: class.name,
        what: class.what,
        copies,
        costs: costs.collect(),
        nothing: Figure::of(nothing),
        unequal,
    })
}
