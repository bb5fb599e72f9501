//! The demo application as a team deploys it: Deployments of the API and of the static files, with version labels.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::cluster::{APPLICATION_IMAGE, Cluster, GatewayName, NODE};

/// Where every Pod listens.
pub const POD_PORT: u16 = 8080;

/// Half of the application, with its own Service and Deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Api,
    Web,
}

impl Tier {
    /// Both, in the order in which a release is deployed.
    pub const BOTH: [Self; 2] = [Self::Api, Self::Web];

    /// Its entry point, its Service, and the value of its Pods' `app` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Web => "web",
        }
    }
}

/// The route of a version: the chart's default if the list of releases does not name one.
pub fn route(version: &str) -> String {
    format!("v{}", version.replace('.', "-"))
}

/// The application in a Kubernetes namespace of its own.
pub struct Shop<'a> {
    cluster: &'a Cluster,
    namespace: String,
}

impl<'a> Shop<'a> {
    /// Creates the namespace, the Services, and a `Gateway` resource for each gateway.
    pub async fn open(cluster: &'a Cluster, namespace: &str) -> Result<Self> {
        cluster.kubernetes().create_namespace(namespace).await?;
        let shop = Self {
            cluster,
            namespace: namespace.to_owned(),
        };
        shop.apply(service(Tier::Api)).await?;
        shop.apply(service(Tier::Web)).await?;
        shop.apply(gateway(GatewayName::First, &shop.host()))
            .await?;
        shop.apply(gateway(GatewayName::Second, &shop.host()))
            .await?;
        Ok(shop)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The host that its users request.
    pub fn host(&self) -> String {
        format!("{}.example.com", self.namespace)
    }

    /// The name of a tier in the mesh.
    pub fn service_host(&self, tier: Tier) -> String {
        format!("{}.{}.svc.cluster.local", tier.name(), self.namespace)
    }

    /// A team's own VirtualService: split by path and nothing more.
    pub async fn split_by_path(&self, gateway: &str) -> Result<()> {
        let http = json!([
            { "match": [{ "uri": { "prefix": "/api/" } }], "route": self.route_to(Tier::Api) },
            { "route": self.route_to(Tier::Web) },
        ]);
        self.apply(self.virtual_service("shop", gateway, http))
            .await
    }

    /// A VirtualService for the shop's host.
    pub fn virtual_service(&self, name: &str, gateway: &str, http: Value) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": { "name": name },
            "spec": { "hosts": [self.host()], "gateways": [gateway], "http": http },
        })
    }

    /// The `route` of a VirtualService that leads to all Pods of a tier.
    pub fn route_to(&self, tier: Tier) -> Value {
        let host = self.service_host(tier);
        json!([{ "destination": { "host": host, "port": { "number": POD_PORT } } }])
    }

    /// Creates or changes an object in the shop's namespace.
    pub async fn apply(&self, mut object: Value) -> Result<()> {
        object["metadata"]["namespace"] = json!(self.namespace);
        self.cluster.kubernetes().apply(&object).await
    }

    /// Runs `kubectl` in the shop's namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster
            .kubernetes()
            .kubectl([&["--namespace", &self.namespace], arguments].concat())
            .await
    }

    /// Removes an object from the shop's namespace.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let kubernetes = self.cluster.kubernetes();
        kubernetes.delete(&self.namespace, kind, name).await
    }

    /// Applies a Deployment without waiting for its Pods.
    pub async fn deploy(&self, tier: Tier, name: &str, version: &str, replicas: u32) -> Result<()> {
        self.apply(deployment(tier, name, version, replicas)).await
    }

    /// Rolls out a plain Deployment for each tier, whose name is the same for all releases, and waits for both.
    pub async fn roll_out(&self, version: &str, replicas: u32) -> Result<()> {
        for tier in Tier::BOTH {
            self.deploy(tier, tier.name(), version, replicas).await?;
        }
        for tier in Tier::BOTH {
            self.rolled_out(tier.name()).await?;
        }
        Ok(())
    }

    /// Waits until a Deployment has rolled out.
    pub async fn rolled_out(&self, name: &str) -> Result<()> {
        self.kubectl(&[
            "rollout",
            "status",
            &format!("deployment/{name}"),
            "--timeout=120s",
        ])
        .await?;
        Ok(())
    }

    /// Waits until there is a Pod of that tier and version.
    pub async fn created(&self, tier: Tier, version: &str) -> Result<()> {
        self.wait_for_pods(tier, version, "--for=create").await
    }

    /// Waits until every Pod of that tier and version is ready.
    pub async fn ready(&self, tier: Tier, version: &str) -> Result<()> {
        self.wait_for_pods(tier, version, "--for=condition=Ready")
            .await
    }

    /// Waits until no Pod of that tier and version is left.
    pub async fn gone(&self, tier: Tier, version: &str) -> Result<()> {
        self.wait_for_pods(tier, version, "--for=delete").await
    }

    async fn wait_for_pods(&self, tier: Tier, version: &str, condition: &str) -> Result<()> {
        let selector = format!("app={},version={}", tier.name(), route(version));
        self.kubectl(&[
            "wait",
            "pods",
            condition,
            "--timeout=120s",
            "--selector",
            &selector,
        ])
        .await?;
        Ok(())
    }

    /// Removes the namespace and everything in it.
    pub async fn close(self) -> Result<()> {
        let kubernetes = self.cluster.kubernetes();
        kubernetes.delete_namespace(&self.namespace).await
    }
}

fn service(tier: Tier) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": tier.name() },
        "spec": {
            "selector": { "app": tier.name() },
            "ports": [
                { "name": "http", "port": POD_PORT, "targetPort": POD_PORT },
                { "name": "http-web", "port": 80, "targetPort": POD_PORT },
            ],
        },
    })
}

fn gateway(name: GatewayName, host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": name.label() },
        "spec": {
            "selector": { "gateway": name.label() },
            "servers": [{ "port": { "number": name.port(), "name": "http", "protocol": "HTTP" }, "hosts": [host] }],
        },
    })
}

/// As a team would write it: the version label is the release's route, and old Pods stay until every gateway has
/// learnt that they are leaving.
pub fn deployment(tier: Tier, name: &str, version: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": 1,
            "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "selector": { "matchLabels": { "app": tier.name(), "deployment": name } },
            "template": {
                "metadata": { "labels": { "app": tier.name(), "deployment": name, "version": route(version) } },
                "spec": {
                    "nodeName": NODE,
                    "terminationGracePeriodSeconds": 15,
                    "containers": [{
                        "name": "shop",
                        "image": APPLICATION_IMAGE,
                        "args": [
                            tier.name(), "--version", version, "--listen", format!("$(POD_IP):{POD_PORT}"),
                            "--pod", "$(POD_NAME)",
                        ],
                        "env": [field("POD_IP", "status.podIP"), field("POD_NAME", "metadata.name")],
                        "readinessProbe": { "httpGet": { "path": "/healthz", "port": POD_PORT } },
                        "lifecycle": { "preStop": { "sleep": { "seconds": 3 } } },
                    }],
                },
            },
        },
    })
}

fn field(name: &str, path: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } })
}
