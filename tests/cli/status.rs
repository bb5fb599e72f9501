//! `status`: which release answers which requests, and whether an old one may go.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, Plugin, listener};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::{http, module, ports};
use tokio::net::TcpListener;

use crate::tool::{Run, Workspace, end_of};
use crate::waiting::Gateway;

const LIST: &str = r#"{
  "releases": [
    {"version": "2.1.0", "route": "v2-1-0"},
    {"version": "2.0.0", "route": "v2-0-0"},
    {"version": "1.4.2", "route": "v1-4-2", "state": "draining"},
    {"version": "1.3.0", "state": "retired"}
  ],
  "current": "2.0.0",
  "revision": 7
}"#;

/// A gateway with that list, with these numbers of requests pinned to the old release and answered by the new one.
fn metrics(revision: u64, old: u64, new: u64, streams: u64) -> String {
    let release = |route: &str, stage: u64, pinned: u64, streams: u64| {
        let of = format!("plugin=\"shop\",release=\"{route}\"");
        format!(
            "skew_guard_requests_total{{{of},outcome=\"pinned\",class=\"api\"}} {pinned}\n\
             skew_guard_requests_total{{{of},outcome=\"pinned\",class=\"asset\"}} 0\n\
             skew_guard_open_streams{{{of}}} {streams}\n\
             skew_guard_release_state{{{of}}} {stage}\n"
        )
    };
    format!(
        "skew_guard_config_revision{{plugin=\"shop\"}} {revision}\nskew_guard_config_refused{{plugin=\"shop\"}} 0\n{}{}{}\
         skew_guard_requests_total{{plugin=\"shop\",release=\"v2-0-0\",outcome=\"unversioned\",class=\"navigation\"}} {new}\n",
        release("v2-1-0", 2, 0, 0),
        release("v2-0-0", 3, 0, 0),
        release("v1-4-2", 4, old, streams),
    )
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("shop.json", LIST);
    workspace
}

async fn status(workspace: &Workspace, arguments: &[&str]) -> Result<Run> {
    let given: Vec<String> = arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect();
    let arguments: Vec<_> = ["status", "--interval", "1s"]
        .into_iter()
        .map(str::to_owned)
        .chain(given)
        .collect();
    let child = {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        workspace.start(&arguments, Stdio::piped())
    };
    Ok(tokio::task::spawn_blocking(move || end_of(child)).await?)
}

