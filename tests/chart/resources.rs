//! The resources for valid values.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard::config::Config;

use crate::helm::{self, Manifests};
use crate::mesh::{Destination, Mesh, list, text};

/// Releases in every state, with every other key that a release may have.
pub const LIFE: &str = r#"
releases:
  - {version: "2.2.0", state: staged}
  - {version: "2.1.0", accepts: ["2.0.*", ">=1.9, <2"]}
  - {version: "2.0.0", route: green, labels: {track: green, tier: shop}}
  - {version: "1.4.2", state: draining, until: "2026-01-31T18:00:00Z"}
  - {version: "1.3.0", state: retired}
  - {version: "1.2.0", state: retired}
  - {version: "1.1.0", state: retired}
  - {version: "1.0.0", state: retired}
current: "2.0.0"
"#;

const API: &str = "api.shop.svc.cluster.local";
const WEB: &str = "web.shop.svc.cluster.local";

#[test]
fn every_release_that_is_not_retired_is_a_subset_of_every_service() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    let rules = manifests.all("DestinationRule");
    assert_eq!(rules.len(), 2);
    for (rule, host) in rules.iter().zip([API, WEB]) {
        assert_eq!(rule["apiVersion"], "networking.istio.io/v1");
        assert_eq!(rule["metadata"]["namespace"], helm::NAMESPACE);
        assert_eq!(rule["spec"]["host"], host);
        assert_eq!(
            list(&rule["spec"]["subsets"])[..4],
            [
                json!({ "name": "v2-2-0", "labels": { "version": "v2-2-0" } }),
                json!({ "name": "v2-1-0", "labels": { "version": "v2-1-0" } }),
                json!({ "name": "green", "labels": { "track": "green", "tier": "shop" } }),
                json!({ "name": "v1-4-2", "labels": { "version": "v1-4-2" } }),
            ]
        );
    }
    Ok(())
}

#[test]
fn the_newest_retired_releases_keep_subsets_and_routes_for_gateways_that_are_behind() -> Result<()>
{
    for (keep, expected) in [
        ("0", &[][..]),
        ("1", &["v1-3-0"]),
        ("3", &["v1-3-0", "v1-2-0", "v1-1-0"]),
    ] {
        let manifests = helm::render(&format!("{LIFE}\nkeepRetired: {keep}"))?;
        let subsets = subsets(&manifests, API)?;
        assert_eq!(subsets[4..], *expected, "keepRetired: {keep}");
        for retired in ["v1-3-0", "v1-2-0", "v1-1-0", "v1-0-0"] {
            let destination = Mesh::of(&manifests).send("/api/cart", &[("x-release", retired)])?;
            let is_kept = destination == Destination::subset(API, retired);
            assert_eq!(
                is_kept,
                expected.contains(&retired),
                "keepRetired: {keep}, {retired}"
            );
        }
    }
    Ok(())
}

#[test]
fn by_default_three_retired_releases_are_kept() -> Result<()> {
    assert_eq!(subsets(&helm::render(LIFE)?, WEB)?.len(), 7);
    Ok(())
}

#[test]
fn a_route_header_leads_to_the_release_s_own_pods_on_every_path() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    for route in ["v2-2-0", "v2-1-0", "green", "v1-4-2"] {
        let headers = [("x-release", route)];
        assert_eq!(
            Mesh::of(&manifests).send("/api/cart", &headers)?,
            Destination::subset(API, route)
        );
        assert_eq!(
            Mesh::of(&manifests).send("/index.html", &headers)?,
            Destination::subset(WEB, route)
        );
    }
    Ok(())
}

#[test]
fn a_missing_route_is_a_dead_end_that_the_plugin_knows_by_name() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    for path in ["/", "/api", "/api/cart", "/apis"] {
        for header in ["v9-9-9", "", "V2-2-0"] {
            let destination = Mesh::of(&manifests).send(path, &[("x-release", header)])?;
            assert_eq!(
                destination,
                Destination::no_cluster("skew-guard-absent"),
                "{path} {header:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_name_of_a_route_contains_its_release_as_a_whole_word() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    assert_eq!(
        route_names(&manifests)?[..9],
        [
            "v2-2-0|/api",
            "v2-1-0|/api",
            "green|/api",
            "v1-4-2|/api",
            "v1-3-0|/api",
            "v1-2-0|/api",
            "v1-1-0|/api",
            "skew-guard-absent",
            "default|/api",
        ]
    );
    Ok(())
}

#[test]
fn requests_without_a_route_header_go_to_current() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    assert_eq!(
        Mesh::of(&manifests).send("/api/cart", &[])?,
        Destination::subset(API, "green")
    );
    assert_eq!(
        Mesh::of(&manifests).send("/", &[])?,
        Destination::subset(WEB, "green")
    );
    Ok(())
}

