//! A crowd that does what no well-meaning client does, and visitors beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::endurance::{publish, size, table};
use skew_guard_lab::load::{LoadGenerator, Tally};
use skew_guard_lab::wait;
use tokio::task::JoinSet;

use super::attack::{Attack, End};
use crate::behaviour::{Behaviour, behaviours};
use crate::fail_strategies::traps;
use crate::gateway::{Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] =
    behaviours![a_hostile_crowd_traps_nothing_and_harms_nobody_beside_it];

/// The default number of attempts.
const USUALLY: u64 = 1_200;

/// How many of them run at once.
const AT_ONCE: usize = 32;

/// Everything that reads a request is switched on.
fn guarded() -> Value {
    shop(json!({
        "sources": [
            { "path": "/assets/v-{version}/" }, { "header": "x-bundle-version" }, { "query": "dpl" },
            { "baggage": "client-version" }, { "cookie": "own" },
        ],
        "pinCookie": { "name": "pin" },
        "pinnedNavigation": ["/checkout"],
        "unpinnedPaths": ["/sw.js"],
        "cors": { "allowOrigins": ["https://*.example.com"] },
        "upstreamVersion": { "responseHeader": "x-app-version" },
        "preview": { "sha256": "ab".repeat(32) },
    }))
}

async fn a_hostile_crowd_traps_nothing_and_harms_nobody_beside_it(lab: &Lab) -> Result<()> {
    let attempts = size("HOSTILE_REQUESTS", USUALLY)?;
    let lab = lab.another(2, &[]).await?;
    let gateway = Spec::of(&lab, "besieged")?
        .configured(&guarded())?
        .open(&lab)
        .await?;
    let vms = vms_made(&lab).await?;
    let mut visitors = LoadGenerator::at(gateway.address())
        .visitors(4)
        .long_lived(2)
        .start()?;
    visitors.answers(1_000).await?;
    let alone = visitors.tally();
    visitors.reset();
    let ends = besiege(gateway.address(), attempts).await?;
    let beside = visitors.stop().await;
    publish("hostile.md", &story(&ends, &alone, &beside))?;

    ensure!(
        !traps(&lab),
        "something trapped:\n{}",
        lab.envoy().log_tail()
    );
    ensure!(vms_made(&lab).await? == vms, "a VM was made anew");
    for tally in [&alone, &beside] {
        ensure!(
            tally.failed == 0 && tally.skewed == 0 && tally.told_to_reload == 0,
            "a visitor was harmed: {tally:?}"
        );
    }
    ensure!(beside.requests > 0, "visitors were served meanwhile");
    let refused_by_filter = gateway.access_log()?.matches("wasm_fail").count();
    ensure!(
        refused_by_filter == 0,
        "the filter failed {refused_by_filter} requests"
    );
    wait::until("no stream to be left open", async || {
        Ok(lab.metrics().await?.sum("skew_guard_open_streams", &[]) == 0)
    })
    .await
}

async fn vms_made(lab: &Lab) -> Result<u64> {
    let made = lab.envoy().stats(r"wasm\..*v8.*created").await?;
    Ok(made.values().sum())
}

/// How often each attack ended in each way.
type Ends = BTreeMap<Attack, BTreeMap<End, u64>>;

async fn besiege(gateway: SocketAddr, attempts: u64) -> Result<Ends> {
    let next = Arc::new(AtomicU64::new(0));
    let mut attackers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let next = Arc::clone(&next);
        attackers.spawn(async move {
            let mut ends = Ends::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= attempts {
                    return anyhow::Ok(ends);
                }
                let kinds = Attack::ALL.len() as u64;
                let kind = usize::try_from(number % kinds)?;
                let attack = Attack::ALL[kind];
                let end = attack.make(gateway, number).await?;
                *ends.entry(attack).or_default().entry(end).or_default() += 1;
            }
        });
    }
    let mut all = Ends::new();
    while let Some(ends) = attackers.join_next().await {
        for (attack, ends) in ends?? {
            for (end, count) in ends {
                *all.entry(attack).or_default().entry(end).or_default() += count;
            }
        }
    }
    Ok(all)
}

fn story(ends: &Ends, alone: &Tally, beside: &Tally) -> String {
    let attempts = ends.iter().map(|(attack, ends)| {
        let sum = |which: &dyn Fn(&End) -> bool| -> String {
            let of_kind = ends.iter().filter(|(end, _)| which(end));
            of_kind.map(|(_, count)| count).sum::<u64>().to_string()
        };
        let answered =
            |class: u16| sum(&|end| matches!(end, End::Answered(status) if status / 100 == class));
        vec![
            attack.name().to_owned(),
            sum(&|_| true),
            answered(1),
            answered(2),
            answered(3),
            answered(4),
            answered(5),
            sum(&|end| *end == End::Closed),
            sum(&|end| *end == End::Left),
        ]
    });
    let heading = [
        "attempts", "of them", "1xx", "2xx", "3xx", "4xx", "5xx", "closed", "left",
    ];
    let attempts = table(&heading, attempts);
    let visitors = [("alone", alone), ("beside them", beside)].map(|(when, tally)| {
        vec![
            when.to_owned(),
            tally.requests.to_string(),
            format!("{:.0}", tally.rate()),
            tally.failed.to_string(),
            tally.skewed.to_string(),
            format!("{} ({:.2} %)", tally.slow, tally.share_of_slow()),
            format!("{:.2} s", tally.slowest.as_secs_f64()),
        ]
    });
    let heading = [
        "visitors",
        "answers",
        "in a second",
        "failed",
        "skewed",
        "over 1 s",
        "slowest",
    ];
    format!("{attempts}\n\n{}\n", table(&heading, visitors))
}
