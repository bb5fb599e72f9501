//! Envoy with `envoy/envoy.yaml`, a third release, and the way to the demo's own controls.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::{self, Envoy, Launch};
use skew_guard_lab::xds::{self, Files};
use tokio::sync::Mutex;

use super::desired_state::{DesiredState, STAGED};
use crate::filter::ConfiguredFilter;
use crate::site::{NEW, OLD, cluster_of, route_of};

/// All pods that a request without skew-guard may reach.
const ALL: &str = "shop";

/// Where the page finds the controls.
const CONTROLS: &str = "/demo/";

/// The running gateway.
pub struct Gateway {
    envoy: Envoy,
    address: SocketAddr,
    files: Files,
    guard: Mutex<ConfiguredFilter>,
}

impl Gateway {
    /// Starts it with no pods.
    pub async fn start(
        listen: SocketAddr,
        admin: SocketAddr,
        controls: SocketAddr,
        desired: &DesiredState,
    ) -> Result<Self> {
        let files = Files::new()?;
        let bootstrap = Bootstrap::read("envoy/envoy.yaml")?;
        let (bootstrap, guard) =
            ConfiguredFilter::discovered(bootstrap, &files, desired.configuration(true))?;
        let bootstrap = bootstrap.with_endpoints_from(&files);
        let mut bootstrap = bootstrap.value().clone();
        add_staged_release(&mut bootstrap, &files)?;
        add_controls(&mut bootstrap, controls)?;
        listen_on(&mut bootstrap, listen)?;
        for cluster in [ALL.to_owned()]
            .into_iter()
            .chain([OLD, NEW, STAGED].map(cluster_of))
        {
            files.endpoints(&cluster, &[])?;
        }
        let envoy = Launch::of(envoy::installed()?)
            .admin(admin)
            .start(&bootstrap)
            .await?;
        Ok(Self {
            address: envoy.listener("gateway").await?,
            envoy,
            files,
            guard: Mutex::new(guard),
        })
    }

    /// Where visitors arrive.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it runs.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// Changes the filter's configuration to this, if it differs.
    pub async fn configure(&self, wanted: Map<String, Value>) -> Result<()> {
        let mut guard = self.guard.lock().await;
        let configuration = guard.configuration();
        if wanted
            .iter()
            .any(|(key, value)| configuration.get(key) != Some(value))
        {
            guard.change(&self.files, &self.envoy, wanted).await?;
        }
        Ok(())
    }

    /// The filter's last written configuration, and its revision.
    pub async fn configuration(&self) -> (Value, u64) {
        let guard = self.guard.lock().await;
        (guard.configuration().clone(), guard.revision())
    }

    /// Makes only these pods answer, given by release and address.
    pub async fn send_to(&self, pods: &[(&str, SocketAddr)]) -> Result<()> {
        let all = pods.iter().filter(|(release, _)| *release != STAGED);
        let mut clusters = vec![(ALL.to_owned(), addresses(all))];
        for release in [NEW, OLD, STAGED] {
            let of = pods.iter().filter(|(other, _)| *other == release);
            clusters.push((cluster_of(release), addresses(of)));
        }
        for (cluster, addresses) in &clusters {
            self.files.endpoints(cluster, addresses)?;
        }
        for (cluster, addresses) in &clusters {
            self.envoy.wait_for_endpoints(cluster, addresses).await?;
        }
        Ok(())
    }

    /// The pods that Envoy has for requests without skew-guard.
    pub async fn endpoints(&self) -> Result<Vec<SocketAddr>> {
        self.envoy.endpoints(ALL).await
    }
}

fn addresses<'a>(pods: impl Iterator<Item = &'a (&'a str, SocketAddr)>) -> Vec<SocketAddr> {
    pods.map(|(_, address)| *address).collect()
}

fn list<'a>(bootstrap: &'a mut Value, pointer: &str) -> Result<&'a mut Vec<Value>> {
    let found = bootstrap.pointer_mut(pointer).and_then(Value::as_array_mut);
    found.with_context(|| format!("envoy/envoy.yaml has no list at {pointer}"))
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const CLUSTERS: &str = "/static_resources/clusters";

fn routes(bootstrap: &mut Value) -> Result<&mut Vec<Value>> {
    list(
        bootstrap,
        &format!("{MANAGER}/route_config/virtual_hosts/0/routes"),
    )
}

fn add_staged_release(bootstrap: &mut Value, files: &Files) -> Result<()> {
    let (route, cluster) = (route_of(STAGED), cluster_of(STAGED));
    routes(bootstrap)?.insert(0, json!({
        "name": route,
        "match": { "prefix": "/", "headers": [{ "name": "x-release", "string_match": { "exact": route } }] },
        "route": { "cluster": cluster },
    }));
    list(bootstrap, CLUSTERS)?.push(json!({
        "name": cluster,
        "type": "EDS",
        "connect_timeout": "1s",
        "eds_cluster_config": { "eds_config": files.source(&cluster) },
    }));
    Ok(())
}

/// The controls have the page's own origin. skew-guard is off on their route: they are not part of the demo, and
/// must answer a page whose release is gone.
fn add_controls(bootstrap: &mut Value, controls: SocketAddr) -> Result<()> {
    const CLUSTER: &str = "demo-controls";
    routes(bootstrap)?.insert(
        0,
        json!({
            "name": CLUSTER,
            "match": { "prefix": CONTROLS },
            "route": { "cluster": CLUSTER },
            "typed_per_filter_config": { FILTER: {
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                "disabled": true,
            }},
        }),
    );
    list(bootstrap, CLUSTERS)?.push(json!({
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{ "lb_endpoints": [xds::endpoint(controls)] }],
        },
    }));
    Ok(())
}

/// By default Envoy shares a port with any other Envoy that listens there: a second demo would answer half of the calls.
fn listen_on(bootstrap: &mut Value, address: SocketAddr) -> Result<()> {
    let listener = bootstrap.pointer_mut("/static_resources/listeners/0");
    let listener = listener.and_then(Value::as_object_mut);
    let listener = listener.context("envoy/envoy.yaml has a listener")?;
    listener.insert("address".into(), xds::socket_address(address));
    listener.insert("enable_reuse_port".into(), false.into());
    Ok(())
}
