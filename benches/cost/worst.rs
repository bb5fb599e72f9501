//! The worst requests: as many bytes as Envoy accepts, in what the filter reads.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use skew_guard_lab::bootstrap::Plugin;

use crate::bench::{Bench, Race, counted, to_upstream};
use crate::chain::{self, Chain, Restoration};
use crate::report::{Figure, WorstReport};
use skew_guard_traffic::plugin::{self, Style};

/// A third of Envoy's limit for all headers of a request, which is 60 KiB unless somebody raised it.
const THIRD: usize = 20 * 1024;

/// The hash of a preview key that no request presents.
const KEY: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

struct Worst {
    what: &'static str,
    outcome: &'static str,
    cookie: &'static str,
    query: &'static str,
    baggage: &'static str,
    last: &'static str,
}

const ALL: [Worst; 3] = [
    Worst {
        what: "small members of other names",
        outcome: "uncovered",
        cookie: "a=b; ",
        query: "a=b&",
        baggage: "a=b,",
        last: "a=b",
    },
    Worst {
        what: "members of the filter's names, none usable",
        outcome: "invalid",
        cookie: "release=!; __Host-release=!; __preview=!; ",
        query: "dpl=!&preview=!&",
        baggage: "client-version=!,",
        last: "a=b",
    },
    Worst {
        what: "other names, and at the end a version that the last of 256 releases accepts",
        outcome: "compatible",
        cookie: "a=b; ",
        query: "a=b&",
        baggage: "a=b,",
        last: "client-version=0.9.9",
    },
];

impl Worst {
    fn request(&self) -> Vec<u8> {
        let fill = |member: &str| member.repeat(THIRD / member.len());
        format!(
            "GET /api/cart?{} HTTP/1.1\r\n\
             host: {}\r\n\
             user-agent: Mozilla/5.0\r\n\
             accept: application/json\r\n\
             sec-fetch-dest: empty\r\n\
             sec-fetch-mode: cors\r\n\
             sec-fetch-site: same-origin\r\n\
             cookie: {}\r\n\
             baggage: {}{}\r\n\
             \r\n",
            fill(self.query).trim_end_matches('&'),
            plugin::HOST,
            fill(self.cookie).trim_end(),
            fill(self.baggage),
            self.last,
        )
        .into_bytes()
    }
}

/// Everything that can be read is a source, and every release accepts versions that nobody sends.
fn configuration(accepts: usize) -> Value {
    let keys = json!({
        "sources": [
            { "header": "x-bundle-version" },
            { "query": "dpl" },
            { "cookie": "release" },
            { "baggage": "client-version" },
            { "path": "/assets/v-{version}/" },
        ],
        "pinCookie": { "name": plugin::PIN_COOKIE },
        "preview": { "sha256": KEY },
    });
    let keys = keys.as_object().cloned().unwrap_or_default();
    let mut configuration = plugin::configuration(Style::Chart, 256, keys);
    let releases = configuration
        .get_mut("releases")
        .and_then(Value::as_array_mut);
    for release in releases
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        accept(release, accepts);
    }
    configuration
}

fn accept(release: &mut Map<String, Value>, number: usize) {
    if release.get("state") == Some(&json!("retired")) {
        return;
    }
    let mut patterns: Vec<_> = (0..number)
        .map(|patch| format!(">=0.0.{patch}, <0.0.{}", patch + 1))
        .collect();
    if release.get("version") == Some(&json!(plugin::DRAINING)) {
        patterns.push("0.9.9".into());
    }
    release.insert("accepts".into(), json!(patterns));
}

/// Measures them: all of Envoy's CPU, compared with the same bytes through a filter that does nothing.
pub async fn measure(bench: &Bench) -> Result<Vec<WorstReport>> {
    let configuration = configuration(bench.options.accepts);
    let mut chains = vec![
        Chain::nothing(),
        Chain::of(
            chain::EMPTY,
            Plugin::of(&bench.modules.empty).vm_id("empty").filter(),
        ),
    ];
    for (name, module) in &bench.modules.ours {
        let plugin = Plugin::of(module).vm_id(name).configured(&configuration);
        chains.push(Chain::ours(name, plugin.filter()));
    }
    let mut reports = Vec::new();
    for worst in &ALL {
        reports.extend(measure_one(bench, &chains, worst).await?);
    }
    Ok(reports)
}

async fn measure_one(bench: &Bench, chains: &[Chain], worst: &Worst) -> Result<Vec<WorstReport>> {
    let request = worst.request();
    let race = Race {
        chains,
        request: &request,
        status: 200,
        route: to_upstream(),
        requests: bench.options.requests(),
    };
    let envoy = bench.start(&race, &Restoration::default(), 1).await?;
    for chain in chains {
        let before = counted(&envoy, worst.outcome).await?;
        bench.look(&envoy, chain, &request).await?;
        let count = counted(&envoy, worst.outcome).await? - before;
        ensure!(
            count == u64::from(chain.is_ours),
            "not counted as {}: {}",
            worst.outcome,
            chain.name
        );
    }
    let samples = bench.run(&envoy, &race).await?;
    let [_, empty, ..] = samples.as_slice() else {
        anyhow::bail!("no chain of the empty filter");
    };
    let report = |(chain, samples): (&Chain, &Vec<f64>)| WorstReport {
        what: worst.what,
        bytes: request.len(),
        chain: chain.name.clone(),
        micros: Figure::of(samples.clone()),
        of_empty: Figure::ratio(samples, empty),
    };
    Ok(chains.iter().zip(&samples).map(report).collect())
}
