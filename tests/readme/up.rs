//! `make up`, and what the documentation suggests trying with it.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use skew_guard_lab::process::Process;
use skew_guard_lab::wait;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::commands::{output_of, repository};

/// Enough to reach all eight pods: one is missed by chance once in sixteen million runs.
const TRIES: usize = 140;

/// `make up` builds what it runs, and waits while another build has Cargo's lock.
const BUILT_BY_THEN: Duration = Duration::from_secs(600);

/// What builds the demo's page.
const NODE: [&str; 3] = ["node", "npm", "npx"];

/// Runs the three commands while `make up` runs, and checks what the text says about them.
///
/// It runs as if Node were not installed, which must work too; `tests/browser` has the demo's page.
pub fn answers(commands: &[&str]) -> Result<()> {
    let [any, pinned, counted] = commands else {
        bail!("the text has three commands, not {commands:?}");
    };
    let _alone = alone_on_the_ports()?;
    let commands = TempDir::with_prefix("skew-guard-commands-")?;
    let shop = Runtime::new()?.block_on(up(&path_without_node(commands.path())?))?;
    ensure!(
        shop.log().contains("the demo's page cannot be built"),
        "without Node `make up` does not say what is missing:\n{}",
        shop.log()
    );
    let of_both = pods(&["1.4.2", "2.0.0"]);
    ensure!(
        answering_pods(any)? == of_both,
        "`{any}` is not answered by every pod"
    );
    let of_one = pods(&["1.4.2"]);
    ensure!(
        answering_pods(pinned)? == of_one,
        "`{pinned}` is not answered by the pods of 1.4.2"
    );
    let counters = shell(counted)?;
    for decided in [
        format!(
            r#"skew_guard_requests_total{{plugin="skew-guard",release="v1-4-2",outcome="pinned",class="api"}} {TRIES}"#
        ),
        format!(
            r#"skew_guard_requests_total{{plugin="skew-guard",release="none",outcome="unversioned",class="other"}} {TRIES}"#
        ),
    ] {
        ensure!(
            has_line(&counters, &decided),
            "no `{decided}` in:\n{counters}"
        );
    }
    Ok(())
}

/// Its ports are fixed, so only one test on this machine can run it at a time, from whichever copy of the
/// repository.
fn alone_on_the_ports() -> Result<File> {
    let lock = File::create(std::env::temp_dir().join("skew-guard-up.lock"))?;
    lock.lock().context("waiting for another `make up`")?;
    Ok(lock)
}

/// The PATH with other folders in place of those that contain Node: everything else in them, as links.
fn path_without_node(links: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").context("$PATH")?;
    let folders = env::split_paths(&path).map(|folder| {
        if NODE.iter().any(|program| folder.join(program).exists()) {
            without_node(&folder, links)
        } else {
            Ok(folder)
        }
    });
    Ok(env::join_paths(folders.collect::<Result<Vec<_>>>()?)?)
}

fn without_node(folder: &Path, links: &Path) -> Result<PathBuf> {
    let place = TempDir::new_in(links)?.keep();
    for program in fs::read_dir(folder)? {
        let program = program?;
        if !NODE.iter().any(|node| program.file_name() == *node) {
            symlink(program.path(), place.join(program.file_name()))?;
        }
    }
    Ok(place)
}

async fn up(path: &OsString) -> Result<Process> {
    let mut make = Command::new("make");
    make.arg("up").env("PATH", path).current_dir(repository());
    let mut shop = Process::start_with_grace("make up", make, Duration::from_secs(20))?;
    wait::until_some_within(BUILT_BY_THEN, "`make up`", async || {
        let is_up = shop.ended()?.is_some() || shop.log().contains("Ctrl-C ends");
        Ok(is_up.then_some(()))
    })
    .await?;
    shop.check_running()?;
    Ok(shop)
}

/// The pods that answer the repeated command, by the names that they put in a header.
fn answering_pods(command: &str) -> Result<BTreeSet<String>> {
    let mut pods = BTreeSet::new();
    for _ in 0..TRIES {
        let answer = shell(&format!("{command} --include"))?;
        let pod = answer.lines().find_map(|line| line.strip_prefix("x-pod: "));
        pods.insert(pod.with_context(|| answer.clone())?.trim().to_owned());
    }
    Ok(pods)
}

fn pods(versions: &[&str]) -> BTreeSet<String> {
    let of = |version: &&str| {
        (1..=4)
            .map(|number| format!("{version}-{number}"))
            .collect::<Vec<_>>()
    };
    versions.iter().flat_map(of).collect()
}

/// Whether a counter with these labels, in any order, has this value.
fn has_line(metrics: &str, expected: &str) -> bool {
    let parts = |line: &str| -> BTreeSet<String> {
        line.split(['{', ',', '}'])
            .map(|part| part.trim().to_owned())
            .collect()
    };
    metrics.lines().any(|line| parts(line) == parts(expected))
}

fn shell(command: &str) -> Result<String> {
    output_of(Command::new("sh").args(["-c", command]))
}
