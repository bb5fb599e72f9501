//! A release on loopback: it runs the workflow's commands, but with a registry of its own, a key instead of the
//! workflow's identity, and no transparency log. What only GitHub can do (its attestations, the page of the release)
//! is not tested.
//!
//! `make release-dry-run` builds what it needs and runs it.

mod rehearsal;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use skew_guard_lab::markdown::Document;

use crate::rehearsal::{Rehearsal, printed, refused};

#[test]
fn every_workflow_passes_actionlint() -> Result<()> {
    printed(&mut rehearsal::tool("actionlint"))?;
    Ok(())
}

/// A tag can be moved; a commit cannot.
#[test]
fn every_action_is_named_by_its_commit() -> Result<()> {
    let mut named = 0;
    for entry in fs::read_dir(rehearsal::repository().join(".github/workflows"))? {
        let workflow = fs::read_to_string(entry?.path())?;
        for line in workflow.lines().filter(|line| line.contains("uses:")) {
            let commit = line.split(['@', ' ']).find(|word| word.len() == 40);
            let commit = commit.with_context(|| line.to_owned())?;
            ensure!(
                commit.chars().all(|digit| digit.is_ascii_hexdigit()),
                "{line}"
            );
            named += 1;
        }
    }
    ensure!(named > 0, "the workflows use actions");
    Ok(())
}

#[test]
fn a_tag_that_differs_from_the_version_in_the_files_is_refused() -> Result<()> {
    let said = refused(&mut rehearsal::make(&["release-check", "TAG=v9.9.9"]))?;
    ensure!(said.contains("Cargo.toml"), "{said}");
    ensure!(said.contains("CHANGELOG.md"), "{said}");
    Ok(())
}

#[test]
fn a_chart_that_is_pulled_installs_the_pushed_image_by_digest() -> Result<()> {
    let rehearsal = Rehearsal::get()?;
    let folder = tempfile::tempdir()?;
    let mut pull = rehearsal.helm();
    pull.args(["pull", "--plain-http", "--untar", "--destination"])
        .arg(folder.path())
        .arg(format!("oci://{}/skew-guard", rehearsal.charts))
        .args(["--version", env!("CARGO_PKG_VERSION")]);
    printed(&mut pull)?;

    let values = fs::read_to_string(rehearsal::repository().join("istio/example.yaml"))?;
    let (values, _) = values.split_once("plugin:").context("the example's end")?;
    let file = folder.path().join("shop.yaml");
    fs::write(&file, values)?;
    let mut template = rehearsal.helm();
    template
        .args(["template", "shop"])
        .arg(folder.path().join("skew-guard"))
        .arg("--values")
        .arg(file);
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&printed(&mut template)?)?;
    let plugin = manifests
        .iter()
        .find(|manifest| manifest["kind"] == "WasmPlugin");
    let url = &plugin.context("a plugin")?["spec"]["url"];
    ensure!(
        *url == format!("oci://{}@{}", rehearsal.image, rehearsal.digest),
        "{url}"
    );
    Ok(())
}

#[test]
fn image_and_chart_are_signed_and_other_images_are_not() -> Result<()> {
    let rehearsal = Rehearsal::get()?;
    for signed in [rehearsal.pinned_image(), rehearsal.pinned_chart()?] {
        printed(rehearsal.verify("verify").arg(signed))?;
    }
    let unsigned = rehearsal.push_another()?;
    let said = refused(rehearsal.verify("verify").arg(unsigned))?;
    ensure!(said.contains("no signatures found"), "{said}");
    Ok(())
}

/// With a key instead of the workflow's identity.
#[test]
fn the_command_in_the_security_policy_verifies_what_the_workflow_signs() -> Result<()> {
    let rehearsal = Rehearsal::get()?;
    let policy = Document::read("SECURITY.md")?;
    let command = policy.fence("sh")?.text.replace("\\\n", " ");
    let words: Vec<_> = command.split_whitespace().collect();
    let [
        "cosign",
        "verify",
        image,
        "--certificate-oidc-issuer",
        _,
        "--certificate-identity",
        identity,
    ] = words[..]
    else {
        bail!("another command: {command}");
    };
    let signer = "/skew-guard/.github/workflows/release.yml@refs/tags/v";
    ensure!(identity.contains(signer), "{identity}");
    ensure!(
        rehearsal::repository()
            .join(".github/workflows/release.yml")
            .is_file()
    );
    let digest = rehearsal.digest.digits();
    let (name, _) = rehearsal.image.rsplit_once(':').context("a tag")?;
    let image = image
        .replace("ghcr.io/OWNER/skew-guard", name)
        .replace("DIGEST", digest);
    printed(rehearsal.verify("verify").arg(image))?;
    Ok(())
}

#[test]
fn the_image_has_a_signed_bill_of_materials() -> Result<()> {
    let rehearsal = Rehearsal::get()?;
    let mut verify = rehearsal.verify("verify-attestation");
    verify.args(["--type", "cyclonedx", &rehearsal.pinned_image()]);
    printed(&mut verify)?;
    let bill = fs::read(rehearsal.files().join("skew-guard.cdx.json"))?;
    let bill: Value = serde_json::from_slice(&bill)?;
    let parts = bill["components"].as_array().context("components")?;
    ensure!(
        parts.iter().any(|part| part["name"] == "proxy-wasm"),
        "what the module is made of is listed"
    );
    Ok(())
}

#[test]
fn the_tool_matches_its_signed_checksums_and_runs() -> Result<()> {
    let rehearsal = Rehearsal::get()?;
    let files = rehearsal.files();
    let mut blob = rehearsal.verify("verify-blob");
    blob.current_dir(&files)
        .args(["--bundle", "SHA256SUMS.sigstore.json", "SHA256SUMS"]);
    printed(&mut blob)?;
    let mut check = Command::new("sha256sum");
    check
        .current_dir(&files)
        .args(["--check", "--strict", "SHA256SUMS"]);
    let checked = printed(&mut check)?;
    for machine in ["x86_64", "aarch64"] {
        ensure!(
            checked.contains(&format!("{machine}-unknown-linux-musl.tar.gz: OK")),
            "{checked}"
        );
    }
    let folder = tempfile::tempdir()?;
    let here = format!(
        "skew-guard-{}-{}-unknown-linux-musl.tar.gz",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    let mut unpack = Command::new("tar");
    unpack
        .current_dir(folder.path())
        .args(["--extract", "--file"])
        .arg(files.join(here));
    printed(&mut unpack)?;
    let said = printed(Command::new(folder.path().join("skew-guard")).arg("--version"))?;
    ensure!(
        said.trim() == concat!("skew-guard ", env!("CARGO_PKG_VERSION")),
        "{said}"
    );
    Ok(())
}
