//! Arbitrary bytes, given to everything that reads them.

use std::rc::Rc;

use skew_guard::config::{Config, load_partial};
use skew_guard::filter::{Exchange, Installation};
use skew_guard::headers::{self, Headers};
use skew_guard::last_good::LastGood;
use skew_guard::pin::Pin;
use skew_guard::policy::Policy;
use skew_guard::request::{Environment, Request, cookies, query};
use skew_guard::source::{PathTemplate, Source};
use skew_guard::version::{MAX_LENGTH, Reading};

use crate::host::FakeHost;

/// A configuration: whatever the bytes, it loads or says why not, and requests pass under it.
pub fn configuration(bytes: &[u8]) {
    match Config::load(bytes) {
        Ok(config) => {
            assert!(load_partial(bytes).is_some(), "what loads can be read");
            let policy = Policy::from(config);
            assert!(policy.releases.len() <= 256);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal without a reason");
            assert!(!problems.to_string().is_empty());
        }
    }
    let host = FakeHost::default();
    let installation = Rc::new(Installation::configure(&host, bytes));
    for target in [&b"/"[..], b"/api/cart?dpl=1.0.0"] {
        host.receive(&[
            (":method", b"GET"),
            (":authority", b"shop.example.com"),
            (":path", target),
            ("x-bundle-version", b"2.0.0"),
        ]);
        let mut exchange = Exchange::new(host.clone(), Rc::clone(&installation));
        exchange.on_request_headers();
        host.respond(&[(":status", b"200"), ("content-type", b"text/html")], b"");
        exchange.on_response_headers(false);
    }
    // What another VM kept may also be anything.
    let kept = LastGood::read(bytes);
    assert_eq!(
        LastGood::read(&kept.written()).written(),
        kept.written(),
        "what is written is read back unchanged"
    );
    let _any = kept.stand_in_for(load_partial(bytes).as_ref(), 0, |_| false);
}

/// Header values, and a header map: every reader finds a version or none, and none finds more than there is.
pub fn readers(bytes: &[u8]) {
    let map = headers::serialize(&[
        (":method", &b"GET"[..]),
        (":authority", bytes),
        (":path", bytes),
        ("cookie", bytes),
        ("baggage", bytes),
        ("referer", bytes),
        ("origin", bytes),
        ("x-bundle-version", bytes),
    ]);
    for map in [&map[..], bytes] {
        let headers = Headers::new(map);
        let read: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        assert!(read <= map.len(), "more than there is");
        let request = Request::new(headers, &Never);
        for source in sources() {
            if let Reading::Usable(version) = source.read(&request) {
                assert!((1..=MAX_LENGTH).contains(&version.as_str().len()));
                assert!(version.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
        let location = request.location_without(&["dpl"]);
        assert!(location.starts_with('/') && !location.starts_with("//"));
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
        let (method, announced) = request.announced();
        assert!(!method.contains(['\r', '\n']) && !announced.contains(['\r', '\n']));
        let _any = (
            request.action_page(),
            request.referring_path(),
            request.origin(),
        );
    }
    for value in cookies::values(bytes, "pin") {
        assert!(value.len() < bytes.len());
        let _any = Pin::parse(value);
    }
    assert!(cookies::baggage(bytes, "key").is_none_or(|value| value.len() < bytes.len()));
    let rest = query::without(bytes, "dpl");
    assert!(rest.len() <= bytes.len());
    assert_eq!(query::values(&rest, "dpl").count(), 0, "it is gone");
    assert_eq!(
        query::values(bytes, "other").count(),
        query::values(&rest, "other").count(),
        "the others stay"
    );
}

fn sources() -> Vec<Source> {
    let mut sources = vec![
        Source::Header("x-bundle-version".into()),
        Source::Query("dpl".into()),
        Source::Cookie("own".into()),
        Source::Baggage("client-version".into()),
        Source::Pin("pin".into()),
    ];
    let templates = ["/assets/v-{version}/", "/v{version}.js"];
    let templates = templates
        .iter()
        .filter_map(|text| PathTemplate::parse(text));
    sources.extend(templates.map(Source::Path));
    sources
}

/// An environment that should never be asked.
struct Never;

impl Environment for Never {
    fn now(&self) -> u64 {
        0
    }

    fn draw(&self) -> u32 {
        0
    }
}
