//! A connection to each gateway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::gateways::Gateway;
use super::kubectl::Kubectl;
use super::port_forward::PortForward;
use super::problem::Problem;

/// Where a gateway shows Envoy's metrics, and can leave out what nobody asked for.
const ENVOY: u16 = 15_090;

/// Where it shows them together with its agent's.
const AGENT: u16 = 15_020;

/// In bytes. A gateway of a large mesh has a hundred megabytes of metrics.
const LARGEST_METRICS: u64 = 1 << 30;

/// Connections to gateways, each opened when it is first needed and kept.
#[derive(Debug)]
pub struct Connections {
    kubectl: Kubectl,
    open: Mutex<HashMap<(String, u16), PortForward>>,
}

impl Connections {
    pub fn through(kubectl: Kubectl) -> Self {
        Self {
            kubectl,
            open: Mutex::default(),
        }
    }

    /// The gateway's Prometheus metrics whose names in Envoy match the expression, and perhaps others.
    pub fn metrics(
        &self,
        gateway: &Gateway,
        filter: &str,
        limit: Duration,
    ) -> Result<String, String> {
        let path = format!(
            "/stats/prometheus?filter={}",
            utf8_percent_encode(filter, NON_ALPHANUMERIC)
        );
        self.by_port_forward(gateway, &path, limit)
            .or_else(|forward| {
                self.by_proxy(gateway, ENVOY, &path)
                    .or_else(|_| self.by_proxy(gateway, AGENT, "/stats/prometheus"))
                    .map_err(|proxy| {
                        format!("by port-forward: {forward}; by the API server: {proxy}")
                    })
            })
    }

    /// A port of the gateway on this machine, as long as these connections live.
    pub fn port(&self, gateway: &Gateway, port: u16) -> Result<SocketAddr, Problem> {
        let key = (gateway.to_string(), port);
        if let Some(address) = self.lock().get(&key).and_then(PortForward::address) {
            return Ok(address);
        }
        let forward = PortForward::open(&self.kubectl, gateway, port)?;
        let address = forward.address();
        self.lock().insert(key, forward);
        address.ok_or_else(|| Problem::NoAccess("the port-forward ended at once".to_owned()))
    }

    /// Hangs up on all but these.
    pub fn keep(&self, gateways: &[Gateway]) {
        self.lock()
            .retain(|(name, _), _| gateways.iter().any(|gateway| gateway.to_string() == *name));
    }

    fn by_port_forward(
        &self,
        gateway: &Gateway,
        path: &str,
        limit: Duration,
    ) -> Result<String, String> {
        let address = self
            .port(gateway, ENVOY)
            .map_err(|problem| problem.to_string())?;
        read(&format!("http://{address}{path}"), limit).inspect_err(|_| {
            // A Pod of the same name may be another one by now.
            self.lock().remove(&(gateway.to_string(), ENVOY));
        })
    }

    fn by_proxy(&self, gateway: &Gateway, port: u16, path: &str) -> Result<String, Problem> {
        let Gateway { namespace, pod, .. } = gateway;
        self.kubectl.raw(&format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
        ))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), PortForward>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Metrics in plain HTTP.
pub fn read(url: &str, limit: Duration) -> Result<String, String> {
    ureq::get(url)
        .config()
        .timeout_global(Some(limit))
        .build()
        .call()
        .and_then(|mut answer| {
            let body = answer.body_mut().with_config();
            body.limit(LARGEST_METRICS).read_to_string()
        })
        .map_err(|error| error.to_string())
}
