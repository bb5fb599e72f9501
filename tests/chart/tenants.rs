//! What tenants of shared gateways may configure, and installations in two halves.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::helm;

#[track_caller]
fn assert_refused(values: &str, expected: &str) {
    let said = helm::refusal(values).unwrap_or_else(|problem| panic!("{problem:#}"));
    assert!(said.contains(expected), "{values}\nis refused with\n{said}");
}

#[test]
fn only_the_owner_of_a_gateway_can_have_all_its_hosts() -> Result<()> {
    assert_refused(
        r#"hosts: ["*"]"#,
        "- hosts: \"*\" treats every request on these gateways as this application's; name its hosts, or set \
         ownsGateway: true if nobody else uses the gateways",
    );
    helm::render("hosts: ['*']\nownsGateway: true")?;
    helm::render("ownsGateway: true")?;
    Ok(())
}

#[test]
fn routes_and_plugin_can_be_installed_separately() -> Result<()> {
    let revision = "config: {revision: 7}";
    let routes = helm::render(&format!(
        "plugin: {{create: false, namespace: edge}}\n{revision}"
    ))?;
    assert_eq!(routes.all("DestinationRule").len(), 2);
    routes.one("VirtualService")?;
    assert!(routes.all("WasmPlugin").is_empty());

    let said = &routes.one("VirtualService")?["metadata"]["annotations"]["skew-guard/plugin"];
    assert_eq!(
        said, "WasmPlugin/edge/skew-guard",
        "where the other half is"
    );

    let values = format!("routes: {{create: false}}\nplugin: {{namespace: edge}}\n{revision}");
    let plugin = helm::render_as("skew-guard", "edge", &values)?;
    assert_eq!(plugin.one("WasmPlugin")?["metadata"]["name"], "skew-guard");
    assert!(plugin.all("DestinationRule").is_empty());
    assert!(plugin.all("VirtualService").is_empty());
    let whole = helm::render(revision)?;
    assert_eq!(plugin.plugin_config()?, whole.plugin_config()?);
    assert_eq!(plugin.one("WasmPlugin")?["metadata"]["namespace"], "edge");
    Ok(())
}

#[test]
fn two_installations_need_a_common_revision() {
    let expected = "- config.revision: the two halves are two Helm releases, which count separately; set \
                    this number in both, and raise it with each change";
    assert_refused("plugin: {create: false}", expected);
    assert_refused("routes: {create: false}", expected);
    assert_refused(
        "routes: {create: false}\nplugin: {create: false}\nconfig: {revision: 1}",
        "- plugin.create: with routes.create: false too, there is nothing to install",
    );
}

#[test]
fn the_platform_s_policy_knows_every_key_of_the_plugin() -> Result<()> {
    let policy = fs::read_to_string(helm::chart().join("platform/admission-policy.yaml"))?;
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/config.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema)?)?;
    for key in schema["properties"].as_object().context("keys")?.keys() {
        assert!(policy.contains(&format!("'{key}'")), "{key}");
    }
    Ok(())
}
