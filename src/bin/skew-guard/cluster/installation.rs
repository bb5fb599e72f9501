//! What one Helm release of the chart has put into a cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use skew_guard::config::Problems;
use skew_guard::rollout::LoadedConfig;

use super::kubectl::{Kubectl, Scope};
use super::objects::{MESH, Metadata, Object, VIRTUAL_SERVICES, selector, selects};

/// What the chart writes beside its routes.
const PLUGIN: &str = "skew-guard/plugin";
const STAT_PREFIX: &str = "skew-guard/stat-prefix";
const PROBE_PATHS: &str = "skew-guard/probe-paths";
const RULES: &str = "skew-guard/rule-namespaces";
const POD_MONITOR: &str = "skew-guard/pod-monitor";

/// The labels by which its objects are known.
const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";
const RELEASE_NAMESPACE: &str = "skew-guard/release-namespace";

/// An installed chart, read from the objects that it made. (Not from Helm, so that it is the same under Argo CD.)
#[derive(Clone, Debug, PartialEq)]
pub struct Installation {
    pub helm_release: String,
    pub namespace: String,
    /// The plugin, once for each kind of gateway Pods.
    pub plugins: Vec<Plugin>,
    /// Its configuration, the same for all.
    pub config: Value,
    /// The revision of that.
    pub revision: u64,
    /// What gateways count the requests of one of its routes under, as soon as they have the routes of this revision.
    pub stat_prefix: String,
    pub hosts: Vec<String>,
    /// The Istio Gateways, as the routes name them: `name` or `namespace/name`.
    pub gateways: Vec<String>,
    pub probe_paths: Vec<ProbePath>,
    /// Where its DestinationRules are.
    pub rule_namespaces: Vec<String>,
    /// Whether its metrics get their labels while Prometheus scrapes them.
    pub has_pod_monitor: bool,
}

/// A path that the Pods of a versioned service answer, as the chart writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ProbePath {
    /// Every release has the service.
    Of(String),
    /// Only these have it.
    OfReleases { path: String, releases: Vec<String> },
}

impl ProbePath {
    /// The path, if that release has the service.
    fn of(&self, version: &str) -> Option<&str> {
        match self {
            Self::Of(path) => Some(path),
            Self::OfReleases { path, releases } => releases
                .iter()
                .any(|release| release == version)
                .then_some(path),
        }
    }
}

/// An Istio Gateway, as the routes name it.
#[derive(Clone, Copy, Debug)]
pub struct GatewayReference<'a> {
    pub written: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The kinds of resource that are a plugin.
const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];

/// A resource that is the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// `WasmPlugin` or `TrafficExtension`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The labels of the Pods that run it.
    pub selector: BTreeMap<String, String>,
    /// The ports of these Pods where it runs; none for all.
    pub ports: Vec<u16>,
    /// Where the module is.
    pub url: String,
    /// The Secret by which it is fetched; "" for none.
    pub image_pull_secret: String,
}

impl Plugin {
    /// As gateways call it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// As kubectl calls its kind.
    fn resource(&self) -> String {
        format!("{}s.extensions.istio.io", self.kind.to_lowercase())
    }

    /// A manifest; none where it is of another kind.
    pub fn of(manifest: &Value) -> Option<Self> {
        let text = |path| manifest.pointer(path).and_then(Value::as_str);
        let kind = text("/kind").filter(|kind| KINDS.contains(kind))?;
        let namespace = text("/metadata/namespace").unwrap_or_default();
        let spec = PluginSpec::deserialize(manifest.get("spec")?).ok()?;
        Some(Self::new(kind, namespace, text("/metadata/name")?).described_by(&spec))
    }

    /// What the chart writes: `WasmPlugin/istio-ingress/shop.shop-skew-guard`.
    fn named(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let plugin = Self::new(parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(plugin)
    }

    fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            selector: BTreeMap::new(),
            ports: Vec::new(),
            url: String::new(),
            image_pull_secret: String::new(),
        }
    }

    fn described_by(self, spec: &PluginSpec) -> Self {
        let module = spec.module();
        Self {
            selector: spec.selector.match_labels.clone(),
            ports: spec.ports(),
            url: module.url.clone(),
            image_pull_secret: module.image_pull_secret.clone(),
            ..self
        }
    }
}

