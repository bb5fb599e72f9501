//! The Envoy configurations that readers copy: every supported Envoy accepts them, and they route as they should.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use skew_guard_lab::bootstrap::{Bootstrap, FILTER};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::module;
use skew_guard_lab::pods::{Pod, Role, addresses, start_release};
use skew_guard_lab::wait;
use skew_guard_lab::xds::Files;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHIPPED: [&str; 3] = [
    "envoy/envoy.yaml",
    "envoy/subset.yaml",
    "envoy/compose/envoy.yaml",
];

/// Enough to reach every pod that can answer.
const TRIES: usize = 40;

#[test]
fn every_envoy_accepts_every_shipped_file() -> Result<()> {
    let module = module::path()?;
    for version in envoy::VERSIONS {
        let binary = envoy::binary(version)?;
        for file in SHIPPED {
            // Envoy reads what it discovers only when it runs.
            let whole = Bootstrap::read(file)?.with_module(&module);
            let is_of_a_container = file.starts_with("envoy/compose/");
            let as_it_is = (!is_of_a_container).then(|| Bootstrap::read_as_it_is(file));
            for bootstrap in [Some(whole), as_it_is.transpose()?].into_iter().flatten() {
                envoy::validate(&binary, bootstrap.value())
                    .with_context(|| format!("{file} with Envoy {version}"))?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_for_each_release_keeps_pages_with_their_release() -> Result<()> {
    keeps_pages_with_their_release("envoy/envoy.yaml").await
}

#[tokio::test(flavor = "multi_thread")]
async fn subsets_of_one_cluster_keep_pages_with_their_release() -> Result<()> {
    keeps_pages_with_their_release("envoy/subset.yaml").await
}

async fn keeps_pages_with_their_release(file: &str) -> Result<()> {
    let mut shop = Shop::start(file).await?;
    for (version, pods) in [
        ("1.4.2", ["1.4.2-1", "1.4.2-2"]),
        ("2.0.0", ["2.0.0-1", "2.0.0-2"]),
    ] {
        let calls = shop
            .ask("/api/cart", &[("x-bundle-version", version.as_bytes())])
            .await?;
        assert_eq!(said(&calls, "x-pod"), set(&pods), "API calls of {version}");
        let scripts = shop
            .ask(&format!("/assets/v-{version}/main.js"), &[])
            .await?;
        assert_eq!(said(&scripts, "x-pod"), set(&pods), "scripts of {version}");
    }
    let unversioned = shop.ask("/api/cart", &[]).await?;
    assert_eq!(
        said(&unversioned, "x-pod"),
        set(&["1.4.2-1", "1.4.2-2", "2.0.0-1", "2.0.0-2"])
    );

    shop.withdraw_release("1.4.2").await?;
    let orphans = shop
        .ask("/api/cart", &[("x-bundle-version", b"1.4.2")])
        .await?;
    assert_eq!(
        said(&orphans, "x-pod"),
        set(&[]),
        "no other release answers for one without pods"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_follows_a_file_that_is_moved_into_place() -> Result<()> {
    for file in ["envoy/envoy.yaml", "envoy/subset.yaml"] {
        let shop = Shop::start(file).await?;
        let mut tab = TcpStream::connect(shop.gateway).await?;
        assert_eq!(call(&mut tab, "1.4.2").await?, "200", "{file}");
        shop.retire("1.4.2")?;
        wait::until("the tab to be told", async || {
            Ok(call(&mut tab, "1.4.2").await? == "409")
        })
        .await
        .with_context(|| format!("{file}: an open connection keeps the old configuration"))?;
        let draining = shop.envoy.stats("total_.*_draining$").await?;
        assert!(draining.values().all(|&count| count == 0), "{draining:?}");
    }
    Ok(())
}

/// The status of an API call by a page of this version, on this connection.
async fn call(connection: &mut TcpStream, version: &str) -> Result<String> {
    let request =
        format!("HEAD /api/cart HTTP/1.1\r\nhost: shop\r\nx-bundle-version: {version}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).await?;
    answer.truncate(length);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1);
    Ok(status.context("the connection was closed")?.to_owned())
}

/// Two releases with two pods each, behind one of the shipped files.
struct Shop {
    envoy: Envoy,
    files: Files,
    gateway: SocketAddr,
    clusters: Vec<String>,
    pods: Vec<Pod>,
    filter: Value,
}

impl Shop {
    async fn start(file: &str) -> Result<Self> {
        let files = Files::new()?;
        let bootstrap = Bootstrap::read(Path::new(file))?
            .with_module(&module::path()?)
            .with_endpoints_from(&files)
            .on_free_ports();
        let (bootstrap, filter) = bootstrap.discover_filter(&files)?;
        let mut pods = start_release(Role::All, "1.4.2", 2).await?;
        pods.extend(start_release(Role::All, "2.0.0", 2).await?);
        let clusters = bootstrap.discovered_clusters();
        publish(&files, &clusters, &pods)?;
        let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
        let gateway = envoy.listener("gateway").await?;
        Ok(Self {
            envoy,
            files,
            gateway,
            clusters,
            pods,
            filter,
        })
    }

    /// Moves a configuration into place in which this release is retired.
    fn retire(&self, version: &str) -> Result<()> {
        const TEXT: &str = "/config/configuration/value";
        let mut filter = self.filter.clone();
        let text = filter.pointer_mut(TEXT).context("a configuration")?;
        let mut configuration: Value = serde_json::from_str(text.as_str().context("a text")?)?;
        let releases = configuration.pointer_mut("/releases");
        let releases = releases.and_then(Value::as_array_mut);
        for release in releases.context("releases")? {
            let release = release.as_object_mut().context("a release")?;
            if release.get("version").is_some_and(|named| named == version) {
                release.insert("state".into(), "retired".into());
            }
        }
        *text = configuration.to_string().into();
        self.files.extension(FILTER, &filter)
    }

    /// Removes all pods of a release from the gateway's endpoints.
    async fn withdraw_release(&mut self, version: &str) -> Result<()> {
        self.pods.retain(|pod| pod.version() != version);
        publish(&self.files, &self.clusters, &self.pods)?;
        for cluster in &self.clusters {
            self.envoy
                .wait_for_endpoints(cluster, &addresses(of_cluster(cluster, &self.pods)))
                .await?;
        }
        Ok(())
    }

    async fn ask(&self, path: &str, headers: &[(&str, &[u8])]) -> Result<Vec<RawAnswer>> {
        let mut answers = Vec::with_capacity(TRIES);
        for _ in 0..TRIES {
            answers.push(http::get(self.gateway, path, headers).await?);
        }
        Ok(answers)
    }
}

/// Writes each cluster's endpoints, with the labels that subsets are chosen by.
fn publish(files: &Files, clusters: &[String], pods: &[Pod]) -> Result<()> {
    for cluster in clusters {
        let endpoints = of_cluster(cluster, pods).map(|pod| pod.endpoint(&route_of(pod.version())));
        files.labelled_endpoints(cluster, endpoints.collect())?;
    }
    Ok(())
}

/// The cluster `shop` has all pods, `shop-v1-4-2` those of that release.
fn of_cluster<'a>(cluster: &str, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    let is_member =
        move |pod: &&Pod| cluster == "shop" || cluster.ends_with(&route_of(pod.version()));
    pods.iter()
        .filter(is_member)
        .collect::<Vec<_>>()
        .into_iter()
}

fn route_of(version: &str) -> String {
    format!("v{}", version.replace('.', "-"))
}

/// The values of a header in these answers.
fn said(answers: &[RawAnswer], header: &str) -> BTreeSet<String> {
    answers
        .iter()
        .filter_map(|answer| answer.value(header))
        .collect()
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}
