//! The platform's admission policy, in a real API server: what applications may write beside the gateways.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, IstioLine};
use skew_guard_lab::wait;
use tempfile::NamedTempFile;

use crate::chart;

/// The namespace that the policy applies to.
const INGRESS: &str = "istio-ingress";

/// The user it binds.
const TENANT: [&str; 2] = ["--as=team", "--as-group=tenants"];

/// What the chart makes is accepted, and each deviation is refused with a reason.
pub async fn of_the_platform(cluster: &Cluster) -> Result<()> {
    let kubernetes = cluster.kubernetes();
    kubernetes.create_namespace(INGRESS).await?;
    allow_plugins(cluster).await?;
    let policy = chart::directory().join("platform/admission-policy.yaml");
    kubernetes.apply_file(&policy).await?;

    let good = plugin(cluster, "WasmPlugin").await?;
    let mut wrong = good.clone();
    wrong["spec"]["failStrategy"] = json!("FAIL_CLOSE");
    wait::until("the policy to be in force", async || {
        Ok(refusal(cluster, &wrong).await?.is_some())
    })
    .await?;

    for (pointer, value, reason) in DEVIATIONS {
        let mut plugin = good.clone();
        set(&mut plugin, pointer, serde_json::from_str(value)?)?;
        let said = refusal(cluster, &plugin).await?;
        let said = said.with_context(|| format!("{pointer}: {value} is taken"))?;
        ensure!(said.contains(reason), "{pointer}: {value}: {said}");
    }
    accepted(cluster, &good).await?;
    if cluster.line() == IstioLine::V1_31 {
        let extension = plugin(cluster, "TrafficExtension").await?;
        accepted(cluster, &extension).await?;
        let mut wrong = extension;
        wrong["spec"]["wasm"]["failStrategy"] = json!("FAIL_CLOSE");
        ensure!(refusal(cluster, &wrong).await?.is_some(), "{wrong}");
    }
    let policy = policy.to_string_lossy();
    kubernetes
        .kubectl(["delete", "--filename", &policy])
        .await?;
    Ok(())
}

/// Where, what, and part of the expected refusal.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    (
        "/spec/url",
        r#""oci://registry.example.com/skew-guard:0.1.0""#,
        "by its digest",
    ),
    (
        "/spec/url",
        r#""oci://registry.example.com/skew-guard-of-mine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#,
        "url: oci://registry.example.com/skew-guard",
    ),
    ("/spec/failStrategy", r#""FAIL_RELOAD""#, "failStrategy: "),
    ("/spec/failStrategy", "null", "failStrategy: "),
    ("/spec/selector", "null", "selector: "),
    ("/spec/pluginConfig/hosts", "null", "pluginConfig.hosts: "),
    ("/spec/pluginConfig/hosts", "[]", "pluginConfig.hosts: "),
    (
        "/spec/pluginConfig/hosts",
        r#"["*.example.com"]"#,
        "pluginConfig.hosts: ",
    ),
    (
        "/spec/vmConfig",
        r#"{"env": [{"name": "A", "value": "b"}]}"#,
        "spec: what the chart writes",
    ),
    ("/spec/type", r#""NETWORK""#, "spec: what the chart writes"),
    (
        "/spec/pluginConfig/lua",
        r#""print()""#,
        "pluginConfig: the keys of skew-guard",
    ),
];

fn set(plugin: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let (parent, key) = pointer.rsplit_once('/').context("a path")?;
    let parent = plugin.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.with_context(|| format!("nothing at {pointer}"))?;
    match value {
        Value::Null => parent.remove(key),
        value => parent.insert(key.to_owned(), value),
    };
    Ok(())
}

/// The plugin as the chart writes it for a tenant.
async fn plugin(cluster: &Cluster, kind: &str) -> Result<Value> {
    let directory = chart::directory();
    let values = NamedTempFile::with_suffix(".json")?;
    let digest = "a".repeat(64);
    let given = json!({ "plugin": {
        "kind": kind, "namespace": INGRESS,
        "url": format!("oci://registry.example.com/skew-guard:0.1.0@sha256:{digest}"),
    }});
    fs::write(values.path(), serde_json::to_vec(&given)?)?;
    let manifest = cluster
        .helm([
            "template",
            "shop",
            &directory.to_string_lossy(),
            "--namespace=shop",
            "--values",
            &directory.join("example.yaml").to_string_lossy(),
            "--values",
            &values.path().to_string_lossy(),
            "--show-only=templates/plugin.yaml",
        ])
        .await?;
    serde_saphyr::from_str(&manifest).context("a manifest")
}

async fn allow_plugins(cluster: &Cluster) -> Result<()> {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": "plugins" },
        "rules": [{ "apiGroups": ["extensions.istio.io"], "resources": ["*"], "verbs": ["*"] }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "plugins" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "plugins" },
        "subjects": [{ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "tenants" }],
    });
    for object in [role, binding] {
        cluster.kubernetes().apply(&object).await?;
    }
    Ok(())
}

async fn accepted(cluster: &Cluster, plugin: &Value) -> Result<()> {
    match refusal(cluster, plugin).await? {
        None => Ok(()),
        Some(said) => anyhow::bail!("what the chart makes is refused: {said}"),
    }
}

/// Why the API server refuses it from a tenant; none if it accepts it.
async fn refusal(cluster: &Cluster, plugin: &Value) -> Result<Option<String>> {
    let file = NamedTempFile::with_suffix(".json")?;
    fs::write(file.path(), serde_json::to_vec(plugin)?)?;
    let file = file.path().to_string_lossy();
    let create = ["create", "--dry-run=server", "--filename", &file];
    let created = cluster
        .kubernetes()
        .kubectl(TENANT.into_iter().chain(create));
    Ok(created.await.err().map(|problem| format!("{problem:#}")))
}
