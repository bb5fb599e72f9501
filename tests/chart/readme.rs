//! The pages beside the chart: what they show works as shown.

use std::fs;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::Document;

use crate::helm::{self, Manifests};
use crate::mesh::{Destination, Mesh};

/// The pages beside the chart, by their paths from the root of the repository.
fn pages() -> Result<Vec<Document>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(helm::chart())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(Document::read).collect()
}

/// The YAML that the pages show.
fn examples() -> Result<Vec<String>> {
    let pages = pages()?;
    let fences = pages.into_iter().flat_map(|page| page.fences);
    let examples = fences.filter(|fence| fence.language == YAML);
    Ok(examples.map(|fence| fence.text).collect())
}

const YAML: &str = "yaml";

fn is_manifest(example: &str) -> bool {
    example.contains("apiVersion:")
}

#[test]
fn every_example_of_values_renders() -> Result<()> {
    let values: Vec<_> = examples()?
        .into_iter()
        .filter(|example| !is_manifest(example))
        .collect();
    ensure!(values.len() >= 5, "the pages show values: {values:?}");
    for values in values {
        helm::render(&values).with_context(|| values.clone())?;
    }
    Ok(())
}

#[test]
fn values_converted_from_a_virtual_service_route_as_it_did() -> Result<()> {
    let examples = examples()?;
    let place = examples
        .iter()
        .position(|example| is_manifest(example))
        .context("a manifest")?;
    let [yours, values] = examples.get(place..place + 2).context("its values")? else {
        unreachable!("two were asked for")
    };
    let yours = Manifests::parse(yours)?;
    let ours = helm::render(values)?;
    for path in [
        "/",
        "/index.html",
        "/apis",
        "/api/",
        "/api/cart",
        "/auth/token",
        "/authors",
    ] {
        let before = Mesh::of(&yours).send(path, &[])?.host()?.to_owned();
        assert_eq!(Mesh::of(&ours).send(path, &[])?.host()?, before, "{path}");
    }
    assert_eq!(
        Mesh::of(&ours).send("/api/cart", &[])?,
        Destination::subset("api.shop.svc.cluster.local", "v1-4-2")
    );
    Ok(())
}

#[test]
fn the_refusals_shown_are_helms() -> Result<()> {
    let readme = fs::read_to_string(helm::chart().join("README.md"))?;
    let shown: Vec<_> = readme
        .lines()
        .filter(|line| line.starts_with("- at '") || line.starts_with("- current: "))
        .collect();
    ensure!(shown.len() == 2, "two refusals are shown: {shown:?}");
    let number =
        helm::refusal("releases: [{version: \"2.0.0\"}, {version: 1.10}]\ncurrent: \"2.0.0\"")?;
    let draining = helm::refusal(
        "releases: [{version: \"2.1.0\", state: draining}, {version: \"2.0.0\"}]\ncurrent: \"2.1.0\"",
    )?;
    for (shown, said) in shown.into_iter().zip([number, draining]) {
        ensure!(
            said.contains(shown),
            "`{shown}` is not what Helm said:\n{said}"
        );
    }
    Ok(())
}
