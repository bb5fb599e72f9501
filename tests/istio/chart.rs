//! The chart, installed for a shop with real Helm, one upgrade per step.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, GATEWAY_NAMESPACE, Gateway, GatewayName};
use skew_guard_lab::registry::Image;
use skew_guard_lab::{module, tool, wait};
use tempfile::{NamedTempFile, TempDir};

use crate::said::Said;
use crate::shop::{POD_PORT, Shop, Tier};

/// How long a pipeline waits before it looks again: workers lag slightly behind the main thread.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// The gauge of the configuration in force.
const REVISION: &str = "skew_guard_config_revision";

/// The gauge that says whether the newest configuration was refused.
const REFUSED: &str = "skew_guard_config_refused";

/// What one upgrade writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The DestinationRules.
    Subsets,
    /// The VirtualService.
    Routes,
    /// The plugin's resource.
    Plugin,
}

impl Part {
    /// The template that renders it.
    fn template(self) -> &'static str {
        match self {
            Self::Subsets => "destinationrules",
            Self::Routes => "virtualservice",
            Self::Plugin => "plugin",
        }
    }
}

/// A Helm release of the chart.
pub struct Chart<'a> {
    cluster: &'a Cluster,
    directory: PathBuf,
    name: String,
    namespace: String,
    image: Image,
    values: Value,
}

impl<'a> Chart<'a> {
    /// The chart for that shop, with the module from the cluster's registry. Nothing is installed yet.
    pub async fn of(cluster: &'a Cluster, shop: &Shop<'_>) -> Result<Self> {
        let module = fs::read(module::path()?)?;
        let image = cluster.push_image(&module, "skew-guard", "tested")?;
        let service = |tier, path: &str, probe_path: &str| {
            json!({
                "host": shop.service_host(tier),
                "port": POD_PORT,
                "paths": [path],
                "probePath": probe_path,
            })
        };
        let values = json!({
            "config": {
                "sources": [{ "header": "x-bundle-version" }, { "path": "/assets/v-{version}/" }],
                "upstreamVersion": { "responseHeader": "x-app-version" },
            },
            "services": [service(Tier::Api, "/api", "/api/cart"), service(Tier::Web, "/", "/")],
            "hosts": [shop.host()],
            "gateways": [GatewayName::First.label(), GatewayName::Second.label()],
            "plugin": { "url": image.url(), "namespace": GATEWAY_NAMESPACE },
        });
        let name = format!("{}-skew-guard", shop.namespace());
        Ok(Self {
            cluster,
            directory: directory(),
            name,
            namespace: shop.namespace().to_owned(),
            image,
            values,
        })
    }

