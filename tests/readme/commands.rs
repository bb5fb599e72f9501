//! Commands that a reader copies into a terminal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use skew_guard_lab::cargo::target;
use skew_guard_lab::markdown::Document;

use crate::pages::DEMO;
use crate::{status, tool, up};

/// Few requests: the test compares what the demo says, not its figures.
const REQUESTS: &str = "4000";

/// The demo's picture, as its page shows it.
const PICTURE: &str = "envoy/demo/roll-out.svg";

/// Runs a block of commands and checks what the text says about it.
pub fn work(block: &str) -> Result<()> {
    let lines = lines(block);
    match program(lines.first().context("a command")?) {
        "make" => lines.iter().try_for_each(|line| is_target(line)),
        "curl" => up::answers(&lines),
        "npm" => lines.iter().try_for_each(|line| installs_the_client(line)),
        "cargo" => lines
            .iter()
            .try_for_each(|line| tool::installed_by(line).map(drop)),
        "skew-guard"
            if lines
                .iter()
                .all(|line| line.starts_with("skew-guard status ")) =>
        {
            lines
                .iter()
                .try_for_each(|line| status::answers_as_shown(line))
        }
        "skew-guard" => tool::leads_a_release(&lines),
        other => bail!("no test runs {other}"),
    }
}

/// The package is installed by this name. `make test-client` installs it from its archive.
fn installs_the_client(line: &str) -> Result<()> {
    let package = fs::read_to_string(repository().join("client/package.json"))?;
    let package: Value = serde_json::from_str(&package)?;
    let name = package["name"].as_str().context("the package's name")?;
    ensure!(
        line == format!("npm install {name}"),
        "`{line}` does not install {name}"
    );
    Ok(())
}

/// The tool's cluster commands are run in a real one, by `make test-istio`.
const IN_A_CLUSTER: [&str; 2] = ["--helm-release", "--routes"];

/// Commands for a cluster. The tool's are run; those of Helm and Kubernetes are the steps that `make test-istio` does
/// with its own clients.
pub fn are_of_the_mesh(block: &str) -> Result<()> {
    let lines = lines(block);
    for line in &lines {
        match program(line) {
            "helm" | "kubectl" | "skew-guard" => {}
            "make" => is_target(line)?,
            _ => bail!("no test knows `{line}`"),
        }
    }
    let ours = lines
        .into_iter()
        .filter(|line| program(line) == "skew-guard")
        .filter(|line| !IN_A_CLUSTER.iter().any(|option| line.contains(option)));
    tool::runs_in_a_pipeline(&ours.collect::<Vec<_>>())
}

/// The demo's report has the columns and rows of the one in the README, and both show no skew with the filter.
pub fn report_is_the_demos(shown: &str) -> Result<()> {
    let mut demo = cargo(&["run", "--quiet", "--example", "demo", "--"]);
    demo.args(["rollout", "--requests", REQUESTS]);
    let said = output_of(&mut demo)?;
    let (shown, said) = (cells(shown), cells(&said));
    ensure!(
        shown.first() == said.first(),
        "the demo's columns: {said:?}"
    );
    let rows = said.iter().map(|row| row.first());
    let mut rows = rows.skip(1);
    for row in shown.iter().skip(1) {
        let name = row.first();
        ensure!(
            rows.any(|row| row == name),
            "the demo's report has no row {name:?}"
        );
    }
    for report in [&shown, &said] {
        let skewed = report
            .iter()
            .find(|row| row.first().is_some_and(|name| name == "skewed answers"));
        let with_filter = skewed
            .and_then(|row| row.last())
            .context("a row of skewed answers")?;
        ensure!(
            with_filter == "0",
            "{with_filter} skewed answers with the filter"
        );
    }
    picture_is_the_demos()
}

/// The README's picture has the same text as the one that the demo has just drawn, except figures, which differ from
/// run to run; with the filter both show no skewed answers.
fn picture_is_the_demos() -> Result<()> {
    let drawn = target().join("demo/roll-out.svg");
    let [shown, drawn] = [repository().join(PICTURE), drawn].map(fs::read_to_string);
    let (shown, drawn) = (shown.context(PICTURE)?, drawn?);
    ensure!(
        Document::read(DEMO)?
            .links
            .iter()
            .any(|link| Path::new("envoy").join(link) == Path::new(PICTURE)),
        "{DEMO} does not show {PICTURE}"
    );
    let figure = |letter: char| letter.is_ascii_digit() || letter == '.';
    let [shown_words, drawn_words] = [&shown, &drawn].map(|picture| {
        let words = words_of(picture).map(|words| words.replace(figure, ""));
        words.collect::<BTreeSet<_>>()
    });
    ensure!(
        shown_words == drawn_words,
        "{PICTURE} says {shown_words:?}, the demo's says {drawn_words:?}: copy it from a run of `make demo`"
    );
    for picture in [&shown, &drawn] {
        let notes: Vec<_> = words_of(picture)
            .filter(|words| words.starts_with("skewed answers: "))
            .collect();
        ensure!(
            notes.len() == 3 && notes[2].starts_with("skewed answers: 0 of "),
            "skew with the filter: {notes:?}"
        );
    }
    Ok(())
}

/// What a picture says: the contents of its text elements, each on its own line.
fn words_of(svg: &str) -> impl Iterator<Item = &str> {
    svg.lines().filter(|line| !line.starts_with('<'))
}

/// The cells of a report's rows, whose columns are two or more spaces apart.
fn cells(report: &str) -> Vec<Vec<String>> {
    let rows = report
        .lines()
        .filter_map(|line| line.trim().strip_prefix('│'));
    rows.map(|row| {
        let cells = row.trim_end_matches('│').split("  ");
        cells
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect()
    })
    .collect()
}

/// Those in its sentences; those in code blocks are tested with the block.
pub fn targets_exist(document: &Document) -> Result<()> {
    let mut named = document
        .code
        .iter()
        .filter(|code| code.starts_with("make "));
    named.try_for_each(|code| is_target(code))
}

/// `make` has such a target; it is not run.
fn is_target(line: &str) -> Result<()> {
    let words = words(line);
    let ["make", target, variables @ ..] = &words[..] else {
        bail!("`{line}` is not `make` and a target");
    };
    ensure!(
        variables.iter().all(|word| word.contains('=')),
        "`{line}` has more than one target"
    );
    let mut make = Command::new("make");
    make.args(["--dry-run", "--always-make", target])
        .args(variables)
        .current_dir(repository());
    output_of(&mut make).map(drop)
}

/// The cargo that runs this test.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(repository());
    cargo
}

/// What a command prints; if it fails, an error with all of it.
pub fn output_of(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(
        status.success(),
        "{command:?} ended with {status}:\n{said}{}",
        String::from_utf8_lossy(&stderr)
    );
    Ok(said)
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of a block, without their comments.
fn lines(block: &str) -> Vec<&str> {
    let lines = block
        .lines()
        .map(|line| line.split(" # ").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).collect()
}

fn program(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}
