//! Helm, and what it renders from the chart.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The Helm release's namespace in every test.
pub const NAMESPACE: &str = "shop";

/// What `helm template` rendered from values.
#[derive(Debug, Clone)]
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// The resources in this YAML.
    pub fn parse(yaml: &str) -> Result<Self> {
        Ok(Self(
            serde_saphyr::from_multiple(yaml).context("manifests are YAML")?,
        ))
    }

    /// All resources of a kind, in order.
    pub fn all(&self, kind: &str) -> Vec<&Value> {
        self.0
            .iter()
            .filter(|resource| resource["kind"] == kind)
            .collect()
    }

    /// The only resource of a kind.
    pub fn one(&self, kind: &str) -> Result<&Value> {
        match self.all(kind).as_slice() {
            [resource] => Ok(resource),
            resources => bail!("{} resources of kind {kind}, not one", resources.len()),
        }
    }

    /// The configuration that the plugin would get.
    pub fn plugin_config(&self) -> Result<&Value> {
        Ok(&self.one("WasmPlugin")?["spec"]["pluginConfig"])
    }
}

/// The resources that the chart renders from values: YAML, merged into those of the example.
pub fn render(values: &str) -> Result<Manifests> {
    Manifests::parse(&succeeded(&template(values)?)?)
}

/// The same for another Helm release, in another namespace.
pub fn render_as(name: &str, namespace: &str, values: &str) -> Result<Manifests> {
    let mut helm = command(&["template", name]);
    helm.arg(chart()).arg("--values").arg(example());
    helm.args(["--namespace", namespace]);
    Manifests::parse(&succeeded(&given(helm, values)?)?)
}

/// What Helm says when it refuses values.
pub fn refusal(values: &str) -> Result<String> {
    let output = template(values)?;
    ensure!(!output.status.success(), "accepted:\n{values}");
    Ok(String::from_utf8(output.stderr)?)
}

/// What Helm says when it refuses values that are merged only into the chart's own.
pub fn refusal_alone(values: &str) -> Result<String> {
    let output = run(&["template"], &[], values)?;
    ensure!(!output.status.success(), "accepted:\n{values}");
    Ok(String::from_utf8(output.stderr)?)
}

/// The example, as Helm prints it.
pub fn template_example() -> Result<String> {
    succeeded(&template("")?)
}

/// What Helm prints after an upgrade.
pub fn notes(values: &str) -> Result<String> {
    let printed = succeeded(&run(
        &["install", "--dry-run=client"],
        &[example()],
        values,
    )?)?;
    let (_, notes) = printed
        .split_once("NOTES:\n")
        .context("Helm printed no notes")?;
    Ok(notes.to_owned())
}

/// What `helm lint` prints.
pub fn lint() -> Result<String> {
    let output = command(&["lint", "--strict", "--values"])
        .arg(example())
        .arg(chart())
        .output()
        .context("running helm")?;
    succeeded(&output)
}

/// Where the chart is.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("istio")
}

fn example() -> PathBuf {
    chart().join("example.yaml")
}

fn template(values: &str) -> Result<Output> {
    run(&["template"], &[example()], values)
}

fn run(verb: &[&str], below: &[PathBuf], values: &str) -> Result<Output> {
    let mut helm = command(verb);
    helm.arg("skew-guard").arg(chart());
    for file in below {
        helm.arg("--values").arg(file);
    }
    helm.args(["--namespace", NAMESPACE]);
    given(helm, values)
}

/// What a Helm command prints for values that it reads from its input.
fn given(mut helm: Command, values: &str) -> Result<Output> {
    let mut helm = helm
        .args(["--values", "-"])
        .spawn()
        .context("running helm; `make test-chart` builds it")?;
    helm.stdin
        .take()
        .context("helm's input")?
        .write_all(values.as_bytes())?;
    Ok(helm.wait_with_output()?)
}

fn command(verb: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap_or(Path::new("target"));
    let mut helm = Command::new(target.join("istio-lab/helm/helm"));
    helm.args(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    helm
}

fn succeeded(output: &Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "helm: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout.clone())?)
}
