//! The order in which plain Deployments change their pods: a pod of the new API is up before the first new page,
//! and old ones stay until the last old page.
//!
//! The API's roll-out is held by a time that its new pods are never ready for long enough: they serve, and count as
//! unavailable, so that the controller takes no more old ones away. That is one change with the roll-out itself. (To
//! pause it afterwards would come too late for whoever is killed in between.)

use anyhow::Result;
use serde_json::{Value, json};

use super::manifests::{Intent, Manifests, apply};
use super::run::Run;
use super::service::lacks_ready_pod;
use super::timeout::stop_unless;
use super::workload::Workload;

/// A week, in seconds: longer than anyone leaves a roll-out unfinished.
const ONE_WEEK: u64 = 604_800;

/// A roll-out of plain Deployments.
#[derive(Debug)]
pub struct RollingUpdate<'a> {
    /// Whose Lease is looked at before each change, and while waiting: a roll-out takes minutes, and a rollback may begin
    /// in the meantime.
    pub run: &'a Run<'a>,
    pub manifests: &'a Manifests,
    pub intent: Intent<'a>,
}

impl RollingUpdate<'_> {
    /// Only Deployments that roll can be held.
    pub fn check(&self) -> Result<()> {
        for object in &self.manifests.objects {
            let Some(workload) =
                Workload::of(object).filter(|workload| self.intent.selects(*workload))
            else {
                continue;
            };
            let strategy = object
                .pointer("/spec/strategy/type")
                .and_then(Value::as_str);
            let rolls = workload.is_deployment() && strategy != Some("Recreate");
            stop_unless(rolls, || {
                format!(
                    "{} {} cannot run two releases side by side: --rolling needs Deployments with the strategy RollingUpdate",
                    workload.kind(),
                    workload.name()
                )
            })?;
        }
        Ok(())
    }

    /// Rolls all of it out. Whatever of it an earlier run has done is seen and not done again.
    pub fn run(&self) -> Result<()> {
        self.check()?;
        let everything = &self.manifests.objects;
        let (pages, rest): (Vec<_>, Vec<_>) = everything
            .iter()
            .cloned()
            .partition(|object| self.is_of_pages(object));
        let has_api = rest.iter().any(|object| {
            Workload::of(object).is_some_and(|workload| self.intent.selects(workload))
        });
        if has_api && !pages.is_empty() && !self.is_rolled_out(&pages)? {
            let activity = self
                .run
                .report
                .begin("roll", "starts the API's roll-out, and holds it");
            let held: Vec<_> = rest.iter().map(|object| self.held(object)).collect();
            self.apply(&held)?;
            self.until_api_is_there()?;
            self.run.report.end(&activity, json!({}));
            self.roll("rolls the pages out", &pages)?;
        }
        self.roll("rolls out the rest", everything)
    }

    fn roll(&self, what: &str, objects: &[Value]) -> Result<()> {
        let activity = self.run.report.begin("roll", what);
        self.apply(objects)?;
        let workloads: Vec<_> = objects.iter().filter_map(Workload::of).collect();
        self.run.until("the roll-out", || {
            for workload in &workloads {
                if let Some(missing) = self.missing(*workload)? {
                    return Ok(Some(missing));
                }
            }
            Ok(None)
        })?;
        self.run.report.end(&activity, json!({}));
        Ok(())
    }

    fn apply(&self, objects: &[Value]) -> Result<()> {
        self.run.confirm_lease()?;
        apply(&self.run.kubectl, self.intent.namespace, objects)
    }

    fn until_api_is_there(&self) -> Result<()> {
        let Intent {
            services,
            list,
            version,
            ..
        } = self.intent;
        self.run.until("a pod of the new API", || {
            let of_api = services.iter().filter(|service| !service.is_of_pages);
            lacks_ready_pod(&self.run.kubectl, of_api, list, version)
        })
    }

    fn is_rolled_out(&self, objects: &[Value]) -> Result<bool> {
        for workload in objects.iter().filter_map(Workload::of) {
            if self.missing(workload)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is missing until a workload is as its manifest says.
    fn missing(&self, workload: Workload<'_>) -> Result<Option<String>> {
        let namespace = workload.namespace(self.intent.namespace);
        let there: Option<Value> =
            self.run
                .kubectl
                .object(workload.kind(), namespace, workload.name())?;
        let labels = self.intent.list.labels(self.intent.version);
        Ok(match there.as_ref().and_then(Workload::of) {
            Some(there) if !self.intent.selects(workload) || there.has_pods_with(&labels) => {
                there.missing()
            }
            _ => Some(format!("{} does not exist yet", workload.name())),
        })
    }

    fn held(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let is_held = Workload::of(&object).is_some_and(|workload| self.intent.selects(workload));
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && is_held
        {
            spec.insert("minReadySeconds".to_owned(), json!(ONE_WEEK));
            spec.insert("progressDeadlineSeconds".to_owned(), json!(ONE_WEEK + 1));
        }
        object
    }

    fn is_of_pages(&self, object: &Value) -> bool {
        Workload::of(object).is_some_and(|workload| {
            let mut services = self.intent.services.iter();
            services.any(|service| {
                service.is_of_pages && service.selects(workload, self.intent.namespace)
            })
        })
    }
}
