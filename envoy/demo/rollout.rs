//! A rolling update, pod by pod, while visitors come and go.

use anyhow::Result;
use skew_guard_lab::load::{Load, LoadGenerator, Tally};

use crate::site::{NEW, OLD, PODS, Routing, Site};
use crate::timeline::{self, Pods, Timeline};

/// Visitors who load a page, use it and load it again.
const VISITORS: usize = 16;
/// Tabs that were opened before the roll-out and stay open.
const LONG_LIVED_TABS: usize = 16;

/// The result of one roll-out.
pub struct Outcome {
    /// What the visitors saw.
    pub tally: Tally,
    /// The skewed answers that the filter itself counted; absent if there is no filter.
    pub seen_by_filter: Option<u64>,
    /// How it went, from beginning to end.
    pub timeline: Timeline,
}

/// Replaces every pod of the old release with one of the new.
pub async fn run(routing: Routing, requests: u64) -> Result<Outcome> {
    println!("\n{}", title(routing));
    let mut site = Site::start(routing).await?;
    let load = LoadGenerator::at(site.gateway().await?)
        .visitors(VISITORS)
        .long_lived(LONG_LIVED_TABS)
        .start()?;
    let mut answers = Vec::new();
    let pods = tokio::select! {
        pods = replace_every_pod(&mut site, &load, requests) => pods?,
        never = timeline::follow(&load, &mut answers) => match never {},
    };
    let tally = load.stop().await;
    Ok(Outcome {
        tally,
        seen_by_filter: site.skew_seen_by_filter().await?,
        timeline: Timeline { answers, pods },
    })
}

/// In ten stretches of equal length: before, after each of the eight steps, and at the end.
async fn replace_every_pod(site: &mut Site, load: &Load, requests: u64) -> Result<Vec<Pods>> {
    let stretch = requests / 10;
    let mut pods = vec![Pods::of(site, load)];
    pass(site, load, stretch, "all pods are of 1.4.2").await?;
    for number in 1..=PODS {
        site.add_new_pod().await?;
        pods.push(Pods::of(site, load));
        pass(site, load, stretch, &format!("pod {NEW}-{number} added")).await?;
        if number < PODS {
            site.remove_old_pod(load).await?;
            pods.push(Pods::of(site, load));
            pass(site, load, stretch, &format!("pod {OLD}-{number} removed")).await?;
        }
    }
    replace_last_old_pod(site, load).await?;
    pods.push(Pods::of(site, load));
    let rest = requests.saturating_sub(load.tally().requests).max(stretch);
    pass(site, load, rest, "all pods are of 2.0.0").await?;
    Ok(pods)
}

/// A page whose release has no pod left cannot be served, whatever the routing. So the last old pod stays until the
/// last old page has been reloaded, as with a draining release.
async fn replace_last_old_pod(site: &mut Site, load: &Load) -> Result<()> {
    site.make_new_release_current(load).await?;
    load.reload_pages_of(OLD);
    load.until_no_page_of(OLD).await?;
    report(site, load, "the tabs of 1.4.2 have reloaded");
    site.remove_old_pod(load).await
}

async fn pass(site: &Site, load: &Load, answers: u64, event: &str) -> Result<()> {
    load.answers(answers).await?;
    report(site, load, event);
    Ok(())
}

fn report(site: &Site, load: &Load, event: &str) {
    let tally = load.tally();
    let (old, new) = site.pods();
    println!(
        "{:>6.1} s  {event:<52} {old} + {new} pods {:>8} requests {:>6} skewed {:>3} failed",
        tally.elapsed.as_secs_f64(),
        tally.requests,
        tally.skewed,
        tally.failed
    );
}

fn title(routing: Routing) -> &'static str {
    match routing {
        Routing::Plain => "1. Plain routing: any pod answers.",
        Routing::Observed => {
            "2. The same with skew-guard watching: it counts, and changes nothing."
        }
        Routing::SkewGuard => "3. With skew-guard: any pod of the page's own release answers.",
    }
}
