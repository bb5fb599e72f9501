//! A separately started program, as Kubernetes would see it: a Pod with its own address and ports.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::api::Api;
use super::port_forward::NODE;

/// The Pod; dropping it removes it.
#[derive(Debug)]
pub(super) struct RegisteredPod {
    api: Api,
    path: String,
    address: Ipv4Addr,
    ports: Vec<JoinHandle<()>>,
}

impl RegisteredPod {
    /// Registers it, not ready yet. A Pod of that name left over from before is replaced.
    pub(super) async fn register(
        api: &Api,
        namespace: &str,
        name: &str,
        labels: &Value,
        address: Ipv4Addr,
    ) -> Result<Self> {
        let collection = format!("/api/v1/namespaces/{namespace}/pods");
        let path = format!("{collection}/{name}");
        if api.get(&path).await.is_ok() {
            api.delete(&path, &json!({ "gracePeriodSeconds": 0 }))
                .await?;
        }
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "labels": labels },
            "spec": { "nodeName": NODE, "containers": [{ "name": "istio-proxy", "image": "proxyv2" }] },
        });
        api.create(&collection, &pod).await?;
        let pod = Self {
            api: api.clone(),
            path,
            address,
            ports: Vec::new(),
        };
        pod.say_ready(false).await?;
        Ok(pod)
    }

    /// Gives it its own port, which leads to one of this machine, because all Pods share one network.
    pub(super) async fn open(&mut self, port: u16, here: u16) -> Result<()> {
        let listener = TcpListener::bind((self.address, port)).await?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, here));
        self.ports.push(tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut program = TcpStream::connect(here).await?;
                    copy_bidirectional(&mut connection, &mut program).await
                });
            }
        }));
        Ok(())
    }

    pub(super) async fn say_ready(&self, is_ready: bool) -> Result<()> {
        let status = if is_ready { "True" } else { "False" };
        let now = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let address = self.address.to_string();
        let patch = json!({ "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": status, "lastTransitionTime": now }],
        }});
        self.api
            .merge(&format!("{}/status", self.path), &patch)
            .await
    }

    /// Begins its end, as `kubectl delete` does.
    pub(super) async fn leave(&self) -> Result<()> {
        let options = json!({ "gracePeriodSeconds": 30 });
        self.api.delete(&self.path, &options).await
    }
}

impl Drop for RegisteredPod {
    fn drop(&mut self) {
        for port in &self.ports {
            port.abort();
        }
        let (api, path) = (self.api.clone(), self.path.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime
                .spawn(async move { api.delete(&path, &json!({ "gracePeriodSeconds": 0 })).await });
        }
    }
}
