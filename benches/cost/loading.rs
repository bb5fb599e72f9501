//! How long a worker needs for a new configuration.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{self, Bootstrap, FILTER, Plugin};
use skew_guard_lab::envoy::Envoy;
use skew_guard_lab::wait;
use skew_guard_lab::xds::Files;

use crate::bench::Bench;
use crate::cpu::Thread;
use crate::report::{Figure, LoadReport};
use skew_guard_traffic::plugin;

/// How long a worker must be idle to be considered done.
const PAUSE: Duration = Duration::from_millis(40);

/// Measures live changes of each size of configuration.
pub async fn measure(bench: &Bench) -> Result<Vec<LoadReport>> {
    let mut reports = Vec::new();
    for (name, module) in &bench.modules.ours {
        for (size, configuration) in plugin::sizes() {
            let plugin = Plugin::of(module);
            reports.push(LoadReport {
                what: format!("{name}, {size}"),
                bytes: configuration.to_string().len(),
                millis: changes(bench, &plugin, configuration).await?,
            });
        }
    }
    Ok(reports)
}

async fn changes(bench: &Bench, plugin: &Plugin, mut configuration: Value) -> Result<Figure> {
    let files = Files::new()?;
    let mut write = |revision: usize| {
        if let Some(keys) = configuration.as_object_mut() {
            keys.insert("revision".into(), json!(revision));
        }
        let configured = plugin.clone().configured(&configuration);
        files.extension(FILTER, &configured.typed_config())
    };
    write(0)?;
    let filter = bootstrap::discovered_filter(FILTER, &files);
    let listener = bootstrap::listener("loading", &[filter], &[]);
    let envoy = bench
        .launch(&Bootstrap::of(vec![listener], Vec::new()))
        .await?;
    let worker = Thread::worker_of(envoy.id())?;
    let mut samples = Vec::new();
    // The first change lets V8 warm up, as everywhere.
    for revision in 1..=bench.options.rounds() + 1 {
        let before = idle(&worker).await?;
        write(revision)?;
        in_force(&envoy, revision).await?;
        let spent = idle(&worker).await? - before;
        if revision > 1 {
            samples.push(spent.as_secs_f64() * 1e3);
        }
    }
    Ok(Figure::of(samples))
}

async fn in_force(envoy: &Envoy, revision: usize) -> Result<()> {
    let name = format!("wasmcustom.plugin=.={FILTER};.;skew_guard_config_revision");
    let revision = u64::try_from(revision)?;
    wait::until("the revision to be in force", async || {
        Ok(envoy.stat(&name).await? == Some(revision))
    })
    .await
}

/// The worker's CPU time when it has nothing left to do: it lags behind the main thread for a moment.
async fn idle(worker: &Thread) -> Result<Duration> {
    let mut last = worker.time()?;
    wait::until_some("the worker to be idle", async || {
        tokio::time::sleep(PAUSE).await;
        let now = worker.time()?;
        let is_idle = now == last;
        last = now;
        Ok(is_idle.then_some(now))
    })
    .await
}
