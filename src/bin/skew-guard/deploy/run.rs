//! One step after another: reads the cluster, decides what to do next, and does it.

mod plan;

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use skew_guard::config::State;
use skew_guard::rollout::{LoadedConfig, NextStep, ObservedState, Refusal, changes};

use super::chart::Chart;
use super::gateways::Watch;
use super::helm::{Helm, Revision, Upgrade, UpgradeError};
use super::lease::{Lease, Takeover};
use super::list::{self, List};
use super::manifests::{self, HELM_RELEASE, RELEASE_NAMESPACE, VERSION};
use super::module;
use super::options::Options;
use super::report::Report;
use super::service::{Service, lacks_ready_pod};
use super::storage;
use super::timeout::{POLL_INTERVAL, Stop, Timeout, is_transient};
use super::workload::Workload;
use crate::cluster::Kubectl;
use crate::seconds;

/// A Helm at work needs this long at most; one that was killed says forever that it is at work.
const HELM_TIMEOUT: Duration = Duration::from_secs(20);

/// How often someone else may be faster.
const MAX_CONFLICTS: u32 = 3;

/// What is to be done with a Helm release, from its Lease to its last step.
#[derive(Debug)]
pub struct Run<'a> {
    pub kubectl: Kubectl,
    pub helm: Helm,
    pub report: &'a Report,
    options: &'a Options,
    lease: Option<Lease>,
    chart: Option<Chart>,
    /// The revision that every gateway was seen to have.
    in_force: Option<u64>,
    /// Someone else's revision, from which a person said to continue.
    accepted: Option<u64>,
    conflicts: u32,
    known: Vec<List>,
    watch: Watch,
    /// How many changes were rolled out.
    pub upgrades: u32,
}

/// The Helm release as it was found.
#[derive(Clone, Debug)]
pub struct HelmState {
    pub newest: List,
    pub earlier: Vec<List>,
    pub is_complete: bool,
}

impl HelmState {
    /// What of it the next step is chosen by.
    fn earlier_configs(&self) -> Vec<LoadedConfig> {
        self.earlier
            .iter()
            .map(|list| list.loaded.clone())
            .collect()
    }
}

/// What chooses the next step.
pub trait Workflow {
    /// The next step. `settings` is the newest list with the team's own values, where these are others.
    fn next(
        &mut self,
        observed: &ObservedState<'_>,
        settings: Option<&LoadedConfig>,
        found: &HelmState,
    ) -> Result<Result<NextStep, Refusal>>;

    /// Refuses what cannot succeed, before anything is changed.
    fn prepare(&mut self, _: &Run<'_>, _: &HelmState) -> Result<()> {
        Ok(())
    }

    /// Does what only a deployment has: applying, waiting for pods, probing.
    fn carry_out(&self, run: &mut Run<'_>, next: &NextStep, found: &HelmState) -> Result<()>;

    /// A step was made, or counts as made.
    fn made(&mut self, next: &NextStep);
}

impl<'a> Run<'a> {
    pub fn new(options: &'a Options, helm_release: &str, report: &'a Report) -> Result<Self> {
        let kubectl = Kubectl::find(&options.access)?;
        let namespace = kubectl.namespace()?;
        let helm = Helm::find(&options.access, helm_release, &namespace, options.timeout)?;
        Ok(Self {
            kubectl,
            helm,
            report,
            options,
            lease: None,
            chart: None,
            in_force: None,
            accepted: None,
            conflicts: 0,
            known: Vec::new(),
            watch: Watch::default(),
            upgrades: 0,
        })
    }

    /// Looks again and again until nothing is missing, as long as a step may wait and the Lease is held.
    pub fn until(
        &self,
        what: &str,
        mut missing: impl FnMut() -> Result<Option<String>>,
    ) -> Result<()> {
        Timeout(self.options.timeout).until(what, self.report, || {
            self.confirm_lease()?;
            missing()
        })
    }

    pub fn namespace(&self) -> &str {
        self.helm.namespace()
    }

    /// Takes the Lease, for as long as this lives.
    pub fn take_lease(&mut self, purpose: &str, takeover: Takeover) -> Result<()> {
        let lease = Lease::take(
            &self.kubectl,
            self.helm.namespace(),
            self.helm.name(),
            purpose,
            takeover,
            &mut |line| self.report.note(line),
        )?;
        self.lease = Some(lease);
        Ok(())
    }

    /// Makes sure that nobody else has taken the Lease.
    pub fn confirm_lease(&self) -> Result<()> {
        self.lease.as_ref().map_or(Ok(()), Lease::confirm)
    }

