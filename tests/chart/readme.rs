//! What the chart's README shows works as it stands there.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::helm::{self, Manifests};
use crate::mesh::{Destination, Mesh};

/// The YAML that the README shows.
fn examples() -> Result<Vec<String>> {
    let readme = fs::read_to_string(helm::chart().join("README.md"))?;
    let mut examples = Vec::new();
    let mut rest = readme.as_str();
    while let Some((_, begun)) = rest.split_once("```yaml\n") {
        let (example, after) = begun.split_once("```").context("an end of the example")?;
        examples.push(unindented(example));
        rest = after;
    }
    Ok(examples)
}

/// An example in a list stands as far to the right as the list's text.
fn unindented(example: &str) -> String {
    let indent = example.len() - example.trim_start().len();
    let lines = example
        .lines()
        .map(|line| line.get(indent..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn is_manifest(example: &str) -> bool {
    example.contains("apiVersion:")
}

#[test]
fn every_example_of_values_renders() -> Result<()> {
    let values: Vec<_> = examples()?
        .into_iter()
        .filter(|example| !is_manifest(example))
        .collect();
    ensure!(values.len() >= 5, "the README shows values: {values:?}");
    for values in values {
        helm::render(&values).with_context(|| values.clone())?;
    }
    Ok(())
}

#[test]
fn the_values_made_from_a_virtual_service_route_as_it_did() -> Result<()> {
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
