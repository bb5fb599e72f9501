//! What a gateway's metrics say, in the Prometheus text format
//! ([exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/)).

use std::collections::BTreeMap;

/// The gauges by which the filter says what is in force.
const REVISION: &str = "skew_guard_config_revision";
const REFUSED: &str = "skew_guard_config_refused";

/// By these Envoy says how many listeners, and parts of listeners, wait for their connections to end.
pub const DRAINING: [&str; 2] = [
    "envoy_listener_manager_total_listeners_draining",
    "envoy_listener_manager_total_filter_chains_draining",
];

/// A gauge stays when its plugin has gone; the metric of this name, which Envoy has for each Wasm plugin
/// that is there, does not (seen on 1.36 to 1.40).
const VM_RELOAD: (&str, &str) = ("envoy_wasm_", "_vm_reload");
/// What a plugin has behind its name there where Istio made it of a `WasmPlugin` (1.30 and later).
const ISTIO_SUFFIX: &str = "_istio_translated_wasmplugin";

/// Where Envoy counts the requests of a route that has a `stat_prefix`.
const ROUTE: (&str, &str) = ("envoy_vhost_", "_upstream_rq_total");

/// Of Envoy's names of metrics, those that are read here.
pub const FILTER: &str = r"skew_guard_|\.vm_reload$|s_draining$|\.route\..*\.upstream_rq_total$";

/// What the filter says of a release: the metric, and its tags behind `plugin` and `release`.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    name: &'static str,
    tags: &'static [&'static str],
}

/// Requests, by why the release was chosen and what they were for.
pub const REQUESTS: Family = Family::new("skew_guard_requests_total", &["outcome", "class"]);
/// What was seen on answers.
pub const ANSWERS: Family = Family::new("skew_guard_answers_total", &["answer"]);
/// Streams that are open now.
pub const OPEN_STREAMS: Family = Family::new("skew_guard_open_streams", &[]);
/// What becomes of those who ask for it.
pub const RELEASE_STATE: Family = Family::new("skew_guard_release_state", &[]);

/// A release as a gateway calls it: its route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    name: String,
    /// Whether it was read from the metric's name, where everything but letters and digits is an
    /// underscore.
    is_sanitized: bool,
}

/// One value of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample<'t> {
    pub release: Release,
    /// The values of the family's tags.
    pub tags: Vec<&'t str>,
    pub value: u64,
}

/// The text that a gateway answers.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'t>(pub &'t str);

/// A route that counts its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Host and port, as in the gateway's configuration; as in a metric's name where `is_sanitized`.
    pub virtual_host: String,
    /// Its `stat_prefix`.
    pub name: String,
    /// Whether both were read from the metric's name, where everything but letters and digits is an underscore.
    pub is_sanitized: bool,
}

impl<'t> Metrics<'t> {
    /// The revision in force, by plugin.
    pub fn revisions(self) -> BTreeMap<Plugin, u64> {
        self.gauges(REVISION)
    }

    /// Whether a plugin refuses its newest configuration.
    pub fn is_refused(self, plugin: &Plugin) -> bool {
        let refused = self.gauges(REFUSED);
        refused.get(plugin).is_some_and(|refused| *refused != 0)
    }

    /// Whether Envoy still has a plugin that shows a gauge; if that cannot be told, the answer is
    /// yes.
    pub fn has(self, plugin: &Plugin) -> bool {
        let mut loaded = self.0.lines().filter_map(loaded_plugin).peekable();
        let name = sanitized(&plugin.name);
        loaded.peek().is_none()
            || loaded.any(|loaded| {
                let loaded = loaded.strip_suffix(ISTIO_SUFFIX).unwrap_or(loaded);
                loaded.trim_matches('_') == name.trim_matches('_')
            })
    }

    /// How many listeners and filter chains have old connections; none where that is not shown.
    pub fn draining(self) -> Option<u64> {
        let counted = DRAINING.map(|name| self.0.lines().find_map(|line| Series::of(line, name)));
        let mut shown = counted.into_iter().flatten().peekable();
        shown.peek()?;
        Some(shown.map(|series| series.value).sum())
    }

    /// The routes whose `stat_prefix` begins so.
    pub fn routes(self, family: &str) -> Vec<Route> {
        let routes = self.0.lines().filter_map(|line| route(line, family));
        routes.collect()
    }

    /// What a plugin says of its releases.
    pub fn of_releases(self, family: Family, plugin: &Plugin) -> Vec<Sample<'t>> {
        let samples = self.0.lines().filter_map(|line| family.sample(line));
        samples
            .filter(|(of, _)| of == plugin)
            .map(|(_, sample)| sample)
            .collect()
    }

    fn gauges(self, name: &str) -> BTreeMap<Plugin, u64> {
        let gauges = self.0.lines().filter_map(|line| gauge(line, name));
        gauges.collect()
    }
}

/// A plugin that shows a gauge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plugin {
    pub name: String,
    /// Whether the name was read from the metric's name, where everything but letters and digits is an
    /// underscore: the gateway has no tag expression for `plugin`.
    is_sanitized: bool,
}

