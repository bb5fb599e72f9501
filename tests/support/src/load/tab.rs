//! One browser tab: it loads a page with its assets, calls the API as that page's script does, and judges the answers.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use skew_guard_traffic::browsers::Load;

use super::{LoadState, Verdict};
use crate::http;

/// How many API calls a visit has before the page is loaded again.
const CALLS_OF_A_VISIT: usize = 40;

/// After how many API calls a page loads the chunk that it needs only later.
const CALLS_BEFORE_CHECKOUT: usize = 12;

/// How long a visitor looks at the browser's error page.
const BEFORE_TRYING_AGAIN: Duration = Duration::from_millis(100);

/// How long a tab keeps its page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    /// For one visit, then it is loaded again.
    Visit,
    /// For ever.
    Stay,
}

/// A tab, with its own connection.
#[derive(Debug)]
pub(super) struct Tab {
    browser: Client,
    origins: Vec<String>,
    sent: AtomicUsize,
    host: String,
    lifetime: Lifetime,
}

/// The page that a tab shows.
#[derive(Debug)]
struct Page {
    version: String,
    /// Style sheet and script, as the page's HTML names them.
    assets: Vec<String>,
    /// The field from which the page's script reads what an item costs; unknown where the script did not load.
    cost_field: Option<&'static str>,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    took: Duration,
}

/// Why a tab leaves a page: to load it again, or because the load ends.
type Left = ControlFlow<()>;

const STAYS: Left = ControlFlow::Continue(());
const LEFT: Left = ControlFlow::Break(());

impl Tab {
    pub(super) fn new(gateways: &[SocketAddr], host: &str, lifetime: Lifetime) -> Result<Self> {
        Ok(Self {
            browser: http::client()?,
            origins: gateways
                .iter()
                .map(|gateway| format!("http://{gateway}"))
                .collect(),
            sent: AtomicUsize::new(0),
            host: host.into(),
            lifetime,
        })
    }

    /// Loads pages and uses them until the load ends.
    pub(super) async fn browse(self, state: Arc<LoadState>) {
        while !state.is_closing() {
            let Some(mut page) = self.navigate(&state).await else {
                tokio::time::sleep(BEFORE_TRYING_AGAIN).await;
                continue;
            };
            state.page_opened(&page.version);
            // The reason for leaving makes no difference here.
            let _ = self.use_page(&mut page, &state).await;
            state.page_closed(&page.version);
        }
    }

    async fn navigate(&self, state: &LoadState) -> Option<Page> {
        let headers = [("accept", "text/html")];
        let answer = self
            .send(Method::GET, "/", Load::Navigation, &headers)
            .await;
        let page = answer
            .as_ref()
            .ok()
            .filter(|answer| answer.status.is_success())
            .and_then(Page::read);
        let verdict = if page.is_some() {
            Verdict::Right
        } else {
            Verdict::Failed
        };
        state.count("the page", "/", verdict, &answer);
        page
    }

    async fn use_page(&self, page: &mut Page, state: &LoadState) -> Left {
        for asset in page.assets.clone() {
            self.load_asset(page, &asset, state).await?;
        }
        if page.cost_field.is_none() {
            // Without its script the page stays blank and calls nothing; its visitor loads it again.
            return LEFT;
        }
        for call in 1.. {
            self.load_cart(page, state).await?;
            if call == CALLS_BEFORE_CHECKOUT {
                self.check_out(page, state).await?;
            }
            if state.is_closing() || state.must_reload(&page.version) || self.is_over(call) {
                return LEFT;
            }
        }
        LEFT
    }

    fn is_over(&self, calls: usize) -> bool {
        matches!(self.lifetime, Lifetime::Visit) && calls >= CALLS_OF_A_VISIT
    }

    async fn load_asset(&self, page: &mut Page, path: &str, state: &LoadState) -> Left {
        let (load, expected) = if path.ends_with(".css") {
            (Load::Style, "text/css")
        } else {
            (Load::Script, "text/javascript")
        };
        let headers = [("accept", "*/*")];
        let answer = self.send(Method::GET, path, load, &headers).await;
        if let Ok(script) = &answer {
            page.learn_from(script);
        }
        let verdict = page.judge(&answer, |asset| asset.is_of_type(expected));
        state.count(&page.version, path, verdict, &answer);
        after(verdict)
    }

    async fn load_cart(&self, page: &Page, state: &LoadState) -> Left {
        let answer = self.call(Method::GET, "/api/cart", page).await;
        let verdict = page.judge(&answer, |cart| page.can_show(cart));
        state.count(&page.version, "/api/cart", verdict, &answer);
        after(verdict)
    }

