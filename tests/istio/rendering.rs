//! Without Helm in the cluster: what Argo CD and Kustomize render from the chart, applied.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::Cluster;
use tempfile::NamedTempFile;

use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each step.
const SOME: u64 = 500;

/// Who renders.
#[derive(Debug, Clone, Copy)]
enum Renderer {
    /// By `helm template`, as Argo CD does.
    ArgoCd,
    Kustomize,
}

/// A release on its way to current, each step rendered by one or the other, with `config.revision` counted up: every
/// rendering is revision 1 of the Helm release.
pub async fn by_argo_cd_and_kustomize(cluster: &Cluster) -> Result<()> {
    use Renderer::{ArgoCd, Kustomize};

    let mut testbed = Testbed::set_up(cluster, "rendered").await?;
    testbed.deploy("1.4.2").await?;
    let first = [("1.4.2", "live")];
    commit(cluster, &mut testbed, (ArgoCd, 1), &first, "1.4.2").await?;
    let load = visitors::arrive(&[&testbed.gateway], &testbed.shop).await?;
    load.answers(SOME).await?;
    let listed = [("2.0.0", "live"), ("1.4.2", "live")];
    commit(cluster, &mut testbed, (Kustomize, 2), &listed, "1.4.2").await?;
    testbed.deploy("2.0.0").await?;
    load.answers(SOME).await?;
    let swapped = [("2.0.0", "live"), ("1.4.2", "draining")];
    commit(cluster, &mut testbed, (ArgoCd, 3), &swapped, "2.0.0").await?;
    load.until_page_of("2.0.0").await?;
    let retired = [("2.0.0", "live"), ("1.4.2", "retired")];
    commit(cluster, &mut testbed, (Kustomize, 4), &retired, "2.0.0").await?;
    load.until_no_page_of("1.4.2").await?;
    load.answers(SOME).await?;
    let story = "rendered by Argo CD and Kustomize in turn";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    kubectl(cluster, "delete", &testbed.chart.template(&[]).await?).await?;
    testbed.shop.close().await
}

/// One commit to a repository, until the gateways have it.
async fn commit(
    cluster: &Cluster,
    testbed: &mut Testbed<'_>,
    (renderer, revision): (Renderer, u64),
    releases: &[(&str, &str)],
    current: &str,
) -> Result<()> {
    testbed.chart.list(releases, json!(current));
    testbed.chart.values()["config"]["revision"] = json!(revision);
    let (template, built) = (
        testbed.chart.template(&[]).await?,
        testbed.chart.kustomize().await?,
    );
    ensure!(
        objects(&template)? == objects(&built)?,
        "Kustomize makes the same objects as Helm:\n{template}\n{built}"
    );
    let rendered = match renderer {
        Renderer::ArgoCd => template,
        Renderer::Kustomize => built,
    };
    kubectl(cluster, "apply", &rendered).await?;
    let revision = revision.to_string();
    let arguments = ["--revision", &revision, "--timeout", "60s"];
    let said = testbed.chart.tool("wait", &arguments).await?;
    said.ends(0).with_context(|| format!("{renderer:?}"))?;
    eprintln!("  {renderer:?}: revision {revision} is in force");
    Ok(())
}

/// The objects in either tool's output, ordered by name.
fn objects(rendered: &str) -> Result<Vec<(String, Value)>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(rendered)?;
    let mut named = objects
        .into_iter()
        .filter(|object| !object.is_null())
        .map(|object| {
            let name = object["metadata"]["name"].as_str().context("a name")?;
            Ok((format!("{} {name}", object["kind"]), object))
        })
        .collect::<Result<Vec<_>>>()?;
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    ensure!(
        named.len() == 4,
        "two rules, routes and a plugin: {named:?}"
    );
    Ok(named)
}

/// Client-side, which is the default of `kubectl apply` and Argo CD.
async fn kubectl(cluster: &Cluster, verb: &str, manifests: &str) -> Result<()> {
    let file = NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), manifests)?;
    let name = file.path().to_string_lossy();
    cluster
        .kubernetes()
        .kubectl([verb, "--filename", &name])
        .await?;
    Ok(())
}