#[test]
fn the_default_of_weights_is_the_heaviest_release_and_the_first_on_a_tie() -> Result<()> {
    for (weights, expected) in [
        ([10, 90], "v2-0-0"),
        ([90, 10], "v2-1-0"),
        ([50, 50], "v2-1-0"),
        ([0, 1], "v2-0-0"),
    ] {
        let [newer, older] = weights;
        let manifests = helm::render(&format!(
            r#"
            releases: [{{version: "2.1.0"}}, {{version: "2.0.0"}}]
            current: [{{version: "2.1.0", weight: {newer}}}, {{version: "2.0.0", weight: {older}}}]
            config: {{pinCookie: {{name: pin}}}}
            "#
        ))?;
        assert_eq!(
            Mesh::of(&manifests).send("/", &[])?,
            Destination::subset(WEB, expected),
            "{weights:?}"
        );
    }
    Ok(())
}

#[test]
fn without_current_the_default_is_all_pods() -> Result<()> {
    let manifests = helm::render(r#"current: """#)?;
    assert_eq!(
        Mesh::of(&manifests).send("/api", &[])?,
        Destination::all_pods(API)
    );
    assert!(manifests.plugin_config()?.get("current").is_none());
    Ok(())
}

#[test]
fn the_longest_path_wins_and_paths_are_whole_segments() -> Result<()> {
    let manifests = helm::render(
        r#"
        services:
          - {host: web.shop, port: 80, paths: ["/", "/api/docs"]}
          - {host: api.shop, port: 8080, paths: ["/api", "/v1.0"]}
          - {host: pay.shop, port: 8080, paths: ["/api/pay"]}
        "#,
    )?;
    for (path, host) in [
        ("/", "web.shop"),
        ("/apis", "web.shop"),
        ("/api", "api.shop"),
        ("/api/", "api.shop"),
        ("/api/cart", "api.shop"),
        ("/api/payment", "api.shop"),
        ("/api/pay", "pay.shop"),
        ("/api/pay/1", "pay.shop"),
        ("/api/docs/index.html", "web.shop"),
        ("/v1.0/x", "api.shop"),
        ("/v1x0/x", "web.shop"),
    ] {
        for (headers, subset) in [(&[][..], "v2-0-0"), (&[("x-release", "v1-4-2")], "v1-4-2")] {
            assert_eq!(
                Mesh::of(&manifests).send(path, headers)?,
                Destination::subset(host, subset),
                "{path}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_service_without_releases_has_plain_routes_and_no_subsets() -> Result<()> {
    let manifests = helm::render(
        r#"
        services:
          - {host: web.shop, port: 80, paths: ["/"]}
          - {host: auth.shop, port: 9000, paths: ["/auth", "/login"], versioned: false}
        "#,
    )?;
    assert_eq!(
        manifests.one("DestinationRule")?["spec"]["host"],
        "web.shop"
    );
    assert_eq!(
        route_names(&manifests)?[..2],
        ["default|/login", "v2-0-0|/"]
    );
    for header in ["v2-0-0", "v9-9-9"] {
        let destination = Mesh::of(&manifests).send("/auth/token", &[("x-release", header)])?;
        assert_eq!(destination, Destination::all_pods("auth.shop"));
    }
    Ok(())
}

#[test]
fn every_route_has_the_same_cors_policy_and_the_service_s_own_fields() -> Result<()> {
    let manifests = helm::render(
        r#"
        services:
          - {host: web.shop, port: 80, paths: ["/"]}
          - {host: auth.shop, port: 80, paths: ["/auth"], versioned: false, http: {timeout: 2s}}
          - {host: api.shop, port: 8080, paths: ["/api"], http: {timeout: 5s, retries: {attempts: 0}}}
        corsPolicy: {allowOrigins: [{exact: "https://app.example.com"}], allowHeaders: [x-bundle-version], maxAge: 10m}
        "#,
    )?;
    let cors = json!({
        "allowOrigins": [{ "exact": "https://app.example.com" }],
        "allowHeaders": ["x-bundle-version"],
        "maxAge": "10m",
    });
    let routes = routes(&manifests)?;
    assert_eq!(routes.len(), 4 + 1 + 4);
    for route in routes {
        assert_eq!(route["corsPolicy"], cors);
        let (timeout, retries) = match text(&route["route"][0]["destination"]["host"])? {
            "api.shop" => (json!("5s"), json!({ "attempts": 0 })),
            "auth.shop" => (json!("2s"), Value::Null),
            _ => (Value::Null, Value::Null),
        };
        assert_eq!(
            (&route["timeout"], &route["retries"]),
            (&timeout, &retries),
            "{}",
            route["name"]
        );
    }
    Ok(())
}

#[test]
fn a_rewrite_replaces_the_whole_path_of_the_service() -> Result<()> {
    for (path, uri, expected) in [
        ("/api", "/", ["^/api/?", "/"]),
        ("/api", "/v1", ["^/api", "/v1"]),
        ("/api", "/v1/", ["^/api", "/v1"]),
        ("/v1.0", "/v1", [r"^/v1\.0", "/v1"]),
        ("/", "/shop", ["^/", "/shop/"]),
        ("/", "/", ["^/", "/"]),
    ] {
        let manifests = helm::render(&format!(
            r#"services: [{{host: api.shop, port: 80, paths: ["{path}"], http: {{rewrite: {{uri: "{uri}", authority: a.example}}}}}}]"#
        ))?;
        let [regex, replacement] = expected;
        let rewrite = json!({ "authority": "a.example", "uriRegexRewrite": { "match": regex, "rewrite": replacement } });
        for route in routes(&manifests)? {
            assert_eq!(route["rewrite"], rewrite, "{path} to {uri}");
        }
    }
    Ok(())
}

#[test]
fn a_rewrite_of_the_host_alone_stays_as_it_is() -> Result<()> {
    let manifests = helm::render(
        "services: [{host: api.shop, port: 80, paths: [/api], http: {rewrite: {authority: a.example}}}]",
    )?;
    assert_eq!(
        routes(&manifests)?[0]["rewrite"],
        json!({ "authority": "a.example" })
    );
    Ok(())
}

#[test]
fn a_traffic_policy_goes_to_the_service_s_destination_rule() -> Result<()> {
    let manifests = helm::render(
        "services: [{host: api.shop, port: 80, paths: [/], trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}]",
    )?;
    let policy = &manifests.one("DestinationRule")?["spec"]["trafficPolicy"];
    assert_eq!(
        *policy,
        json!({ "connectionPool": { "tcp": { "maxConnections": 7 } } })
    );
    Ok(())
}

#[test]
fn the_routes_are_for_the_hosts_and_gateways_that_are_given() -> Result<()> {
    let manifests = helm::render(
        "hosts: [shop.example.com, '*.shop.example.com']\ngateways: [edge/shop, mesh]",
    )?;
    let spec = &manifests.one("VirtualService")?["spec"];
    assert_eq!(
        spec["hosts"],
        json!(["shop.example.com", "*.shop.example.com"])
    );
    assert_eq!(spec["gateways"], json!(["edge/shop", "mesh"]));
    Ok(())
}

#[test]
fn istioctl_analyze_does_not_report_the_dead_end() -> Result<()> {
    let manifests = helm::render("")?;
    let annotations = &manifests.one("VirtualService")?["metadata"]["annotations"];
    assert_eq!(annotations["galley.istio.io/analyze-suppress"], "IST0101");
    Ok(())
}

#[test]
fn one_route_has_the_revision_in_the_names_of_its_counters() -> Result<()> {
    let manifests = helm::render("config: {revision: 12345678}")?;
    let name = "skew-guard-shop-skew-guard-r12345678";
    let routes = &manifests.one("VirtualService")?["spec"]["http"];
    let counted: Vec<_> = list(routes)
        .iter()
        .flat_map(|route| list(&route["match"]).iter().map(move |on| (route, on)))
        .filter(|(_, on)| !on["statPrefix"].is_null())
        .collect();
    assert!(!counted.is_empty());
    for (route, on) in counted {
        assert_eq!(route["name"], "skew-guard-absent");
        assert_eq!(on["statPrefix"], name);
        assert!(on["uri"].to_string().contains("/api"), "of one route: {on}");
    }
    Ok(())
}

#[test]
fn the_probe_path_of_a_service_that_only_some_releases_have_names_them() -> Result<()> {
    let values = r#"
        services:
          - {host: cart.shop, port: 8080, paths: ["/cart"], releases: ["2.0.0"]}
          - {host: web.shop, port: 80, paths: ["/"], releases: []}
        "#;
    let manifests = helm::render(values)?;
    assert_eq!(
        manifests.one("VirtualService")?["metadata"]["annotations"]["skew-guard/probe-paths"],
        json!([{"path": "/cart", "releases": ["2.0.0"]}, "/"]).to_string()
    );
    Ok(())
}

#[test]
fn the_routes_are_annotated_with_plugin_stat_prefix_and_probe_paths() -> Result<()> {
    let values = r#"
        services:
          - {host: api.shop.svc.cluster.local, port: 8080, paths: ["/api"], probePath: /api/healthz}
          - {host: auth.shop.svc.cluster.local, port: 9000, paths: ["/auth"], versioned: false}
          - {host: web.shop.svc.cluster.local, port: 80, paths: ["/"]}
        plugin: {kind: TrafficExtension, namespace: edge}
        "#;
    let manifests = helm::render(values)?;
    let annotations = &manifests.one("VirtualService")?["metadata"]["annotations"];
    assert_eq!(
        annotations["skew-guard/plugin"],
        "TrafficExtension/edge/shop.skew-guard"
    );
    assert_eq!(
        annotations["skew-guard/stat-prefix"],
        "skew-guard-shop-skew-guard-r1"
    );
    assert_eq!(
        annotations["skew-guard/probe-paths"],
        json!(["/api/healthz", "/"]).to_string()
    );
    let plain = helm::render("enabled: false")?;
    let plain = plain.one("VirtualService")?;
    assert_eq!(
        plain["metadata"]["annotations"]["skew-guard/plugin"],
        Value::Null
    );
    assert!(!plain.to_string().contains("statPrefix"));
    Ok(())
}

#[test]
fn the_plugin_gets_the_same_releases_under_its_own_keys() -> Result<()> {
    let manifests = helm::render(LIFE)?;
    assert_eq!(
        *manifests.plugin_config()?,
        json!({
            "hosts": ["shop.example.com"],
            "releases": [
                { "version": "2.2.0", "route": "v2-2-0", "state": "staged" },
                { "version": "2.1.0", "route": "v2-1-0", "accepts": ["2.0.*", ">=1.9, <2"] },
                { "version": "2.0.0", "route": "green" },
                { "version": "1.4.2", "route": "v1-4-2", "state": "draining", "until": "2026-01-31T18:00:00Z" },
                { "version": "1.3.0", "state": "retired" },
                { "version": "1.2.0", "state": "retired" },
                { "version": "1.1.0", "state": "retired" },
                { "version": "1.0.0", "state": "retired" },
            ],
            "current": "2.0.0",
            "revision": 1,
        })
    );
    Ok(())
}

#[test]
fn every_other_key_of_the_plugin_is_passed_on_as_it_is() -> Result<()> {
    let config = r#"
        routeHeader: X-Shop-Release
        paths: [/api, /shop]
        sources: [{header: x-bundle-version}, {query: dpl}, {path: "/assets/v-{version}/"}, {cookie: c}, {baggage: b}]
        unknownVersion: reload
        minVersion: 1.0.0
        denied: ["1.4.1"]
        pinnedNavigation: [/checkout]
        unpinnedPaths: [/version.json]
        pinCookie: {name: pin, maxAgeSeconds: 31536000, domain: example.com, path: /, sameSite: Lax, secure: true}
        reload: {status: 426, body: {any: [1.5, null]}, clusters: [outbound]}
        cors: {allowOrigins: ["https://app.example.com:8443"], allowCredentials: true}
        hints: false
        vary: false
        assetFallback: false
        upstreamVersion: {responseHeader: x-app-version}
        preview: {sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, header: h, query: q, cookie: p}
        enforce: false
        logOutcome: true
        revision: 12345678
    "#;
    let manifests = helm::render(&format!("config:{config}"))?;
    let given: Value = serde_saphyr::from_str(config)?;
    let rendered = manifests.plugin_config()?;
    for (key, value) in given.as_object().context("an object")? {
        assert_eq!(rendered[key], *value, "{key}");
    }
    assert_loads(&manifests)
}

#[test]
fn the_routes_match_the_plugins_header_in_lower_case() -> Result<()> {
    let manifests = helm::render("config: {routeHeader: X-Shop-Release}")?;
    let destination = Mesh::of(&manifests).send("/", &[("x-shop-release", "v1-4-2")])?;
    assert_eq!(destination, Destination::subset(WEB, "v1-4-2"));
    Ok(())
}

#[test]
fn the_plugin_accepts_the_configuration_that_the_chart_makes() -> Result<()> {
    assert_loads(&helm::render("")?)?;
    assert_loads(&helm::render(LIFE)?)
}

#[test]
fn all_hosts_are_in_scope_only_if_that_is_configured() -> Result<()> {
    let manifests = helm::render("hosts: ['*']\nownsGateway: true")?;
    assert!(manifests.plugin_config()?.get("hosts").is_none());
    assert_eq!(
        manifests.one("VirtualService")?["spec"]["hosts"],
        json!(["*"])
    );
    Ok(())
}

#[test]
fn by_default_a_broken_image_only_bypasses_the_filter() -> Result<()> {
    let manifests = helm::render("")?;
    let plugin = manifests.one("WasmPlugin")?;
    assert_eq!(plugin["spec"]["failStrategy"], "FAIL_OPEN");
    assert_eq!(plugin["spec"]["phase"], "AUTHN");
    Ok(())
}

#[test]
fn the_plugin_is_where_the_gateway_s_pods_are() -> Result<()> {
    let here = helm::render("")?;
    let plugin = here.one("WasmPlugin")?;
    assert_eq!(plugin["metadata"]["namespace"], helm::NAMESPACE);
    assert_eq!(
        plugin["spec"]["selector"]["matchLabels"],
        json!({ "istio": "ingressgateway" })
    );

    let elsewhere = helm::render("selector: {gateway: edge}\nplugin: {namespace: edge}")?;
    let plugin = elsewhere.one("WasmPlugin")?;
    assert_eq!(plugin["metadata"]["namespace"], "edge");
    assert_eq!(
        plugin["spec"]["selector"]["matchLabels"],
        json!({ "gateway": "edge" })
    );
    assert_eq!(
        elsewhere.one("VirtualService")?["metadata"]["namespace"],
        helm::NAMESPACE
    );
    Ok(())
}

#[test]
fn the_module_is_fetched_as_configured() -> Result<()> {
    let sha256 = "a".repeat(64);
    let manifests = helm::render(&format!(
        "plugin: {{url: 'oci://r.example/m:1', sha256: {sha256}, imagePullSecret: s, phase: STATS, failStrategy: FAIL_CLOSE}}"
    ))?;
    let spec = &manifests.one("WasmPlugin")?["spec"];
    assert_eq!(spec["url"], "oci://r.example/m:1");
    assert_eq!(spec["sha256"], *sha256);
    assert_eq!(spec["imagePullSecret"], "s");
    assert_eq!(spec["phase"], "STATS");
    assert_eq!(spec["failStrategy"], "FAIL_CLOSE");
    let default = helm::render("")?;
    let default = default.one("WasmPlugin")?["spec"]
        .as_object()
        .context("a spec")?;
    assert!(!default.contains_key("sha256") && !default.contains_key("imagePullSecret"));
    Ok(())
}

/// The successor has the same fields below `wasm`, except for the selector of the proxies and the place among their filters.
#[test]
fn a_traffic_extension_says_what_a_wasm_plugin_says() -> Result<()> {
    let values = format!(
        "gateways: [mesh]\nhosts: [shop]\nplugin: {{namespace: edge, sha256: {}, imagePullSecret: s, failStrategy: \
         FAIL_CLOSE}}",
        "a".repeat(64)
    );
    let plugin = helm::render(&values)?.one("WasmPlugin")?.clone();
    let manifests =
        helm::render(&values.replace("{namespace", "{kind: TrafficExtension, namespace"))?;
    assert!(manifests.all("WasmPlugin").is_empty());
    let extension = manifests.one("TrafficExtension")?;
    for same in ["apiVersion", "metadata"] {
        assert_eq!(extension[same], plugin[same]);
    }
    let mut flat = extension["spec"].clone();
    let wasm = flat["wasm"].take();
    let fields = flat.as_object_mut().context("a spec")?;
    fields.remove("wasm");
    fields.extend(wasm.as_object().context("a module")?.clone());
    assert_eq!(flat, plugin["spec"]);
    let beside: Vec<_> = object_keys(&extension["spec"]);
    assert_eq!(beside, ["match", "phase", "selector", "wasm"]);
    Ok(())
}

fn object_keys(value: &Value) -> Vec<&str> {
    let keys = value.as_object().into_iter().flatten();
    let mut keys: Vec<_> = keys.map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys
}

/// An emergency exit: the subsets stay, for gateways that still have the routes by header.
#[test]
fn without_the_plugin_every_request_takes_the_default_route_whatever_its_header() -> Result<()> {
    let before = helm::render(LIFE)?;
    let off = helm::render(&format!("{LIFE}\nenabled: false"))?;
    assert!(off.all("WasmPlugin").is_empty());
    assert_eq!(subsets(&off, API)?, subsets(&before, API)?);
    assert_eq!(route_names(&off)?, ["default|/api", "default|/"]);
    for header in ["v2-1-0", "v9-9-9"] {
        assert_eq!(
            Mesh::of(&off).send("/api/cart", &[("x-release", header)])?,
            Destination::subset(API, "green")
        );
    }
    let all_pods = helm::render("current: ''\nenabled: false")?;
    assert_eq!(
        Mesh::of(&all_pods).send("/api/cart", &[])?,
        Destination::all_pods(API)
    );
    Ok(())
}

#[test]
fn only_the_caller_s_sidecar_chooses_the_release() -> Result<()> {
    let sidecars = helm::render("gateways: [mesh]\nhosts: [shop]")?;
    assert_eq!(
        sidecars.one("WasmPlugin")?["spec"]["match"],
        json!([{ "mode": "CLIENT" }])
    );
    let gateway = helm::render("")?;
    assert!(gateway.one("WasmPlugin")?["spec"].get("match").is_none());
    Ok(())
}

#[test]
fn a_route_is_a_dns_label_made_from_the_version() -> Result<()> {
    let long = "9".repeat(64);
    let cut = format!("v{}", "9".repeat(62));
    for (version, route) in [
        ("2.0.0", "v2-0-0"),
        ("2.0.0-rc.1+build.5", "v2-0-0-rc-1-build-5"),
        ("9f86d081", "v9f86d081"),
        ("main-20261121_3", "main-20261121-3"),
        ("Release.2.", "release-2"),
        ("7", "v7"),
        (&long, &cut),
    ] {
        let manifests = helm::render(&format!(
            "releases: [{{version: {version:?}}}]\ncurrent: {version:?}"
        ))?;
        assert_eq!(subsets(&manifests, API)?, [route], "{version}");
        assert_eq!(manifests.plugin_config()?["releases"][0]["route"], route);
    }
    Ok(())
}

#[test]
fn versions_and_routes_that_look_like_other_yaml_types_stay_strings() -> Result<()> {
    for word in [
        "1.10",
        "1e10",
        "0123",
        "0x1f",
        "1_000",
        "on",
        "y",
        "2026-01-31",
    ] {
        let route = word.replace(['.', '_'], "-");
        let manifests = helm::render(&format!(
            "releases: [{{version: {word:?}, route: {route:?}, labels: {{version: {word:?}}}}}]\ncurrent: {word:?}"
        ))?;
        let config = manifests.plugin_config()?;
        assert_eq!(config["current"], word);
        assert_eq!(
            config["releases"],
            json!([{ "version": word, "route": route }])
        );
        let rule = manifests.all("DestinationRule")[0];
        assert_eq!(
            rule["spec"]["subsets"],
            json!([{ "name": route, "labels": { "version": word } }])
        );
        assert_eq!(
            Mesh::of(&manifests).send("/", &[("x-release", &route)])?,
            Destination::subset(WEB, &route)
        );
        assert_loads(&manifests)?;
    }
    Ok(())
}

#[test]
fn as_many_releases_as_the_plugin_accepts_are_rendered() -> Result<()> {
    let served = (0..256).map(|n| format!("  - {{version: \"2.{n}.0\"}}\n"));
    let retired = (0..4096).map(|n| format!("  - {{version: \"1.{n}.0\", state: retired}}\n"));
    let releases: String = served.chain(retired).collect();
    let manifests = helm::render(&format!("releases:\n{releases}current: 2.0.0"))?;
    assert_eq!(
        list(&manifests.plugin_config()?["releases"]).len(),
        256 + 4096
    );
    assert_eq!(subsets(&manifests, API)?.len(), 256 + 3);
    assert_loads(&manifests)
}

fn assert_loads(manifests: &Manifests) -> Result<()> {
    let config = serde_json::to_vec(manifests.plugin_config()?)?;
    if let Err(problems) = Config::load(&config) {
        panic!("the plugin refuses what the chart made: {problems}");
    }
    Ok(())
}

fn routes(manifests: &Manifests) -> Result<&[Value]> {
    Ok(list(&manifests.one("VirtualService")?["spec"]["http"]))
}

fn route_names(manifests: &Manifests) -> Result<Vec<&str>> {
    routes(manifests)?
        .iter()
        .map(|route| text(&route["name"]))
        .collect()
}

fn subsets<'a>(manifests: &'a Manifests, host: &str) -> Result<Vec<&'a str>> {
    let rules = manifests.all("DestinationRule");
    let rule = rules
        .iter()
        .find(|rule| rule["spec"]["host"] == host)
        .context("a DestinationRule")?;
    list(&rule["spec"]["subsets"])
        .iter()
        .map(|subset| text(&subset["name"]))
        .collect()
}

const MONITORED: &str = "podMonitor: {enabled: true, labels: {release: prometheus}}";

#[test]
fn by_default_there_is_no_pod_monitor() -> Result<()> {
    for values in ["", "enabled: false\npodMonitor: {enabled: true}"] {
        assert!(
            helm::render(values)?.all("PodMonitor").is_empty(),
            "{values}"
        );
    }
    Ok(())
}

#[test]
fn a_pod_monitor_scrapes_the_gateways_that_run_the_plugin() -> Result<()> {
    let manifests = helm::render(MONITORED)?;
    let monitor = manifests.one("PodMonitor")?;
    let plugin = manifests.one("WasmPlugin")?;
    for same in ["/metadata/namespace", "/spec/selector"] {
        assert_eq!(monitor.pointer(same), plugin.pointer(same), "{same}");
    }
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["interval"], "15s");
    assert_eq!(endpoint["path"], "/stats/prometheus");
    Ok(())
}

#[test]
fn its_relabelling_rules_are_those_that_are_tested_in_prometheus() -> Result<()> {
    let tried: Value =
        serde_saphyr::from_str(include_str!("../../envoy/observability/relabel.yaml"))?;
    let manifests = helm::render(MONITORED)?;
    let endpoint = &manifests.one("PodMonitor")?["spec"]["podMetricsEndpoints"][0];
    let (keep, rules) = list(&endpoint["metricRelabelings"])
        .split_last()
        .context("rules")?;
    let tried = list(&tried["metric_relabel_configs"]);
    assert_eq!(rules.len(), tried.len());
    for (rule, tried) in rules.iter().zip(tried) {
        for (here, there) in [
            ("sourceLabels", "source_labels"),
            ("regex", "regex"),
            ("targetLabel", "target_label"),
            ("replacement", "replacement"),
        ] {
            assert_eq!(rule[here], tried[there], "{here}");
        }
    }
    assert_eq!(keep["action"], "keep", "no unused metric is kept");
    Ok(())
}