    /// Loads the chunk that the page imports late, and places an order.
    async fn check_out(&self, page: &mut Page, state: &LoadState) -> Left {
        let chunk = page
            .assets
            .iter()
            .find_map(|asset| asset.strip_suffix("main.js"))
            .map(|at| format!("{at}checkout.js"));
        if let Some(chunk) = chunk {
            self.load_asset(page, &chunk, state).await?;
        }
        let answer = self.call(Method::POST, "/api/order", page).await;
        let verdict = page.judge(&answer, |order| order.json().is_some());
        state.count(&page.version, "/api/order", verdict, &answer);
        after(verdict)
    }

    async fn call(&self, method: Method, path: &str, page: &Page) -> Result<Answer> {
        let headers = [
            ("accept", "*/*"),
            ("x-bundle-version", page.version.as_str()),
        ];
        self.send(method, path, Load::Fetch, &headers).await
    }

    fn next_origin(&self) -> &str {
        let turn = self.sent.fetch_add(1, Ordering::Relaxed) % self.origins.len();
        self.origins.get(turn).map_or("", String::as_str)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        load: Load,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer> {
        let mut request = self
            .browser
            .request(method, format!("{}{path}", self.next_origin()))
            .header("host", &self.host);
        for (name, value) in load.fetch_metadata().iter().chain(headers) {
            request = request.header(HeaderName::from_static(name), *value);
        }
        let sent = Instant::now();
        let mut response = request.send().await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
            took: sent.elapsed(),
        })
    }
}

impl Page {
    /// Reads version and assets from the HTML, as a browser does; nothing when it is no page.
    fn read(answer: &Answer) -> Option<Self> {
        let html = std::str::from_utf8(&answer.body).ok()?;
        let version = attribute(html, "name=\"app-version\" content=")?;
        let style = attribute(html, "rel=\"stylesheet\" href=")?;
        let script = attribute(html, "type=\"module\" src=")?;
        Some(Self {
            version: version.into(),
            assets: vec![style.into(), script.into()],
            cost_field: None,
        })
    }

    /// Takes over the field name that the page's script was built with.
    fn learn_from(&mut self, script: &Answer) {
        let source = String::from_utf8_lossy(&script.body);
        let fields = ["price", "amount"];
        let used = fields
            .into_iter()
            .find(|field| source.contains(&format!("item.{field}")));
        self.cost_field = used.or(self.cost_field);
    }

    fn judge(&self, answer: &Result<Answer>, is_usable: impl FnOnce(&Answer) -> bool) -> Verdict {
        let Ok(answer) = answer else {
            return Verdict::Failed;
        };
        if answer.tells_to_reload() {
            return Verdict::ToldToReload;
        }
        let is_of_use = answer.status.is_success() && is_usable(answer);
        match answer.text("x-app-version") {
            // Not from the application at all.
            "" => Verdict::Failed,
            own if own == self.version && is_of_use => Verdict::Right,
            own if own == self.version => Verdict::Failed,
            _ if is_of_use => Verdict::Skewed,
            _ => Verdict::Broken,
        }
    }

    /// Whether every item of the cart has a cost that this page's script finds.
    fn can_show(&self, cart: &Answer) -> bool {
        let cart = cart.json();
        let items = cart
            .as_ref()
            .and_then(|cart| cart.get("items"))
            .and_then(Value::as_array);
        let field = self.cost_field.unwrap_or_default();
        items.is_some_and(|items| {
            items
                .iter()
                .all(|item| item.get(field).is_some_and(Value::is_number))
        })
    }
}

