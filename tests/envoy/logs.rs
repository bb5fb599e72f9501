//! What the logs say: the shipped access log, and the module's own messages.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skew_guard_lab::markdown::Document;
use skew_guard_lab::{http, wait};

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    the_access_log_says_which_release_answered_and_why,
    the_documented_log_line_is_from_a_real_log,
    whatever_a_client_sends_stays_one_line_of_json,
    only_at_debug_level_is_each_request_logged,
    a_new_configuration_is_logged_at_info_level,
];

/// A gateway with the shipped access log, written to a file.
async fn gateway<'l>(lab: &'l Lab, name: &str, changes: Value) -> Result<Gateway<'l>> {
    let shipped = include_str!("../../envoy/observability/access-log.yaml");
    let shipped: Value = serde_saphyr::from_str(shipped)?;
    let mut log = shipped["access_log"][0].clone();
    let spec = Spec::of(lab, name)?;
    log["name"] = json!("envoy.access_loggers.file");
    let typed = log["typed_config"]
        .as_object_mut()
        .context("a configuration")?;
    typed.insert(
        "@type".to_owned(),
        json!("type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"),
    );
    typed.insert("path".to_owned(), json!(spec.access_log_file()));
    spec.manager("access_log", json!([log]))
        .configured(&shop(changes))?
        .open(lab)
        .await
}

/// The first `count` lines of the access log, each of which is JSON.
async fn lines(gateway: &Gateway<'_>, count: usize) -> Result<Vec<Value>> {
    let log = wait::until_some("the access log", async || {
        let log = gateway.access_log().unwrap_or_default();
        Ok((log.lines().count() >= count && log.ends_with('\n')).then_some(log))
    })
    .await?;
    let lines: Result<Vec<Value>, _> = log.lines().map(serde_json::from_str).collect();
    let lines = lines.with_context(|| log.clone())?;
    ensure!(lines.len() == count, "{count} requests were made:\n{log}");
    Ok(lines)
}

async fn the_access_log_says_which_release_answered_and_why(lab: &Lab) -> Result<()> {
    let gateway = gateway(
        lab,
        "access-log",
        json!({ "logOutcome": true, "denied": ["1.0.0"] }),
    )
    .await?;
    gateway
        .get("/api/cart?preview=secret", &[("x-bundle-version", "1.4.2")])
        .await?;
    gateway
        .get(
            "/api/cart",
            &[("x-bundle-version", "1.0.0"), ("x-release", "forged")],
        )
        .await?;
    gateway.get("/api/cart?dpl=2.0.0", &[]).await?;
    let lines = lines(&gateway, 3).await?;
    for (line, said) in lines.iter().zip([
        json!({
            "version": "1.4.2", "version_in_query": null, "outcome": "pinned", "release": "v1-4-2",
            "status": 200, "details": "via_upstream", "cluster": "shop-v1-4-2", "route": "v1-4-2",
            "flags": "-", "path": "/api/cart", "method": "GET", "protocol": "HTTP/1.1",
        }),
        json!({
            "version": "1.0.0", "version_in_query": null, "outcome": "gone", "release": null,
            "status": 409, "details": "skew_guard_denied", "cluster": "shop", "pod": null, "flags": "-",
        }),
        json!({
            "version": null, "version_in_query": "2.0.0", "outcome": "pinned", "release": "v2-0-0",
            "status": 200, "details": "via_upstream", "cluster": "shop-v2-0-0",
        }),
    ]) {
        for (key, value) in said.as_object().context("an object")? {
            assert_eq!(line.get(key), Some(value), "{key} of {line}");
        }
    }
    Ok(())
}

/// Except for what differs in every request.
async fn the_documented_log_line_is_from_a_real_log(lab: &Lab) -> Result<()> {
    let shown = Document::read("envoy/observability/README.md")?.text;
    let shown = shown.lines().find(|line| line.starts_with("{\"cluster\""));
    let shown = shown.context("a line of an access log")?;
    let gateway = gateway(
        lab,
        "access-log-as-documented",
        json!({ "logOutcome": true, "releases": [
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.3.0", "state": "retired" },
        ] }),
    )
    .await?;
    let call = [("host", "shop.example.com"), ("x-bundle-version", "1.3.0")];
    gateway.get("/api/cart", &call).await?;
    let log = lines(&gateway, 1).await?;
    let (mut shown, mut log): (Value, Value) = (
        serde_json::from_str(shown)?,
        log.into_iter().next().unwrap_or_default(),
    );
    for line in [&mut shown, &mut log] {
        for volatile in ["time", "duration_ms", "request_id"] {
            ensure!(!line[volatile].is_null(), "no {volatile}");
            line[volatile] = Value::Null;
        }
    }
    assert_eq!(shown, log);
    Ok(())
}

