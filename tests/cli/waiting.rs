//! `wait`: until every gateway has a configuration in force.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, Plugin, discovered_filter, listener};
use skew_guard_lab::envoy::{self, Envoy, Launch};
use skew_guard_lab::module;
use skew_guard_lab::wait;
use skew_guard_lab::xds::Files;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tool::{Run, Workspace, run};

/// A gateway's metrics, one text for each scrape; the last one repeats.
pub struct Gateway {
    address: SocketAddr,
    looks: Arc<AtomicUsize>,
}

impl Gateway {
    pub async fn showing(texts: &[&str]) -> Result<Self> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let answer = move || {
            let look = counted.fetch_add(1, Ordering::SeqCst);
            let text = texts[look.min(texts.len() - 1)].clone();
            async move { text }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/stats/prometheus", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, looks })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}/stats/prometheus", self.address)
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

/// Waits a second for one of the plugins that run there.
async fn wait_for_plugin(revision: &str, plugin: &str, url: &str) -> Result<Run> {
    let arguments = ["--revision", revision, "--plugin", plugin];
    wait_for(&[&arguments[..], &["--timeout", "1s", url]].concat()).await
}

async fn wait_for(arguments: &[&str]) -> Result<Run> {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run(&[&["wait"], arguments.as_slice()].concat())
    });
    Ok(ran.await?)
}

