//! Every command of the chart's README and of the pages beside it, run in a real cluster with the files that they name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use skew_guard_lab::cluster::{Cluster, Gateway, GatewayName};
use skew_guard_lab::load::Load;
use skew_guard_lab::markdown::Document;
use skew_guard_lab::tool;
use tempfile::TempDir;

use crate::chart;
use crate::shop::{Shop, Tier, deployment};
use crate::visitors;

/// How many answers to wait for between two blocks.
const SOME: u64 = 500;

/// The namespace of the README's gateway.
const INGRESS: &str = "istio-ingress";

/// The README's only gateway.
const GATEWAY_POD: &str = "GATEWAY-POD";

/// The image that the README pushes and installs, and the registry of the cluster.
const IMAGE: &str = "skew-guard:0.1.0";
const REGISTRY: &str = "127.0.0.1:5000";

/// The README's placeholder for what the previous command printed.
const REVISION: (&str, &str) = (
    "REVISION",
    "\"$(helm history shop --namespace shop --max 1 --output json | jq '.[0].revision')\"",
);

/// From the first installation to leaving, under load.
pub async fn followed_to_the_letter(cluster: &Cluster) -> Result<()> {
    let readme = Page::read("istio/README.md")?;
    let deploying = Page::read("istio/deploying.md")?;
    let gitops = Page::read("istio/gitops.md")?;
    let operating = Page::read("istio/operating.md")?;
    let emergency = Page::read("istio/emergency.md")?;
    let mut reader = Reader::sit_down(cluster, &readme).await?;
    let [push, install] = readme.commands()?;
    let [deploy, take_back, tidy_up, rolling_update, roll_back, leave] = deploying.commands()?;
    let [pipeline, wait, probe] = gitops.commands()?;
    let [look] = operating.commands()?;
    let [plain_routes, plugin_off] = emergency.commands()?;

    reader.push(push).await?;
    reader.deploy("api.yaml", Tier::Api, "api", "1.4.2")?;
    reader.deploy("web.yaml", Tier::Web, "web", "1.4.2")?;
    reader
        .run("kubectl apply --namespace shop --filename api.yaml --filename web.yaml")
        .await?;
    reader.list(&readme.first_list()?)?;
    reader.run(install).await?;
    for tier in Tier::BOTH {
        reader.shop.rolled_out(tier.name()).await?;
    }
    reader.run(look).await?;
    let load = visitors::arrive(&[&reader.gateway], &reader.shop).await?;
    load.answers(SOME).await?;

    reader.list(deploying.list_with("current: \"\"")?)?;
    reader.deploy("api-2.0.0.yaml", Tier::Api, "api", "2.0.0")?;
    reader.deploy("web-2.0.0.yaml", Tier::Web, "web", "2.0.0")?;
    reader.run(rolling_update).await?;
    reader.shop.gone(Tier::Api, "1.4.2").await?;
    load.until_no_page_of("1.4.2").await?;
    reader.list("releases: [{version: \"2.0.0\"}, {version: \"1.4.2\", state: retired}]\ncurrent: \"2.0.0\"\n")?;
    reader.run(UPGRADE_AND_WAIT).await?;

    reader.deploy("release-2.1.0.yaml", Tier::Api, "api-2-1-0", "2.1.0")?;
    reader.deploy("release-2.1.0.yaml", Tier::Web, "web-2-1-0", "2.1.0")?;
    reader.run(pipeline).await?;
    reader.run(wait).await?;
    reader.run(probe).await?;
    load.until_page_of("2.1.0").await?;
    load.answers(SOME).await?;

    reader.run(roll_back).await?;
    load.until_no_page_of("2.1.0").await?;
    reader.run(WAIT).await?;
    reader
        .run("kubectl --namespace shop delete deployment api-2-1-0 web-2-1-0")
        .await?;
    for tier in Tier::BOTH {
        reader.shop.gone(tier, "2.1.0").await?;
    }
    load.answers(SOME).await?;

    by_one_command(&mut reader, &load, [deploy, take_back, tidy_up]).await?;

    // A file of somebody's that the cluster has left behind.
    reader.list(&readme.first_list()?)?;
    let bring_back = UPGRADE_AND_WAIT.replace("shop.yaml", "now.yaml");
    for exit in [plain_routes, plugin_off] {
        reader.run(exit).await?;
        load.answers(SOME).await?;
        reader.run(&bring_back).await?;
        load.answers(SOME).await?;
    }

    reader
        .shop
        .split_by_path(&format!("{INGRESS}/shop"))
        .await?;
    load.answers(SOME).await?;
    reader.run(leave).await?;
    load.answers(SOME).await?;
    let story = "the chart's pages, followed to the letter";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    reader.shop.close().await
}

/// The release after the one that was rolled back by hand.
async fn by_one_command(
    reader: &mut Reader<'_>,
    load: &Load,
    [deploy, take_back, tidy_up]: [&str; 3],
) -> Result<()> {
    fs::create_dir_all(reader.path("k8s/2.2.0"))?;
    for tier in Tier::BOTH {
        let (file, name) = (tier.name(), format!("{}-2-2-0", tier.name()));
        reader.deploy(&format!("k8s/2.2.0/{file}.yaml"), tier, &name, "2.2.0")?;
    }
    reader.run(&deploy.replace("2.1.0", "2.2.0")).await?;
    load.until_page_of("2.2.0").await?;
    load.answers(SOME).await?;
    reader.run(take_back).await?;
    load.until_no_page_of("2.2.0").await?;
    reader.run(tidy_up).await?;
    for tier in Tier::BOTH {
        reader.shop.gone(tier, "2.2.0").await?;
    }
    load.answers(SOME).await
}

