//! How gateways get the module, and what replacing it does to visitors.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use skew_guard_lab::cluster::{Cluster, IstioLine};
use skew_guard_lab::process::Process;
use skew_guard_lab::registry::Image;
use skew_guard_lab::{module, wait};
use tempfile::TempDir;
use xtask::image::Digest;

use crate::testbed::Testbed;
use crate::visitors;

/// How many answers to wait for after each change.
const SOME: u64 = 1_000;

/// The module as a later build with the same behaviour: other bytes, so another digest.
fn rebuilt(build: u8) -> Result<Vec<u8>> {
    let mut module = fs::read(module::path()?)?;
    // A custom section of four bytes: the length of its name, and the name, which nothing reads.
    module.extend([0, 4, 3, b'n', b'o', build]);
    Ok(module)
}

/// The module as if it were older than that key.
fn from_before(key: &str) -> Result<Vec<u8>> {
    let module = fs::read(module::path()?)?;
    let at = module
        .windows(key.len())
        .position(|bytes| bytes == key.as_bytes());
    let last = at.with_context(|| format!("{key} in the module"))? + key.len() - 1;
    let mut older = module;
    *older.get_mut(last).context("the last letter")? = b'_';
    Ok(older)
}

/// By tag, by digest and by both, each with and without its checksum.
pub async fn pulled_as_an_image(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "image").await?;
    for (build, (reference, with_checksum)) in [
        (Reference::Tag, false),
        (Reference::Tag, true),
        (Reference::Digest, false),
        (Reference::Digest, true),
        (Reference::Both, false),
    ]
    .into_iter()
    .enumerate()
    {
        // One that the agent does not have yet.
        let tag = format!("build-{build}");
        let image = cluster.push_image(&rebuilt(b'0' + u8::try_from(build)?)?, "taken", &tag)?;
        let checksum = with_checksum.then_some(&image.digest);
        take(&mut testbed, &reference.url(&image), checksum).await?;
    }
    testbed.tear_down().await
}

/// How a plugin names an image.
#[derive(Debug, Clone, Copy)]
enum Reference {
    Tag,
    Digest,
    Both,
}

impl Reference {
    fn url(self, image: &Image) -> String {
        match self {
            Self::Tag => image.url_by_tag(),
            Self::Digest => image.url_by_digest(),
            Self::Both => image.url(),
        }
    }
}

/// Makes the gateway load the module from there, and sends it a tab's request.
async fn take(testbed: &mut Testbed<'_>, url: &str, checksum: Option<&Digest>) -> Result<()> {
    testbed.chart.values()["plugin"]["url"] = json!(url);
    testbed.chart.values()["plugin"]["sha256"] = json!(checksum.map_or("", Digest::digits));
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await
}

/// Bytes that do not match are not run: the mesh continues on its default routes.
pub async fn refused_for_a_wrong_checksum(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "checksum").await?;
    let image = cluster.push_image(&rebuilt(b'w')?, "wrong", "tested")?;
    testbed.chart.values()["plugin"]["url"] = json!(image.url_by_tag());
    testbed.chart.values()["plugin"]["sha256"] = json!(Digest::of(b"something else").digits());
    testbed.chart.upgrade().await?;
    testbed.old_tab_reaches("2.0.0").await?;
    take(&mut testbed, &image.url_by_tag(), Some(&image.digest)).await?;
    testbed.tear_down().await
}

/// The module itself, for those without a registry.
pub async fn loaded_from_a_file(cluster: &Cluster) -> Result<()> {
    let mut testbed = Testbed::with_two_releases(cluster, "file").await?;
    let server = FileServer::start().await?;
    let module = rebuilt(b's')?;
    server.offer(&module)?;
    let url = server.url();
    take(&mut testbed, &url, Some(&Digest::of(&module))).await?;
    take(
        &mut testbed,
        &format!("file://{}", module::path()?.display()),
        None,
    )
    .await?;
    testbed.tear_down().await
}

/// A web server with its own certificate.
struct FileServer {
    folder: TempDir,
    _process: Process,
}

impl FileServer {
    const PORT: &str = "8443";

    async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("skew-guard-files-")?;
        let made = Command::new("openssl")
            .current_dir(folder.path())
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            ])
            .args([
                "-subj",
                "/CN=127.0.0.1",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ])
            .output()?;
        ensure!(
            made.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut server = Command::new("openssl");
        server
            .current_dir(folder.path())
            .args(["s_server", "-accept", Self::PORT, "-WWW"])
            .args(["-key", "key.pem", "-cert", "cert.pem"]);
        let process = Process::start("web server", server)?;
        wait::until("the web server", async || {
            Ok(process.log().contains("ACCEPT"))
        })
        .await?;
        Ok(Self {
            folder,
            _process: process,
        })
    }

    fn offer(&self, module: &[u8]) -> Result<()> {
        Ok(fs::write(self.folder.path().join("plugin.wasm"), module)?)
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/plugin.wasm", Self::PORT)
    }
}

