//! What the filter costs in real Envoy, compared with other filters in the same one. `make bench` runs it.
//!
//! One Envoy with one worker has a listener for each filter, whose chain holds twenty copies of it ([`chain`]). Each
//! listener gets the same requests of a [`Class`], a batch at a time in turn, and what the kernel says that the worker
//! ran for is the batch's cost ([`cpu`]). The chain without a filter is taken off, in the same round, and the rest
//! divided by the number of copies. Medians are shown with the range of the middle half of the rounds; ratios are
//! also taken within one round, so that a temporarily slower machine affects both.
//!
//! After each copy one of Envoy's own filters undoes what the copy did, or the next one would find its work done; it
//! is in the chain without a filter as well. What it has to undo is found by looking at one request through single
//! copies ([`compare`]); then it is made sure that many copies answer as one does, and that each of them counted its
//! decision. To undo it, Envoy asks for the route after every copy: choosing the route again is in the cost of each
//! filter that writes a request header, as it is where a single one does.
//!
//! What twenty copies share is in the processor's caches, which a single filter has to fill first: it costs
//! more. `--copies 1` shows how much, with a wide spread, because it then mostly measures the rest of Envoy.

mod bench;
mod chain;
mod compare;
mod cpu;
mod loading;
mod memory;
mod report;
mod worst;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::{FalseyValueParser, PossibleValuesParser};
use skew_guard_lab::{cargo, envoy, module};
use skew_guard_traffic::class::{self, Class};

use bench::Bench;
use chain::Modules;
use report::{ModuleReport, Report};
use skew_guard_traffic::upstream::Upstream;

/// Measure what the filter costs in real Envoy.
#[derive(Parser)]
struct Options {
    /// Only these classes of requests, and nothing else.
    #[arg(long, env = "CLASS", value_delimiter = ',', value_parser = PossibleValuesParser::new(class::ALL.iter().map(|class| class.name)))]
    class: Vec<String>,
    /// How often each chain is measured.
    #[arg(long, env = "ROUNDS")]
    rounds: Option<usize>,
    /// How many requests each chain gets in a round.
    #[arg(long, env = "REQUESTS")]
    requests: Option<usize>,
    /// Fewer rounds of fewer requests: two minutes, and wider spread.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    /// How many copies of a filter a chain holds: so many that they are most of what is measured.
    #[arg(long, env = "COPIES", default_value_t = 20)]
    copies: usize,
    /// How many patterns each of the 256 releases accepts that the worst request meets.
    #[arg(long, env = "ACCEPTS", default_value_t = 1)]
    accepts: usize,
    /// Another build of the filter, to compare with.
    #[arg(long, env = "BESIDE", value_delimiter = ',')]
    beside: Vec<PathBuf>,
    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 5 } else { 15 })
    }

    fn requests(&self) -> usize {
        self.requests.unwrap_or(if self.quick { 300 } else { 600 })
    }

    fn wants(&self, class: &Class) -> bool {
        self.class.is_empty() || self.class.iter().any(|name| name == class.name)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let bench = Bench {
        envoy: envoy::installed()?,
        upstream: Upstream::start()?,
        modules: modules(&options)?,
        options,
    };
    let report = measure(&bench).await?;
    let folder = cargo::target().join("bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join("cost.json");
    fs::write(&file, serde_json::to_vec_pretty(&report)?)?;
    println!("All of it, as JSON: {}", file.display());
    Ok(())
}

/// Measures everything, and prints each table when it is there.
async fn measure(bench: &Bench) -> Result<Report> {
    let mut report = Report {
        envoy: version(bench)?,
        modules: sizes(&bench.modules)?,
        classes: Vec::new(),
        worst: Vec::new(),
        memory: Vec::new(),
        loading: Vec::new(),
    };
    println!("{}", report.envoy);
    for class in class::ALL.iter().filter(|class| bench.options.wants(class)) {
        let measured = compare::compare(bench, class).await.context(class.name)?;
        println!("{}", measured.table());
        if !measured.unequal.is_empty() {
            println!(
                "The equal Lua filter does otherwise with {:?}",
                measured.unequal
            );
        }
        report.classes.push(measured);
    }
    println!("{}", report.classes());
    if bench.options.class.is_empty() {
        report.worst = worst::measure(bench).await.context("the worst requests")?;
        println!("{}", report.worst());
        report.loading = loading::measure(bench).await.context("loading")?;
        println!("{}", report.loading());
        report.memory = memory::measure(bench).await.context("memory")?;
        println!("{}", report.memory());
        println!("{}", report.modules());
    }
    Ok(report)
}

fn version(bench: &Bench) -> Result<String> {
    let output = Command::new(&bench.envoy).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split("version: ").nth(1).context("no version")?;
    Ok(format!("Envoy {}", version.trim()))
}

fn modules(options: &Options) -> Result<Modules> {
    let beside = options.beside.iter().map(|path| {
        let name = path.file_stem().context("not a file")?;
        Ok((name.to_string_lossy().into_owned(), path.clone()))
    });
    let mut ours = vec![(chain::OURS.to_owned(), module::path()?)];
    ours.extend(beside.collect::<Result<Vec<_>>>()?);
    Ok(Modules {
        empty: module::empty()?,
        ours,
    })
}

fn sizes(modules: &Modules) -> Result<Vec<ModuleReport>> {
    let empty = (chain::EMPTY.to_owned(), modules.empty.clone());
    let all = [empty].into_iter().chain(modules.ours.clone());
    all.map(|(name, module)| {
        let bytes = fs::metadata(module)?.len();
        Ok(ModuleReport { name, bytes })
    })
    .collect()
}
