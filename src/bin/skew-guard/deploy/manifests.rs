//! The manifests of a release: read, looked through before anything is done with them, and applied.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use skew_guard::config::State;
use skew_guard::version::Version;

use super::list::List;
use super::service::Service;
use super::timeout::{Stop, stop_unless};
use super::workload::{Workload, written};
use crate::cluster::{Kubectl, Scope};
use crate::documents;
use crate::yaml;

/// What is written to the Deployments of a release, so that they, and no others, are deleted with it.
pub const HELM_RELEASE: &str = "skew-guard/helm-release";
pub const RELEASE_NAMESPACE: &str = "skew-guard/release-namespace";
pub const VERSION: &str = "skew-guard/version";

const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Objects to be applied.
#[derive(Clone, Debug)]
pub struct Manifests {
    pub place: PathBuf,
    pub objects: Vec<Value>,
}

impl Manifests {
    /// A file, a folder with files, or a kustomization.
    pub fn read(kubectl: &Kubectl, place: &Path) -> Result<Self> {
        let mut objects = Vec::new();
        if KUSTOMIZATIONS.iter().any(|name| place.join(name).is_file()) {
            let path = place.to_str().context("a path that is not UTF-8")?;
            let built = kubectl.run(["kustomize", path])?;
            collect(&yaml::read(&built)?, &mut objects)?;
        } else {
            for file in files(place)? {
                let roots = documents::roots(&file)?;
                let roots: Vec<_> = roots.iter().map(|root| root.as_ref().clone()).collect();
                collect(&roots, &mut objects).with_context(|| file.display().to_string())?;
            }
        }
        ensure!(
            !objects.is_empty(),
            "{} contains no manifest",
            place.display()
        );
        Ok(Self {
            place: place.to_owned(),
            objects,
        })
    }

    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(Workload::of)
    }

    /// Refuses what would harm, or could not work, before anything is applied.
    pub fn check(&self, kubectl: &Kubectl, intent: &Intent<'_>) -> Result<()> {
        let labels = intent.list.labels(intent.version);
        for object in &self.objects {
            let mut services = intent.services.iter();
            let narrowed = services.find(|service| service.loses_pods_by(object, intent.namespace));
            stop_unless(narrowed.is_none(), || {
                let name = narrowed.map_or("", |service| &service.name);
                format!(
                    "{}: Service {name} gets another selector: applying it would take away the pods of the other releases. The Service is shared by all of them, so leave it out, or leave the release's labels out of its selector (kustomize's commonLabels put them there). Nothing was applied",
                    self.place.display()
                )
            })?;
        }
        let selected: Vec<_> = self
            .workloads()
            .filter(|workload| intent.selects(*workload))
            .collect();
        for workload in &selected {
            stop_unless(workload.has_pods_with(&labels), || {
                format!(
                    "{}: the pods of {} {} lack the labels of {}, {}. Nothing was applied",
                    self.place.display(),
                    workload.kind(),
                    workload.name(),
                    intent.version,
                    written(&labels)
                )
            })?;
        }
        stop_unless(!selected.is_empty(), || {
            format!(
                "{}: nothing in it makes pods of a versioned service with the labels of {}, {}. Nothing was applied",
                self.place.display(),
                intent.version,
                written(&labels)
            )
        })?;
        if !intent.is_rolling {
            for workload in self.workloads() {
                self.check_place(kubectl, workload, intent)?;
            }
        }
        Ok(())
    }

    /// What it would replace must not be the pods of another release that is served.
    fn check_place(
        &self,
        kubectl: &Kubectl,
        workload: Workload<'_>,
        intent: &Intent<'_>,
    ) -> Result<()> {
        let namespace = workload.namespace(intent.namespace);
        let there: Option<Value> = kubectl.object(workload.kind(), namespace, workload.name())?;
        let Some(there) = there.as_ref().and_then(Workload::of) else {
            return Ok(());
        };
        let releases = intent.list.loaded.config.releases.iter();
        let mut served = releases.filter(|release| {
            release.version != *intent.version && release.state != State::Retired
        });
        if let Some(other) =
            served.find(|release| there.has_pods_with(&intent.list.labels(&release.version)))
        {
            bail!(Stop(format!(
                "{}: {} {} exists already and has the pods of {}, which is {}: applying it would remove them. Name the Deployments of each release differently, such as {}-{}, or say --rolling if one Deployment is meant to change its pods. Nothing was applied",
                self.place.display(),
                workload.kind(),
                workload.name(),
                other.version,
                other.state.name(),
                workload.name(),
                intent
                    .list
                    .labels(intent.version)
                    .values()
                    .find_map(Value::as_str)
                    .unwrap_or_default()
            )));
        }
        Ok(())
    }

    /// Applies all of it. The Deployments of the release's own pods are marked as belonging to it; any other, such as a
    /// database's, may be every release's.
    pub fn apply(&self, kubectl: &Kubectl, intent: &Intent<'_>) -> Result<()> {
        apply(kubectl, intent.namespace, &self.marked(intent))
    }

    fn marked(&self, intent: &Intent<'_>) -> Vec<Value> {
        let labels = intent.list.labels(intent.version);
        let objects = self.objects.iter();
        let objects = objects.map(|object| {
            let is_marked = !intent.is_rolling
                && Workload::of(object).is_some_and(|workload| {
                    workload.is_deployment() && workload.has_pods_with(&labels)
                });
            if is_marked {
                marked(object, intent)
            } else {
                object.clone()
            }
        });
        objects.collect()
    }
}