/// A new image under load, named by digest, and by a new tag.
pub async fn upgraded_under_load(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open_with_two_releases(cluster, "newer").await?;
    for (build, reference) in [(b'1', Reference::Both), (b'2', Reference::Tag)] {
        let image = cluster.push_image(&rebuilt(build)?, "newer", &format!("build-{build}"))?;
        testbed.chart.values()["plugin"]["url"] = json!(reference.url(&image));
        testbed.upgrade().await?;
        load.answers(SOME).await?;
    }
    let story = "two upgrades of the module";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}

/// A key that the older module does not know.
const KEY: &str = "unpinnedPaths";

/// The new values have such a key. The configuration in force, which the older module can read, stays.
pub async fn downgraded_with_a_key_that_is_too_new(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open_with_two_releases(cluster, "older").await?;
    let revision = testbed.chart.revision(&testbed.gateway).await?;
    let older = cluster.push_image(&from_before(KEY)?, "older", "tested")?;
    testbed.chart.values()["plugin"]["url"] = json!(older.url());
    testbed.chart.values()["config"][KEY] = json!(["/version.json"]);
    testbed.chart.upgrade().await?;
    wait::until("the older module to refuse the key", async || {
        testbed.chart.is_refused(&testbed.gateway).await
    })
    .await?;
    load.answers(SOME).await?;
    ensure!(
        testbed.chart.revision(&testbed.gateway).await? == revision,
        "the last good configuration stays in force"
    );
    let log = testbed.gateway.log();
    for said in [
        &format!("{KEY}: unknown key"),
        "the last good one stays in force",
    ] {
        ensure!(log.contains(said), "the gateway does not log `{said}`");
    }
    let story = "a downgrade of the module with a key that is too new";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}

/// Such a key is in force already, so the older module can read no configuration at all. The way out is to remove the
/// key, which does not need the newer module.
pub async fn downgraded_while_a_newer_key_is_in_force(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open_with_two_releases(cluster, "oldest").await?;
    testbed.chart.values()["config"][KEY] = json!(["/version.json"]);
    testbed.upgrade().await?;
    let older = cluster.push_image(&from_before(KEY)?, "oldest", "tested")?;
    testbed.chart.values()["plugin"]["url"] = json!(older.url());
    testbed.chart.upgrade().await?;
    testbed.old_tab_reaches("2.0.0").await?;
    ensure!(
        testbed.chart.is_refused(&testbed.gateway).await?,
        "the older module refuses what it is given"
    );
    load.answers(SOME).await?;
    let tally = load.stop().await;
    visitors::report(
        "a downgrade while a key is in force that is too new",
        &tally,
    );
    ensure!(
        tally.failed == 0 && tally.told_to_reload == 0,
        "requests are let through: {:?}",
        tally.examples
    );
    let config = testbed.chart.values()["config"].as_object_mut();
    config.context("a map")?.remove(KEY);
    testbed.upgrade().await?;
    testbed.old_tab_reaches("1.4.2").await?;
    testbed.tear_down().await
}

/// For a moment both filters run; an older mesh does not know the kind, and keeps the existing plugin.
pub async fn under_another_kind_of_resource(cluster: &Cluster) -> Result<()> {
    let (mut testbed, load) = Testbed::open_with_two_releases(cluster, "kind").await?;
    testbed.chart.values()["plugin"]["kind"] = json!("TrafficExtension");
    match cluster.line() {
        IstioLine::V1_31 => {
            testbed.upgrade().await?;
            load.answers(SOME).await?;
            testbed.old_tab_reaches("1.4.2").await?;
            testbed.chart.values()["plugin"]["kind"] = json!("WasmPlugin");
            testbed.upgrade().await?;
        }
        IstioLine::V1_24 => {
            let refused = testbed.chart.upgrade().await.err();
            let said = refused.map(|problem| format!("{problem:#}"));
            let said = said.context("Istio 1.24 has no TrafficExtension")?;
            ensure!(said.contains("TrafficExtension"), "{said}");
        }
    }
    load.answers(SOME).await?;
    testbed.old_tab_reaches("1.4.2").await?;
    let story = "a plugin of another kind";
    visitors::expect_neither_skew_nor_failure(story, &load.stop().await)?;
    testbed.tear_down().await
}
