//! `skew-guard wait`: until every gateway has a configuration in force.

pub mod gateway_state;
mod polling;
pub mod source;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use skew_guard::rollout::LoadedConfig;

use crate::answer::{Answer, Verdict};
use crate::cluster::{Access, Gateways, Installation, Kubectl, istiod};

use gateway_state::{GatewayState, Routes, Wanted, family};
use polling::Outcome;
use source::Source;

/// Wait until every gateway has a configuration in force
///
/// Looks at the Prometheus metrics of each gateway until two looks, two seconds apart, show that the
/// plugin has the revision (skew_guard_config_revision), that it was not refused
/// (skew_guard_config_refused), and that the routes of that revision are loaded (the counter that
/// Envoy makes for a route with a stat_prefix). Exits with 1 if that is not so within the time
/// limit.
///
/// With --helm-release it finds all of this in the cluster through kubectl: the revision, the routes,
/// and the pods of the plugin's selector, listed again at each look and asked through kubectl
/// port-forward, or failing that through the API server's proxy. With URLs it asks only those, and
/// waits for routes only with --routes.
///
/// It sees by envoy_wasm_<plugin>_vm_reload whether a plugin was uninstalled, if the gateway shows any
/// such metric; otherwise it cannot tell the gauge that the plugin left behind from a live one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard wait --helm-release shop --namespace shop
  skew-guard wait --revision 7 http://10.0.3.4:15020/stats/prometheus
  skew-guard wait --revision 7 --plugin shop-skew-guard --routes skew-guard-shop-shop-r7 \\
    --timeout 2m http://10.0.3.4:15020/stats/prometheus http://10.0.3.5:15020/stats/prometheus")]
pub struct Wait {
    /// The chart's Helm release, whose gateways are waited for
    #[arg(long, value_name = "NAME", required_unless_present = "urls")]
    helm_release: Option<String>,
    /// The revision, as the configuration has it; by default the one in the cluster
    #[arg(long, required_unless_present = "helm_release")]
    revision: Option<u64>,
    /// The metrics of each gateway (http only), if the cluster is not asked
    #[arg(value_name = "URL", conflicts_with = "helm_release")]
    urls: Vec<String>,
    /// The plugin's name, with or without its namespace, if several run in one gateway
    #[arg(long, conflicts_with = "helm_release")]
    plugin: Option<String>,
    /// The stat_prefix of a route of that revision, with the revision's number at its end: wait for the routes too
    #[arg(long, value_name = "STAT_PREFIX", conflicts_with = "helm_release")]
    routes: Option<String>,
    /// Also wait until no listener or filter chain is draining: without ECDS, connections that were
    /// already open keep the previous configuration until then. This includes what drains because of
    /// another application
    #[arg(long)]
    drained: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    gateways: Gateways,
    #[command(flatten)]
    access: Access,
}

impl Wait {
    /// Runs the command, and tells `progress` whenever a gateway shows something else.
    pub fn run(&self, progress: &mut dyn FnMut(String)) -> Result<Answer> {
        let Some(helm_release) = &self.helm_release else {
            let wanted = Wanted {
                revision: self.revision.unwrap_or_default(),
                plugins: self.plugin.iter().cloned().collect(),
                routes: self.routes.clone().map(|stat_prefix| Routes {
                    stat_prefix,
                    hosts: Vec::new(),
                }),
                drained: self.drained,
            };
            let source = Source::urls(&self.urls, &self.access, &self.gateways)?;
            let outcome = polling::until(&source, &wanted, self.timeout, progress)?;
            return Ok(self.answer(&wanted, &outcome, &[]));
        };
        let kubectl = Kubectl::find(&self.access)?;
        let installation = Installation::of(&kubectl, &kubectl.namespace()?, helm_release)?;
        let wanted = Wanted {
            drained: self.drained,
            ..wanted(&installation, self.revision)
        };
        let source = Source::cluster(&kubectl, &installation, &self.gateways);
        let outcome = polling::until(&source, &wanted, self.timeout, progress)?;
        let hints = hints(&kubectl, &self.gateways.root_namespace, &outcome);
        Ok(self.answer(&wanted, &outcome, &hints))
    }

    fn answer(&self, wanted: &Wanted, outcome: &Outcome, hints: &[String]) -> Answer {
        let is_settled = outcome.is_settled();
        let gateways = outcome.gateways.iter();
        let json: Vec<_> = gateways
            .map(|(name, state)| {
                json!({"gateway": name, "state": state.name(), "text": state.to_string()})
            })
            .collect();
        let text = if is_settled {
            summary(wanted, outcome)
        } else {
            self.shortfall(wanted, outcome, hints)
        };
        Answer {
            verdict: Verdict::of(is_settled),
            text,
            json: json!({
                "revision": wanted.revision,
                "routes": wanted.routes.as_ref().map(|routes| &routes.stat_prefix),
                "inForce": is_settled,
                "gateways": json,
                "problem": outcome.problem,
                "hints": hints,
            }),
        }
    }

