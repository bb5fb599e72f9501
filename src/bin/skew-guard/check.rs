//! `skew-guard check`: every problem of every configuration, and what will hurt.

mod cluster;
mod module;
mod outliers;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard::config::{Config, CurrentConfig, State, UnknownVersion};
use skew_guard::rollout::{LoadedConfig, written_time};
use skew_guard::scope::{PathPrefix, is_below};
use skew_guard::source::{Carrier, Source};

use crate::answer::{Answer, Verdict};
use crate::cluster::{Access, Gateways};
use crate::document::{Document, Located};
use crate::documents;
use crate::envoy;
use crate::seconds;
use crate::yaml::Node;

/// Report every problem of configurations, and what in them will cause trouble
///
/// A FILE is a plugin configuration (JSON or YAML), Kubernetes manifests (WasmPlugin,
/// TrafficExtension, EnvoyExtensionPolicy), an Envoy configuration with the JSON in a StringValue, or
/// the values of the Helm chart. Exits with 1 if a configuration is wrong; warnings do not count.
///
/// With --cluster it looks at an installed chart through kubectl, for what only the cluster knows:
/// gateways without the plugin, other teams' rules and routes, releases without pods, an image that
/// cannot be pulled. It changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  skew-guard check plugin.json
  skew-guard check values.yaml
  skew-guard check envoy.yaml skew-guard.yaml                 # routes, and the filter's own file
  helm template shop istio --values shop.yaml > new.yaml && skew-guard check new.yaml
  skew-guard check --cluster --helm-release shop --namespace shop")]
pub struct Check {
    /// Files with configurations
    #[arg(value_name = "FILE", required_unless_present = "cluster")]
    files: Vec<PathBuf>,
    /// Look into the cluster instead of at files
    #[arg(long, conflicts_with = "files", requires = "helm_release")]
    cluster: bool,
    /// The chart's Helm release to look at
    #[arg(
        long,
        visible_alias = "release",
        value_name = "NAME",
        requires = "cluster"
    )]
    helm_release: Option<String>,
    #[command(flatten)]
    gateways: Gateways,
    #[command(flatten)]
    access: Access,
}

impl Check {
    /// The configurations of all files, and all that these files hold. Of an Envoy configuration whose
    /// filters are discovered, the filter's own configuration may be in one of the other files.
    fn documents(&self) -> Result<(Vec<Document>, Vec<Rc<Node>>)> {
        let (mut documents, mut roots) = (Vec::new(), Vec::new());
        let mut without = None;
        for file in &self.files {
            let of_file = documents::roots(file)?;
            match documents::find(file, &of_file) {
                Ok(found) => documents.extend(found),
                Err(error) if envoy::discovered(&of_file).is_empty() => {
                    return Err(error.context(file.display().to_string()));
                }
                Err(error) => without = Some(error.context(file.display().to_string())),
            }
            roots.extend(of_file);
        }
        match without {
            Some(error) if documents.is_empty() => Err(error),
            _ => Ok((documents, roots)),
        }
    }
}

struct Report {
    document: Document,
    problems: Vec<Located>,
    warnings: Vec<String>,
}

impl Check {
    /// Runs the command.
    pub fn run(&self) -> Result<Answer> {
        if let Some(helm_release) = &self.helm_release {
            return cluster::check(&self.access, &self.gateways, helm_release);
        }
        let now = seconds(SystemTime::now());
        let (documents, roots) = self.documents()?;
        let reports: Vec<_> = documents
            .into_iter()
            .map(|document| Report::of(document, &roots, now))
            .collect();
        let lines: Vec<_> = reports.iter().flat_map(Report::lines).collect();
        let configurations: Vec<_> = reports.iter().map(Report::json).collect();
        Ok(Answer {
            verdict: Verdict::of(reports.iter().all(|report| report.problems.is_empty())),
            text: lines.join("\n"),
            json: json!({ "configurations": configurations }),
        })
    }
}

impl Report {
    fn of(document: Document, roots: &[Rc<Node>], now: u64) -> Self {
        match document.load() {
            Ok(loaded) => {
                let mut warnings = warnings(&loaded, now);
                warnings.extend(envoy::warnings(&document, &loaded.config, roots));
                warnings.extend(outliers::warnings(&document));
                warnings.extend(module::warnings(&document, &loaded.config));
                Self {
                    warnings,
                    document,
                    problems: Vec::new(),
                }
            }
            Err(problems) => Self {
                document,
                problems,
                warnings: Vec::new(),
            },
        }
    }

    fn lines(&self) -> Vec<String> {
        let document = &self.document;
        let problems = self
            .problems
            .iter()
            .map(|problem| document.describe(problem));
        let warnings = self.warnings.iter();
        let warnings =
            warnings.map(|warning| format!("{}warning: {warning}", document.place(None)));
        let ok = self
            .problems
            .is_empty()
            .then(|| format!("{}ok", document.place(None)));
        problems.chain(warnings).chain(ok).collect()
    }

    fn json(&self) -> Value {
        let mut configuration = self.document.identity();
        let problems: Vec<_> = self.problems.iter().map(Located::json).collect();
        configuration.insert("problems".to_owned(), json!(problems));
        configuration.insert("warnings".to_owned(), json!(self.warnings));
        Value::Object(configuration)
    }
}