const SEVEN: &str = "# TYPE skew_guard_config_revision gauge
skew_guard_config_revision{plugin=\"shop\"} 7
skew_guard_config_refused{plugin=\"shop\"} 0
";
const SIX: &str = "skew_guard_config_revision{plugin=\"shop\"} 6\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_counts_when_it_was_seen_twice_in_a_row_at_every_gateway() -> Result<()> {
    let ready = Gateway::showing(&[SEVEN]).await?;
    let wavering = Gateway::showing(&[SEVEN, SIX, SEVEN]).await?;
    wait_for(&["--revision", "7", &ready.url(), &wavering.url()])
        .await?
        .ends(0)
        .says("revision 7 is in force in 2 gateways");
    assert_eq!(wavering.looks(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_is_named_when_time_is_up() -> Result<()> {
    let refusing = Gateway::showing(&[
        "skew_guard_config_revision{plugin=\"shop\"} 7\nskew_guard_config_refused{plugin=\"shop\"} 1\n",
    ])
    .await?;
    let late = Gateway::showing(&[SIX]).await?;
    let run = wait_for(&[
        "--revision",
        "7",
        "--timeout",
        "3s",
        &refusing.url(),
        &late.url(),
    ])
    .await?
    .ends(1)
    .says("refused its newest configuration and goes on with revision 7")
    .says("still has revision 6");
    assert!(
        run.err.contains("still has revision 6"),
        "progress: {run:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_several_plugins_run_one_is_named() -> Result<()> {
    let both = format!(
        "{SEVEN}skew_guard_config_revision{{plugin=\"shop-admin\"}} 3\nskew_guard_config_refused{{plugin=\"shop-admin\"}} 1\n"
    );
    let gateway = Gateway::showing(&[&both]).await?;
    wait_for(&["--revision", "7", "--timeout", "1s", &gateway.url()])
        .await?
        .ends(1)
        .says("has several plugins; choose one with --plugin: shop, shop-admin");
    wait_for(&["--revision", "7", "--plugin", "shop", &gateway.url()])
        .await?
        .ends(0);
    wait_for_plugin("3", "shop-admin", &gateway.url())
        .await?
        .ends(1)
        .says("refused");
    Ok(())
}

/// A gateway whose plugin of this name has revision 7.
async fn with_plugin(name: &str) -> Result<Gateway> {
    Gateway::showing(&[&format!(
        "skew_guard_config_revision{{plugin=\"{name}\"}} 7\n"
    )])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_not_another_one_whose_name_holds_its_name() -> Result<()> {
    for (has, wanted) in [
        ("workshop", "shop"),
        ("shop-admin", "shop"),
        ("ns.workshop", "shop"),
        ("shop.guard", "shop"),
        ("ns.shop", "other.shop"),
    ] {
        let gateway = with_plugin(has).await?;
        let url = gateway.url();
        wait_for_plugin("7", wanted, &url)
            .await?
            .ends(1)
            .says(&format!("does not have the plugin; it has: {has}"));
    }
    let unlabelled = "plugin___work_shop___skew_guard_config_revision{} 7\n";
    let url = Gateway::showing(&[unlabelled]).await?.url();
    wait_for_plugin("7", "shop", &url).await?.ends(1);
    for wanted in ["shop", "ns.shop"] {
        let url = with_plugin("ns.shop").await?.url();
        wait_for(&["--revision", "7", "--plugin", wanted, &url])
            .await?
            .ends(0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_gone_is_not_waited_for_by_what_it_left_behind() -> Result<()> {
    let left = format!(
        "{SEVEN}skew_guard_config_revision{{plugin=\"ns.new\"}} 8\nenvoy_wasm_ns_new_istio_translated_wasmplugin_vm_reload{{}} 0\n"
    );
    let gateway = Gateway::showing(&[&left]).await?;
    let url = gateway.url();
    wait_for_plugin("7", "shop", &url)
        .await?
        .ends(1)
        .says("no longer has the plugin shop");
    wait_for(&["--revision", "8", &url]).await?.ends(0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drains_is_waited_for_where_that_is_wanted() -> Result<()> {
    let draining = |listeners: u32, chains: u32| {
        format!(
            "{SEVEN}envoy_listener_manager_total_listeners_draining{{}} {listeners}\nenvoy_listener_manager_total_filter_chains_draining{{}} {chains}\n"
        )
    };
    let url = Gateway::showing(&[&draining(1, 0), &draining(0, 1), &draining(0, 0)])
        .await?
        .url();
    let run = wait_for(&["--revision", "7", "--drained", &url])
        .await?
        .ends(0);
    assert!(run.err.contains("still drain"), "progress: {run:?}");
    let url = Gateway::showing(&[&draining(0, 1)]).await?.url();
    wait_for(&["--revision", "7", "--drained", "--timeout", "3s", &url])
        .await?
        .ends(1)
        .says("A change to another application's listener prolongs this too");
    let url = Gateway::showing(&[SEVEN]).await?.url();
    wait_for(&["--revision", "7", "--drained", "--timeout", "1s", &url])
        .await?
        .ends(1)
        .says("shows no envoy_listener_manager_total_listeners_draining");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_be_reached_or_has_no_filter_is_named() -> Result<()> {
    let bare = Gateway::showing(&["envoy_server_live{} 1\n"]).await?;
    let nobody = skew_guard_lab::ports::free()?;
    wait_for(&[
        "--revision",
        "7",
        "--timeout",
        "1s",
        &bare.url(),
        &format!("http://{nobody}/"),
    ])
    .await?
    .ends(1)
    .says("shows no skew_guard_config_revision")
    .says("cannot be reached");
    let encrypted = wait_for(&["--revision", "7", "https://127.0.0.1/"])
        .await?
        .ends(2);
    assert!(
        encrypted.err.contains("not an http:// URL"),
        "{encrypted:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_beyond_all_clocks_is_a_long_one() -> Result<()> {
    let ready = Gateway::showing(&[SEVEN]).await?;
    let limit = "99999999999999d";
    wait_for(&["--revision", "7", "--timeout", limit, &ready.url()])
        .await?
        .ends(0);
    let never = wait_for(&[
        "--revision",
        "7",
        "--timeout",
        "9".repeat(40).as_str(),
        &ready.url(),
    ])
    .await?
    .ends(2);
    assert!(!never.err.contains("panicked"), "{never:?}");
    Ok(())
}

fn configuration(revision: u64) -> Value {
    json!({"releases": [{"version": "1.0.0"}], "current": "1.0.0", "revision": revision})
}

/// `wait`, started before the event that it waits for.
fn started(revision: &str, url: &str) -> Result<Child> {
    Command::new(env!("CARGO_BIN_EXE_skew-guard"))
        .args([
            "--output",
            "json",
            "wait",
            "--timeout",
            "60s",
            "--revision",
            revision,
            url,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .context("the tool starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_gateway_is_waited_for_from_one_configuration_to_the_next() -> Result<()> {
    let files = Files::new()?;
    let plugin = || Ok::<_, anyhow::Error>(Plugin::of(&module::path()?).named("shop"));
    files.extension(
        "shop",
        &plugin()?.configured(&configuration(1)).typed_config(),
    )?;
    let gateway = listener("gateway", &[discovered_filter("shop", &files)], &[]);
    let bootstrap = Bootstrap::of(vec![gateway], Vec::new());
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    let url = format!("http://{}/stats/prometheus", envoy.admin());
    wait_for(&["--revision", "1", "--plugin", "shop", &url])
        .await?
        .ends(0);

    let mut waiting = started("2", &url)?;
    assert!(waiting.try_wait()?.is_none(), "nothing is in force yet");
    files.extension(
        "shop",
        &plugin()?.configured(&configuration(2)).typed_config(),
    )?;
    let output = tokio::task::spawn_blocking(move || waiting.wait_with_output()).await??;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(answer["inForce"], true, "{answer}");

    let wrong = json!({"releases": [], "revision": 3});
    files.extension("shop", &plugin()?.configured(&wrong).typed_config())?;
    wait::until("the wrong configuration is refused", async || {
        Ok(envoy
            .prometheus()
            .await?
            .lines()
            .any(|line| line.starts_with("skew_guard_config_refused") && line.ends_with(" 1")))
    })
    .await?;
    wait_for(&["--revision", "3", "--timeout", "1s", &url])
        .await?
        .ends(1)
        .says("refused its newest configuration and goes on with revision 2");
    envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_waited_for_by_the_counter_of_one_of_them() -> Result<()> {
    let bootstrap = Bootstrap::read("envoy/envoy.yaml")?
        .with_module(&module::path()?)
        .on_free_ports();
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    let url = format!("http://{}/stats/prometheus", envoy.admin());
    let wait = async |arguments: &[&str]| {
        let first = ["--revision", "1", "--timeout", "20s"];
        wait_for(&[&first[..], arguments, &[url.as_str()]].concat()).await
    };
    wait(&["--routes", "skew-guard-r1"])
        .await?
        .ends(0)
        .never_says("not looked at");
    let late = |routes| {
        let arguments = [
            "--revision",
            "1",
            "--timeout",
            "1s",
            "--routes",
            routes,
            url.as_str(),
        ];
        async move { wait_for(&arguments).await }
    };
    late("skew-guard-r2")
        .await?
        .ends(1)
        .says("has the plugin's part, but still has the routes skew-guard-r1 of ");
    late("another-r1").await?.ends(1).says("none of its routes");
    wait(&[])
        .await?
        .ends(0)
        .says("its routes were not looked at");
    envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_tag_expressions_is_understood_too() -> Result<()> {
    let plugin = |name: &str| Ok::<_, anyhow::Error>(Plugin::of(&module::path()?).named(name));
    let shop = plugin("ns.shop")?.configured(&configuration(7)).filter();
    let other = plugin("ns.other")?
        .root_id("other")
        .configured(&configuration(3))
        .filter();
    let gateway = listener("gateway", &[shop, other], &[]);
    let mut bootstrap = Bootstrap::of(vec![gateway], Vec::new()).value().clone();
    let fields = bootstrap.as_object_mut().context("a bootstrap")?;
    fields.remove("stats_config").context("tag expressions")?;
    let envoy = Envoy::start(&envoy::installed()?, &bootstrap).await?;
    let url = format!("http://{}/stats/prometheus", envoy.admin());
    for (name, revision) in [("ns.shop", "7"), ("ns.other", "3")] {
        wait_for(&[
            "--revision",
            revision,
            "--plugin",
            name,
            "--timeout",
            "20s",
            &url,
        ])
        .await?
        .ends(0);
    }
    envoy.stop().await
}

/// An Envoy whose plugins come with their listeners, and a page of 1.0.0 that keeps its connection.
struct Listeners {
    files: Files,
    envoy: Envoy,
    url: String,
}

impl Listeners {
    const NAME: &str = "listeners";

    async fn start(drain_time: Option<&str>, plugins: &[(&str, Value)]) -> Result<Self> {
        let files = Files::new()?;
        write_listeners(&files, plugins)?;
        let bootstrap =
            Bootstrap::of(Vec::new(), Vec::new()).discover_listeners(&files, Self::NAME);
        let mut launch = Launch::of(envoy::installed()?);
        for argument in drain_time
            .map(|time| ["--drain-time-s", time])
            .into_iter()
            .flatten()
        {
            launch = launch.argument(argument);
        }
        let envoy = launch.start(bootstrap.value()).await?;
        let url = format!("http://{}/stats/prometheus", envoy.admin());
        Ok(Self { files, envoy, url })
    }

    fn change(&self, plugins: &[(&str, Value)]) -> Result<()> {
        write_listeners(&self.files, plugins)
    }

    async fn wait(&self, arguments: &[&str]) -> Result<Run> {
        wait_for(&[arguments, &[self.url.as_str()]].concat()).await
    }
}

/// One listener for each plugin, which has its name.
fn write_listeners(files: &Files, plugins: &[(&str, Value)]) -> Result<()> {
    let ok = json!({"name": "all", "match": {"prefix": "/"}, "direct_response": {"status": 200}});
    let module = module::path()?;
    let listeners: Vec<_> = plugins
        .iter()
        .map(|(name, configuration)| {
            let plugin = Plugin::of(&module).named(name).root_id(name);
            let filter = plugin.configured(configuration).filter();
            listener(name, &[filter], std::slice::from_ref(&ok))
        })
        .collect();
    files.listeners(Listeners::NAME, &listeners)
}

fn retiring(revision: u64) -> Value {
    json!({
        "releases": [{"version": "2.0.0"}, {"version": "1.0.0", "state": "retired"}],
        "current": "2.0.0",
        "revision": revision,
    })
}

/// The status of a call of a page of 1.0.0, on this connection.
async fn call(connection: &mut TcpStream) -> Result<String> {
    connection
        .write_all(b"GET /api/cart HTTP/1.1\r\nhost: shop\r\nx-bundle-version: 1.0.0\r\n\r\n")
        .await?;
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    let status = answer.split(' ').nth(1);
    Ok(status.context("the connection was closed")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_keeps_the_configuration_that_came_with_its_listener() -> Result<()> {
    let gateway = Listeners::start(None, &[("shop", configuration(1))]).await?;
    gateway
        .wait(&["--revision", "1", "--drained"])
        .await?
        .ends(0);
    let address = gateway.envoy.listener("shop").await?;
    let mut tab = TcpStream::connect(address).await?;
    assert_eq!(call(&mut tab).await?, "200");

    gateway.change(&[("shop", retiring(2))])?;
    gateway.wait(&["--revision", "2"]).await?.ends(0);
    assert_eq!(call(&mut tab).await?, "200", "the old one keeps what was");
    let mut fresh = TcpStream::connect(gateway.envoy.listener("shop").await?).await?;
    assert_eq!(call(&mut fresh).await?, "409", "a new one has what is");
    gateway
        .wait(&["--revision", "2", "--drained", "--timeout", "5s"])
        .await?
        .ends(1)
        .says("are still draining: connections that were already open keep the old one");
    assert_eq!(call(&mut tab).await?, "200", "and so it does all the time");
    gateway.envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_drained_has_no_connection_with_an_old_configuration() -> Result<()> {
    let gateway = Listeners::start(Some("6"), &[("shop", configuration(1))]).await?;
    let mut tab = TcpStream::connect(gateway.envoy.listener("shop").await?).await?;
    assert_eq!(call(&mut tab).await?, "200");
    gateway.change(&[("shop", retiring(2))])?;
    gateway
        .wait(&["--revision", "2", "--drained"])
        .await?
        .ends(0);
    assert!(
        call(&mut tab).await.is_err(),
        "the old connection is closed"
    );
    gateway.envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_was_uninstalled_beside_another_is_seen_to_be_gone() -> Result<()> {
    let both = [("shop", configuration(7)), ("admin", configuration(7))];
    let gateway = Listeners::start(Some("1"), &both).await?;
    gateway
        .wait(&["--revision", "7", "--plugin", "shop"])
        .await?
        .ends(0);
    gateway.change(&both[1..])?;
    wait::until("the listener is gone", async || {
        Ok(gateway.envoy.stat("wasm.shop.vm_reload").await?.is_none())
    })
    .await?;
    let metrics = gateway.envoy.prometheus().await?;
    assert!(metrics.contains("skew_guard_config_revision{plugin=\"shop\"} 7"));
    gateway
        .wait(&["--revision", "7", "--plugin", "shop", "--timeout", "3s"])
        .await?
        .ends(1)
        .says("no longer has the plugin shop");
    gateway
        .wait(&["--revision", "7", "--plugin", "admin"])
        .await?
        .ends(0);
    gateway.envoy.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_made_in_the_file_that_envoy_watches_is_in_force() -> Result<()> {
    let workspace = Workspace::new();
    let shipped = include_str!("../../envoy/skew-guard.yaml");
    let module = module::path()?;
    let own = shipped.replace(
        "target/wasm32-wasip1/release/skew_guard.wasm",
        &module.display().to_string(),
    );
    workspace.write("skew-guard.yaml", &own);
    // As in the shipped file: Envoy watches the file's folder by itself.
    let mut filter = discovered_filter("skew-guard", &Files::new()?);
    filter["config_discovery"]["config_source"]["path_config_source"] =
        json!({"path": workspace.path("skew-guard.yaml")});
    let gateway = listener("gateway", &[filter], &[]);
    let bootstrap = Bootstrap::of(vec![gateway], Vec::new());
    let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
    let url = format!("http://{}/stats/prometheus", envoy.admin());
    wait_for(&["--revision", "1", &url]).await?.ends(0);
    workspace
        .run(&["release", "skew-guard.yaml", "2.1.0"])
        .ends(0);
    wait_for(&["--revision", "2", "--drained", &url])
        .await?
        .ends(0);
    envoy.stop().await
}