#[derive(Deserialize)]
struct Routes {
    hosts: Vec<String>,
    #[serde(default)]
    gateways: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PluginSpec {
    #[serde(default)]
    selector: Selector,
    #[serde(default, rename = "match")]
    traffic: Vec<Traffic>,
    #[serde(flatten)]
    module: Module,
    /// Where a `TrafficExtension` has what a `WasmPlugin` has itself.
    #[serde(default)]
    wasm: Module,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Traffic {
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Port {
    number: u16,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Module {
    url: String,
    image_pull_secret: String,
    plugin_config: Value,
}

impl PluginSpec {
    fn ports(&self) -> Vec<u16> {
        let ports = self.traffic.iter().flat_map(|traffic| &traffic.ports);
        ports.map(|port| port.number).collect()
    }

    /// What it runs, of either kind.
    fn module(&self) -> &Module {
        let is_below = !self.wasm.url.is_empty() || !self.wasm.plugin_config.is_null();
        if is_below { &self.wasm } else { &self.module }
    }
}

impl Installation {
    /// What gateways call its plugins.
    pub fn plugin_names(&self) -> Vec<String> {
        self.plugins.iter().map(Plugin::full_name).collect()
    }

    /// Its configuration, as the filter reads it.
    ///
    /// # Errors
    /// Every problem, as the filter would report it.
    pub fn loaded(&self) -> Result<LoadedConfig, Problems> {
        LoadedConfig::load(self.config.to_string().as_bytes())
    }

    /// A path for each versioned service that a release has.
    pub fn probe_paths_of<'a>(&'a self, version: &'a str) -> impl Iterator<Item = &'a str> {
        self.probe_paths.iter().filter_map(|path| path.of(version))
    }

    /// The Istio Gateways that the routes name; the sidecars are none.
    pub fn gateway_references(&self) -> impl Iterator<Item = GatewayReference<'_>> {
        let named = self.gateways.iter().filter(|written| *written != MESH);
        named.map(|written| {
            let (namespace, name) = written
                .split_once('/')
                .unwrap_or((&self.namespace, written));
            GatewayReference {
                written,
                namespace,
                name,
            }
        })
    }

    /// Selects all that it made: another one of the same name may have objects beside its own.
    pub fn own_selector(&self) -> String {
        selector(&self.own_labels())
    }

    /// Whether it made this.
    pub fn owns(&self, metadata: &Metadata) -> bool {
        selects(&self.own_labels(), &metadata.labels)
    }

    fn own_labels(&self) -> BTreeMap<String, String> {
        let labels = [
            (NAME, "skew-guard"),
            (INSTANCE, &self.helm_release),
            (RELEASE_NAMESPACE, &self.namespace),
        ];
        let labels = labels.into_iter();
        labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The chart that was installed under this name in this namespace.
    pub fn of(kubectl: &Kubectl, namespace: &str, helm_release: &str) -> Result<Self> {
        let routes = routes(kubectl, namespace, helm_release)?;
        let annotation = |name| routes.metadata.annotations.get(name);
        let Some(plugins) = annotation(PLUGIN) else {
            bail!(
                "Helm release {helm_release} in namespace {namespace} has no plugin: it was installed either with enabled: false or from a chart that is older than this tool"
            );
        };
        let stat_prefix = annotation(STAT_PREFIX)
            .with_context(|| format!("the routes have no annotation {STAT_PREFIX}"))?;
        let probe_paths = annotation(PROBE_PATHS).map_or("[]", String::as_str);
        let probe_paths = serde_json::from_str(probe_paths)
            .with_context(|| format!("annotation {PROBE_PATHS} is not a list of paths"))?;
        let rule_namespaces = annotation(RULES).map_or(namespace, String::as_str);
        let rule_namespaces = rule_namespaces
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let mut config = Value::Null;
        let mut found = Vec::new();
        for name in plugins.split(' ') {
            let plugin = Plugin::named(name)
                .with_context(|| format!("{name:?} of annotation {PLUGIN} names no plugin"))?;
            let spec = plugin_spec(kubectl, &plugin)?;
            config.clone_from(&spec.module().plugin_config);
            found.push(plugin.described_by(&spec));
        }
        let revision = config.get("revision").and_then(Value::as_u64);
        Ok(Self {
            helm_release: helm_release.to_owned(),
            namespace: namespace.to_owned(),
            revision: revision.with_context(|| format!("plugin {plugins} has no revision"))?,
            config,
            stat_prefix: stat_prefix.clone(),
            hosts: routes.spec.hosts,
            gateways: routes.spec.gateways,
            probe_paths,
            rule_namespaces,
            has_pod_monitor: annotation(POD_MONITOR).is_some(),
            plugins: found,
        })
    }
}

fn routes(kubectl: &Kubectl, namespace: &str, helm_release: &str) -> Result<Object<Routes>> {
    let labels = labels(helm_release);
    let mut found = kubectl
        .list::<Object<Routes>>(VIRTUAL_SERVICES, Scope::Namespace(namespace), &labels)
        .with_context(|| format!("cannot look for Helm release {helm_release}"))?;
    match (found.pop(), found.pop()) {
        (Some(routes), None) => Ok(routes),
        (None, _) => bail!(
            "no Helm release {helm_release} of the skew-guard chart in namespace {namespace}: it has no VirtualService with the labels {labels}"
        ),
        (Some(one), Some(other)) => bail!(
            "several VirtualServices in namespace {namespace} have the labels {labels}: {} and {}",
            one.metadata.name,
            other.metadata.name
        ),
    }
}

fn labels(helm_release: &str) -> String {
    format!("{NAME}=skew-guard,{INSTANCE}={helm_release}")
}

fn plugin_spec(kubectl: &Kubectl, plugin: &Plugin) -> Result<PluginSpec> {
    let Plugin {
        kind,
        namespace,
        name,
        ..
    } = plugin;
    let found: Option<Object<PluginSpec>> = kubectl.object(&plugin.resource(), namespace, name)?;
    let found =
        found.with_context(|| format!("there is no {kind} {name} in namespace {namespace}"))?;
    Ok(found.spec)
}
