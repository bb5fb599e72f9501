//! One request for a release, and whether its answer is a good one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use skew_guard::config::Config;
use skew_guard::source::Source;
use ureq::config::Config as Client;
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Error};

use crate::cluster::Listener;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A GET such as a page of the release would send.
#[derive(Clone, Debug)]
pub(super) struct Request {
    path: String,
    /// What says the version, where a header does.
    header: Option<(String, String)>,
    version: String,
    /// Where a pod says its version.
    upstream_version: Option<String>,
}

impl Request {
    /// For that path, with the version in the first place that any path leaves free.
    pub(super) fn of(config: &Config, version: &str, path: &str) -> Result<Self> {
        let mut request = Self {
            path: path.to_owned(),
            header: None,
            version: version.to_owned(),
            upstream_version: config
                .upstream_version
                .as_ref()
                .map(|upstream| upstream.response_header.clone()),
        };
        let mut sources = config.sources.iter();
        let source = sources.find(|source| !matches!(source, Source::Path(_)));
        let pin = config.pin_cookie.as_ref();
        match source {
            Some(Source::Header(name)) => {
                request.header = Some((name.clone(), version.to_owned()));
            }
            Some(Source::Baggage(key)) => {
                request.header = Some(("baggage".to_owned(), format!("{key}={version}")));
            }
            Some(Source::Query(name)) => {
                let joint = if path.contains('?') { '&' } else { '?' };
                request.path = format!("{path}{joint}{name}={version}");
            }
            Some(Source::Cookie(name) | Source::Pin(name)) => {
                request.header = Some(("cookie".to_owned(), format!("{name}={version}")));
            }
            Some(Source::Path(_)) | None => {
                let pin = pin.context(
                    "here only an asset's path says a version, and a probe asks for no asset: add a header to config.sources",
                )?;
                request.header = Some(("cookie".to_owned(), format!("{}={version}", pin.name)));
            }
        }
        Ok(request)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Sends it by a listener whose port is open here; an error says what is wrong with the answer.
    pub(super) fn send(&self, listener: &Listener, address: SocketAddr) -> Result<(), String> {
        let scheme = if listener.is_tls { "https" } else { "http" };
        let port = listener.port;
        let url = format!("{scheme}://{}:{port}{}", listener.host, self.path);
        let agent = Agent::with_parts(
            client(),
            DefaultConnector::default(),
            FixedResolver(address),
        );
        let mut request = agent.get(url).header("host", &listener.host);
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        let answer = request
            .call()
            .map_err(|error| format!("gave no answer: {error}"))?;
        self.check(&answer)
    }

    fn check(&self, answer: &Response<Body>) -> Result<(), String> {
        let (status, headers, version) = (answer.status(), answer.headers(), &self.version);
        if value(headers, "x-client-update") == Some("required") {
            return Err(format!(
                "answered {status}: {version} is gone. There is no route to it, or it has no pods"
            ));
        }
        if !status.is_success() {
            return Err(format!("answered {status}{}", advice(status)));
        }
        let told = self.upstream_version.as_deref();
        match told.and_then(|header| value(headers, header)) {
            Some(other) if other != version => Err(format!(
                "was answered by a pod of {other}, not of {version}"
            )),
            _ => Ok(()),
        }
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        status if status.is_client_error() || status.is_redirection() => {
            ": services[].probePath has to name a path that a good pod answers with 2xx"
        }
        _ => "",
    }
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn client() -> Client {
    let tls = TlsConfig::builder()
        // The API server vouches for the pod; a pipeline's machine often does not know its certificate.
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(TIMEOUT))
        .tls_config(tls)
        .proxy(None)
        .build()
}

/// Every host is here.
#[derive(Debug)]
struct FixedResolver(SocketAddr);

impl Resolver for FixedResolver {
    fn resolve(&self, _: &Uri, _: &Client, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}