/// What manifests are applied for.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    pub helm_release: &'a str,
    pub namespace: &'a str,
    pub version: &'a Version,
    pub list: &'a List,
    pub services: &'a [Service],
    /// Whether the Deployments are shared by all releases.
    pub is_rolling: bool,
}

impl Intent<'_> {
    /// Whether the pods of a workload are those of a service.
    pub fn selects(&self, workload: Workload<'_>) -> bool {
        let mut services = self.services.iter();
        services.any(|service| service.selects(workload, self.namespace))
    }
}

/// Applies objects, in their order.
pub fn apply(kubectl: &Kubectl, namespace: &str, objects: &[Value]) -> Result<()> {
    let place = |object: &Value| match object.pointer("/metadata/namespace") {
        Some(Value::String(own)) if !own.is_empty() => own.clone(),
        _ => namespace.to_owned(),
    };
    // kubectl refuses an object of another namespace than the one that it is told.
    for objects in objects.chunk_by(|one, other| place(one) == place(other)) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let namespace = objects.first().map_or_else(|| namespace.to_owned(), place);
        let namespace = format!("--namespace={namespace}");
        kubectl
            .run_with(
                ["apply", &namespace, "--filename=-"],
                list.to_string().as_bytes(),
            )
            .context("cannot apply the manifests")?;
    }
    Ok(())
}

fn marked(object: &Value, intent: &Intent<'_>) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if !annotations.is_object() {
            *annotations = Value::Object(Map::new());
        }
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(HELM_RELEASE.to_owned(), json!(intent.helm_release));
            annotations.insert(RELEASE_NAMESPACE.to_owned(), json!(intent.namespace));
            annotations.insert(VERSION.to_owned(), json!(intent.version.as_str()));
        }
    }
    object
}

/// The Deployments in a namespace.
pub fn deployments(kubectl: &Kubectl, namespace: &str) -> Result<Vec<Value>> {
    let listed: Vec<Value> = kubectl.list("deployments", Scope::Namespace(namespace), "")?;
    // Items of a list do not say their kind.
    Ok(listed
        .into_iter()
        .map(|mut deployment| {
            if let Some(deployment) = deployment.as_object_mut() {
                deployment.insert("kind".to_owned(), json!("Deployment"));
            }
            deployment
        })
        .collect())
}

fn files(place: &Path) -> Result<Vec<PathBuf>> {
    let cannot_read = || format!("cannot read {}", place.display());
    if !place.is_dir() {
        std::fs::metadata(place).with_context(cannot_read)?;
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(place).with_context(cannot_read)? {
        let path = entry.with_context(cannot_read)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects in documents, those of lists too; empty documents are none.
fn collect(documents: &[yaml::Node], objects: &mut Vec<Value>) -> Result<()> {
    for document in documents {
        let object: Value = serde_json::from_str(&document.to_json())?;
        match object.get("items").and_then(Value::as_array) {
            Some(items) if object.get("kind") == Some(&json!("List")) => {
                objects.extend(items.iter().cloned());
            }
            _ if object.is_null() => {}
            _ => {
                let is_object = object.get("kind").is_some_and(Value::is_string)
                    && object
                        .pointer("/metadata/name")
                        .is_some_and(Value::is_string);
                ensure!(
                    is_object,
                    "line {}: not a Kubernetes object: it has no kind, or no metadata.name",
                    document.line
                );
                objects.push(object);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_in_documents_and_in_lists() -> Result<()> {
        let text = "kind: Service\nmetadata: {name: a}\n---\n---\nkind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: b}\n";
        let mut objects = Vec::new();
        collect(&yaml::read(text)?, &mut objects)?;
        let names: Vec<_> = objects
            .iter()
            .filter_map(|object| object.pointer("/metadata/name")?.as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        Ok(())
    }

    #[test]
    fn only_the_deployments_of_the_releases_own_pods_are_marked() -> Result<()> {
        let deployment = |name: &str, labels: Value| {
            json!({"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": {
                "metadata": {"labels": labels}, "spec": {"containers": []},
            }}})
        };
        let manifests = Manifests {
            place: PathBuf::from("k8s"),
            objects: vec![
                deployment("api-v2", json!({"app": "api", "version": "v2-0-0"})),
                deployment("redis", json!({"app": "redis"})),
            ],
        };
        let list = List::new(
            1,
            json!({"releases": [{"version": "2.0.0"}], "current": "2.0.0"}),
        )?;
        let version = Version::parse(b"2.0.0").context("a version")?;
        let marked = manifests.marked(&Intent {
            helm_release: "shop",
            namespace: "front",
            version: &version,
            list: &list,
            services: &[],
            is_rolling: false,
        });
        let annotations: Vec<_> = marked
            .iter()
            .map(|object| object.pointer("/metadata/annotations").cloned())
            .collect();
        let own = json!({HELM_RELEASE: "shop", RELEASE_NAMESPACE: "front", VERSION: "2.0.0"});
        assert_eq!(annotations, [Some(own), None]);
        Ok(())
    }

    #[test]
    fn what_is_no_object_is_named_with_its_line() -> Result<()> {
        let said = collect(&yaml::read("\nreplicas: 3\n")?, &mut Vec::new());
        let said = said.map_err(|error| error.to_string());
        assert_eq!(
            said,
            Err("line 2: not a Kubernetes object: it has no kind, or no metadata.name".to_owned())
        );
        Ok(())
    }
}
