//! A listener with the filter in it, and a configuration that can be changed while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use skew_guard_behaviour::{mesh, with};
use skew_guard_lab::bootstrap::{Plugin, discovered_filter, listener, release_routes};
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::xds::{Files, socket_address};
use skew_guard_lab::{ports, wait};

use crate::application::ANSWER;
use crate::lab::Lab;
use crate::received::Received;

/// What happens to the filter's VM when its configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vms {
    /// It stays, as in plain Envoy.
    Kept,
    /// Each configuration gets a new one, as under Istio with a module from a file.
    New,
}

/// How to open a gateway.
pub struct Spec {
    name: String,
    /// Its own: with port 0 Envoy would reuse the socket of a listener that was just closed.
    address: SocketAddr,
    plugin: Plugin,
    vms: Vms,
    routes: Vec<Value>,
    others: Vec<Value>,
    manager: Map<String, Value>,
    router: Option<Value>,
    files: Files,
}

/// The default routes of every gateway: a cluster for each release, and all pods.
const ROUTES: [&str; 5] = ["v2-1-0", "v2-0-0", "v1-4-2", "v1-3-0", "v1-2-0"];

impl Spec {
    /// A gateway of that name, with the filter as [`shop`] configures it.
    pub fn of(lab: &Lab, name: &str) -> Result<Self> {
        let files = Files::new()?;
        let spec = Self {
            plugin: Plugin::of(lab.module()).named(name),
            name: name.into(),
            address: ports::free()?,
            vms: Vms::Kept,
            routes: release_routes(&ROUTES, |route| format!("shop-{route}"), "shop"),
            others: Vec::new(),
            manager: Map::new(),
            router: None,
            files,
        };
        spec.write(&text_message(&shop(json!({})).to_string()), 0)?;
        Ok(spec)
    }

    /// With this configuration.
    pub fn configured(self, configuration: &Value) -> Result<Self> {
        self.configured_by_text(&configuration.to_string())
    }

    /// With this text instead of a configuration.
    pub fn configured_by_text(self, text: &str) -> Result<Self> {
        self.configured_by_message(&text_message(text))
    }

    /// With this message, as JSON with its `@type`.
    pub fn configured_by_message(self, message: &Value) -> Result<Self> {
        self.write(message, 0)?;
        Ok(self)
    }

    /// With this plugin instead of the filter's usual name, root and VM id.
    pub fn plugin(mut self, change: impl FnOnce(Plugin) -> Plugin) -> Self {
        self.plugin = change(self.plugin);
        self
    }

    /// With VMs like this.
    pub fn vms(mut self, vms: Vms) -> Self {
        self.vms = vms;
        self
    }

    /// With these routes.
    pub fn routes(mut self, routes: Vec<Value>) -> Self {
        self.routes = routes;
        self
    }

    /// With one route to one cluster, whatever the route header says.
    pub fn one_route_to(self, cluster: &str) -> Self {
        self.routes(vec![
            json!({ "name": "only", "match": { "prefix": "/" }, "route": { "cluster": cluster } }),
        ])
    }

    /// With a direct response of Envoy to every request.
    pub fn answer_everything_with(&mut self, body: &str) {
        self.routes = vec![json!({
            "name": "own",
            "match": { "prefix": "/" },
            "direct_response": { "status": 200, "body": { "inline_string": body } },
        })];
    }

    /// With another filter after ours.
    pub fn and_filter(mut self, filter: Value) -> Self {
        self.others.push(filter);
        self
    }

    /// With this field replaced in the connection manager.
    pub fn manager(mut self, field: &str, value: Value) -> Self {
        self.manager.insert(field.to_owned(), value);
        self
    }

    /// With this router instead of the plain one.
    pub fn router(mut self, router: Value) -> Self {
        self.router = Some(router);
        self
    }

    /// With another field on each of its routes.
    pub fn on_each_route(mut self, field: &str, value: &Value) -> Self {
        for route in &mut self.routes {
            route[field] = value.clone();
        }
        self
    }

    /// The gateway's listener.
    pub fn listener(&self) -> Value {
        let mut filters = vec![discovered_filter(&self.name, &self.files)];
        filters.extend(self.others.iter().cloned());
        let mut listener = listener(&self.name, &filters, &self.routes);
        listener["address"] = socket_address(self.address);
        let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config");
        if let Some(manager) = manager.and_then(Value::as_object_mut) {
            manager.insert(
                "upgrade_configs".into(),
                json!([{ "upgrade_type": "websocket" }]),
            );
            // How long Envoy leaves a connection open after its own answer, for a client that is still sending.
            manager.insert("delayed_close_timeout".into(), json!("0.1s"));
            manager.insert("access_log".into(), json!([self.access_logger()]));
            manager.extend(self.manager.clone());
            let filters = manager
                .get_mut("http_filters")
                .and_then(Value::as_array_mut);
            if let (Some(router), Some(last)) =
                (&self.router, filters.and_then(|all| all.last_mut()))
            {
                *last = router.clone();
            }
        }
        listener
    }

