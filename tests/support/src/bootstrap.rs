//! Envoy bootstraps: the ones that the repository ships, pointed at a test's own files and ports, and small ones made
//! from parts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cargo;
use crate::xds::{self, Files};

/// The name of the filter in the bootstraps of this repository.
pub const FILTER: &str = "skew-guard";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// An Envoy bootstrap file, as a reader would copy it, with the changes that let a test run it beside others.
#[derive(Debug, Clone)]
pub struct Bootstrap(Value);

impl Bootstrap {
    /// Reads a YAML file of the repository, e.g. `envoy/envoy.yaml`. A filter that Envoy discovers in a separate file
    /// is read into the bootstrap; [`Bootstrap::discover_filter`] takes it out again.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = cargo::workspace().join(path);
        let mut bootstrap = Self(read_yaml(&path)?);
        let mut discovered = Vec::new();
        let is_discovered = |value: &Value| value.get("config_discovery").is_some();
        collect_mut(&mut bootstrap.0, &is_discovered, &mut discovered);
        for filter in discovered {
            let name = filter.get("name").cloned().unwrap_or_default();
            let typed = discovered_config(filter, &path)
                .with_context(|| format!("filter {name} of {}", path.display()))?;
            *filter = json!({ "name": name, "typed_config": typed });
        }
        Ok(bootstrap)
    }

    /// Reads it as Envoy does, which looks for the filter itself.
    pub fn read_as_it_is(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self(read_yaml(&cargo::workspace().join(path))?))
    }

    /// Parses the bootstrap from YAML.
    pub fn parse(yaml: &str) -> Result<Self> {
        Ok(Self(serde_saphyr::from_str(yaml)?))
    }

    /// One from parts: listeners from [`listener`], clusters from [`cluster`].
    pub fn of(listeners: Vec<Value>, clusters: Vec<Value>) -> Self {
        Self(json!({
            "node": { "id": "lab", "cluster": "lab" },
            "static_resources": { "listeners": listeners, "clusters": clusters },
            "stats_config": { "stats_tags": stats_tags() },
        }))
    }

    /// The filter's code from this file.
    #[must_use]
    pub fn with_module(mut self, module: &Path) -> Self {
        for wasm in self.filter_configs() {
            if let Some(code) = wasm.pointer_mut("/config/vm_config/code") {
                *code = local_code(module);
            }
        }
        self
    }

    /// The filter's configuration replaced by this JSON.
    #[must_use]
    pub fn with_configuration(mut self, configuration: &Value) -> Self {
        for wasm in self.filter_configs() {
            if let Some(plugin) = wasm.pointer_mut("/config").and_then(Value::as_object_mut) {
                plugin.insert(
                    "configuration".into(),
                    string_value(&configuration.to_string()),
                );
            }
        }
        self
    }

    /// The bootstrap without the filter: plain routing.
    #[must_use]
    pub fn without_filter(mut self) -> Self {
        let mut chains = Vec::new();
        collect_mut(
            &mut self.0,
            &|value| {
                value
                    .as_array()
                    .is_some_and(|list| list.iter().any(is_wasm))
            },
            &mut chains,
        );
        for chain in chains.into_iter().filter_map(Value::as_array_mut) {
            chain.retain(|filter| !is_wasm(filter));
        }
        self
    }

    /// Moves the filter's whole configuration to the file of its name (ECDS), so that it can
    /// be changed while Envoy runs. Returns the original filter, for those changes.
    pub fn discover_filter(mut self, files: &Files) -> Result<(Self, Value)> {
        let filter = find_mut(&mut self.0, &|value| {
            value.get("name").is_some_and(|name| name == FILTER) && is_wasm(value)
        })
        .context("no skew-guard filter in the bootstrap")?;
        let typed = filter.get("typed_config").cloned().unwrap_or_default();
        *filter = discovered_filter(FILTER, files);
        files.extension(FILTER, &typed)?;
        Ok((self, typed))
    }

    /// Every EDS cluster's endpoints from the file of the cluster's name.
    #[must_use]
    pub fn with_endpoints_from(mut self, files: &Files) -> Self {
        for cluster in self.list_mut("/static_resources/clusters") {
            let name = cluster
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if let Some(source) = cluster.pointer_mut("/eds_cluster_config/eds_config") {
                *source = files.source(&name);
            }
        }
        self
    }

    /// Without the rules that turn tags in the names of the filter's metrics into labels.
    #[must_use]
    pub fn without_tags(mut self) -> Self {
        if let Some(fields) = self.0.as_object_mut() {
            fields.remove("stats_config");
        }
        self
    }

    /// Every listener on a port that the kernel chooses; [`crate::envoy::Envoy::listener`] returns it.
    #[must_use]
    pub fn on_free_ports(mut self) -> Self {
        for listener in self.list_mut("/static_resources/listeners") {
            if let Some(address) = listener.get_mut("address") {
                *address = xds::socket_address(([127, 0, 0, 1], 0).into());
            }
        }
        self
    }

    /// Listeners from the file of that name (LDS) instead of the bootstrap's own.
    #[must_use]
    pub fn discover_listeners(mut self, files: &Files, name: &str) -> Self {
        if let Some(fields) = self.0.as_object_mut() {
            fields.insert(
                "dynamic_resources".into(),
                json!({ "lds_config": files.source(name) }),
            );
        }
        self
    }

    /// The bootstrap.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The names of the EDS clusters.
    pub fn discovered_clusters(&self) -> Vec<String> {
        let clusters = self
            .0
            .pointer("/static_resources/clusters")
            .and_then(Value::as_array);
        let discovered = clusters
            .into_iter()
            .flatten()
            .filter(|cluster| cluster.get("eds_cluster_config").is_some());
        discovered
            .filter_map(|cluster| Some(cluster.get("name")?.as_str()?.to_owned()))
            .collect()
    }

    /// The JSON text of the filter's configuration.
    pub fn configuration(&mut self) -> Result<Value> {
        let text = self.filter_configs().into_iter().find_map(|wasm| {
            Some(
                wasm.pointer("/config/configuration/value")?
                    .as_str()?
                    .to_owned(),
            )
        });
        Ok(serde_json::from_str(
            &text.context("no filter with a StringValue configuration")?,
        )?)
    }

    fn filter_configs(&mut self) -> Vec<&mut Value> {
        let mut found = Vec::new();
        collect_mut(
            &mut self.0,
            &|value| value.get("@type").is_some_and(|kind| kind == WASM),
            &mut found,
        );
        found
    }

    fn list_mut(&mut self, pointer: &str) -> impl Iterator<Item = &mut Value> {
        self.0
            .pointer_mut(pointer)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
    }
}

