//! The number of routes: Envoy tries them one by one, and tools refuse resources above a certain size.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::helm::{self, Manifests};
use crate::mesh::{Destination, Mesh, list};

/// Two services with interleaved paths.
const INTERLEAVED: &str = r#"
services:
  - {host: web.shop, port: 80, paths: ["/", "/api/docs", "/help", "/v1.0"]}
  - {host: api.shop, port: 8080, paths: ["/api", "/graphql", "/api/docs/live"]}
"#;

fn routes(manifests: &Manifests) -> Result<usize> {
    let routes = list(&manifests.one("VirtualService")?["spec"]["http"]);
    let conditions = routes.iter().map(|route| list(&route["match"]).len());
    Ok(conditions.sum())
}

#[test]
fn the_paths_of_a_service_are_one_route_of_each_release() -> Result<()> {
    let manifests = helm::render(
        "services: [{host: api.shop, port: 80, paths: [/a, /b, /c, /d.e]}, {host: web.shop, port: 80, paths: [/]}]",
    )?;
    // For each service two releases, the dead end and the default.
    assert_eq!(routes(&manifests)?, 2 * (2 + 2));
    for (path, host) in [
        ("/a", "api.shop"),
        ("/b/x", "api.shop"),
        ("/d.e/x", "api.shop"),
        ("/dxe/x", "web.shop"),
        ("/ab", "web.shop"),
        ("/", "web.shop"),
    ] {
        let destination = Mesh::of(&manifests).send(path, &[("x-release", "v1-4-2")])?;
        assert_eq!(destination, Destination::subset(host, "v1-4-2"), "{path}");
    }
    Ok(())
}

#[test]
fn a_path_below_that_of_another_service_is_tried_first() -> Result<()> {
    let manifests = helm::render(INTERLEAVED)?;
    for (path, host) in [
        ("/api", "api.shop"),
        ("/api/cart", "api.shop"),
        ("/api/docs", "web.shop"),
        ("/api/docs/index.html", "web.shop"),
        ("/api/docs/live", "api.shop"),
        ("/api/docs/live/1", "api.shop"),
        ("/api/docs/lively", "web.shop"),
        ("/graphql", "api.shop"),
        ("/help/1", "web.shop"),
        ("/v1.0/1", "web.shop"),
        ("/apis", "web.shop"),
    ] {
        for (headers, subset) in [(&[][..], "v2-0-0"), (&[("x-release", "v1-4-2")], "v1-4-2")] {
            let destination = Mesh::of(&manifests).send(path, headers)?;
            assert_eq!(destination, Destination::subset(host, subset), "{path}");
        }
    }
    Ok(())
}

#[test]
fn a_path_that_is_rewritten_has_a_route_of_its_own() -> Result<()> {
    let manifests = helm::render(
        "services: [{host: api.shop, port: 80, paths: [/a, /b], http: {rewrite: {uri: /}}}]",
    )?;
    assert_eq!(routes(&manifests)?, 2 * (2 + 2));
    Ok(())
}

#[test]
fn a_service_has_routes_only_for_its_own_releases() -> Result<()> {
    let manifests = helm::render(
        r#"
        services:
          - {host: api.shop, port: 8080, paths: ["/api"]}
          - {host: search.shop, port: 8080, paths: ["/search"], releases: ["2.0.0"]}
          - {host: web.shop, port: 80, paths: ["/"]}
        "#,
    )?;
    let rules = manifests.all("DestinationRule");
    let search = rules
        .iter()
        .find(|rule| rule["spec"]["host"] == "search.shop");
    let search = search.context("a rule")?;
    assert_eq!(list(&search["spec"]["subsets"]).len(), 1);
    let send = |release| Mesh::of(&manifests).send("/search", &[("x-release", release)]);
    assert_eq!(
        send("v2-0-0")?,
        Destination::subset("search.shop", "v2-0-0")
    );
    assert_eq!(
        send("v1-4-2")?,
        Destination::no_cluster("skew-guard-absent")
    );
    let said =
        helm::refusal("services: [{host: api.shop, port: 80, paths: [/], releases: [\"2.0.1\"]}]")?;
    assert!(
        said.contains("- services[0].releases[0]: \"2.0.1\" is not in releases"),
        "{said}"
    );
    Ok(())
}

/// Client-side `kubectl apply` would refuse the routes, but apply the plugin.
#[test]
fn routes_that_are_too_large_for_kubectl_are_refused() -> Result<()> {
    let said = helm::refusal(&releases_and_services(256, 12)?)?;
    assert!(said.contains("the VirtualService has "), "{said}");
    assert!(said.contains("at most 250000 are supported"), "{said}");
    let manifests = helm::render(&releases_and_services(256, 3)?)?;
    let size = manifests.one("VirtualService")?.to_string().len();
    assert!(size < 250_000, "{size} bytes");
    Ok(())
}

fn releases_and_services(releases: usize, services: usize) -> Result<String> {
    let mut values = "current: \"1.0.0\"\nreleases:\n".to_owned();
    for number in 0..releases {
        writeln!(values, "  - {{version: \"1.{number}.0\"}}")?;
    }
    values += "services:\n";
    for number in 0..services {
        writeln!(
            values,
            "  - {{host: s{number}.shop.svc.cluster.local, port: 80, paths: [/api/s{number}]}}"
        )?;
    }
    Ok(values)
}