/// What is valid and will cause trouble.
fn warnings(loaded: &LoadedConfig, now: u64) -> Vec<String> {
    let config = &loaded.config;
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, warning: &str| {
        if applies {
            warnings.push(warning.to_owned());
        }
    };
    let has_pin = config.pin_cookie.is_some();
    let knows_assets = has_pin
        || config
            .sources
            .iter()
            .any(|source| source.carrier() != Carrier::Header);
    warn(
        config.current.is_none() && !knows_assets,
        "without current, and with headers as the only sources, an asset's version cannot be known: browsers do not send your headers with scripts and styles, so any pod may answer. Put the version into the assets' directory and add {\"path\": \"/assets/v-{version}/\"}, or set pinCookie and upstreamVersion",
    );
    warn(
        has_pin && config.current.is_none() && config.upstream_version.is_none(),
        "pinCookie without current and without upstreamVersion is never written: the mesh chooses the pod, and nothing says which version that is",
    );
    warn(
        has_pin,
        "pinCookie costs shared caching: answers that depend on the cookie are private, and pages and API answers among them no-cache. Assets that carry the version in their path stay cacheable",
    );
    warn(
        reads_cookie_early(config),
        "sources: a cookie is read before another source. All of a visitor's tabs share it, so a second tab takes the first one along. Put cookies last",
    );
    warn(
        config.unknown_version == UnknownVersion::Current,
        "with unknownVersion \"current\", clients of releases that are no longer listed are answered by another release: keep every release listed as retired as long as its tabs may be open",
    );
    warn(
        config.hosts.is_none(),
        "without hosts, every request on the gateway is treated as this application's",
    );
    warn(
        !config.enforce,
        "enforce is false: nothing is routed, decisions are only counted",
    );
    warn(
        !config.enforce && config.current.is_none(),
        "enforce is false without current: every request goes to any release, tabs of the newest included. That is right before anything was routed, and no way out of an emergency",
    );
    warn(
        config.preview.is_none() && has(config, State::Staged),
        "a release is staged and preview is not set: nobody can reach it",
    );
    warnings.extend(warnings_of_sources(config));
    warnings.extend(warnings_of_paths(config));
    warnings.extend(warnings_of_releases(config, now));
    warnings
}

fn warnings_of_sources(config: &Config) -> Vec<String> {
    let has = |is: fn(&Source) -> bool| config.sources.iter().any(is);
    let mut warnings = Vec::new();
    if !has(|source| matches!(source, Source::Header(_))) {
        warnings.push("sources names no header: for fetch and XMLHttpRequest a header is the best place for the version, because no link and no cache can set it. Add {\"header\": \"x-bundle-version\"}, and let the client send it".to_owned());
    }
    if !has(|source| matches!(source, Source::Query(_))) {
        warnings.push("sources names no query: WebSockets, EventSources, forms, <img>, <iframe> and downloads cannot carry a header, and go to any release or to current. Add {\"query\": \"dpl\"}, and let the client put it into their URLs".to_owned());
    }
    if let Some(preview) = &config.preview
        && config
            .sources
            .contains(&Source::Query(preview.query.clone()))
    {
        warnings.push(format!(
            "preview.query and a source are both \"{}\": a preview link would be taken for a version, and a version for a key. Give one of them another name",
            preview.query
        ));
    }
    warnings
}

fn warnings_of_paths(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for source in &config.sources {
        let Source::Path(template) = source else {
            continue;
        };
        let example = template.to_string().replace("{version}", "1.0.0");
        let is_in = |prefixes: &[PathPrefix]| is_below(prefixes, example.as_bytes());
        if config.paths.as_deref().is_some_and(|paths| !is_in(paths)) {
            warnings.push(format!(
                "{source} is outside paths: it is never read, and any release may answer for these assets. Add its directory to paths"
            ));
        }
        if is_in(&config.unpinned_paths) {
            warnings.push(format!(
                "{source} is below unpinnedPaths: its version is ignored, and these assets go to any release or to current. Name the files that must not be pinned, not a directory above them"
            ));
        }
    }
    let is_root = |prefixes: &[PathPrefix]| is_below(prefixes, b"/");
    if is_root(&config.unpinned_paths) {
        warnings.push("unpinnedPaths contains \"/\": no request is pinned at all. Name only the update probe and the service worker".to_owned());
    }
    if is_root(&config.pinned_navigation) {
        warnings.push("pinnedNavigation contains \"/\": a visitor gets no newer release as long as the old one is served. Name only the paths that must not change midway, such as a checkout".to_owned());
    }
    warnings
}

fn warnings_of_releases(config: &Config, now: u64) -> impl Iterator<Item = String> {
    config
        .releases
        .iter()
        .filter(|release| release.state == State::Draining)
        .filter_map(move |release| match release.until {
            None => Some(format!(
                "{} is draining without until: its pods are needed until you retire it",
                release.version
            )),
            Some(until) if until <= now => Some(format!(
                "{} was draining until {} and counts as retired now: set it to retired, and its pods may go",
                release.version,
                written_time(until)
            )),
            Some(_) => None,
        })
        .chain(weights_of_zero(config))
}

fn weights_of_zero(config: &Config) -> Option<String> {
    let Some(CurrentConfig::Weighted(shares)) = &config.current else {
        return None;
    };
    let idle = shares.iter().find(|share| share.weight == 0)?;
    Some(format!(
        "{} is in current with weight 0: no visitor gets it",
        idle.version
    ))
}

fn reads_cookie_early(config: &Config) -> bool {
    config
        .sources
        .iter()
        .skip_while(|source| source.carrier() != Carrier::Cookie)
        .any(|source| source.carrier() != Carrier::Cookie)
}

fn has(config: &Config, state: State) -> bool {
    config.releases.iter().any(|release| release.state == state)
}