const UPGRADE_AND_WAIT: &str = "helm upgrade shop istio --namespace shop --values shop.yaml
skew-guard wait --helm-release shop --namespace shop";

const WAIT: &str = "skew-guard wait --helm-release shop --namespace shop";

/// A document.
struct Page(Document);

impl Page {
    fn read(path: &str) -> Result<Self> {
        Document::read(path).map(Self)
    }

    /// Every block of commands; their number must match `COUNT`.
    fn commands<const COUNT: usize>(&self) -> Result<[&str; COUNT]> {
        let blocks = self.0.fences.iter().filter(|fence| fence.language == "sh");
        let blocks: Vec<_> = blocks.map(|fence| fence.text.as_str()).collect();
        let found = blocks.len();
        <[&str; COUNT]>::try_from(blocks).map_err(|_| {
            let page = self.0.path.display();
            anyhow::anyhow!("{page} has {found} blocks of commands, not {COUNT}")
        })
    }

    /// The first values that the README shows are complete: the part before `services` is the list, the rest stays.
    fn first_values(&self) -> Result<(&str, &str)> {
        let values = self.0.fences.iter().find(|fence| fence.language == "yaml");
        let values = &values.context("the README shows values")?.text;
        let services = values
            .find("services:")
            .context("the first values are complete")?;
        Ok(values.split_at(services))
    }

    fn first_list(&self) -> Result<String> {
        Ok(self.first_values()?.0.to_owned())
    }

    /// A list of releases that contains these words.
    fn list_with(&self, words: &str) -> Result<&str> {
        let lists = self
            .0
            .fences
            .iter()
            .filter(|fence| fence.text.starts_with("releases:"));
        let list = lists
            .map(|fence| fence.text.as_str())
            .find(|list| list.contains(words));
        list.with_context(|| format!("no list of releases with {words}"))
    }
}

/// Somebody with a terminal, a folder of files, and a cluster.
struct Reader<'a> {
    cluster: &'a Cluster,
    shop: Shop<'a>,
    gateway: Gateway,
    folder: TempDir,
    rest_of_values: String,
}

impl<'a> Reader<'a> {
    async fn sit_down(cluster: &'a Cluster, readme: &Page) -> Result<Self> {
        let shop = Shop::open(cluster, "shop").await?;
        cluster.kubernetes().create_namespace(INGRESS).await?;
        cluster.kubernetes().apply(&readmes_gateway()).await?;
        let gateway = cluster
            .start_gateway_in(INGRESS, GatewayName::First)
            .await?;
        let (_, rest_of_values) = readme.first_values()?;
        let folder = TempDir::with_prefix("skew-guard-reader-")?;
        symlink(chart::directory(), folder.path().join("istio"))?;
        Ok(Self {
            cluster,
            shop,
            gateway,
            folder,
            rest_of_values: rest_of_values.to_owned(),
        })
    }

    /// Pushes the image from the repository, and puts the printed lines into the values.
    async fn push(&mut self, block: &str) -> Result<()> {
        let home = std::env::var("HOME").context("no home with Cargo's files")?;
        let block = block.replace("registry.example.com", REGISTRY);
        let script = format!("export HOME='{home}'\n{block}");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let printed = self
            .cluster
            .shell(&script, repository, &tool::path()?)
            .await?;
        let (_, lines) = printed
            .split_once("plugin:\n")
            .context("lines for the values")?;
        let old = format!("  url: oci://registry.example.com/{IMAGE}\n");
        if !self.rest_of_values.contains(&old) {
            bail!("the README's values name another image");
        }
        self.rest_of_values = self.rest_of_values.replace(&old, lines);
        Ok(())
    }

    /// Writes `shop.yaml` with that list of releases.
    fn list(&self, releases: &str) -> Result<()> {
        Ok(fs::write(
            self.path("shop.yaml"),
            format!("{releases}{}", self.rest_of_values),
        )?)
    }

    /// Adds a Deployment to a file of manifests.
    fn deploy(&self, file: &str, tier: Tier, name: &str, version: &str) -> Result<()> {
        let path = self.path(file);
        let manifests = if path.exists() {
            fs::read_to_string(&path)?
        } else {
            String::new()
        };
        let manifest = deployment(tier, name, version, 2);
        Ok(fs::write(path, format!("{manifests}---\n{manifest}\n"))?)
    }

    /// Runs a block of commands with its placeholders filled in, up to the first that fails.
    async fn run(&self, block: &str) -> Result<()> {
        let block = block
            .replace(GATEWAY_POD, &self.gateway.name().address().to_string())
            .replace(REVISION.0, REVISION.1);
        for line in block.lines().filter(|line| !line.is_empty()) {
            eprintln!("  $ {line}");
        }
        self.cluster
            .shell(&block, self.folder.path(), &tool::path()?)
            .await?;
        Ok(())
    }

    fn path(&self, file: &str) -> PathBuf {
        Path::new(self.folder.path()).join(file)
    }
}

fn readmes_gateway() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "shop", "namespace": INGRESS },
        "spec": {
            "selector": { "istio": "ingressgateway" },
            "servers": [{
                "port": { "number": GatewayName::First.port(), "name": "http", "protocol": "HTTP" },
                "hosts": ["*"],
            }],
        },
    })
}
