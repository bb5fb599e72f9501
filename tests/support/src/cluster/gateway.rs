//! An ingress gateway: real Envoy under Istio's real agent, as in the gateway's Pod.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::Api;
use super::discovery_proxy::DiscoveryProxy;
use super::istio;
use super::registered_pod::RegisteredPod;
use super::tools::Tools;
use super::workload::Workload;
use crate::http;
use crate::process::Process;

/// The default namespace of a gateway: Istio's own.
pub const NAMESPACE: &str = "istio-system";

/// A gateway of a cluster, by the value of its `gateway` label: a `Gateway` resource with that selector and that port
/// is served by it alone, while all of them have the label `istio: ingressgateway`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayName {
    /// The one that most tests need.
    First,
    /// One that can be made to learn changes late.
    Second,
}

impl GatewayName {
    /// The value of its `gateway` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }

    /// The port that its `Gateway` resources should name: both are on one network.
    pub fn port(self) -> u16 {
        self.shifted(9_080)
    }

    /// The offset of ports that a Pod would have to itself.
    fn shift(self) -> u16 {
        match self {
            Self::First => 0,
            Self::Second => 1_000,
        }
    }

    fn shifted(self, port: u16) -> u16 {
        port + self.shift()
    }

    /// Where Envoy and its agent show metrics on this machine, instead of on the Pod's ports.
    fn metrics_ports(self) -> [(u16, u16); 2] {
        [15_020, 15_090].map(|port| (port, self.shifted(port + 100)))
    }

    /// Its Pod's address. No endpoint of a service, because istiod would take the proxy for that service's workload.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::First => Ipv4Addr::new(10, 244, 255, 1),
            Self::Second => Ipv4Addr::new(10, 244, 255, 2),
        }
    }
}

/// A running gateway; dropping it ends it at once.
#[derive(Debug)]
pub struct Gateway {
    name: GatewayName,
    pod: RegisteredPod,
    agent: Process,
    discovery: DiscoveryProxy,
    http: reqwest::Client,
    _directory: TempDir,
}

impl Gateway {
    pub(super) async fn start(
        tools: &Tools,
        api: &Api,
        namespace: &str,
        name: GatewayName,
    ) -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-gateway-")?;
        let discovery = DiscoveryProxy::before(istio::DISCOVERY).await?;
        let labels = json!({ "istio": "ingressgateway", "gateway": name.label() });
        let mut pod =
            RegisteredPod::register(api, namespace, name.label(), &labels, name.address()).await?;
        for (port, here) in name.metrics_ports() {
            pod.open(port, here).await?;
        }
        let workload = Workload {
            role: "router",
            name: name.label(),
            namespace,
            labels: &labels,
            address: name.address(),
            shift: name.shift(),
        };
        let command = workload.agent(tools, directory.path(), discovery.address())?;
        let agent = Process::start(format!("gateway {}", name.label()), command)?;
        let mut gateway = Self {
            name,
            pod,
            agent,
            discovery,
            http: http::client()?,
            _directory: directory,
        };
        let ready = format!("http://{}/ready", gateway.admin());
        gateway
            .agent
            .serving(async || Ok(gateway.http.get(&ready).send().await?.status().is_success()))
            .await?;
        gateway.pod.say_ready(true).await?;
        Ok(gateway)
    }

    /// Which one it is.
    pub fn name(&self) -> GatewayName {
        self.name
    }

    /// Where it accepts requests, once a `Gateway` resource with its label and port exists.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.name.port()))
    }

    /// Its connection to istiod.
    pub fn discovery(&self) -> &DiscoveryProxy {
        &self.discovery
    }

    /// Everything that the agent and Envoy printed, including the filter's messages.
    pub fn log(&self) -> String {
        self.agent.log()
    }

    /// Fails when it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        self.agent.check_running()
    }

    /// Where a Prometheus server would scrape it, and where a pipeline looks while it waits.
    pub fn metrics_url(&self) -> String {
        format!("http://{}:15090/stats/prometheus", self.name.address())
    }

    /// Counters and gauges whose name matches the regular expression.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>> {
        let url = format!("http://{}/stats", self.admin());
        let query = [("format", "json"), ("filter", filter)];
        let stats: Value = self
            .http
            .get(url)
            .query(&query)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let listed = stats
            .get("stats")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let counted = listed.iter().filter_map(|stat| {
            Some((
                stat.get("name")?.as_str()?.to_owned(),
                stat.get("value")?.as_u64()?,
            ))
        });
        Ok(counted.collect())
    }

    /// The configuration as Envoy holds it.
    pub async fn config_dump(&self) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.admin_get("/config_dump?include_eds").await?,
        )?)
    }

    /// Any page of Envoy's admin interface, as text.
    pub async fn admin_get(&self, path: &str) -> Result<String> {
        let answer = self
            .http
            .get(format!("http://{}{path}", self.admin()))
            .send()
            .await?;
        Ok(answer.text().await?)
    }

    /// Stops it as the kubelet would, and waits until its connections are drained.
    pub async fn stop(mut self) -> Result<()> {
        self.pod.leave().await?;
        self.agent.stop(Duration::from_secs(30)).await?;
        Ok(())
    }

    fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.name.shifted(15_000)))
    }
}
