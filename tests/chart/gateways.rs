//! Services in other namespaces, several gateways, and who in the mesh sees the routes.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::helm::{self, Manifests};

/// The shop's services, owned by two teams.
const ELSEWHERE: &str = r#"
services:
  - {host: api.orders.svc.cluster.local, port: 8080, paths: ["/api"]}
  - {host: web.shop.svc.cluster.local, port: 80, paths: ["/"]}
"#;

/// Two groups of gateway pods.
const TWO: &str = r#"
gateways: [edge/shop, intranet/shop]
plugins:
  - {namespace: edge, selector: {istio: edge}, gateways: [edge/shop]}
  - namespace: intranet
    selector: {istio: intranet}
    gateways: [intranet/shop]
    url: oci://registry.intranet/skew-guard:0.1.0
    priority: 7
"#;

#[track_caller]
fn assert_refused(values: &str, expected: &str) {
    let said = helm::refusal(values).unwrap_or_else(|problem| panic!("{problem:#}"));
    assert!(said.contains(expected), "{values}\nis refused with\n{said}");
}

fn places(manifests: &Manifests, kind: &str) -> Vec<(String, String)> {
    let word = |resource: &Value, key: &str| {
        let value = resource["metadata"][key].as_str();
        value.unwrap_or_default().to_owned()
    };
    let resources = manifests.all(kind).into_iter();
    resources
        .map(|resource| (word(resource, "namespace"), word(resource, "name")))
        .collect()
}

#[test]
fn the_rule_of_a_service_is_in_the_namespace_of_the_service() -> Result<()> {
    let manifests = helm::render(ELSEWHERE)?;
    let said = &manifests.one("VirtualService")?["metadata"]["annotations"];
    assert_eq!(said["skew-guard/rule-namespaces"], "orders shop");
    let rules = places(&manifests, "DestinationRule");
    let expected = [
        ("orders", "shop.skew-guard-api.orders"),
        ("shop", "skew-guard-web.shop"),
    ];
    assert_eq!(
        rules,
        expected.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
    );
    Ok(())
}

#[test]
fn the_namespace_of_a_kubernetes_service_is_read_from_its_host() -> Result<()> {
    for (service, namespace) in [
        ("host: api", "shop"),
        ("host: api.orders.svc.cluster.local", "orders"),
        ("host: api.orders.svc.corp.internal", "orders"),
        ("host: api.example.com", "shop"),
        ("host: svc.svc.svc.cluster.local", "svc"),
        ("host: api.example.com, namespace: egress", "egress"),
        (
            "host: api.orders.svc.cluster.local, namespace: edge",
            "edge",
        ),
    ] {
        let values = format!("services: [{{{service}, port: 80, paths: [/]}}]");
        let rules = places(&helm::render(&values)?, "DestinationRule");
        let found = rules.first().map(|(namespace, _)| namespace.as_str());
        assert_eq!(found, Some(namespace), "{service}");
    }
    Ok(())
}

#[test]
fn a_host_that_istio_would_not_find_is_refused() {
    assert_refused(
        "services: [{host: api.orders.svc, port: 80, paths: [/]}]",
        "- services[0].host: Istio completes only names without dots, and does not find \"api.orders.svc\"; write \
         api.orders.svc.cluster.local",
    );
    assert_refused(
        "services: [{host: api, namespace: orders, port: 80, paths: [/]}]",
        "- services[0].host: \"api\" means a different service in the namespace orders than in the routes' namespace; write it in full",
    );
    assert_refused(
        "services: [{host: api, port: 80, paths: [/a]}, {host: api.shop.svc.cluster.local, port: 80, paths: [/]}]",
        "- services[1].host: \"api.shop.svc.cluster.local\" is the service of services[0] too",
    );
}

#[test]
fn two_installations_with_one_name_share_no_resource_name() -> Result<()> {
    let values = format!("{ELSEWHERE}\nplugin: {{namespace: edge}}");
    let mut seen = Vec::new();
    for (name, namespace) in [("shop", "first"), ("shop", "second"), ("t-shop", "firs")] {
        let manifests = helm::render_as(name, namespace, &values)?;
        for kind in ["DestinationRule", "VirtualService", "WasmPlugin"] {
            for place in places(&manifests, kind) {
                assert!(!seen.contains(&(kind, place.clone())), "{place:?} is there");
                seen.push((kind, place));
            }
        }
    }
    Ok(())
}

