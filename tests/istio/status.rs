//! `skew-guard status` with nothing but a kubeconfig: which release serves, and when the old one may be retired.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::Cluster;

use crate::said::Said;
use crate::testbed::Testbed;

/// From a listed release that has no pods yet until the pods of the old one may be deleted.
pub async fn through_the_life_of_a_release(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open(cluster, "status", "1.4.2").await?;
    let both = [("2.0.0", "live"), ("1.4.2", "live")];
    testbed.step_under(&load, &both, json!("1.4.2")).await?;
    let listed = status(&testbed, &[]).await?;
    ensure!(
        listed.answer["gateways"][0]["state"] == "in_force",
        "{listed:?}"
    );
    let old = listed.release("1.4.2")?;
    ensure!(old["state"] == "in current", "{old}");
    ensure!(old["requests"]["new"].as_u64() > Some(0), "{old}");
    ensure!(has_pods(old, 2, 2), "{old}");
    let next = &listed.answer["next"];
    ensure!(next["release"] == "2.0.0", "{next}");
    let waits = next["waits"].to_string();
    ensure!(waits.contains("there is no pod behind api"), "{next}");

    testbed.deploy("2.0.0").await?;
    let deployed = status(&testbed, &[]).await?;
    ensure!(has_pods(deployed.release("2.0.0")?, 2, 2), "{deployed:?}");
    ensure!(
        deployed.answer["next"]["waits"] == json!([]),
        "{deployed:?}"
    );

    let draining = [("2.0.0", "live"), ("1.4.2", "draining")];
    testbed.step_under(&load, &draining, json!("2.0.0")).await?;
    load.until_page_of("2.0.0").await?;
    let short = ["--idle-for", "1s", "--interval", "5s"];
    let busy = status(&testbed, &short).await?;
    ensure!(busy.may_retire("1.4.2")? == "not_yet", "{busy:?}");
    load.stop().await;
    let idle = status(&testbed, &short).await?;
    ensure!(idle.may_retire("1.4.2")? == "may", "{idle:?}");

    let retired = [("2.0.0", "live"), ("1.4.2", "retired")];
    testbed.step(&retired, json!("2.0.0")).await?;
    let over = status(&testbed, &[]).await?;
    let conclusions = over.answer["conclusions"].to_string();
    ensure!(
        conclusions.contains("1.4.2 is retired in every gateway: its pods may go"),
        "{over:?}"
    );
    testbed.remove("1.4.2").await?;
    let gone = status(&testbed, &[]).await?;
    ensure!(gone.release("1.4.2").is_err(), "{gone:?}");
    testbed.tear_down().await
}

async fn status(testbed: &Testbed<'_>, arguments: &[&str]) -> Result<Said> {
    testbed.chart.tool("status", arguments).await?.ends(0)
}

/// Whether each of the two services has that many pods, and that many ready ones.
fn has_pods(release: &Value, ready: u64, all: u64) -> bool {
    let services = release["pods"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |pods: &Value| pods["ready"] == ready && pods["all"] == all;
    services.len() == 2 && services.iter().all(has)
}

impl Said {
    fn release(&self, version: &str) -> Result<&Value> {
        let mut releases = self.answer["releases"].as_array().into_iter().flatten();
        releases
            .find(|release| release["release"] == version)
            .with_context(|| format!("no {version} in {self:?}"))
    }

    fn may_retire(&self, version: &str) -> Result<&str> {
        Ok(self.release(version)?["retire"]["answer"]
            .as_str()
            .unwrap_or_default())
    }
}
