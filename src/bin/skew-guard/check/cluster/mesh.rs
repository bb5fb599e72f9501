//! What has to be right in Istio itself: its version, and the tags of the counters.

use serde::Deserialize;

use super::Finding;
use crate::cluster::objects::Pod;
use crate::cluster::{Gateways, Installation, Kubectl, Problem, Scope};
use crate::yaml;

/// The lines that the chart is tested with.
const OLDEST: semver::Version = semver::Version::new(1, 24, 0);
/// The first that knows a TrafficExtension.
const EXTENSIONS: semver::Version = semver::Version::new(1, 30, 0);

/// Without these the counters cannot be told apart.
const TAGS: [&str; 5] = ["release", "outcome", "class", "answer", "plugin"];

#[derive(Deserialize)]
struct MeshConfig {
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    mesh: String,
}

pub fn findings(
    kubectl: &Kubectl,
    installation: &Installation,
    gateways: &Gateways,
) -> Result<Vec<Finding>, Problem> {
    let mut findings = versions(kubectl, installation, &gateways.root_namespace)?;
    findings.extend(tags(kubectl, installation, gateways)?);
    Ok(findings)
}

fn versions(
    kubectl: &Kubectl,
    installation: &Installation,
    root_namespace: &str,
) -> Result<Vec<Finding>, Problem> {
    let scope = Scope::Namespace(root_namespace);
    let istiods: Vec<Pod> = kubectl.list("pods", scope, "app=istiod")?;
    let mut versions: Vec<_> = istiods
        .iter()
        .flat_map(|pod| &pod.spec.containers)
        .filter_map(|container| version(&container.image))
        .collect();
    versions.sort();
    versions.dedup();
    let (Some(oldest), Some(newest)) = (versions.first(), versions.last()) else {
        return Ok(vec![Finding::Unseen(format!(
            "the version of Istio: no app=istiod pod in namespace {root_namespace} has it in the name of its image"
        ))]);
    };
    let mut findings = Vec::new();
    if oldest < &OLDEST {
        findings.push(Finding::Warning(format!(
            "istiod is {oldest}; nothing before {OLDEST} has been tested"
        )));
    }
    if oldest != newest {
        findings.push(Finding::Warning(format!(
            "istiod is {oldest} and {newest}: one of them may send gateways what the other does not know"
        )));
    }
    let kinds = installation.plugins.iter();
    if oldest < &EXTENSIONS
        && kinds
            .clone()
            .any(|plugin| plugin.kind == "TrafficExtension")
    {
        findings.push(Finding::Problem(format!(
            "istiod {oldest} does not know TrafficExtension, so none of its gateways runs the plugin. Set plugin.kind: WasmPlugin"
        )));
    }
    Ok(findings)
}

/// Of `docker.io/istio/pilot:1.24.2-distroless@sha256:…`.
fn version(image: &str) -> Option<semver::Version> {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let (_, tag) = image.rsplit_once(':')?;
    let number = tag.split('-').next()?;
    semver::Version::parse(number).ok()
}

/// They are read when a gateway starts: from the mesh's configuration, and from an annotation of the pod. Where Prometheus
/// makes the labels while it scrapes, no gateway has to know them.
fn tags(
    kubectl: &Kubectl,
    installation: &Installation,
    gateways: &Gateways,
) -> Result<Vec<Finding>, Problem> {
    if installation.has_pod_monitor {
        return Ok(Vec::new());
    }
    let root = &gateways.root_namespace;
    let mesh: Option<MeshConfig> = kubectl.object("configmaps", root, "istio")?;
    let of_mesh = mesh.map(|mesh| tags_in(&mesh.data.mesh, &["defaultConfig", "extraStatTags"]));
    let pods = gateways.list(kubectl, installation)?;
    let findings = pods.iter().filter_map(|gateway| {
        let own = gateway.annotations.get("proxy.istio.io/config");
        let own = own.map(|config| tags_in(config, &["extraStatTags"]));
        let own = own.filter(|tags| !tags.is_empty());
        let Some(known) = own.as_ref().or(of_mesh.as_ref()) else {
            return Some(Finding::Unseen(format!(
                "extraStatTags of {gateway}: there is no ConfigMap istio in namespace {root}"
            )));
        };
        let is_missing = |tag: &&str| !known.iter().any(|known| known == tag);
        let missing: Vec<_> = TAGS.into_iter().filter(is_missing).collect();
        (!missing.is_empty()).then(|| {
            Finding::Warning(format!(
                "{gateway} does not know the tags {}: rules and dashboards cannot tell its counters apart, unless Prometheus makes labels of them while it scrapes. Set podMonitor.enabled, or list them under extraStatTags",
                missing.join(", ")
            ))
        })
    });
    Ok(findings.collect())
}

fn tags_in(text: &str, at: &[&str]) -> Vec<String> {
    let documents = yaml::read(text).unwrap_or_default();
    let listed = documents.first().and_then(|config| config.below(at));
    let listed = listed.map_or(&[][..], yaml::Node::items);
    listed
        .iter()
        .filter_map(|tag| tag.text().map(str::to_owned))
        .collect()
}