/// All bytes that a header can hold.
fn hostile() -> Vec<u8> {
    let bytes = (0x20..=0xff_u8).filter(|byte| *byte != 0x7f);
    b"\",\"outcome\":\"pinned\"}\t{"
        .iter()
        .copied()
        .chain(bytes)
        .collect()
}

async fn whatever_a_client_sends_stays_one_line_of_json(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "access-log-hostile", json!({ "logOutcome": true })).await?;
    let value = hostile();
    for (target, headers) in [
        ("/api/cart", [("x-bundle-version", value.as_slice())]),
        ("/api/cart?dpl=%0a%22%7d%00%ff\\\"", [("accept", b"*/*")]),
        (
            "/%0a\"}{\\\"outcome\":1",
            [("x-bundle-version", b"\"\\u0022\\n\"")],
        ),
    ] {
        http::get(gateway.address(), target, &headers).await?;
    }
    for line in lines(&gateway, 3).await? {
        assert_eq!(line["method"], "GET");
        assert_ne!(line["outcome"], "pinned", "{line}");
    }
    Ok(())
}

const PATH: &str = "/api/cart/of-the-debug-log";

async fn only_at_debug_level_is_each_request_logged(lab: &Lab) -> Result<()> {
    let lab = lab.another(1, &[]).await?;
    let mut gateway = Spec::of(&lab, "debugged")?
        .configured(&shop(json!({ "pinCookie": { "name": "pin" } })))?
        .open(&lab)
        .await?;
    let hostile = hostile();
    let ask = async |gateway: &Gateway<'_>| {
        let said = [
            ("x-bundle-version", &b"1.4.2"[..]),
            ("cookie", b"pin=1.4.2; session=secret"),
            ("user-agent", &hostile),
        ];
        http::get(gateway.address(), &format!("{PATH}?preview=secret"), &said).await
    };
    ask(&gateway).await?;
    let lines = || {
        let log = lab.envoy().log();
        let lines = log.lines().filter(|line| line.contains(PATH));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    // Until the next configuration the level stays as it was.
    lab.envoy().admin_post("/logging?wasm=debug").await?;
    ask(&gateway).await?;
    gateway.configure(&shop(json!({ "revision": 2 }))).await?;
    ask(&gateway).await?;
    let said = "skew-guard debugged: GET ";
    let line = wait::until_some("a line", async || Ok(lines().into_iter().next())).await?;
    assert!(line.contains(said), "{line}");
    let decided = format!(
        "{PATH} (api), version 1.4.2: pinned, to v1-4-2; rule 8: a release has this version"
    );
    assert!(line.ends_with(&decided), "{line}");

    lab.envoy().admin_post("/logging?wasm=info").await?;
    gateway.configure(&shop(json!({ "revision": 3 }))).await?;
    ask(&gateway).await?;
    // Anything that the module prints now would come after that.
    let behind = "in force: revision 4";
    gateway.configure(&shop(json!({ "revision": 4 }))).await?;
    wait::until(behind, async || Ok(lab.envoy().log().contains(behind))).await?;
    assert_eq!(lines().len(), 1, "{:#?}", lines());
    assert!(!lab.envoy().log().contains("secret"));
    Ok(())
}

async fn a_new_configuration_is_logged_at_info_level(lab: &Lab) -> Result<()> {
    let _gateway = Spec::of(lab, "told")?
        .configured(&shop(json!({ "revision": 17, "releases": [
            { "version": "2.0.0" },
            { "version": "1.4.2", "state": "draining" },
            { "version": "1.3.0", "state": "retired" },
        ] })))?
        .open(lab)
        .await?;
    let told = format!(
        "skew-guard told: in force: revision 17, releases 2.0.0 live, 1.4.2 draining, current 2.0.0, module {}",
        env!("CARGO_PKG_VERSION")
    );
    wait::until(&told, async || Ok(lab.envoy().log().contains(&told))).await
}
