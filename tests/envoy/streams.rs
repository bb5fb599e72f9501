//! Streams that stay open, counted by release: a release with open sockets is not idle.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use h2::ext::Protocol;
use http::{Method, Request};
use serde_json::json;
use skew_guard_lab::wait;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use walrus::{FunctionBuilder, Module, ValType};

use crate::application::{ANSWER, endless};
use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, Vms, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    websockets_event_streams_and_grpc_calls_are_counted_while_they_are_open,
    a_websocket_over_http2_is_counted_too,
    plain_requests_are_not_counted_as_streams,
    a_release_without_requests_is_shown_as_idle,
    a_stream_that_stays_open_through_a_change_is_counted_down,
    a_stream_that_stays_open_through_a_change_to_a_new_vm_is_counted_down,
    a_lost_vm_leaves_its_streams_counted_and_the_gauge_never_below_zero,
];

/// Streams of 1.4.2 that the filter says are open at a gateway.
async fn open(lab: &Lab, name: &str) -> Result<u64> {
    let labels = [("plugin", name), ("release", "v1-4-2")];
    let metrics = lab.metrics().await?;
    ensure!(
        metrics.values("skew_guard_open_streams", &labels, "release") == ["v1-4-2"],
        "no gauge"
    );
    Ok(metrics.sum("skew_guard_open_streams", &labels))
}

async fn until_open(lab: &Lab, name: &str, expected: u64) -> Result<()> {
    let what = format!("{expected} open streams at {name}");
    wait::until(&what, async || Ok(open(lab, name).await? == expected)).await
}

type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn websocket(address: SocketAddr) -> Result<WebSocket> {
    let url = format!("ws://{address}/api/chat?dpl=1.4.2");
    let (mut socket, _) = tokio_tungstenite::connect_async(url.into_client_request()?).await?;
    let hello = socket.next().await.context("the pod said nothing")??;
    assert_eq!(hello.to_text()?, "1.4.2");
    Ok(socket)
}

