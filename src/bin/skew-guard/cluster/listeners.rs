//! The listeners: by which ports visitors come into an installation's gateways.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::gateways::Gateway;
use super::installation::{GatewayReference, Installation};
use super::kubectl::{Kubectl, Scope};
use super::objects::{GATEWAYS, Object, covers, selects};

/// A port of a gateway at which one of the hosts is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub gateway: Gateway,
    /// Of the Pod.
    pub port: u16,
    pub is_tls: bool,
    /// A host that is served there.
    pub host: String,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let Self {
            gateway,
            port,
            host,
            ..
        } = self;
        write!(f, "{gateway} port {port} {scheme}://{host}")
    }
}

/// Istio's `Gateway`.
#[derive(Deserialize)]
struct GatewaySpec {
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default)]
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Server {
    port: Port,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    tls: Tls,
}

#[derive(Deserialize)]
struct Port {
    number: u16,
    #[serde(default)]
    protocol: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    #[serde(default)]
    https_redirect: bool,
    #[serde(default)]
    mode: Option<String>,
}

impl Server {
    /// Whether it is spoken to by TLS; none where it routes no HTTP of its own, but passes on or redirects.
    fn is_tls(&self) -> Option<bool> {
        let mode = self.tls.mode.as_deref();
        match self.port.protocol.to_uppercase().as_str() {
            _ if self.tls.https_redirect => None,
            "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => Some(false),
            "HTTPS" if !matches!(mode, Some("PASSTHROUGH" | "AUTO_PASSTHROUGH")) => Some(true),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct ServiceSpec {
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<ServicePort>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePort {
    port: u16,
    #[serde(default)]
    target_port: Value,
}

impl Listener {
    /// All listeners of these gateways.
    pub fn all(
        kubectl: &Kubectl,
        installation: &Installation,
        gateways: &[Gateway],
    ) -> Result<Vec<Self>> {
        let mut listeners = Vec::new();
        for reference in installation.gateway_references() {
            let spec = gateway_spec(kubectl, reference)?;
            for gateway in gateways {
                if !selects(&spec.selector, &gateway.labels) {
                    continue;
                }
                for server in &spec.servers {
                    let host = common_host(&installation.hosts, &server.hosts);
                    if let (Some(host), Some(is_tls)) = (host, server.is_tls()) {
                        listeners.push(Self {
                            port: port_of(kubectl, gateway, server.port.number)?,
                            gateway: gateway.clone(),
                            is_tls,
                            host,
                        });
                    }
                }
            }
        }
        Ok(listeners)
    }
}

fn gateway_spec(kubectl: &Kubectl, reference: GatewayReference<'_>) -> Result<GatewaySpec> {
    let GatewayReference {
        namespace, name, ..
    } = reference;
    let found: Option<Object<GatewaySpec>> = kubectl.object(GATEWAYS, namespace, name)?;
    let found =
        found.with_context(|| format!("there is no Gateway {name} in namespace {namespace}"))?;
    Ok(found.spec)
}

/// The Pod's port for one of a `Gateway`: the target of the Service's port of that number, as Istio has it, else that
/// number itself.
fn port_of(kubectl: &Kubectl, gateway: &Gateway, number: u16) -> Result<u16> {
    let scope = Scope::Namespace(&gateway.namespace);
    let services: Vec<Object<ServiceSpec>> = kubectl.list("services", scope, "")?;
    let ports = services
        .iter()
        .map(|service| &service.spec)
        .filter(|spec| !spec.selector.is_empty() && selects(&spec.selector, &gateway.labels))
        .flat_map(|spec| &spec.ports);
    let mut targets = ports.filter(|port| port.port == number).map(|port| {
        let by_number = port.target_port.as_u64();
        let by_name = port.target_port.as_str();
        by_number
            .and_then(|target| target.try_into().ok())
            .or_else(|| gateway.ports.get(by_name?).copied())
    });
    Ok(targets.next().flatten().unwrap_or(number))
}

/// A host that both the routes and the server of a `Gateway` have.
fn common_host(routes: &[String], server: &[String]) -> Option<String> {
    let mut pairs = routes
        .iter()
        .flat_map(|route| server.iter().map(move |host| (route, host)));
    let common = pairs.find_map(|(route, host)| {
        // A Gateway may say whose routes it means: `shop/*.example.com`.
        let host = host
            .rsplit_once('/')
            .map_or(host.as_str(), |(_, host)| host);
        narrower(route, host)
    })?;
    // Any name will do in the place of the asterisk.
    Some(match common.strip_prefix('*') {
        Some("") => "skew-guard.invalid".to_owned(),
        Some(suffix) => format!("skew-guard{suffix}"),
        None => common.to_owned(),
    })
}

/// Of two hosts the one that the other covers.
fn narrower<'h>(one: &'h str, other: &'h str) -> Option<&'h str> {
    match (covers(one, other), covers(other, one)) {
        (true, _) => Some(other),
        (_, true) => Some(one),
        _ => None,
    }
}