    /// Where its access log is written.
    pub fn access_log_file(&self) -> PathBuf {
        self.files.directory().join("access.log")
    }

    fn access_logger(&self) -> Value {
        json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": self.access_log_file(),
                "log_format": { "text_format_source": { "inline_string":
                    "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(X-CASE)% %RESPONSE_CODE_DETAILS%\n"
                } },
            },
        })
    }

    fn write(&self, message: &Value, generation: u64) -> Result<()> {
        let mut plugin = self.plugin.clone().configured_by_message(message.clone());
        if self.vms == Vms::New {
            plugin = plugin.in_vm_of(&generation.to_string());
        }
        self.files.extension(&self.name, &plugin.typed_config())
    }

    /// Changes the configuration of the open gateway, and waits until every worker has it. It must differ from the
    /// one before.
    async fn reconfigure(&self, lab: &Lab, message: &Value, generation: u64) -> Result<()> {
        let before = self.reloads(lab).await?;
        self.write(message, generation)?;
        wait::until("the configuration to be accepted", async || {
            Ok(self.reloads(lab).await? > before)
        })
        .await
        .with_context(|| format!("Envoy printed:\n{}", lab.envoy().log()))
    }

    /// The same with a configuration.
    pub async fn take(&self, lab: &Lab, configuration: &Value) -> Result<()> {
        self.reconfigure(lab, &text_message(&configuration.to_string()), 0)
            .await
    }

    /// How many configurations all workers have accepted. Envoy counts one when the last worker is done.
    async fn reloads(&self, lab: &Lab) -> Result<u64> {
        let stat = format!(
            "extension_config_discovery.http_filter.{}.config_reload",
            self.name
        );
        let found = lab.envoy().stats(&stat.replace('.', r"\.")).await?;
        found
            .into_values()
            .next()
            .with_context(|| format!("no stat {stat}"))
    }

    /// What the access log says so far: path, status, flags, case and details of each request.
    pub fn access_log(&self) -> Result<String> {
        let path = self.access_log_file();
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same listener without our filter.
    pub fn listener_without_filter(&self) -> Value {
        let mut listener = self.listener();
        let filters = listener.pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters");
        if let Some(filters) = filters.and_then(Value::as_array_mut) {
            filters.retain(|filter| filter["name"] != self.name.as_str());
        }
        listener
    }

    /// Opens it.
    pub async fn open(self, lab: &Lab) -> Result<Gateway<'_>> {
        let address = lab.listen(self.listener()).await?;
        Ok(self.at(lab, address))
    }

    /// The gateway that the Envoy started with.
    pub async fn opened(self, lab: &Lab) -> Result<Gateway<'_>> {
        let address = lab.envoy().listener(&self.name).await?;
        Ok(self.at(lab, address))
    }

    fn at(self, lab: &Lab, address: SocketAddr) -> Gateway<'_> {
        Gateway {
            lab,
            address,
            spec: self,
            generation: 0,
        }
    }
}

/// An open gateway.
pub struct Gateway<'l> {
    lab: &'l Lab,
    address: SocketAddr,
    spec: Spec,
    generation: u64,
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        if let Err(problem) = self.lab.close(&self.spec.name) {
            eprintln!("{} stays open: {problem:#}", self.spec.name);
        }
    }
}

impl Gateway<'_> {
    /// Its name, which is also the plugin's by default.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it was opened.
    pub fn spec(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// Changes the configuration, and waits until every worker has it.
    pub async fn configure(&mut self, configuration: &Value) -> Result<()> {
        self.configure_by_text(&configuration.to_string()).await
    }

    /// The same with any text.
    pub async fn configure_by_text(&mut self, text: &str) -> Result<()> {
        self.configure_by_message(&text_message(text)).await
    }

    /// The same with any message, as JSON with its `@type`.
    pub async fn configure_by_message(&mut self, message: &Value) -> Result<()> {
        self.generation += 1;
        self.spec
            .reconfigure(self.lab, message, self.generation)
            .await
    }

    /// What the access log says so far: path, status, flags, case and details of each request.
    pub fn access_log(&self) -> Result<String> {
        self.spec.access_log()
    }

    /// A GET.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<RawAnswer> {
        self.request("GET", path, headers).await
    }

    /// Any request without a body.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<RawAnswer> {
        http::request(self.address, method, path, &bytes(headers)).await
    }

    /// The request as a pod received it: the shop returns it on this path only.
    pub async fn received(&self, headers: &[(&str, &str)]) -> Result<Received> {
        Received::from(&self.get("/api/request", headers).await?)
    }

    /// The answer to a GET when the application answers with this.
    pub async fn get_answered(
        &self,
        answer: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<RawAnswer> {
        self.get(path, &[headers, &[(ANSWER, answer)]].concat())
            .await
    }
}

fn text_message(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}

fn bytes<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect()
}

/// The configuration of the shop, with these keys added or replaced; `null` removes one.
pub fn shop(changes: Value) -> Value {
    with(with(mesh(), json!({ "current": "2.0.0" })), changes)
}