/// A request that is answered by this kind of stream, up to the answer's first part.
async fn stream(gateway: &Gateway<'_>, headers: &[(&str, &str)], kind: &str) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(gateway.address()).await?;
    let mut request = "POST /?dpl=1.4.2 HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n".to_owned();
    for (name, value) in headers
        .iter()
        .chain(&[(ANSWER, endless(kind, "begun").as_str())])
    {
        request += &format!("{name}: {value}\r\n");
    }
    connection
        .write_all(format!("{request}\r\n").as_bytes())
        .await?;
    let mut answer = Vec::new();
    while !answer.windows(5).any(|part| part == b"begun") {
        let read = connection.read_buf(&mut answer).await?;
        ensure!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    Ok(connection)
}

async fn websockets_event_streams_and_grpc_calls_are_counted_while_they_are_open(
    lab: &Lab,
) -> Result<()> {
    let name = "streams";
    let chat = Spec::of(lab, name)?.open(lab).await?;
    let application = Spec::of(lab, "streams-of-application")?
        .plugin(|plugin| plugin.named(name))
        .configured(&shop(json!({})))?
        .one_route_to("application")
        .open(lab)
        .await?;
    assert_eq!(open(lab, name).await?, 0);
    let events = "text/event-stream";
    let grpc = "application/grpc";
    let sockets = (
        websocket(chat.address()).await?,
        websocket(chat.address()).await?,
    );
    let events = stream(&application, &[("accept", events)], events).await?;
    let calls = stream(
        &application,
        &[("content-type", grpc), ("te", "trailers")],
        grpc,
    )
    .await?;
    assert_eq!(open(lab, name).await?, 4);
    drop(events);
    until_open(lab, name, 3).await?;
    drop(calls);
    until_open(lab, name, 2).await?;
    drop(sockets);
    until_open(lab, name, 0).await
}

async fn a_websocket_over_http2_is_counted_too(lab: &Lab) -> Result<()> {
    let name = "streams-http2";
    let gateway = Spec::of(lab, name)?
        .manager("http2_protocol_options", json!({ "allow_connect": true }))
        .open(lab)
        .await?;
    let connection = TcpStream::connect(gateway.address()).await?;
    let (client, connection) = h2::client::handshake(connection).await?;
    let connection = tokio::spawn(connection);
    wait::until("Envoy to offer extended CONNECT", async || {
        Ok(client.is_extended_connect_protocol_enabled())
    })
    .await?;
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://shop/api/chat?dpl=1.4.2")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())?;
    let (answer, upload) = client.ready().await?.send_request(request, false)?;
    let answer = answer.await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(open(lab, name).await?, 1);
    drop((answer, upload));
    until_open(lab, name, 0).await?;
    connection.abort();
    Ok(())
}

async fn plain_requests_are_not_counted_as_streams(lab: &Lab) -> Result<()> {
    let name = "streams-plain";
    let application = Spec::of(lab, name)?
        .one_route_to("application")
        .open(lab)
        .await?;
    let download = stream(&application, &[("accept", "*/*")], "video/mp4").await?;
    assert_eq!(open(lab, name).await?, 0);
    drop(download);
    Ok(())
}

async fn a_release_without_requests_is_shown_as_idle(lab: &Lab) -> Result<()> {
    let name = "streams-idle";
    let _gateway = Spec::of(lab, name)?
        .configured(&shop(json!({ "releases": [
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": "v1-4-2", "state": "draining" },
        ] })))?
        .open(lab)
        .await?;
    let metrics = lab.metrics().await?;
    let release = [("plugin", name), ("release", "v1-4-2")];
    let pinned = |class| [&release[..], &[("outcome", "pinned"), ("class", class)]].concat();
    for (metric, labels, value) in [
        ("skew_guard_requests_total", pinned("api"), 0),
        ("skew_guard_requests_total", pinned("asset"), 0),
        ("skew_guard_open_streams", release.to_vec(), 0),
        ("skew_guard_release_state", release.to_vec(), 4),
    ] {
        assert_eq!(
            metrics.values(metric, &labels, "plugin"),
            [name],
            "{metric} is there"
        );
        assert_eq!(metrics.sum(metric, &labels), value, "{metric}");
    }
    Ok(())
}

async fn a_stream_that_stays_open_through_a_change_is_counted_down(lab: &Lab) -> Result<()> {
    counts_down_through_changes(lab, Vms::Kept).await
}

async fn a_stream_that_stays_open_through_a_change_to_a_new_vm_is_counted_down(
    lab: &Lab,
) -> Result<()> {
    counts_down_through_changes(lab, Vms::New).await
}

async fn counts_down_through_changes(lab: &Lab, vms: Vms) -> Result<()> {
    let name = format!("streams-{vms:?}");
    let mut gateway = Spec::of(lab, &name)?.vms(vms).open(lab).await?;
    let before = websocket(gateway.address()).await?;
    gateway.configure(&shop(json!({ "revision": 1 }))).await?;
    let between = websocket(gateway.address()).await?;
    gateway.configure(&shop(json!({ "revision": 2 }))).await?;
    assert_eq!(open(lab, &name).await?, 2);
    drop(before);
    until_open(lab, &name, 1).await?;
    drop(between);
    until_open(lab, &name, 0).await
}

/// A request with so many headers makes the module of [`that_traps`] trap.
const TOO_MANY: i32 = 60;

/// The module, except that one request kills it.
fn that_traps(module: &Path) -> Result<NamedTempFile> {
    const CALLBACK: &str = "proxy_on_request_headers";
    let mut module = Module::from_file(module)?;
    let answer = module.exports.get_func(CALLBACK)?;
    module.exports.remove(CALLBACK)?;
    let parameters = [ValType::I32; 3];
    let mut wrapper = FunctionBuilder::new(&mut module.types, &parameters, &[ValType::I32]);
    let [context, headers, end] = parameters.map(|kind| module.locals.add(kind));
    wrapper
        .func_body()
        .local_get(headers)
        .i32_const(TOO_MANY)
        .binop(walrus::ir::BinaryOp::I32GeS)
        .if_else(
            None,
            |then| {
                then.unreachable();
            },
            |_| (),
        )
        .local_get(context)
        .local_get(headers)
        .local_get(end)
        .call(answer);
    let wrapper = wrapper.finish(vec![context, headers, end], &mut module.funcs);
    module.exports.add(CALLBACK, wrapper);
    let file = NamedTempFile::with_suffix(".wasm")?;
    std::fs::write(file.path(), module.emit_wasm())?;
    Ok(file)
}

/// With one worker, so that the VM that is lost is the one that counted.
async fn a_lost_vm_leaves_its_streams_counted_and_the_gauge_never_below_zero(
    lab: &Lab,
) -> Result<()> {
    let lab = lab.another(1, &[]).await?;
    let module = that_traps(lab.module())?;
    let name = "streams-lost";
    let mut gateway = Spec::of(&lab, name)?
        .plugin(|plugin| plugin.made_of(module.path()))
        .configured(&shop(json!({})))?
        .open(&lab)
        .await?;
    let lost = websocket(gateway.address()).await?;
    let closed = websocket(gateway.address()).await?;
    assert_eq!(open(&lab, name).await?, 2);
    let fatal = vec![("x-more", "header"); usize::try_from(TOO_MANY)?];
    let answer = gateway.get("/", &fatal).await?;
    assert_eq!(answer.status, 503, "the VM traps");
    drop(closed);

    gateway.configure(&shop(json!({ "revision": 1 }))).await?;
    let after = websocket(gateway.address()).await?;
    assert_eq!(
        open(&lab, name).await?,
        3,
        "two of them are left over from the lost VM"
    );
    drop(lost);
    drop(after);
    until_open(&lab, name, 2).await?;
    gateway.configure(&shop(json!({ "revision": 2 }))).await?;
    let again = websocket(gateway.address()).await?;
    drop(again);
    until_open(&lab, name, 2).await
}
