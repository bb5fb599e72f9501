//! What of Istio itself has to fit: its version, and the tags of the counters.

use serde::Deserialize;

use super::Finding;
use crate::cluster::objects::Pod;
use crate::cluster::{Installation, Kubectl, Problem, Scope};
use crate::yaml;

/// The lines that the chart is tested with.
const OLDEST: semver::Version = semver::Version::new(1, 24, 0);
/// The first that knows a TrafficExtension.
const EXTENSIONS: semver::Version = semver::Version::new(1, 30, 0);

/// Without these the counters cannot be told apart.
const TAGS: [&str; 5] = ["release", "outcome", "class", "sight", "plugin"];

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
    root_namespace: &str,
) -> Result<Vec<Finding>, Problem> {
    let mut findings = versions(kubectl, installation, root_namespace)?;
    findings.extend(tags(kubectl, installation, root_namespace)?);
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
            "the version of Istio: no pod app=istiod in namespace {root_namespace} says it by its image"
        ))]);
    };
    let mut findings = Vec::new();
    if oldest < &OLDEST {
        findings.push(Finding::Warning(format!(
            "istiod is {oldest}, and nothing before {OLDEST} was tried"
        )));
    }
    if oldest != newest {
        findings.push(Finding::Warning(format!(
            "istiod is {oldest} and {newest}: gateways of the one learn what the other does not know"
        )));
    }
    let kinds = installation.plugins.iter();
    if oldest < &EXTENSIONS
        && kinds
            .clone()
            .any(|plugin| plugin.kind == "TrafficExtension")
    {
        findings.push(Finding::Problem(format!(
            "istiod {oldest} knows no TrafficExtension, so that no gateway of it runs the plugin. Set plugin.kind: WasmPlugin"
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

/// They are read when a gateway starts: from the mesh's configuration, and from an annotation of the pod.
fn tags(
    kubectl: &Kubectl,
    installation: &Installation,
    root_namespace: &str,
) -> Result<Vec<Finding>, Problem> {
    let mesh: Option<MeshConfig> = kubectl.object("configmaps", root_namespace, "istio")?;
    let of_mesh = mesh.map(|mesh| tags_in(&mesh.data.mesh, &["defaultConfig", "extraStatTags"]));
    let mut findings = Vec::new();
    for plugin in &installation.plugins {
        let labels = crate::cluster::objects::selector(&plugin.selector);
        let pods: Vec<Pod> = kubectl.list("pods", Scope::Namespace(&plugin.namespace), &labels)?;
        for pod in pods {
            let own = pod.metadata.annotations.get("proxy.istio.io/config");
            let own = own.map(|config| tags_in(config, &["extraStatTags"]));
            let known = match (own, of_mesh.clone()) {
                (Some(own), _) if !own.is_empty() => own,
                (_, Some(of_mesh)) => of_mesh,
                _ => {
                    findings.push(Finding::Unseen(format!(
                        "extraStatTags of {}/{}: there is no ConfigMap istio in namespace {root_namespace}",
                        pod.metadata.namespace, pod.metadata.name
                    )));
                    continue;
                }
            };
            let missing: Vec<_> = TAGS
                .into_iter()
                .filter(|tag| !known.iter().any(|known| known == tag))
                .collect();
            if !missing.is_empty() {
                findings.push(Finding::Warning(format!(
                    "{}/{} does not know the tags {}: the counters cannot be told apart. List them under extraStatTags",
                    pod.metadata.namespace,
                    pod.metadata.name,
                    missing.join(", ")
                )));
            }
        }
    }
    Ok(findings)
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
