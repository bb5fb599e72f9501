//! What makes pods, in manifests and in the cluster.

use serde_json::{Map, Value};

/// An object that makes pods.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a>(&'a Value);

type Labels = Map<String, Value>;

impl<'a> Workload<'a> {
    /// Of an object that makes pods and keeps them; anything else is none.
    pub fn of(object: &'a Value) -> Option<Self> {
        object
            .pointer("/spec/template/spec/containers")
            .filter(|_| object.pointer("/kind").and_then(Value::as_str) != Some("Job"))
            .map(|_| Self(object))
    }

    pub fn kind(self) -> &'a str {
        self.text("/kind")
    }

    pub fn name(self) -> &'a str {
        self.text("/metadata/name")
    }

    pub fn is_deployment(self) -> bool {
        self.kind() == "Deployment"
    }

    /// Where it is, or will be put where it does not say.
    pub fn namespace(self, default: &'a str) -> &'a str {
        match self.text("/metadata/namespace") {
            "" => default,
            namespace => namespace,
        }
    }

    /// Whether its pods have these labels; all pods have none.
    pub fn has_pods_with(self, labels: &Labels) -> bool {
        has_labels(self.0.pointer("/spec/template/metadata/labels"), labels)
    }

    /// What is missing until all of its pods are the new ones and available, as `kubectl rollout status` says it.
    pub fn missing(self) -> Option<String> {
        let number = |path| self.0.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let wanted = self
            .0
            .pointer("/spec/replicas")
            .map_or(1, |_| number("/spec/replicas"));
        let (updated, all) = (
            number("/status/updatedReplicas"),
            number("/status/replicas"),
        );
        let available = number("/status/availableReplicas");
        let name = self.name();
        if number("/status/observedGeneration") < number("/metadata/generation") {
            Some(format!("{name} has not been seen by its controller yet"))
        } else if updated < wanted {
            Some(format!("{name} has {updated} of {wanted} new pods"))
        } else if all > updated {
            Some(format!("{name} still has {} old pods", all - updated))
        } else if available < wanted {
            Some(format!(
                "{name}: {available} of {wanted} pods are available"
            ))
        } else {
            None
        }
    }

    fn text(self, path: &str) -> &'a str {
        self.0
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Whether these labels are among those.
pub fn has_labels(those: Option<&Value>, these: &Labels) -> bool {
    these
        .iter()
        .all(|(name, value)| those.and_then(|those| those.get(name)) == Some(value))
}

/// Labels as kubectl selects by them, and as people read them.
pub fn written(labels: &Labels) -> String {
    let pairs = labels.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"name": "api", "generation": 2},
            "spec": {"replicas": 3, "template": {
                "metadata": {"labels": {"app": "api", "version": "v2"}}, "spec": {"containers": []},
            }},
            "status": status,
        })
    }

    #[test]
    fn a_roll_out_is_over_when_every_pod_is_new_and_available() {
        let missing = |status| {
            let deployment = deployment(status);
            Workload::of(&deployment).and_then(Workload::missing)
        };
        let seen = |updated, all, available| {
            missing(json!({
                "observedGeneration": 2, "updatedReplicas": updated, "replicas": all, "availableReplicas": available,
            }))
        };
        assert_eq!(
            missing(json!({})).as_deref(),
            Some("api has not been seen by its controller yet")
        );
        assert_eq!(seen(1, 4, 3).as_deref(), Some("api has 1 of 3 new pods"));
        assert_eq!(seen(3, 4, 4).as_deref(), Some("api still has 1 old pods"));
        assert_eq!(
            seen(3, 3, 2).as_deref(),
            Some("api: 2 of 3 pods are available")
        );
        assert_eq!(seen(3, 3, 3), None);
    }

    #[test]
    fn pods_are_told_by_all_of_their_labels() {
        let deployment = deployment(json!({}));
        let has = |labels: Value| {
            let labels = labels.as_object().cloned().unwrap_or_default();
            Workload::of(&deployment).is_some_and(|workload| workload.has_pods_with(&labels))
        };
        assert!(has(json!({"version": "v2"})));
        assert!(!has(json!({"version": "v2", "app": "web"})));
        assert!(!has(json!({"version": "v1"})));
    }
}