impl Plugin {
    /// Whether a person may call it so. Istio puts the namespace before the name, and so does the chart with its own where
    /// that is another: `istio-ingress.shop.shop-skew-guard`.
    pub fn has_name(&self, wanted: &str) -> bool {
        if self.is_sanitized {
            return self.name == sanitized(wanted).trim_matches('_');
        }
        let before = self.name.strip_suffix(wanted);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

/// The name of a Wasm plugin that Envoy has, where the line says one.
fn loaded_plugin(line: &str) -> Option<&str> {
    let (prefix, suffix) = VM_RELOAD;
    let (metric, _) = line.split_once(['{', ' '])?;
    metric.strip_prefix(prefix)?.strip_suffix(suffix)
}

impl Family {
    const fn new(name: &'static str, tags: &'static [&'static str]) -> Self {
        Self { name, tags }
    }

    /// The sample of a line that shows this family, and whose it is.
    fn sample<'t>(&self, line: &'t str) -> Option<(Plugin, Sample<'t>)> {
        let mut series = Series::of(line, self.name)?;
        let mut tags: Vec<_> = self
            .tags
            .iter()
            .rev()
            .map(|tag| series.take(tag).map(|(value, _)| value))
            .collect::<Option<_>>()?;
        tags.reverse();
        let (name, is_sanitized) = series.take("release")?;
        let name = name.to_owned();
        let value = series.value;
        let plugin = series.plugin()?;
        let release = Release { name, is_sanitized };
        Some((
            plugin,
            Sample {
                release,
                tags,
                value,
            },
        ))
    }
}

impl Release {
    /// Whether its route is this.
    pub fn is(&self, route: &str) -> bool {
        self.name == route || self.is_sanitized && self.name == sanitized(route)
    }

    /// Its route, as well as that can be told: Istio's have dashes, where a metric's name has underscores.
    pub fn route(&self) -> String {
        if self.is_sanitized {
            self.name.replace('_', "-")
        } else {
            self.name.clone()
        }
    }
}

/// A line of a metric of the filter. Where the gateway has no tag expression for a tag, that stands in the name itself:
/// `plugin___shop___release___v1_4_2___skew_guard_open_streams`.
#[derive(Debug)]
struct Series<'t> {
    /// What is left of the name, the last tag at its end.
    name: &'t str,
    labels: &'t str,
    value: u64,
}

impl<'t> Series<'t> {
    /// The one of a line that shows this metric.
    fn of(line: &'t str, metric: &str) -> Option<Self> {
        let (series, value) = line.trim().rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let name = name.trim().strip_suffix(metric)?;
        Some(Self {
            name: name.strip_suffix("___").unwrap_or(name),
            labels,
            value: value.parse().ok()?,
        })
    }

    /// The value of its last tag, and whether it stood in the name.
    fn take(&mut self, tag: &str) -> Option<(&'t str, bool)> {
        if let Some(value) = label(self.labels, tag) {
            return Some((value, false));
        }
        let (before, value) = self.name.rsplit_once(&format!("{tag}___"))?;
        self.name = match before {
            "" => "",
            before => before.strip_suffix("___")?,
        };
        Some((value, true))
    }

    /// Whose it is.
    fn plugin(mut self) -> Option<Plugin> {
        let (name, is_sanitized) = self.take("plugin")?;
        let name = if is_sanitized {
            name.trim_matches('_')
        } else {
            name
        };
        Some(Plugin {
            name: name.to_owned(),
            is_sanitized,
        })
    }
}

/// Plugin and value of a line that shows this gauge.
fn gauge(line: &str, name: &str) -> Option<(Plugin, u64)> {
    let series = Series::of(line, name)?;
    let value = series.value;
    Some((series.plugin()?, value))
}

/// The route of a line that shows the counter of one whose `stat_prefix` begins so. Where the gateway has no tag
/// expressions for it, as Istio's have none, virtual host and route stand in the name:
/// `envoy_vhost_shop_example_com_80_route_skew_guard_shop_r7_upstream_rq_total`.
fn route(line: &str, family: &str) -> Option<Route> {
    let (prefix, suffix) = ROUTE;
    let (metric, labels) = line.trim().split_once(['{', ' '])?;
    let between = metric.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let labelled = label(labels, "envoy_virtual_host").zip(label(labels, "envoy_route"));
    let (virtual_host, name) = match labelled {
        Some((virtual_host, name)) => (virtual_host, name.starts_with(family).then_some(name)?),
        None => {
            let at = between.rfind(&format!("_route_{}", sanitized(family)))?;
            let (virtual_host, name) = between.split_at(at);
            (virtual_host, name.trim_start_matches("_route_"))
        }
    };
    Some(Route {
        virtual_host: virtual_host.to_owned(),
        name: name.to_owned(),
        is_sanitized: labelled.is_none(),
    })
}

impl Route {
    /// Whether its `stat_prefix` is this.
    pub fn is_named(&self, stat_prefix: &str) -> bool {
        match self.is_sanitized {
            true => self.name == sanitized(stat_prefix),
            false => self.name == stat_prefix,
        }
    }

    /// Whether its virtual host is that of this host; behind the host stands a port.
    pub fn is_of(&self, host: &str) -> bool {
        let virtual_host = sanitized(&self.virtual_host);
        let port = virtual_host.strip_prefix(&sanitized(host));
        port.is_some_and(|port| {
            let port = port.trim_start_matches('_');
            port.chars().all(|letter| letter.is_ascii_digit())
        })
    }
}

/// The value of a label.
fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    let (_, value) = labels.split_once(&format!("{name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

/// A plugin's name as it is in a metric's name, where everything but letters and digits is an
/// underscore.
fn sanitized(plugin: &str) -> String {
    plugin
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect()
}