impl Answer {
    fn text(&self, header: &str) -> &str {
        self.headers
            .get(header)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn is_of_type(&self, expected: &str) -> bool {
        self.text(CONTENT_TYPE.as_str()).starts_with(expected)
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The filter's own answers for a client whose release is gone: one for API calls, one for assets.
    fn tells_to_reload(&self) -> bool {
        let is_reload_answer =
            self.status.is_client_error() && self.text("x-client-update") == "required";
        let is_missing_asset = self.status == StatusCode::NOT_FOUND
            && self.text("x-app-version").is_empty()
            && self.text(CACHE_CONTROL.as_str()).contains("no-store");
        is_reload_answer || is_missing_asset
    }
}

impl LoadState {
    fn count(&self, page: &str, path: &str, verdict: Verdict, answer: &Result<Answer>) {
        let pod = answer
            .as_ref()
            .ok()
            .map(|answer| answer.text("x-pod"))
            .filter(|pod| !pod.is_empty());
        let mut tally = self.tally();
        if let Ok(answer) = answer {
            tally.took(answer.took);
        }
        if verdict == Verdict::Failed {
            *tally.failures.entry(cause(answer)).or_default() += 1;
        }
        tally.count(verdict, pod, || match answer {
            Ok(answer) => format!(
                "{verdict:?}: a tab of {page} asked for {path} and got {} from {} ({})",
                answer.status,
                pod.unwrap_or("the gateway"),
                answer.text(CONTENT_TYPE.as_str()),
            ),
            Err(error) => format!("{verdict:?}: a tab of {page} asked for {path}: {error:#}"),
        });
    }
}

/// Why an answer failed, which Envoy says in the body of its own answers.
fn cause(answer: &Result<Answer>) -> String {
    const LONGEST: usize = 120;
    match answer {
        Ok(answer) => {
            let body: String = String::from_utf8_lossy(&answer.body)
                .chars()
                .take(LONGEST)
                .collect();
            format!("{}: {body}", answer.status)
        }
        Err(error) => error.root_cause().to_string(),
    }
}

/// A page that is told to reload does so.
fn after(verdict: Verdict) -> Left {
    if verdict == Verdict::ToldToReload {
        LEFT
    } else {
        STAYS
    }
}

/// The value of the attribute that ends with these characters.
fn attribute<'a>(html: &'a str, before: &str) -> Option<&'a str> {
    html.split_once(before)?
        .1
        .strip_prefix('"')?
        .split_once('"')
        .map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CART: &str = r#"{"items":[{"name":"Lamp","price":4900}]}"#;
    const RENAMED_CART: &str = r#"{"items":[{"name":"Lamp","amount":4900}]}"#;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Result<Answer> {
        let mut lines = HeaderMap::new();
        for (name, value) in headers {
            lines.insert(*name, value.parse()?);
        }
        Ok(Answer {
            status: StatusCode::from_u16(status)?,
            headers: lines,
            body: body.into(),
            took: Duration::ZERO,
        })
    }

    fn page_of(version: &str) -> Page {
        Page {
            version: version.into(),
            assets: Vec::new(),
            cost_field: Some("price"),
        }
    }

    fn verdict_on_cart(answer: &Result<Answer>) -> Verdict {
        let page = page_of("1.4.2");
        page.judge(answer, |cart| page.can_show(cart))
    }

    #[test]
    fn an_answer_of_the_own_release_is_right() {
        let cart = answer(200, &[("x-app-version", "1.4.2")], CART);
        assert_eq!(verdict_on_cart(&cart), Verdict::Right);
    }

    #[test]
    fn an_answer_of_another_release_is_skewed_even_where_the_page_can_use_it() {
        let cart = answer(200, &[("x-app-version", "1.4.3")], CART);
        assert_eq!(verdict_on_cart(&cart), Verdict::Skewed);
    }

    #[test]
    fn a_cart_without_the_field_that_the_page_reads_is_broken() {
        let cart = answer(200, &[("x-app-version", "2.0.0")], RENAMED_CART);
        assert_eq!(verdict_on_cart(&cart), Verdict::Broken);
    }

    #[test]
    fn an_asset_that_another_release_lacks_is_broken() {
        let asset = answer(
            404,
            &[("x-app-version", "2.0.0"), ("cache-control", "no-store")],
            "",
        );
        let verdict = page_of("1.4.2").judge(&asset, |asset| asset.is_of_type("text/javascript"));
        assert_eq!(verdict, Verdict::Broken);
    }

    #[test]
    fn errors_unusable_answers_and_answers_of_unknown_origin_are_failures() {
        let failures = [
            answer(503, &[], "no healthy upstream"),
            answer(503, &[("x-app-version", "1.4.2")], ""),
            answer(200, &[("x-app-version", "1.4.2")], RENAMED_CART),
            answer(200, &[], CART),
            Err(anyhow::anyhow!("the connection was closed")),
        ];
        for failure in failures {
            assert_eq!(verdict_on_cart(&failure), Verdict::Failed);
        }
    }

    #[test]
    fn the_two_answers_for_a_release_that_is_gone_tell_to_reload() {
        let call = answer(409, &[("x-client-update", "required")], "{}");
        let asset = answer(404, &[("cache-control", "no-store")], "");
        for gone in [call, asset] {
            assert_eq!(verdict_on_cart(&gone), Verdict::ToldToReload);
        }
    }

    #[test]
    fn a_page_knows_its_version_and_assets_from_its_html() {
        let html = r#"<meta name="app-version" content="1.4.2">
            <link rel="stylesheet" href="/a.css"><script type="module" src="/a.js"></script>"#;
        let page = answer(200, &[], html)
            .ok()
            .and_then(|answer| Page::read(&answer));
        let known = page.map(|page| (page.version, page.assets));
        assert_eq!(
            known,
            Some(("1.4.2".into(), vec!["/a.css".into(), "/a.js".into()]))
        );
    }
}
