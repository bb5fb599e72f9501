//! A plugin that traps, under each of Istio's fail strategies.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, IstioLine};
use skew_guard_lab::{trap, wait};

use crate::testbed::Testbed;
use crate::visitors::answered_by;

/// Enough requests, each on its own connection, to meet both workers.
const ENOUGH: usize = 30;

/// What answered a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Plugin,
    /// A Pod of that version, without the plugin on the way.
    PodAlone(String),
    Refusal(u16),
}

/// FAIL_OPEN continues without the plugin, FAIL_CLOSE refuses everything until the plugin changes, FAIL_RELOAD has the
/// plugin back within seconds.
pub async fn under_each_fail_strategy(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "trap").await?;
    let image = cluster.push_image(&trap::module()?, "trap", "tested")?;
    testbed.chart.values()["plugin"]["url"] = json!(image.url_by_tag());
    // The older line's WasmPlugin does not know FAIL_RELOAD.
    let strategies: &[_] = match cluster.line() {
        IstioLine::V1_24 => &["FAIL_OPEN", "FAIL_CLOSE"],
        IstioLine::V1_31 => &["FAIL_OPEN", "FAIL_CLOSE", "FAIL_RELOAD"],
    };
    for (round, strategy) in strategies.iter().copied().enumerate() {
        testbed.chart.values()["plugin"]["failStrategy"] = json!(strategy);
        testbed.chart.values()["config"]["hints"] = json!(round % 2 == 0);
        testbed.chart.upgrade().await?;
        meets(&testbed, strategy, |met| *met == Met::Plugin).await?;
        for _ in 0..ENOUGH {
            ensure!(
                matches!(
                    request(&testbed, &trigger()).await?,
                    Met::Refusal(_) | Met::PodAlone(_)
                ),
                "a request that makes the plugin trap"
            );
        }
        let what = format!("{strategy}, after the trap");
        match strategy {
            // The client's own route header is obeyed, because nothing removes it.
            "FAIL_OPEN" => {
                meets(&testbed, &what, |met| *met == Met::PodAlone("1.4.2".into())).await?
            }
            "FAIL_CLOSE" => meets(&testbed, &what, |met| *met == Met::Refusal(503)).await?,
            _ => meets(&testbed, &what, |met| *met == Met::Plugin).await?,
        }
    }
    testbed.tear_down().await
}

fn trigger() -> Vec<(String, &'static str)> {
    trap::trigger()
}

/// Waits until every one of many requests meets what is expected.
async fn meets(testbed: &Testbed<'_>, when: &str, expected: impl Fn(&Met) -> bool) -> Result<()> {
    let mut all = BTreeMap::new();
    wait::until(when, async || {
        all.clear();
        for _ in 0..ENOUGH {
            let met = request(testbed, &[]).await?;
            *all.entry(met).or_insert(0) += 1;
        }
        ensure!(all.keys().all(&expected), "met {all:?}");
        Ok(true)
    })
    .await?;
    eprintln!("  {when}: {all:?}");
    Ok(())
}

/// A request of a client that names the old release by the route header itself.
async fn request(testbed: &Testbed<'_>, more: &[(String, &'static str)]) -> Result<Met> {
    let mut headers = vec![("x-release", "v1-4-2")];
    headers.extend(more.iter().map(|(name, value)| (name.as_str(), *value)));
    let answer = testbed.ask("/api/request", &headers).await?;
    if !answer.status().is_success() {
        return Ok(Met::Refusal(answer.status().as_u16()));
    }
    let version = answered_by(&answer).to_owned();
    let received: Value = answer.json().await?;
    let passed = json!([trap::PASSED.0, trap::PASSED.1]);
    let lines = received["headers"].as_array();
    Ok(if lines.is_some_and(|lines| lines.contains(&passed)) {
        Met::Plugin
    } else {
        Met::PodAlone(version)
    })
}