    /// The same as another Helm release, outside the shop's namespace.
    #[must_use]
    pub fn named(mut self, name: &str, namespace: &str) -> Self {
        name.clone_into(&mut self.name);
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// The name of the Helm release, and of the routes that it makes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the plugin's resource: it is in a different namespace from the rest.
    pub fn plugin(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// The namespace of the plugin and the gateways that run it.
    fn plugin_namespace(&self) -> &str {
        let said = self.values["plugin"]["namespace"].as_str();
        said.unwrap_or(GATEWAY_NAMESPACE)
    }

    /// Uses the chart files at this path from now on.
    pub fn move_to(&mut self, directory: &Path) {
        directory.clone_into(&mut self.directory);
    }

    /// The image of the module under test.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The values of the next upgrade.
    pub fn values(&mut self) -> &mut Value {
        &mut self.values
    }

    /// Puts the list of releases, `(version, state)` newest first, and `current` into the values.
    pub fn list(&mut self, releases: &[(&str, &str)], current: Value) {
        let release =
            |(version, state): &(&str, &str)| json!({ "version": version, "state": state });
        self.values["releases"] = releases.iter().map(release).collect();
        self.values["current"] = current;
    }

    /// The releases in words: `2.0.0 live, 1.4.2 draining; current "2.0.0"`.
    fn summary(&self) -> String {
        let releases = self.values["releases"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let releases: Vec<_> = releases
            .iter()
            .map(|release| format!("{} {}", word(&release["version"]), word(&release["state"])))
            .collect();
        format!(
            "{}; current {}",
            releases.join(", "),
            self.values["current"]
        )
    }

    fn values_file(&self) -> Result<NamedTempFile> {
        let file = NamedTempFile::with_suffix(".json")?;
        fs::write(file.path(), serde_json::to_vec_pretty(&self.values)?)?;
        Ok(file)
    }

    /// `helm upgrade --install`; returns the revision, which is also that of the plugin's configuration.
    pub async fn upgrade(&self) -> Result<u64> {
        eprintln!("  helm upgrade {}: {}", self.name, self.summary());
        self.upgrade_with(&[]).await
    }

    /// The same after somebody else changed what the chart made, which Helm 4 treats as a conflict.
    pub async fn upgrade_over_changes(&self) -> Result<u64> {
        self.upgrade_with(&["--force-conflicts"]).await
    }

    async fn upgrade_with(&self, options: &[&str]) -> Result<u64> {
        let values = self.values_file()?;
        let (chart, values) = (
            self.directory.to_string_lossy(),
            values.path().to_string_lossy(),
        );
        let arguments = [
            "upgrade",
            "--install",
            &self.name,
            &chart,
            "--values",
            &values,
            "--output",
            "json",
        ];
        let upgraded = self.helm(&[&arguments, options].concat()).await?;
        let upgraded: Value = serde_json::from_str(&upgraded)?;
        upgraded["version"]
            .as_u64()
            .context("helm reports no revision")
    }

    /// `kubectl apply` of one part of what the chart renders, for those who do without Helm.
    pub async fn apply_part(&self, part: Part) -> Result<()> {
        let template = format!("templates/{}.yaml", part.template());
        let manifest = NamedTempFile::with_suffix(".yaml")?;
        let rendered = self.template(&["--show-only", &template]).await?;
        fs::write(manifest.path(), rendered)?;
        self.cluster.kubernetes().apply_file(manifest.path()).await
    }

    /// `helm template`, which is how Argo CD renders a chart.
    pub async fn template(&self, options: &[&str]) -> Result<String> {
        let values = self.values_file()?;
        let (chart, values) = (
            self.directory.to_string_lossy(),
            values.path().to_string_lossy(),
        );
        let arguments = ["template", &self.name, &chart, "--values", &values];
        self.helm(&[&arguments, options].concat()).await
    }

    /// `kustomize build --enable-helm`.
    pub async fn kustomize(&self) -> Result<String> {
        let folder = TempDir::with_prefix("skew-guard-kustomization-")?;
        fs::create_dir(folder.path().join("charts"))?;
        // Kustomize looks for a chart under its name.
        symlink(&self.directory, folder.path().join("charts/skew-guard"))?;
        let write =
            |name: &str, content: &Value| fs::write(folder.path().join(name), content.to_string());
        write("values.yaml", &self.values)?;
        let chart = json!({
            "name": "skew-guard", "releaseName": self.name, "namespace": self.namespace, "valuesFile": "values.yaml",
        });
        let kustomization =
            json!({ "helmGlobals": { "chartHome": "charts" }, "helmCharts": [chart] });
        write("kustomization.yaml", &kustomization)?;
        let build = "kubectl kustomize --enable-helm --helm-command helm .";
        self.cluster
            .shell(build, folder.path(), &tool::path()?)
            .await
    }

    /// `helm rollback` to an earlier revision of the Helm release.
    pub async fn rollback(&self, revision: u64) -> Result<()> {
        self.helm(&["rollback", &self.name, &revision.to_string()])
            .await?;
        Ok(())
    }

    /// One step of a release's life: an upgrade, then a wait until these gateways have it in force.
    pub async fn step(&self, gateways: &[&Gateway]) -> Result<()> {
        let revision = self.upgrade().await?;
        for gateway in gateways {
            self.in_force(gateway, revision).await?;
        }
        Ok(())
    }

    /// Waits until the gateway shows that revision in two looks, two seconds apart.
    pub async fn in_force(&self, gateway: &Gateway, revision: u64) -> Result<()> {
        let what = format!("revision {revision} of {} to be in force", self.name);
        wait::until(&what, async || {
            Ok(self.gauge(gateway, REVISION).await? == Some(revision))
        })
        .await?;
        tokio::time::sleep(BETWEEN_LOOKS).await;
        wait::until(&what, async || {
            Ok(self.gauge(gateway, REVISION).await? == Some(revision))
        })
        .await
    }

    /// The revision that a gateway has in force; none until it has loaded the plugin.
    pub async fn revision(&self, gateway: &Gateway) -> Result<Option<u64>> {
        self.gauge(gateway, REVISION).await
    }

    /// Whether a gateway refused its newest configuration.
    pub async fn is_refused(&self, gateway: &Gateway) -> Result<bool> {
        Ok(self.gauge(gateway, REFUSED).await? == Some(1))
    }

    async fn gauge(&self, gateway: &Gateway, name: &str) -> Result<Option<u64>> {
        let stats = gateway.stats(name).await?;
        let of = |plugin: &str| {
            let plugin = format!("{}.{plugin}", self.plugin_namespace());
            let mut named = stats.iter().filter(|(stat, _)| stat.contains(&plugin));
            named.next().map(|(_, value)| *value)
        };
        // A gauge outlives its plugin, so the former name counts only where there is no other.
        Ok(of(&self.plugin()).or_else(|| of(&self.name)))
    }

    /// Runs `helm` in the shop's namespace.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.cluster
            .helm([&["--namespace", &self.namespace], arguments].concat())
            .await
    }

    /// Runs a command of the tool on the Helm release, to its end.
    pub async fn tool(&self, command: &str, arguments: &[&str]) -> Result<Said> {
        let release = ["--helm-release", &self.name, "--namespace", &self.namespace];
        let all = [&["--output", "json", command], &release[..], arguments].concat();
        Said::of(self.cluster.run(&tool::path()?, &all).await?)
    }

    /// Changes the plugin's resource directly, because the chart would refuse the change.
    pub async fn patch_plugin(&self, spec: Value) -> Result<()> {
        let patch = json!({ "spec": spec }).to_string();
        let plugin = format!("wasmplugin/{}", self.plugin());
        let arguments = [
            "--namespace",
            self.plugin_namespace(),
            "patch",
            &plugin,
            "--type=merge",
            "--patch",
            &patch,
        ];
        self.cluster.kubernetes().kubectl(arguments).await?;
        Ok(())
    }

    /// Removes only the plugin.
    pub async fn delete_plugin(&self) -> Result<()> {
        let kubernetes = self.cluster.kubernetes();
        kubernetes
            .delete(self.plugin_namespace(), "wasmplugin", &self.plugin())
            .await
    }

    /// Removes the routes and the plugin, but keeps the subsets.
    pub async fn delete_routes_and_plugin(&self) -> Result<()> {
        let selector = format!(
            "app.kubernetes.io/instance={},skew-guard/release-namespace={}",
            self.name, self.namespace
        );
        let arguments = [
            "delete",
            "virtualservice,wasmplugin",
            "--all-namespaces",
            "--selector",
            &selector,
        ];
        self.cluster.kubernetes().kubectl(arguments).await?;
        Ok(())
    }

    /// Removes everything that the chart made.
    pub async fn uninstall(self) -> Result<()> {
        self.helm(&["uninstall", &self.name]).await?;
        Ok(())
    }
}

/// Where the chart is.
pub fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("istio")
}