    /// Makes sure, as far as that can be known, that gateways get the module that is named.
    pub fn check_module(&self, found: &HelmState) -> Result<()> {
        let values = list::overlaid(&found.newest.values, &self.options.own_values()?);
        let chart = self.chart.as_ref().context("a chart")?;
        let chart = (chart, self.options.chart_version.as_deref());
        module::check(&self.kubectl, &self.helm, chart, &values, self.report)
    }

    /// All steps until nothing is left to do; the list that it ends with.
    pub fn all(&mut self, workflow: &mut dyn Workflow) -> Result<HelmState> {
        self.restore_list()?;
        loop {
            let found = self.look()?;
            workflow.prepare(self, &found)?;
            let is_in_force = self.in_force == Some(found.newest.revision);
            let (next, upgraded) = self.choose(workflow, &found, is_in_force)?;
            if let Some(Upgraded { list, what }) = upgraded {
                self.publish(&found, &list, &what)?;
            }
            match &next {
                NextStep::Done => return Ok(found),
                NextStep::Wait => self.wait(&found)?,
                NextStep::Delete => self.delete_retired(&found.newest)?,
                _ => {}
            }
            workflow.carry_out(self, &next, &found)?;
            workflow.made(&next);
        }
    }

    /// The next step, and the list that it gives out, if any.
    fn choose(
        &mut self,
        workflow: &mut dyn Workflow,
        found: &HelmState,
        is_in_force: bool,
    ) -> Result<(NextStep, Option<Upgraded>)> {
        let settings = self.settings(found)?;
        let earlier = found.earlier_configs();
        let observed = ObservedState {
            newest: &found.newest.loaded,
            earlier: &earlier,
            is_complete: found.is_complete,
            is_in_force,
            now: seconds(SystemTime::now()),
        };
        let own = settings.as_ref().map(|list| &list.loaded);
        let next = workflow.next(&observed, own, found)?;
        let next = next.map_err(|refusal| Stop(refusal.to_string()))?;
        let upgraded = Upgraded::by(&next, found, settings)?;
        Ok((next, upgraded))
    }

    /// The Helm release as it is, after whatever Helm is at has come to its end.
    fn look(&mut self) -> Result<HelmState> {
        let history = self.settled_history()?;
        let last = history.last().context("a revision")?.clone();
        if self.chart.is_none() {
            let chart = Chart::choose(self.options.chart.as_deref(), &self.helm, &last)?;
            self.chart = Some(chart);
        }
        if self.accepted != Some(last.number) {
            let now = seconds(SystemTime::now());
            list::check_steps_of_others(&self.helm, &history, now)?;
        }
        let last_confirmed = self.last_confirmed(&history);
        let earlier = history
            .iter()
            .filter(|revision| (last_confirmed..last.number).contains(&revision.number));
        let earlier = earlier.map(|revision| self.list(revision.number));
        Ok(HelmState {
            earlier: earlier.collect::<Result<_>>()?,
            newest: self.list(last.number)?,
            is_complete: last.status.is_complete(),
        })
    }

    /// The newest revision that every gateway had for sure, or the one before the last, where nobody has written it down.
    fn last_confirmed(&self, history: &[Revision]) -> u64 {
        let written = self.lease.as_ref().and_then(Lease::in_force);
        let is_kept = |number: &u64| history.iter().any(|revision| revision.number == *number);
        let before_last = || {
            let mut before = history.iter().rev().skip(1);
            before.find(|revision| revision.status.is_complete())
        };
        self.in_force
            .or(written)
            .filter(is_kept)
            .or_else(|| before_last().map(|revision| revision.number))
            .unwrap_or(u64::MAX)
    }

    fn list(&self, revision: u64) -> Result<List> {
        let mut known = self.known.iter();
        match known.find(|list| list.revision == revision) {
            Some(list) => Ok(list.clone()),
            None => List::of(&self.helm, revision),
        }
    }

