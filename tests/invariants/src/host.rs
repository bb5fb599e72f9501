//! A host that records what it is asked, for tests of the shell. It proves nothing about Envoy:
//! `tests/envoy` does that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use skew_guard::headers;
use skew_guard::host::Host;
use skew_guard::reply::local::Reply;
use skew_guard::request::Environment;

/// A host that all contexts of a test share.
#[derive(Clone, Default)]
pub struct FakeHost(Rc<State>);

#[derive(Default)]
struct State {
    now: u64,
    drawn: u32,
    request: RefCell<Vec<(String, Vec<u8>)>>,
    response: RefCell<Vec<(String, Vec<u8>)>>,
    body: RefCell<Vec<u8>>,
    attributes: RefCell<BTreeMap<String, Vec<u8>>>,
    kept: RefCell<BTreeMap<String, Vec<u8>>>,
    metrics: RefCell<BTreeMap<String, u64>>,
    names: RefCell<Vec<String>>,
    replies: RefCell<Vec<Reply>>,
    calls: RefCell<Vec<String>>,
}

type Lines = RefCell<Vec<(String, Vec<u8>)>>;

impl FakeHost {
    /// A host at this time, in seconds since 1970, that draws this number.
    #[must_use]
    pub fn at(now: u64, drawn: u32) -> Self {
        Self(Rc::new(State {
            now,
            drawn,
            ..State::default()
        }))
    }

    /// Replaces the request headers, and forgets the calls so far.
    pub fn receive(&self, headers: &[(&str, &[u8])]) {
        *self.0.request.borrow_mut() = owned(headers);
        self.0.calls.borrow_mut().clear();
    }

    /// Replaces the response headers and the body.
    pub fn respond(&self, headers: &[(&str, &[u8])], body: &[u8]) {
        *self.0.response.borrow_mut() = owned(headers);
        *self.0.body.borrow_mut() = body.to_vec();
        self.0.calls.borrow_mut().clear();
    }

    /// Gives an attribute a value: `plugin_name`, `response.flags`.
    pub fn attribute_is(&self, path: &str, value: &[u8]) {
        self.0
            .attributes
            .borrow_mut()
            .insert(path.to_owned(), value.to_vec());
    }

    /// The calls since the last headers, in order: `read the request`, `set x-release`, `count`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.0.calls.borrow().clone()
    }

    /// All lines of a request header, as text.
    #[must_use]
    pub fn request_lines(&self, name: &str) -> Vec<String> {
        as_text(&lines(&self.0.request, name))
    }

    /// All lines of a response header, as text.
    #[must_use]
    pub fn response_lines(&self, name: &str) -> Vec<String> {
        as_text(&lines(&self.0.response, name))
    }

    /// All request headers as they are now.
    #[must_use]
    pub fn request(&self) -> Vec<(String, Vec<u8>)> {
        self.0.request.borrow().clone()
    }

    /// All response headers as they are now.
    #[must_use]
    pub fn response(&self) -> Vec<(String, Vec<u8>)> {
        self.0.response.borrow().clone()
    }

    /// The response body.
    #[must_use]
    pub fn body_bytes(&self) -> Vec<u8> {
        self.0.body.borrow().clone()
    }

    /// All metrics by full name.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        self.0.metrics.borrow().clone()
    }

    /// The response body, as text.
    #[must_use]
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.0.body.borrow()).into_owned()
    }

    /// The value of a metric, by its full name; 0 if it is not defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        self.0.metrics.borrow().get(name).copied().unwrap_or(0)
    }

    /// The full names of all metrics that are defined, in order.
    pub fn defined(&self) -> Vec<String> {
        self.0.metrics.borrow().keys().cloned().collect()
    }

    /// The last reply that was sent.
    #[must_use]
    pub fn last_reply(&self) -> Option<Reply> {
        self.0.replies.borrow().last().cloned()
    }

    fn note(&self, call: &str, name: &str) {
        self.0
            .calls
            .borrow_mut()
            .push(format!("{call} {name}").trim().to_owned());
    }
}