/// The cells of the table row that begins like this.
fn row<'a>(run: &'a Run, first: &str) -> Vec<&'a str> {
    let line = run
        .out
        .lines()
        .find(|line| line.trim_start().starts_with(first));
    let cells = line
        .unwrap_or_else(|| panic!("{first:?} in {run:?}"))
        .split("  ");
    cells
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_all_gateways_between_two_looks_are_told_by_release_and_outcome()
-> Result<()> {
    let one = Gateway::showing(&[&metrics(7, 40, 1000, 0), &metrics(7, 42, 1005, 2)]).await?;
    let other = Gateway::showing(&[&metrics(7, 8, 10, 0), &metrics(7, 9, 10, 1)]).await?;
    let run = status(
        &workspace(),
        &["--config", "shop.json", &one.url(), &other.url()],
    )
    .await?
    .ends(0);
    assert_eq!(
        row(&run, "2.0.0"),
        ["2.0.0", "in current", "5", "0", "0", "0", "unversioned 5"]
    );
    assert_eq!(
        row(&run, "1.4.2"),
        ["1.4.2", "draining", "3", "3", "0", "0", "pinned 3"]
    );
    assert_eq!(row(&run, &one.url()), [&one.url(), "7", "in force"]);
    run.says("1.4.2 may not be retired yet: 3 streams open")
        .never_says("1.3.0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_step_is_the_one_that_release_makes_and_says_what_it_waits_for() -> Result<()> {
    let workspace = workspace();
    let ready = Gateway::showing(&[&metrics(7, 0, 0, 0)]).await?;
    let list = ["--config", "shop.json"];
    status(&workspace, &[&list[..], &[&ready.url()]].concat())
        .await?
        .ends(0)
        .says("next: 2.0.0: live becomes draining until ")
        .says("current: 2.0.0 becomes 2.1.0")
        .says("skew-guard release shop.json 2.1.0\n")
        .never_says("waiting:");
    let late = Gateway::showing(&[&metrics(6, 0, 0, 0)]).await?;
    status(
        &workspace,
        &[&list[..], &[&ready.url(), &late.url()]].concat(),
    )
    .await?
    .ends(1)
    .says(&format!("waiting: {} still has revision 6", late.url()));
    let alone = LIST.replace("{\"version\": \"2.1.0\", \"route\": \"v2-1-0\"},", "");
    workspace.write("shop.json", &alone);
    status(&workspace, &[&list[..], &[&ready.url()]].concat())
        .await?
        .ends(0)
        .says("next: 1.4.2: draining becomes retired")
        .says("skew-guard release shop.json 1.4.2 --step retired")
        .says("waiting: it is unclear whether 1.4.2 may be retired");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_release_may_go_when_nobody_asked_for_it_for_long_enough() -> Result<()> {
    let workspace = workspace();
    let quiet = Gateway::showing(&[&metrics(7, 40, 10, 0)]).await?;
    status(&workspace, &["--idle-for", "1s", &quiet.url()])
        .await?
        .ends(0)
        .says("v1-4-2 may be retired: draining, no request in the 1s that were looked at, no open stream");
    status(&workspace, &[&quiet.url()])
        .await?
        .ends(0)
        .says("it is unclear whether v1-4-2 may be retired: no request in the 1s that were looked at, and no open stream; 30m without one would settle it")
        .says("--watch");
    let busy = Gateway::showing(&[&metrics(7, 40, 10, 0), &metrics(7, 41, 10, 0)]).await?;
    status(&workspace, &["--idle-for", "1s", &busy.url()])
        .await?
        .says("v1-4-2 may not be retired yet: 1 request since the last look");
    let nobody = format!("http://{}/", ports::free()?);
    status(&workspace, &["--idle-for", "1s", &quiet.url(), &nobody])
        .await?
        .ends(1)
        .says(&format!(
            "it is unclear whether v1-4-2 may be retired: {nobody} cannot be reached"
        ));
    workspace.write(
        "shop.json",
        &LIST.replace(
            "\"draining\"",
            "\"draining\", \"until\": \"2020-01-01T00:00:00Z\"",
        ),
    );
    status(&workspace, &["--config", "shop.json", &busy.url()])
        .await?
        .says("1.4.2 may be retired: it was draining until 2020-01-01T00:00:00Z");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_started_again_hides_no_request() -> Result<()> {
    let again = Gateway::showing(&[&metrics(7, 40, 10, 0), &metrics(7, 3, 0, 0)]).await?;
    let run = status(&workspace(), &["--idle-for", "1s", &again.url()]).await?;
    assert_eq!(
        row(&run, "v1-4-2"),
        ["v1-4-2", "draining", "3", "0", "0", "0", "pinned 3"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn skew_and_a_refused_configuration_are_bad_answers() -> Result<()> {
    let workspace = workspace();
    let skew = |count| {
        format!(
            "{}skew_guard_answers_total{{plugin=\"shop\",release=\"v1-4-2\",answer=\"skewed\"}} {count}\n",
            metrics(7, 0, 0, 0)
        )
    };
    let old = Gateway::showing(&[&skew(2)]).await?;
    let run = status(&workspace, &[&old.url()]).await?.ends(0);
    assert_eq!(row(&run, "v1-4-2")[4], "2");
    let now = Gateway::showing(&[&skew(2), &skew(5)]).await?;
    let run = status(&workspace, &[&now.url()]).await?.ends(1);
    assert_eq!(row(&run, "v1-4-2")[4], "5 (+3)");
    let refused = metrics(7, 0, 0, 0).replace(
        "config_refused{plugin=\"shop\"} 0",
        "config_refused{plugin=\"shop\"} 1",
    );
    let refusing = Gateway::showing(&[&refused]).await?;
    status(&workspace, &[&refusing.url()])
        .await?
        .ends(1)
        .says("refused its newest configuration");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_get_all_of_it() -> Result<()> {
    let gateway = Gateway::showing(&[&metrics(7, 40, 10, 0), &metrics(7, 42, 10, 1)]).await?;
    let run = status(
        &workspace(),
        &["--output", "json", "--config", "shop.json", &gateway.url()],
    )
    .await?
    .ends(0);
    let answer: Value = serde_json::from_str(&run.out)?;
    let old = &answer["releases"][2];
    assert_eq!(old["release"], "1.4.2");
    assert_eq!(old["requests"], json!({"new": 2, "total": 42}));
    assert_eq!(old["outcomes"]["pinned"], json!({"new": 2, "total": 42}));
    assert_eq!(old["openStreams"], 1);
    assert_eq!(old["idle"]["lastRequestSeen"], true);
    assert_eq!(old["retire"]["answer"], "not_yet");
    assert_eq!(answer["gateways"][0]["revision"], 7);
    assert_eq!(answer["next"]["release"], "2.1.0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_until_nobody_reads() -> Result<()> {
    let quiet = Gateway::showing(&[&metrics(7, 40, 10, 0)]).await?;
    let workspace = workspace();
    let watch = [
        "status",
        "--watch",
        "--interval",
        "1s",
        "--idle-for",
        "2s",
        &quiet.url(),
    ];
    let mut watching = workspace.start(&watch, Stdio::piped());
    let out = watching.stdout.take().expect("an answer");
    let read = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.find(|line| line.contains("v1-4-2 may be retired"))
    });
    let line = read.await;
    tokio::task::spawn_blocking(move || end_of(watching))
        .await?
        .ends(0);
    let line = line?.context("the release becomes idle")?;
    assert!(line.contains("no request in the"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_cluster_are_refused_with_urls() -> Result<()> {
    for option in [
        ["--namespace", "shop"],
        ["--skip-gateway", "one"],
        ["--root-namespace", "mesh"],
    ] {
        let url = ["http://127.0.0.1:1/"];
        for command in [&["status"][..], &["wait", "--revision", "7"]] {
            let run = workspace().run(&[command, &option, &url].concat()).ends(2);
            assert!(
                run.err.contains("is for the gateways of a cluster"),
                "{run:?}"
            );
        }
    }
    Ok(())
}

/// A Prometheus with these series of the old release, each a list of hourly values, the last one from now.
async fn remembering(series: &[&[u64]]) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let result: Vec<_> = series
        .iter()
        .map(|values| {
            let times = (0..values.len()).rev().map(|ago| now + 60 - 3600 * ago as u64);
            let values = times.zip(*values);
            json!({"values": values.map(|(time, value)| json!([time, value.to_string()])).collect::<Vec<_>>()})
        })
        .collect();
    let answer = json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
        .to_string();
    let router = Router::new().route("/api/v1/query_range", get(async || answer));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_before_is_known_to_prometheus() -> Result<()> {
    let gateway = Gateway::showing(&[&metrics(7, 40, 10, 0)]).await?;
    let asked = async |series: &[&[u64]]| -> Result<Run> {
        let prometheus = remembering(series).await?;
        status(&workspace(), &["--prometheus", &prometheus, &gateway.url()]).await
    };
    let may = "v1-4-2 may be retired: draining, no request";
    asked(&[&[30, 40, 40, 40], &[0, 0, 0, 0]])
        .await?
        .ends(0)
        .says(&format!("{may} for 1h"));
    asked(&[&[40, 40, 40], &[0, 0, 0]])
        .await?
        .ends(0)
        .says(&format!("{may} in the 1h"));
    // One series began with its first request, and one started over.
    asked(&[&[39, 39, 39, 39], &[1]])
        .await?
        .says("it is unclear whether v1-4-2 may be retired: no request in the 0s");
    asked(&[&[50, 50, 3, 3], &[37, 37, 37, 37]])
        .await?
        .says(&format!("{may} for 59m"));
    asked(&[&[20, 20, 30, 40]])
        .await?
        .says("v1-4-2 may not be retired yet: no request for 0s; wait for 30m without one");
    asked(&[&[39, 39, 39]])
        .await?
        .ends(1)
        .says("not known: Prometheus: it has 39 requests of v1-4-2, and the gateways have 40")
        .never_says(may);
    asked(&[])
        .await?
        .ends(1)
        .says("it has no skew_guard_requests_total of v1-4-2");
    let nobody = format!("http://{}", ports::free()?);
    status(&workspace(), &["--prometheus", &nobody, &gateway.url()])
        .await?
        .ends(1)
        .says("not known: Prometheus: ");
    Ok(())
}

/// A kubectl for a cluster with the chart, a gateway with metrics at that port, and pods of two releases. A cluster's
/// answers are tried in a real one, by `tests/istio`.
fn kubectl(port: u16) -> String {
    let version = r#"{"clientVersion": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}}"#;
    let routes = r#"{"items": [{"metadata": {"name": "shop", "annotations": {
        "skew-guard/plugin": "WasmPlugin/ingress/shop", "skew-guard/stat-prefix": "skew-guard-shop-shop-r7"}},
        "spec": {"hosts": ["shop.example.com"]}}]}"#;
    let plugin = json!({"metadata": {"name": "shop"}, "spec": {
        "selector": {"matchLabels": {"app": "gateway"}},
        "pluginConfig": serde_json::from_str::<Value>(LIST).expect("JSON"),
    }});
    let rules = r#"{"items": [{"metadata": {"name": "api"}, "spec": {"host": "api", "subsets": [
        {"name": "v2-1-0", "labels": {"version": "v2-1-0"}},
        {"name": "v2-0-0", "labels": {"version": "v2-0-0"}}, {"name": "v1-3-0", "labels": {"version": "v1-3-0"}}]}}]}"#;
    let slices = r#"{"items": [{"endpoints": null}, {"endpoints": [
        {"conditions": {"ready": true}, "targetRef": {"name": "new"}},
        {"conditions": {"ready": false}, "targetRef": {"name": "newer"}},
        {"targetRef": {"name": "old"}}]}]}"#;
    let pods = r#"{"items": [
        {"metadata": {"name": "new", "labels": {"version": "v2-0-0"}}},
        {"metadata": {"name": "newer", "labels": {"version": "v2-0-0"}}},
        {"metadata": {"name": "old", "labels": {"version": "v1-3-0"}}}]}"#;
    let gateways = r#"{"items": [{"metadata": {"name": "gateway-1", "namespace": "ingress"}}]}"#;
    format!(
        "#!/bin/sh\ncase \"$*\" in\n*version*--client*) echo '{version}';;\n*virtualservices*) echo '{routes}';;\n\
         *wasmplugins*) echo '{plugin}';;\n*destinationrules*) echo '{rules}';;\n*endpointslices*) echo '{slices}';;\n\
         *port-forward*) echo $$ > forward; echo 'Forwarding from 127.0.0.1:{port} -> 15090'; exec /bin/sleep 600;;\n\
         *app=gateway*) echo '{gateways}';;\n*pods*) echo '{pods}';;\nesac\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_told_with_its_pods_and_left_without_a_port_that_is_still_open() -> Result<()>
{
    let routes = "envoy_vhost_shop_route_upstream_rq_total{envoy_virtual_host=\"shop.example.com:80\",envoy_route=\"skew-guard-shop-shop-r7\"} 0\n";
    let shown = metrics(7, 40, 10, 0).replace("plugin=\"shop\"", "plugin=\"ingress.shop\"");
    let gateway = Gateway::showing(&[&format!("{shown}{routes}")]).await?;
    let workspace = Workspace::new();
    workspace.write("kubectl", &kubectl(gateway.port()));
    fs::set_permissions(workspace.path("kubectl"), Permissions::from_mode(0o755))?;
    let status = [
        "status",
        "--helm-release",
        "shop",
        "--namespace",
        "shop",
        "--interval",
        "1s",
        "--watch",
    ];
    let mut watch = Watch(workspace.start_with_path(&workspace.path(""), &status));
    let out = watch.0.stdout.take().expect("answers");
    let told = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        let mut told = Vec::new();
        for line in lines {
            let is_last = line.contains("its pods may");
            told.push(line);
            if is_last {
                break;
            }
        }
        told.join("\n")
    })
    .await?;
    for words in [
        "shop in namespace shop, revision 7",
        "ingress/gateway-1         7  in force",
        "api 1/2",
        "skew-guard deploy 2.1.0 --helm-release shop --namespace shop",
        "waiting: there is no pod behind api",
        "1.3.0 is retired in every gateway: its pods may go",
    ] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    let forward = workspace.read("forward");
    let ended = Command::new("kill")
        .args(["-s", "TERM", &watch.0.id().to_string()])
        .status()?;
    assert!(ended.success());
    assert_eq!(watch.0.wait()?.signal(), Some(15));
    let is_there = Command::new("kill")
        .args(["-s", "0", forward.trim()])
        .status()?;
    assert!(
        !is_there.success(),
        "the port-forward {forward} was left behind"
    );
    Ok(())
}

