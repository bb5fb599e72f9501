//! Envoy's own configuration protocol from files: a running Envoy adopts what a test writes here.
//!
//! Each file is written beside its place and moved there, because Envoy watches for the move and must never read half
//! a file: <https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/xds_api#filesystem-subscriptions>.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

/// A folder of resource files that an Envoy watches.
#[derive(Debug)]
pub struct Files {
    directory: TempDir,
    written: AtomicU64,
}

impl Files {
    /// An empty folder, removed when dropped.
    pub fn new() -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-xds-")?;
        Ok(Self {
            directory,
            written: AtomicU64::new(0),
        })
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of a resource set, e.g. `shop-v2-0-0` for that cluster's endpoints.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.json"))
    }

    /// The `ConfigSource` that reads the file of that name.
    pub fn source(&self, name: &str) -> Value {
        json!({
            "resource_api_version": "V3",
            "path_config_source": {
                "path": self.path(name),
                "watched_directory": { "path": self.directory() },
            },
        })
    }

    /// The endpoints of a cluster (EDS), each a bare address.
    pub fn endpoints(&self, cluster: &str, addresses: &[SocketAddr]) -> Result<()> {
        let endpoints = addresses.iter().map(|address| endpoint(*address)).collect();
        self.labelled_endpoints(cluster, endpoints)
    }

    /// The endpoints of a cluster (EDS), as [`endpoint`] or [`endpoint_of_release`] made them.
    pub fn labelled_endpoints(&self, cluster: &str, endpoints: Vec<Value>) -> Result<()> {
        self.write(
            cluster,
            vec![json!({
                "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                "cluster_name": cluster,
                "endpoints": [{ "lb_endpoints": endpoints }],
            })],
        )
    }

    /// The configuration of one HTTP filter (ECDS): `filter` is its typed configuration.
    pub fn extension(&self, name: &str, filter: &Value) -> Result<()> {
        self.write(
            name,
            vec![json!({
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": name,
                "typed_config": filter,
            })],
        )
    }

    /// All listeners (LDS).
    pub fn listeners(&self, name: &str, listeners: &[Value]) -> Result<()> {
        self.write_typed(name, "envoy.config.listener.v3.Listener", listeners)
    }

    /// All clusters (CDS).
    pub fn clusters(&self, name: &str, clusters: &[Value]) -> Result<()> {
        self.write_typed(name, "envoy.config.cluster.v3.Cluster", clusters)
    }

    /// Route tables (RDS).
    pub fn routes(&self, name: &str, tables: &[Value]) -> Result<()> {
        self.write_typed(name, "envoy.config.route.v3.RouteConfiguration", tables)
    }

    fn write_typed(&self, name: &str, kind: &str, resources: &[Value]) -> Result<()> {
        let typed = resources.iter().cloned().map(|mut resource| {
            if let Some(fields) = resource.as_object_mut() {
                fields.insert("@type".into(), format!("type.googleapis.com/{kind}").into());
            }
            resource
        });
        self.write(name, typed.collect())
    }

    fn write(&self, name: &str, resources: Vec<Value>) -> Result<()> {
        let version = self.written.fetch_add(1, Ordering::Relaxed);
        let response = json!({ "version_info": version.to_string(), "resources": resources });
        self.write_bytes(name, &serde_json::to_vec_pretty(&response)?)
    }

    /// Any bytes as a resource file, for what no control plane should ever send.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let mut beside = NamedTempFile::new_in(self.directory())?;
        beside.write_all(bytes)?;
        beside
            .persist(&path)
            .with_context(|| format!("moving {} into place", path.display()))?;
        Ok(())
    }
}

/// An endpoint without labels.
pub fn endpoint(address: SocketAddr) -> Value {
    json!({
        "endpoint": { "address": socket_address(address) },
    })
}

/// An endpoint labelled with its release, as subset load balancing reads it (namespace `envoy.lb`).
pub fn endpoint_of_release(address: SocketAddr, release: &str) -> Value {
    json!({
        "endpoint": { "address": socket_address(address) },
        "metadata": { "filter_metadata": { "envoy.lb": { "release": release } } },
    })
}

/// An address in Envoy's format.
pub fn socket_address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