    fn shortfall(&self, wanted: &Wanted, outcome: &Outcome, hints: &[String]) -> String {
        let first = format!(
            "revision {} is not in force everywhere after {}:",
            wanted.revision,
            humantime::format_duration(self.timeout)
        );
        let problem = outcome.problem.iter().map(|problem| format!("  {problem}"));
        let late = outcome
            .gateways
            .iter()
            .filter(|(_, state)| !matches!(state, GatewayState::InForce(_)) || !state.is_settled())
            .map(|(name, state)| format!("  {name} {state}"));
        let hints = hints.iter().map(|hint| format!("  {hint}"));
        let lines: Vec<_> = std::iter::once(first)
            .chain(problem)
            .chain(late)
            .chain(hints)
            .collect();
        lines.join("\n")
    }
}

/// What an installation wants of its gateways.
fn wanted(installation: &Installation, revision: Option<u64>) -> Wanted {
    let revision = revision.unwrap_or(installation.revision);
    let family = family(&installation.stat_prefix);
    Wanted {
        revision,
        plugins: installation.plugin_names(),
        routes: Some(Routes {
            stat_prefix: format!("{family}{revision}"),
            hosts: installation.hosts.clone(),
        }),
        drained: false,
    }
}

/// What istiod knows of routes that gateways refused. It need not be reachable: the gateways have already said
/// what is wrong.
fn hints(kubectl: &Kubectl, root_namespace: &str, outcome: &Outcome) -> Vec<String> {
    let mut states = outcome.gateways.iter();
    if !states.any(|(_, state)| state.lacks_routes()) {
        return Vec::new();
    }
    let refusals = istiod::refused_routes(kubectl, root_namespace).unwrap_or_default();
    refusals
        .iter()
        .map(|(proxy, count)| {
            format!("istiod counts {count} refusals of routes by {proxy} (pilot_xds_rds_reject)")
        })
        .collect()
}

/// What was proved, and what was not.
fn summary(wanted: &Wanted, outcome: &Outcome) -> String {
    let (skipped, asked): (Vec<_>, Vec<_>) = outcome
        .gateways
        .iter()
        .partition(|(_, state)| *state == GatewayState::Skipped);
    let mut lines = vec![format!(
        "revision {} is in force in {} gateways",
        wanted.revision,
        asked.len()
    )];
    if wanted.routes.is_none() {
        lines.push("  its routes were not looked at (--routes)".to_owned());
    }
    lines.extend(
        skipped
            .iter()
            .map(|(name, state)| format!("  {name} {state}")),
    );
    lines.join("\n")
}

/// What another command sees that waits for all of a Helm release's gateways.
#[derive(Debug)]
pub enum Seen {
    /// Plugin and routes of the newest revision are in force in these, and those were not asked.
    InForce {
        gateways: Vec<String>,
        skipped: Vec<String>,
        /// What the plugin says in the cluster.
        loaded: Box<LoadedConfig>,
    },
    /// What is missing, one line per gateway.
    Lacking(String),
}

/// Looks for so long whether every gateway has the newest revision of a Helm release.
pub fn in_force(
    kubectl: &Kubectl,
    namespace: &str,
    helm_release: &str,
    gateways: &Gateways,
    timeout: Duration,
    progress: &mut dyn FnMut(String),
) -> Result<Seen> {
    let installation = Installation::of(kubectl, namespace, helm_release)?;
    let wanted = wanted(&installation, None);
    let source = Source::cluster(kubectl, &installation, gateways);
    let outcome = polling::until(&source, &wanted, timeout, progress)?;
    let names = |is_wanted: fn(&GatewayState) -> bool| -> Vec<String> {
        let gateways = outcome.gateways.iter();
        let wanted = gateways.filter(|(_, state)| is_wanted(state));
        wanted.map(|(name, _)| name.clone()).collect()
    };
    if outcome.is_settled() {
        return Ok(match installation.loaded() {
            Ok(loaded) => Seen::InForce {
                gateways: names(|state| *state != GatewayState::Skipped),
                skipped: names(|state| *state == GatewayState::Skipped),
                loaded: Box::new(loaded),
            },
            // It was read before the gateways were asked, and may have been corrected since.
            Err(problems) => Seen::Lacking(format!(
                "the plugin's configuration in the cluster is wrong: {problems}"
            )),
        });
    }
    let late = outcome
        .gateways
        .iter()
        .filter(|(_, state)| !state.is_settled());
    let lines = late.map(|(name, state)| format!("{name} {state}"));
    let hints = hints(kubectl, &gateways.root_namespace, &outcome);
    let lines: Vec<_> = std::iter::once(format!(
        "revision {} is not in force everywhere:",
        wanted.revision
    ))
    .chain(outcome.problem.iter().cloned())
    .chain(lines)
    .chain(hints)
    .collect();
    Ok(Seen::Lacking(lines.join("\n  ")))
}
