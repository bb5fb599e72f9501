//! The chart's resources for Argo CD and Flux, validated by a real API server against the resource definitions of
//! both. Neither of them runs here.

use std::fs;

use anyhow::{Result, ensure};
use skew_guard_lab::cluster::Cluster;
use skew_guard_lab::{cargo, wait};
use tempfile::NamedTempFile;

use crate::chart;

const NAMESPACE: &str = "pipelines";

/// A file, one of its keys, and a misspelling of that key.
const FILES: [(&str, &str, &str); 3] = [
    ("argocd.yaml", "selfHeal:", "selfheal:"),
    ("flux.yaml", "chartRef:", "chartref:"),
    ("cronjob.yaml", "concurrencyPolicy:", "concurrencypolicy:"),
];

/// Each is accepted, and refused with a mistyped key.
pub async fn match_their_definitions(cluster: &Cluster) -> Result<()> {
    let kubernetes = cluster.kubernetes();
    let definitions = cargo::target().join("istio-lab/crds");
    ensure!(
        definitions.is_dir(),
        "no definitions in {}; `make istio-tools` gathers them",
        definitions.display()
    );
    for entry in fs::read_dir(&definitions)? {
        let file = entry?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            kubernetes.apply_file(&file).await?;
        }
    }
    kubernetes.create_namespace(NAMESPACE).await?;
    for (name, key, mistyped) in FILES {
        let text = fs::read_to_string(chart::directory().join("pipelines").join(name))?;
        ensure!(text.contains(key), "{name} has {key}");
        let here = format!("namespace: {NAMESPACE}");
        let text = text
            .replace("namespace: shop", &here)
            .replace("namespace: argocd", &here);
        // A definition takes effect a moment after it was applied.
        wait::until(&format!("{name} to be accepted"), async || {
            Ok(refusal(cluster, &text).await?.is_none())
        })
        .await?;
        let said = refusal(cluster, &text.replace(key, mistyped)).await?;
        let said = said.unwrap_or_default();
        ensure!(
            said.contains(mistyped.trim_end_matches(':')),
            "{name} with {mistyped} is taken: {said}"
        );
    }
    kubernetes.delete_namespace(NAMESPACE).await
}

/// Why the API server would not take these manifests.
async fn refusal(cluster: &Cluster, manifests: &str) -> Result<Option<String>> {
    let file = NamedTempFile::with_suffix(".yaml")?;
    fs::write(file.path(), manifests)?;
    let path = file.path().to_string_lossy();
    let try_out = ["apply", "--dry-run=server", "--validate=strict"];
    let applied = cluster
        .kubernetes()
        .kubectl([&try_out[..], &["--filename", &path]].concat())
        .await;
    Ok(applied.err().map(|problem| format!("{problem:#}")))
}