#[test]
fn an_installation_s_resources_are_found_by_label_in_every_namespace() -> Result<()> {
    let values = format!("{ELSEWHERE}\nplugin: {{namespace: edge}}");
    let manifests = helm::render_as("shop", "team", &values)?;
    for kind in ["DestinationRule", "VirtualService", "WasmPlugin"] {
        for resource in manifests.all(kind) {
            let labels = &resource["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/instance"], "shop", "{kind}");
            assert_eq!(labels["skew-guard/release-namespace"], "team", "{kind}");
        }
    }
    Ok(())
}

#[test]
fn routes_and_rules_are_seen_everywhere_whatever_the_mesh_s_default_is() -> Result<()> {
    for (values, expected) in [
        ("", json!(["*"])),
        ("exportTo: [shop, '.']", json!(["shop", "."])),
        ("exportTo: []", Value::Null),
    ] {
        let manifests = helm::render(values)?;
        let rules = manifests.all("DestinationRule").into_iter();
        for resource in rules.chain([manifests.one("VirtualService")?]) {
            assert_eq!(resource["spec"]["exportTo"], expected, "{values}");
        }
    }
    Ok(())
}

#[test]
fn routes_that_the_gateways_would_not_see_are_refused() -> Result<()> {
    assert_refused(
        "exportTo: ['.']\nplugin: {namespace: edge}",
        "- exportTo: the gateways in edge would not see the routes and the rules; add \"edge\"",
    );
    assert_refused(
        &format!("{ELSEWHERE}\nexportTo: ['.']"),
        "- exportTo: the gateways in shop would not see",
    );
    helm::render("exportTo: ['.']")?;
    helm::render("exportTo: [edge]\nplugin: {namespace: edge}")?;
    Ok(())
}

#[test]
fn every_group_of_gateway_pods_gets_a_plugin_with_the_same_configuration() -> Result<()> {
    let manifests = helm::render(TWO)?;
    let [edge, intranet] = manifests.all("WasmPlugin")[..] else {
        panic!("two plugins")
    };
    assert_eq!(
        edge["spec"]["pluginConfig"],
        intranet["spec"]["pluginConfig"]
    );
    for (plugin, name, url, priority) in [
        (
            edge,
            "edge",
            "oci://registry.example.com/skew-guard:0.1.0",
            Value::Null,
        ),
        (
            intranet,
            "intranet",
            "oci://registry.intranet/skew-guard:0.1.0",
            json!(7),
        ),
    ] {
        assert_eq!(plugin["metadata"]["namespace"], name);
        assert_eq!(plugin["metadata"]["name"], "shop.skew-guard");
        let labels = &plugin["spec"]["selector"]["matchLabels"];
        assert_eq!(*labels, json!({ "istio": name }));
        assert_eq!(plugin["spec"]["url"], url);
        assert_eq!(plugin["spec"]["priority"], priority);
        assert_eq!(plugin["spec"]["failStrategy"], "FAIL_OPEN");
    }
    let routes = &manifests.one("VirtualService")?["metadata"]["annotations"];
    assert_eq!(
        routes["skew-guard/plugin"],
        "WasmPlugin/edge/shop.skew-guard WasmPlugin/intranet/shop.skew-guard"
    );
    Ok(())
}

#[test]
fn every_group_of_gateway_pods_is_scraped() -> Result<()> {
    let manifests = helm::render(&format!("{TWO}\npodMonitor: {{enabled: true}}"))?;
    assert_eq!(
        places(&manifests, "PodMonitor"),
        places(&manifests, "WasmPlugin")
    );
    Ok(())
}

#[test]
fn several_plugins_in_one_namespace_need_names() -> Result<()> {
    let named = |first: &str, second: &str| {
        format!(
            "gateways: [a, b]\nplugins:\n  - {{namespace: edge, selector: {{istio: a}}, gateways: [a]{first}}}\n  \
             - {{namespace: edge, selector: {{istio: b}}, gateways: [b]{second}}}"
        )
    };
    assert_refused(
        &named("", ""),
        "- plugins[1].name: plugins[0] is in the namespace edge too, and has no name either; give each a different name",
    );
    assert_refused(&named(", name: x", ", name: x"), "- plugins[1].name: ");
    let manifests = helm::render(&named("", ", name: b"))?;
    let names: Vec<_> = places(&manifests, "WasmPlugin");
    let names: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["shop.skew-guard", "shop.skew-guard-b"]);
    Ok(())
}

