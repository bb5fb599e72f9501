//! `make up`, and what it invites to try.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use skew_guard_lab::process::Process;
use skew_guard_lab::wait;
use tokio::runtime::Runtime;

use crate::commands::{output_of, repository};

/// Enough to meet every one of eight pods: that one is missed by chance happens once in sixteen million times.
const TRIES: usize = 140;

/// Runs the three commands while `make up` does, and holds them to what the text says.
pub fn answers(commands: &[&str]) -> Result<()> {
    let [any, pinned, counted] = commands else {
        bail!("the text speaks of three commands, not of {commands:?}");
    };
    let _alone = alone_on_the_ports()?;
    let _shop = Runtime::new()?.block_on(up())?;
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

/// Its ports are fixed, so that only one test on this machine can have it at a time, of whatever copy of the
/// repository.
fn alone_on_the_ports() -> Result<File> {
    let lock = File::create(std::env::temp_dir().join("skew-guard-up.lock"))?;
    lock.lock().context("waiting for another `make up`")?;
    Ok(lock)
}

async fn up() -> Result<Process> {
    let mut make = Command::new("make");
    make.arg("up").current_dir(repository());
    let mut shop = Process::start_with_grace("make up", make, Duration::from_secs(20))?;
    wait::until("`make up`", async || {
        Ok(shop.ended()?.is_some() || shop.log().contains("Ctrl-C ends"))
    })
    .await?;
    shop.check_running()?;
    Ok(shop)
}

/// The pods that answer the command when it is repeated: they say their names in a header.
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

/// Whether a counter with these labels, in whatever order, has this value.
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