    /// The revisions, the last of which is under way no more.
    fn settled_history(&self) -> Result<Vec<Revision>> {
        let started = Instant::now();
        loop {
            let history = self.helm.history()?;
            let Some(last) = history.last() else {
                bail!(Stop(format!(
                    "there is no {} in namespace {}. Make the first installation by hand, with the first list: helm install {} oci://REGISTRY/skew-guard --namespace {} --values FILE",
                    self.helm.title(),
                    self.namespace(),
                    self.helm.name(),
                    self.namespace()
                )));
            };
            if !last.status.is_pending() {
                return Ok(history);
            }
            if started.elapsed() >= HELM_TIMEOUT {
                self.repair(last)?;
                continue;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn repair(&self, revision: &Revision) -> Result<()> {
        ensure!(
            self.lease.is_some(),
            "revision {} of {} is pending",
            revision.number,
            self.helm.title()
        );
        self.confirm_lease()?;
        let what = format!(
            "revision {} was interrupted: marks it as failed",
            revision.number
        );
        let activity = self.report.begin("repair", what);
        storage::mark_failed(&self.kubectl, &self.helm, revision.number)?;
        self.report
            .end(&activity, json!({"revision": revision.number}));
        Ok(())
    }

    /// The newest list with the team's own values, where these are others.
    fn settings(&self, found: &HelmState) -> Result<Option<List>> {
        let values = list::overlaid(&found.newest.values, &self.options.own_values()?);
        if list::is_same(&values, &found.newest.values) {
            return Ok(None);
        }
        List::new(0, values).map(Some)
    }

    /// Gives out the list that a person wants back.
    fn restore_list(&mut self) -> Result<()> {
        let Some(wanted) = self.options.list_of else {
            return Ok(());
        };
        if let Some((found, Upgraded { list, what })) = self.list_of(wanted)? {
            self.publish(&found, &list, &what)?;
        }
        Ok(())
    }

    /// The Helm release as it is, and the list of an earlier revision in its values, where that is not the newest.
    fn list_of(&mut self, revision: u64) -> Result<Option<(HelmState, Upgraded)>> {
        let history = self.settled_history()?;
        let last = history.last().context("a revision")?.number;
        let is_kept = history.iter().any(|kept| kept.number == revision);
        ensure!(
            is_kept,
            "Helm keeps no revision {revision} of {}",
            self.helm.title()
        );
        self.accepted = Some(last);
        if revision == last {
            return Ok(None);
        }
        let found = self.look()?;
        let wanted = List::of(&self.helm, revision)?;
        let list = List::new(last, found.newest.with_list_of(&wanted))?;
        self.check_current(&list)?;
        let upgraded = Upgraded {
            list: list.counted_after(&found.newest)?,
            what: format!("the list of revision {revision}"),
        };
        Ok(Some((found, upgraded)))
    }

    /// A list of long ago may send every visitor to a release whose pods are gone.
    fn check_current(&self, list: &List) -> Result<()> {
        let current = list.loaded.config.current.iter();
        for (version, share) in current.flat_map(|current| current.shares()) {
            if share == 0 {
                continue;
            }
            let services = Service::of(&self.kubectl, list, version, self.namespace())?;
            if let Some(lacking) = lacks_ready_pod(&self.kubectl, &services, list, version)? {
                bail!(Stop(format!(
                    "in that list {version} is current, and {lacking}. Nothing was changed"
                )));
            }
        }
        Ok(())
    }

    /// On top of what was found, and nothing newer.
    fn publish(&mut self, found: &HelmState, list: &List, what: &str) -> Result<()> {
        self.confirm_lease()?;
        let revision = found.newest.revision + 1;
        let activity = self.report.begin(
            "upgrade",
            format!("helm upgrade to revision {revision}: {what}"),
        );
        let chart = self.chart.as_ref().context("a chart")?;
        let made = self.helm.upgrade(&Upgrade {
            chart: chart.reference(),
            chart_version: self.options.chart_version.as_deref(),
            values: &list.values,
            revision,
            what,
        });
        match made {
            Ok(()) => {
                self.upgrades += 1;
                self.known.push(List {
                    revision,
                    ..list.clone()
                });
                self.report.end(&activity, json!({"revision": revision}));
                Ok(())
            }
            Err(UpgradeError::Conflict(said)) => {
                self.conflicts += 1;
                if self.conflicts > MAX_CONFLICTS {
                    bail!(Stop(format!("someone else keeps upgrading first: {said}")));
                }
                self.report.note(format!("not made; looks again: {said}"));
                Ok(())
            }
            Err(UpgradeError::Failed(error)) => Err(error).with_context(|| {
                format!(
                    "the upgrade to revision {revision} failed; the next run continues from there"
                )
            }),
        }
    }

    fn wait(&mut self, found: &HelmState) -> Result<()> {
        let revision = found.newest.revision;
        let activity = self.report.begin(
            "wait",
            format!("every gateway has revision {revision}, plugin and routes"),
        );
        let started = Instant::now();
        let gateways = loop {
            let seen = self.watch.poll(
                &self.kubectl,
                self.helm.namespace(),
                self.helm.name(),
                &self.options.gateways,
                &found.newest.loaded,
                self.report,
            );
            let lacking = match seen {
                Ok(Ok(gateways)) => break gateways,
                Ok(Err(lacking)) => lacking,
                Err(error) if is_transient(&error) => {
                    let why = format!("{error:#}");
                    self.report.note(&why);
                    thread::sleep(POLL_INTERVAL);
                    why
                }
                Err(error) => return Err(error),
            };
            if started.elapsed() >= self.options.timeout {
                bail!(Stop(lacking));
            }
            match self.confirm_lease() {
                Err(error) if is_transient(&error) => self.report.note(format!("{error:#}")),
                confirmed => confirmed?,
            }
            let newest = self.helm.history().ok();
            let newest = newest.and_then(|history| Some(history.last()?.number));
            if newest.is_some_and(|newest| newest != revision) {
                self.report
                    .note("someone else has upgraded in the meantime; looks again");
                return Ok(());
            }
        };
        self.in_force = Some(revision);
        if let Some(lease) = &self.lease {
            lease.write_in_force(revision)?;
        }
        self.report.end(
            &activity,
            json!({"revision": revision, "gateways": gateways}),
        );
        Ok(())
    }

    /// The gateways that were asked last, and those that were not.
    pub fn gateways(&self) -> &Watch {
        &self.watch
    }

    /// The Deployments of releases that are retired, or not listed any more: those that were marked when they were
    /// applied, and that have no pods of a release that is served.
    fn retired_deployments(&self, list: &List) -> Result<Vec<(String, String)>> {
        let mut namespaces = vec![self.namespace().to_owned()];
        for service in Service::all(&self.kubectl, list, self.namespace())? {
            if !namespaces.contains(&service.namespace) {
                namespaces.push(service.namespace);
            }
        }
        let releases = &list.loaded.config.releases;
        let served: Vec<_> = releases
            .iter()
            .filter(|release| release.state != State::Retired)
            .collect();
        let mut found = Vec::new();
        for namespace in namespaces {
            for deployment in manifests::deployments(&self.kubectl, &namespace)? {
                let annotation = |name: &str| {
                    let annotations = deployment.pointer("/metadata/annotations")?;
                    annotations.get(name)?.as_str()
                };
                // Another Helm release of this name may have its pods in the same namespace.
                let is_ours = annotation(HELM_RELEASE) == Some(self.helm.name())
                    && annotation(RELEASE_NAMESPACE) == Some(self.namespace());
                let Some(workload) = Workload::of(&deployment).filter(|_| is_ours) else {
                    continue;
                };
                let is_served = served.iter().any(|release| {
                    annotation(VERSION) == Some(release.version.as_str())
                        || workload.has_pods_with(&list.labels(&release.version))
                });
                let is_leaving = deployment.pointer("/metadata/deletionTimestamp").is_some();
                if !is_served && !is_leaving && annotation(VERSION).is_some() {
                    found.push((namespace.clone(), workload.name().to_owned()));
                }
            }
        }
        Ok(found)
    }

    fn delete_retired(&self, list: &List) -> Result<()> {
        for (namespace, name) in self.retired_deployments(list)? {
            self.confirm_lease()?;
            let activity = self
                .report
                .begin("delete", format!("deletes Deployment {name}"));
            self.kubectl.delete("deployment", &namespace, &name)?;
            self.report.end(
                &activity,
                json!({"deployment": name, "namespace": namespace}),
            );
        }
        Ok(())
    }
}

/// A list that is given out.
#[derive(Debug)]
struct Upgraded {
    list: List,
    /// What is said of it, in Helm's history too.
    what: String,
}

impl Upgraded {
    /// What a step gives out; nothing where it is no upgrade.
    fn by(next: &NextStep, found: &HelmState, settings: Option<List>) -> Result<Option<Self>> {
        let newest = &found.newest;
        let (list, what) = match next {
            NextStep::Change(edits) => {
                let list = List::new(newest.revision, newest.edited(edits))?;
                let what = changes(&newest.loaded, &list.loaded).join("; ");
                return Ok(Some(Self { list, what }));
            }
            NextStep::Retry => (newest.clone(), "the same again".to_owned()),
            NextStep::Restore(place) => {
                let before = found.earlier.get(*place).context("an earlier list")?;
                let what = format!("the list of revision {} again", before.revision);
                (before.clone(), what)
            }
            NextStep::Settings => {
                let what = "the settings of the values file".to_owned();
                (settings.context("other settings")?, what)
            }
            _ => return Ok(None),
        };
        let list = list.counted_after(newest)?;
        Ok(Some(Self { list, what }))
    }
}
