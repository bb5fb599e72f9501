//! The Roles in the chart's folder, given to a user, and which of their rights that user needs.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, User};

use crate::chart;

/// A right that a Role gives, or that was used: namespace ("" for all), resource, verb.
pub type Right = (String, String, String);

/// The Roles of a file, in force.
pub struct Roles<'a> {
    cluster: &'a Cluster,
    user: User,
    objects: Vec<Value>,
}

impl<'a> Roles<'a> {
    /// Gives a user the Roles of that file, where the application and the gateways are in these namespaces.
    pub async fn give(
        cluster: &'a Cluster,
        user: User,
        file: &str,
        (application, gateways): (&str, &str),
    ) -> Result<Self> {
        let written = fs::read_to_string(chart::directory().join(file))?
            .replace("namespace: shop", &format!("namespace: {application}"))
            .replace(
                "namespace: istio-ingress",
                &format!("namespace: {gateways}"),
            );
        let objects = serde_saphyr::from_multiple(&written).context("Roles")?;
        let roles = Self {
            cluster,
            user,
            objects,
        };
        ensure!(roles.rights().len() > 4, "{file} is read");
        roles.restore().await?;
        Ok(roles)
    }

    /// Puts them in force as they are written.
    pub async fn restore(&self) -> Result<()> {
        self.apply(&self.objects).await
    }

    /// Takes one right away.
    pub async fn take_away(&self, resource: &str, verb: &str) -> Result<()> {
        let mut objects = self.objects.clone();
        let rules = objects
            .iter_mut()
            .filter_map(|object| object.get_mut("rules")?.as_array_mut())
            .flatten();
        for rule in rules.filter(|rule| strings(&rule["resources"]) == [resource]) {
            let verbs = strings(&rule["verbs"]).into_iter();
            rule["verbs"] = verbs.filter(|given| given != verb).collect();
        }
        ensure!(objects != self.objects, "nobody has {verb} of {resource}");
        self.apply(&objects).await
    }

    async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        self.cluster.kubernetes().apply(&list).await
    }

    /// What they allow.
    fn rights(&self) -> BTreeSet<Right> {
        let roles = self.objects.iter().filter(|object| {
            let kind = object["kind"].as_str();
            matches!(kind, Some("Role" | "ClusterRole"))
        });
        let mut rights = BTreeSet::new();
        for role in roles {
            let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
            for rule in role["rules"].as_array().into_iter().flatten() {
                for resource in strings(&rule["resources"]) {
                    for verb in strings(&rule["verbs"]) {
                        rights.insert((namespace.to_owned(), resource.clone(), verb));
                    }
                }
            }
        }
        rights
    }

    /// Makes sure that nothing was forbidden, and returns the rights that were never used.
    pub fn unused(&self) -> Result<BTreeSet<Right>> {
        let events = self.cluster.kubernetes().audit(self.user)?;
        let forbidden = events
            .iter()
            .filter(|event| event["responseStatus"]["code"] == 403);
        let forbidden: BTreeSet<_> = forbidden
            .map(|event| format!("{} {}", event["verb"], event["requestURI"]))
            .collect();
        ensure!(forbidden.is_empty(), "forbidden: {forbidden:#?}");
        let used: BTreeSet<Right> = events.iter().filter_map(used).collect();
        ensure!(!used.is_empty(), "{:?} has asked for something", self.user);
        Ok(self
            .rights()
            .into_iter()
            .filter(|right| !used.iter().any(|used| is_by(right, used)))
            .collect())
    }
}

/// Whether that right covers the one that was used.
fn is_by(right: &Right, used: &Right) -> bool {
    let (namespace, resource, verb) = right;
    let is_there = namespace.is_empty() || *namespace == used.0;
    is_there && *resource == used.1 && *verb == used.2
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The right by which a request was allowed.
fn used(event: &Value) -> Option<Right> {
    let object = event.get("objectRef")?;
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let resource = match text("subresource").as_str() {
        "" => text("resource"),
        below => format!("{}/{below}", text("resource")),
    };
    let verb = event["verb"].as_str()?.to_owned();
    Some((text("namespace"), resource, verb))
}