fn read_yaml(path: &Path) -> Result<Value> {
    let yaml = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_str(&yaml).with_context(|| path.display().to_string())
}

/// A discovered filter: its file is where the bootstrap says, relative to the repository's root, or, as in a
/// container, beside the bootstrap.
fn discovered_config(filter: &Value, bootstrap: &Path) -> Result<Value> {
    let file = filter.pointer("/config_discovery/config_source/path_config_source/path");
    let file = file.and_then(Value::as_str).context("no file")?;
    let file = match Path::new(file).strip_prefix("/") {
        Err(_) => cargo::workspace().join(file),
        Ok(_) => bootstrap.with_file_name(Path::new(file).file_name().context("no file name")?),
    };
    let found = read_yaml(&file)?;
    let resource = found.pointer("/resources/0").context("no resource")?;
    ensure!(
        resource.get("name") == filter.get("name"),
        "{} holds another filter",
        file.display()
    );
    let typed = resource.get("typed_config").context("no typed_config")?;
    let types = filter.pointer("/config_discovery/type_urls/0");
    ensure!(typed.get("@type") == types, "the filter needs another type");
    Ok(typed.clone())
}

fn is_wasm(filter: &Value) -> bool {
    filter
        .pointer("/typed_config/@type")
        .is_some_and(|kind| kind == WASM)
}

fn find_mut<'a>(value: &'a mut Value, matches: &dyn Fn(&Value) -> bool) -> Option<&'a mut Value> {
    let mut found = Vec::new();
    collect_mut(value, matches, &mut found);
    found.into_iter().next()
}

/// Every value in the tree that matches; not searched inside those.
fn collect_mut<'a>(
    value: &'a mut Value,
    matches: &dyn Fn(&Value) -> bool,
    found: &mut Vec<&'a mut Value>,
) {
    if matches(value) {
        found.push(value);
        return;
    }
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| collect_mut(item, matches, found)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| collect_mut(field, matches, found)),
        _ => {}
    }
}

/// One Wasm plugin, as its typed configuration is put into a filter chain or an ECDS file.
#[derive(Debug, Clone)]
pub struct Plugin {
    module: PathBuf,
    name: String,
    root_id: String,
    vm_id: String,
    configuration: Option<Value>,
    environment: Value,
    failure_policy: String,
}

impl Plugin {
    /// A plugin of that module, named and rooted `skew-guard`, without a configuration.
    pub fn of(module: &Path) -> Self {
        Self {
            module: module.to_path_buf(),
            name: FILTER.into(),
            root_id: FILTER.into(),
            vm_id: FILTER.into(),
            configuration: None,
            environment: json!({}),
            failure_policy: "FAIL_OPEN".into(),
        }
    }

    /// Of another module.
    #[must_use]
    pub fn made_of(mut self, module: &Path) -> Self {
        self.module = module.to_path_buf();
        self
    }