#[test]
fn a_gateway_that_no_plugin_covers_is_refused() {
    assert_refused(
        &TWO.replace(
            "[edge/shop, intranet/shop]",
            "[edge/shop, intranet/shop, partners/shop]",
        ),
        "- gateways[2]: \"partners/shop\" is not in the gateways of any plugin: old tabs would be skewed there, and a client \
         could choose its release",
    );
    assert_refused(
        &TWO.replace("gateways: [edge/shop]}", "gateways: [edge/sohp]}"),
        "- plugins[0].gateways: \"edge/sohp\" is not in gateways: edge/shop, intranet/shop",
    );
    assert_refused(
        &TWO.replace(", gateways: [edge/shop]}", "}"),
        "- plugins[0].gateways: name the gateways that these pods serve, so that none is left without the plugin",
    );
}

#[test]
fn a_list_of_plugins_replaces_the_selector_and_namespace() {
    assert_refused(
        &format!("{TWO}\nselector: {{istio: edge}}"),
        "- selector: each entry of plugins has its own; leave this one out",
    );
    assert_refused(
        &format!("{TWO}\nplugin: {{namespace: edge}}"),
        "- plugin.namespace: each entry of plugins has its own; leave this one out",
    );
    assert_refused(
        "plugins: [{namespace: edge}]",
        "at '/plugins/0': missing property 'selector'",
    );
    assert_refused(
        "plugins: [{namespace: edge, selector: {}}]",
        "at '/plugins/0/selector': minProperties: got 0, want 1",
    );
}

#[test]
fn callers_sidecars_can_have_a_plugin_of_their_own() -> Result<()> {
    let manifests = helm::render(
        r#"
        hosts: [shop.example.com, api.shop.svc.cluster.local]
        gateways: [edge/shop, mesh]
        plugins:
          - {namespace: edge, selector: {istio: edge}, gateways: [edge/shop]}
          - {namespace: orders, selector: {app: orders}, gateways: [mesh]}
        "#,
    )?;
    let plugins = manifests.all("WasmPlugin");
    let matches: Vec<_> = plugins
        .iter()
        .map(|plugin| &plugin["spec"]["match"])
        .collect();
    assert_eq!(matches, [&Value::Null, &json!([{ "mode": "CLIENT" }])]);
    Ok(())
}

#[test]
fn a_plugin_runs_on_the_configured_ports() -> Result<()> {
    let manifests = helm::render("plugin: {ports: [443, 8443]}")?;
    let ports = json!([{ "ports": [{ "number": 443 }, { "number": 8443 }] }]);
    assert_eq!(manifests.one("WasmPlugin")?["spec"]["match"], ports);
    let sidecars = helm::render("plugin: {ports: [80]}\ngateways: [mesh]\nhosts: [shop]")?;
    let both = json!([{ "mode": "CLIENT", "ports": [{ "number": 80 }] }]);
    assert_eq!(sidecars.one("WasmPlugin")?["spec"]["match"], both);
    Ok(())
}

#[test]
fn a_plugin_has_a_priority_within_its_phase() -> Result<()> {
    for (given, rendered) in [("-3", json!(-3)), ("100", json!(100)), ("", Value::Null)] {
        let manifests = helm::render(&format!("plugin: {{priority: {given}}}"))?;
        assert_eq!(manifests.one("WasmPlugin")?["spec"]["priority"], rendered);
    }
    Ok(())
}

#[test]
fn by_default_a_gateway_pulls_only_an_image_that_it_lacks() -> Result<()> {
    let policy = |values: &str| -> Result<Value> {
        let manifests = helm::render(values)?;
        Ok(manifests.one("WasmPlugin")?["spec"]["imagePullPolicy"].clone())
    };
    assert_eq!(policy("")?, "IfNotPresent");
    assert_eq!(policy("plugin: {imagePullPolicy: Always}")?, "Always");
    let file = policy("plugin: {url: file:///etc/skew-guard/plugin.wasm}")?;
    assert!(file.is_null(), "a file is not pulled");
    let rendered = helm::render("plugin: {kind: TrafficExtension}")?;
    let extension = rendered.one("TrafficExtension")?["spec"]["wasm"].clone();
    let extension = extension.as_object().context("a module")?;
    assert_eq!(extension["imagePullPolicy"], "IfNotPresent");
    Ok(())
}
