//! The command-line tool of skew-guard: what a team and its pipeline use before, during and after a
//! release.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

mod answer;
mod check;
mod cluster;
mod deploy;
mod diff;
mod document;
mod documents;
mod edit;
mod envoy;
mod explain;
mod fan_out;
mod file;
mod interrupted;
mod invalid_config;
mod metrics;
mod naming;
mod probe;
mod status;
mod step;
mod time_limit;
mod version_substitution;
mod wait;
mod yaml;

use answer::{Answer, Prepared, Verdict};
use file::Draft;
use invalid_config::InvalidConfig;

const SCHEMA: &str = include_str!("../../../envoy/config.schema.json");

/// Check, compare, explain and roll out configurations of the skew-guard filter
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 if the answer is good; 1 if it is not (a wrong configuration, an unsafe step, a timeout); 2 if there is none (a file that cannot be read, a wrong argument)."
)]
struct Arguments {
    /// The format of the answer
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Deploy(deploy::Deploy),
    Diff(diff::Diff),
    Explain(explain::Explain),
    Release(step::Release),
    Rollback(step::Rollback),
    Status(status::Status),
    Tidy(deploy::Tidy),
    Wait(wait::Wait),
    Probe(probe::Probe),
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

/// When it is.
#[derive(Debug, clap::Args)]
struct Clock {
    /// The time to assume, RFC 3339; by default now
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak)]
    now: Option<SystemTime>,
}

impl Clock {
    /// In seconds since 1970.
    fn seconds(&self) -> u64 {
        seconds(self.now.unwrap_or_else(SystemTime::now))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Command {
    /// The answer. What a command has to say on its way to it, it says to `progress`.
    fn run(&self, progress: &mut dyn FnMut(String), output: Output) -> Result<Prepared> {
        let answer = match self {
            Self::Check(check) => check.run()?,
            Self::Deploy(deploy) => deploy.run(output)?,
            Self::Diff(diff) => diff.run()?,
            Self::Explain(explain) => explain.run()?,
            Self::Release(release) => return release.run(),
            Self::Rollback(rollback) => return rollback.run(output),
            Self::Status(status) => status.run(progress, &mut |answer| show(answer, output))?,
            Self::Tidy(tidy) => tidy.run(output)?,
            Self::Wait(wait) => wait.run(progress)?,
            Self::Probe(probe) => probe.run(progress)?,
            Self::Schema => Answer {
                verdict: Verdict::Good,
                text: SCHEMA.trim_end().to_owned(),
                json: serde_json::from_str(SCHEMA)?,
            },
        };
        Ok(answer.into())
    }
}

fn main() -> ExitCode {
    let Arguments { output, command } = Arguments::parse();
    let prepared = command.run(&mut print_note, output);
    let prepared = prepared.or_else(|error| Ok(error.downcast::<InvalidConfig>()?.answer().into()));
    match prepared.and_then(|prepared| print_and_commit(prepared, output)) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(error) => {
            print_note(format!("skew-guard: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn print_and_commit(prepared: Prepared, output: Output) -> Result<Verdict> {
    let Prepared { answer, draft } = prepared;
    print(&answer, output).context(match draft {
        Some(_) => "nothing was changed, because the answer cannot be written",
        None => "cannot write the answer",
    })?;
    if let Some(note) = draft.map(Draft::commit).transpose()?.flatten() {
        print_note(format!("note: {note}"));
    }
    Ok(answer.verdict)
}

fn print(answer: &Answer, output: Output) -> io::Result<()> {
    write_stdout(&rendered(answer, output)).map(|_is_read| ())
}

/// Writes one answer of several, on a terminal each in the place of the one before, and tells whether
/// anybody still reads.
fn show(answer: &Answer, output: Output) -> Result<bool> {
    let rendered = rendered(answer, output);
    let shown = match output {
        Output::Text if io::stdout().is_terminal() => format!("{CLEARED}{rendered}"),
        Output::Text => format!("{rendered}\n"),
        Output::Json => rendered,
    };
    write_stdout(&shown).context("cannot write the answer")
}

/// To the upper left corner, and nothing left on the screen (ECMA-48, CUP and ED).
const CLEARED: &str = "\x1b[H\x1b[2J";

fn rendered(answer: &Answer, output: Output) -> String {
    match output {
        Output::Text => format!("{}\n", answer.text),
        // The last of several events stands on one line, like the others.
        Output::Json if answer.json.get("event").is_some() => format!("{}\n", answer.json),
        Output::Json => format!("{:#}\n", answer.json),
    }
}

/// Writes a text, and tells whether anybody reads. A reader that closes the pipe has read enough.
fn write_stdout(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// A line besides the answer; whether anybody reads it is not the tool's business.
fn print_note(line: impl Display) {
    let _unread = writeln!(io::stderr(), "{line}");
}
