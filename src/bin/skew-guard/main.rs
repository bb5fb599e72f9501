//! The command-line tool of skew-guard: what a team and its pipeline ask before, during and after a
//! release.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand, ValueEnum};

mod check;
mod diff;
mod documents;
mod edit;
mod explain;
mod step;
mod wait;
mod yaml;

/// Check, compare, explain and roll out configurations of the skew-guard filter
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 where the answer is good; 1 where it is not (a wrong configuration, an unsafe step, a time-out); 2 where there is none (a file that cannot be read, a wrong argument)."
)]
struct Arguments {
    /// How the answer is written
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Diff(diff::Diff),
    Explain(explain::Explain),
    Release(step::Release),
    Rollback(step::Rollback),
    Wait(wait::Wait),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For machines
    Json,
}

/// What the answer is, for a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
}

impl Verdict {
    fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Bad }
    }
}

/// When it is.
#[derive(Debug, clap::Args)]
struct Moment {
    /// The time to answer for, RFC 3339; by default now
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    now: Option<SystemTime>,
}

impl Moment {
    /// In seconds since 1970.
    fn seconds(&self) -> u64 {
        seconds(self.now.unwrap_or_else(SystemTime::now))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = arguments.output;
    let verdict = match &arguments.command {
        Command::Check(check) => check.run(output),
        Command::Diff(diff) => diff.run(output),
        Command::Explain(explain) => explain.run(output),
        Command::Release(release) => release.run(output),
        Command::Rollback(rollback) => rollback.run(output),
        Command::Wait(wait) => wait.run(output),
        Command::Schema => {
            println!("{:#}", skew_guard::config::schema::schema());
            Ok(Verdict::Good)
        }
    };
    match verdict {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(error) => {
            eprintln!("skew-guard: {error:#}");
            ExitCode::from(2)
        }
    }
}
