//! The chart with the values of its example, and the manifests for people without Helm.

use std::fs;

use anyhow::{Context, Result};

use crate::helm;

#[test]
fn helm_lint_finds_nothing_wrong_with_the_chart() -> Result<()> {
    let findings = helm::lint()?;
    assert!(
        findings.contains("1 chart(s) linted, 0 chart(s) failed"),
        "{findings}"
    );
    Ok(())
}

#[test]
fn the_plain_manifests_are_what_the_chart_makes_of_its_example() -> Result<()> {
    let committed = fs::read_to_string(helm::chart().join("plain/skew-guard.yaml"))?;
    assert!(
        committed == helm::template_example()?,
        "istio/plain/skew-guard.yaml has drifted; renew it:\n\
         helm template skew-guard istio --namespace shop --values istio/example.yaml > istio/plain/skew-guard.yaml"
    );
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_module() -> Result<()> {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(helm::chart().join("Chart.yaml"))?)?;
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    let values: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(helm::chart().join("example.yaml"))?)?;
    let url = values["plugin"]["url"]
        .as_str()
        .context("the module's URL")?;
    assert!(
        url.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))),
        "{url}"
    );
    Ok(())
}