/// How many requests a watch has counted: pinned ones, newest release first, and those of gone releases.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    pinned: [u64; 3],
    gone: u64,
}

impl Seen {
    fn add(&mut self, answer: &Value) {
        for (index, pinned) in self.pinned.iter_mut().enumerate() {
            let outcomes = &answer["releases"][index]["outcomes"];
            *pinned += outcomes["pinned"]["new"].as_u64().unwrap_or_default();
        }
        let gone = &answer["withoutRelease"]["gone"]["new"];
        self.gone += gone.as_u64().unwrap_or_default();
    }
}

/// A watch that runs until this is dropped.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        // It may already have ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A watch of a gateway, which has looked once.
fn watching(workspace: &Workspace, url: &str) -> Watch {
    let watch = "--output json status --watch --interval 1s --config shop.json --plugin ns.shop";
    let arguments: Vec<_> = watch.split(' ').chain([url]).collect();
    let mut watching = Watch(workspace.start(&arguments, Stdio::piped()));
    let mut said = BufReader::new(watching.0.stderr.take().expect("stderr")).lines();
    let said = said.next().expect("a word").expect("text");
    assert!(said.contains("counting requests"), "{said}");
    watching
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_gateway_is_understood_with_tag_expressions_and_without() -> Result<()> {
    for has_tags in [true, false] {
        let list: Value = serde_json::from_str(LIST)?;
        let plugin = Plugin::of(&module::path()?).named("ns.shop");
        let ok =
            json!({"name": "all", "match": {"prefix": "/"}, "direct_response": {"status": 200}});
        let gateway = listener("gateway", &[plugin.configured(&list).filter()], &[ok]);
        let mut bootstrap = Bootstrap::of(vec![gateway], Vec::new()).value().clone();
        if !has_tags {
            let fields = bootstrap.as_object_mut().context("a bootstrap")?;
            fields.remove("stats_config").context("tag expressions")?;
        }
        let envoy = Envoy::start(&envoy::installed()?, &bootstrap).await?;
        let address = envoy.listener("gateway").await?;
        let workspace = workspace();
        let url = format!("http://{}/stats/prometheus", envoy.admin());
        let mut watching = tokio::task::block_in_place(|| watching(&workspace, &url));
        for version in ["1.4.2", "1.4.2", "1.3.0", "2.0.0"] {
            http::get(
                address,
                "/api/cart",
                &[("x-bundle-version", version.as_bytes())],
            )
            .await?;
        }
        let expected = Seen {
            pinned: [0, 1, 2],
            gone: 1,
        };
        let out = watching.0.stdout.take().expect("answers");
        let answers = serde_json::Deserializer::from_reader(out).into_iter::<Value>();
        let mut seen = Seen::default();
        for answer in answers {
            let answer = answer?;
            seen.add(&answer);
            assert_eq!(answer["gateways"][0]["state"], "in_force", "{answer:#}");
            if seen == expected {
                break;
            }
        }
        assert_eq!(seen, expected, "tag expressions: {has_tags}");
        envoy.stop().await?;
    }
    Ok(())
}