fn owned(headers: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

fn lines(map: &Lines, name: &str) -> Vec<Vec<u8>> {
    map.borrow()
        .iter()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.clone())
        .collect()
}

fn as_text(lines: &[Vec<u8>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

fn set(map: &Lines, name: &str, value: &str) {
    remove(map, name);
    add(map, name, value);
}

fn add(map: &Lines, name: &str, value: &str) {
    map.borrow_mut().push((name.to_owned(), value.into()));
}

fn remove(map: &Lines, name: &str) {
    map.borrow_mut().retain(|(key, _)| key != name);
}

impl Environment for FakeHost {
    fn now(&self) -> u64 {
        self.note("now", "");
        self.0.now
    }

    fn draw(&self) -> u32 {
        self.note("draw", "");
        self.0.drawn
    }
}

impl Host for FakeHost {
    fn request_headers(&self) -> Vec<u8> {
        self.note("read the request", "");
        headers::serialize(&self.0.request.borrow())
    }

    fn set_request_header(&self, name: &str, value: &str) {
        self.note("set", name);
        set(&self.0.request, name, value);
    }

    fn remove_request_header(&self, name: &str) {
        self.note("remove", name);
        remove(&self.0.request, name);
    }

    fn response_headers(&self) -> Vec<u8> {
        self.note("read the answer", "");
        headers::serialize(&self.0.response.borrow())
    }

    fn set_response_header(&self, name: &str, value: &str) {
        self.note("set", name);
        set(&self.0.response, name, value);
    }

    fn add_response_header(&self, name: &str, value: &str) {
        self.note("add", name);
        add(&self.0.response, name, value);
    }

    fn remove_response_header(&self, name: &str) {
        self.note("remove", name);
        remove(&self.0.response, name);
    }

    fn replace_response_body(&self, size: usize, body: &[u8]) {
        self.note("replace body", "");
        self.0
            .body
            .borrow_mut()
            .splice(..size, body.iter().copied());
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        let path = path.join(".");
        self.note("attribute", &path);
        self.0.attributes.borrow().get(&path).cloned()
    }

    fn set_attribute(&self, path: &str, value: &str) {
        self.note("set attribute", path);
        self.attribute_is(path, value.as_bytes());
    }

    fn reply(&self, reply: &Reply) {
        self.note("reply", "");
        self.0.replies.borrow_mut().push(reply.clone());
    }

    fn counter(&self, name: &str) -> Option<u32> {
        let mut names = self.0.names.borrow_mut();
        let id = names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                names.push(name.to_owned());
                self.0
                    .metrics
                    .borrow_mut()
                    .entry(name.to_owned())
                    .or_default();
                names.len() - 1
            });
        u32::try_from(id).ok()
    }

    fn gauge(&self, name: &str) -> Option<u32> {
        self.counter(name)
    }

    fn add(&self, metric: u32, by: i64) {
        let name = self.0.names.borrow()[metric as usize].clone();
        match name.rsplit_once(";.;") {
            Some((_, gauge)) if !gauge.ends_with("_total") => self.note(&format!("{by:+}"), gauge),
            _ => self.note("count", ""),
        }
        let mut metrics = self.0.metrics.borrow_mut();
        let value = metrics.entry(name).or_default();
        *value = value
            .checked_add_signed(by)
            .expect("a gauge does not go below zero");
    }

    fn record(&self, gauge: u32, value: u64) {
        let name = self.0.names.borrow()[gauge as usize].clone();
        self.0.metrics.borrow_mut().insert(name, value);
    }

    fn keep(&self, key: &str, bytes: &[u8]) {
        self.0
            .kept
            .borrow_mut()
            .insert(key.to_owned(), bytes.to_vec());
    }

    fn kept(&self, key: &str) -> Option<Vec<u8>> {
        self.0.kept.borrow().get(key).cloned()
    }

    fn kept_by_any(&self, key: &str) -> Option<Vec<u8>> {
        self.kept(key)
    }
}
