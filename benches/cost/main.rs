//! What the filter costs in real Envoy, beside other filters in the same one. `make bench` runs it.

mod chain;
mod class;
mod client;
mod cpu;
mod head;
mod measure;
mod plugin;
mod report;
mod upstream;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use clap::builder::{FalseyValueParser, PossibleValuesParser};
use skew_guard_lab::{envoy, module};

use chain::Modules;
use class::Class;
use measure::Bench;
use upstream::Upstream;

/// Measure what the filter costs in real Envoy.
#[derive(Parser)]
struct Options {
    /// Only these classes of requests.
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
    /// Another build of the filter, to compare with.
    #[arg(long, env = "BESIDE", value_delimiter = ',')]
    beside: Vec<PathBuf>,
    /// Cargo says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 5 } else { 15 })
    }

    fn requests(&self) -> usize {
        self.requests.unwrap_or(if self.quick { 400 } else { 1000 })
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
    for class in class::ALL.iter().filter(|class| bench.options.wants(class)) {
        let report = bench.measure(class).await.context(class.name)?;
        println!(
            "\n{} ({} headers)\n{}",
            report.what,
            report.headers,
            report.table()
        );
    }
    Ok(())
}

fn modules(options: &Options) -> Result<Modules> {
    let beside = options.beside.iter().map(|path| {
        let name = path.file_stem().context("not a file")?;
        Ok((name.to_string_lossy().into_owned(), path.clone()))
    });
    let mut ours = vec![("skew-guard".to_owned(), module::path()?)];
    ours.extend(beside.collect::<Result<Vec<_>>>()?);
    Ok(Modules {
        empty: module::empty()?,
        ours,
    })
}