    /// Its name, which Envoy tells the module as a property.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Its root id: plugins of one VM with different root ids have separate root contexts.
    #[must_use]
    pub fn root_id(mut self, root_id: &str) -> Self {
        self.root_id = root_id.into();
        self
    }

    /// Its VM id. Shared data belongs to a VM id, and Istio's is always empty.
    #[must_use]
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        self.vm_id = vm_id.into();
        self
    }

    /// Configured by this JSON.
    #[must_use]
    pub fn configured(self, configuration: &Value) -> Self {
        self.configured_by_text(&configuration.to_string())
    }

    /// Configured by this text, which need not be JSON.
    #[must_use]
    pub fn configured_by_text(mut self, text: &str) -> Self {
        self.configuration = Some(string_value(text));
        self
    }

    /// Configured by any protobuf message, as JSON with its `@type`.
    #[must_use]
    pub fn configured_by_message(mut self, message: Value) -> Self {
        self.configuration = Some(message);
        self
    }

    /// With a variable in the VM's environment; a different value means a different VM, as under Istio with `file://`.
    #[must_use]
    pub fn in_vm_of(mut self, value: &str) -> Self {
        self.environment =
            json!({ "key_values": { "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION": value } });
        self
    }

    /// What happens to requests when the VM fails: `FAIL_OPEN` (the default here), `FAIL_CLOSED` or `FAIL_RELOAD`.
    #[must_use]
    pub fn failing(mut self, policy: &str) -> Self {
        self.failure_policy = policy.into();
        self
    }

    /// The typed configuration.
    pub fn typed_config(&self) -> Value {
        let mut plugin = json!({
            "name": self.name,
            "root_id": self.root_id,
            "failure_policy": self.failure_policy,
            "vm_config": {
                "vm_id": self.vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": local_code(&self.module),
                "environment_variables": self.environment,
            },
        });
        if let (Some(fields), Some(configuration)) = (plugin.as_object_mut(), &self.configuration) {
            fields.insert("configuration".into(), configuration.clone());
        }
        json!({ "@type": WASM, "config": plugin })
    }

    /// The plugin as one filter of an HTTP filter chain.
    pub fn filter(&self) -> Value {
        json!({ "name": self.name, "typed_config": self.typed_config() })
    }
}

/// A filter whose configuration is the file of its name (ECDS). It must have been written with [`Files::extension`]
/// before Envoy starts, or the listener waits for it.
pub fn discovered_filter(name: &str, files: &Files) -> Value {
    json!({
        "name": name,
        "config_discovery": {
            "config_source": files.source(name),
            "type_urls": [WASM],
        },
    })
}

/// An HTTP listener on a free port, with these filters before the router and these routes.
pub fn listener(name: &str, filters: &[Value], routes: &[Value]) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    json!({
        "name": name,
        "address": xds::socket_address(([127, 0, 0, 1], 0).into()),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": name,
                "codec_type": "AUTO",
                "http_filters": filters.iter().chain([&router]).collect::<Vec<_>>(),
                "route_config": {
                    "name": name,
                    "validate_clusters": false,
                    "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }],
                },
            },
        }] }],
    })
}

/// The routes of one application: one for each release, the catch-all for a missing release, the default.
///
/// `releases` names the route value of each release, `cluster_of` its cluster; the default goes to `default_cluster`.
pub fn release_routes(
    releases: &[&str],
    cluster_of: impl Fn(&str) -> String,
    default_cluster: &str,
) -> Vec<Value> {
    let header_is =
        |value: &str| json!([{ "name": "x-release", "string_match": { "exact": value } }]);
    let to = |cluster: &str| json!({ "cluster": cluster, "timeout": "15s" });
    let mut routes: Vec<_> = releases
        .iter()
        .map(|release| {
            json!({
                "name": release,
                "match": { "prefix": "/", "headers": header_is(release) },
                "route": to(&cluster_of(release)),
            })
        })
        .collect();
    routes.push(json!({
        "name": "skew-guard-absent",
        "match": { "prefix": "/", "headers": [{ "name": "x-release", "present_match": true }] },
        "route": { "cluster": "skew-guard-absent" },
    }));
    routes.push(
        json!({ "name": "default", "match": { "prefix": "/" }, "route": to(default_cluster) }),
    );
    routes
}

/// A cluster whose endpoints are the file of its name (EDS).
pub fn cluster(name: &str, files: &Files) -> Value {
    json!({
        "name": name,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": { "eds_config": files.source(name) },
    })
}

/// The regular expressions that extract each tag from the filter's stat names.
pub fn stats_tags() -> Value {
    let tag = |name: &str| json!({ "tag_name": name, "regex": format!("({name}=\\.=(.*?);\\.;)") });
    json!(["release", "outcome", "class", "answer", "plugin"].map(tag))
}

fn local_code(module: &Path) -> Value {
    json!({ "local": { "filename": module } })
}

fn string_value(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}
