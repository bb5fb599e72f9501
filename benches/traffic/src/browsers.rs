//! What Chrome, Firefox and Safari send with each kind of load.
//!
//! - `sec-fetch-*`, which all three send over TLS and to loopback: <https://www.w3.org/TR/fetch-metadata/>, with the
//!   destinations and modes of <https://fetch.spec.whatwg.org/#concept-request-destination> and of the web platform's
//!   tests, <https://github.com/web-platform-tests/wpt/tree/master/fetch/metadata/generated>. Safari leaves
//!   `sec-fetch-user` out: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-User>.
//! - `accept`: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/Content_negotiation/List_of_default_Accept_values>.
//! - `sec-purpose`: <https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header> for speculation rules, and
//!   <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Purpose> for `<link rel=prefetch>`.
//! - `service-worker`: <https://w3c.github.io/ServiceWorker/#service-worker-script-request>.

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A link, a bookmark, the address bar.
    Navigation,
    /// The reload button: what is cached is revalidated.
    Reload,
    /// The same with Shift: what is cached is ignored.
    HardReload,
    /// A navigation that a service worker passes on unchanged.
    NavigationThroughWorker,
    /// A navigation that a service worker makes anew with `new Request(url, …)`.
    NavigationRebuiltByWorker,
    /// `<iframe>`.
    Frame,
    /// `<form method=post>`.
    FormPost,
    /// `<script>`.
    Script,
    /// `<script type=module>`, `import`, `<link rel=modulepreload>`.
    Module,
    /// `<link rel=stylesheet>`.
    Style,
    /// `<img>`.
    Image,
    /// `@font-face`.
    Font,
    /// `new Worker(…)`.
    Worker,
    /// `navigator.serviceWorker.register(…)`, and the browser's own checks for an update.
    ServiceWorker,
    /// The web app's manifest.
    Manifest,
    /// `fetch(…)`, `XMLHttpRequest`.
    Fetch,
    /// `new EventSource(…)`.
    EventSource,
    /// `navigator.sendBeacon(…)`.
    Beacon,
    /// `<link rel=prefetch>`.
    LinkPrefetch,
    /// Speculation rules: the page is fetched ahead of the click.
    Prefetch,
    /// Speculation rules: the page is rendered ahead of the click.
    Prerender,
    /// `new WebSocket(…)`.
    WebSocket,
}

impl Load {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::Navigation,
        Self::Reload,
        Self::HardReload,
        Self::NavigationThroughWorker,
        Self::NavigationRebuiltByWorker,
        Self::Frame,
        Self::FormPost,
        Self::Script,
        Self::Module,
        Self::Style,
        Self::Image,
        Self::Font,
        Self::Worker,
        Self::ServiceWorker,
        Self::Manifest,
        Self::Fetch,
        Self::EventSource,
        Self::Beacon,
        Self::LinkPrefetch,
        Self::Prefetch,
        Self::Prerender,
        Self::WebSocket,
    ];

    /// The kinds whose answer becomes the page that the visitor sees.
    pub const NAVIGATIONS: [Self; 7] = [
        Self::Navigation,
        Self::Reload,
        Self::HardReload,
        Self::NavigationThroughWorker,
        Self::NavigationRebuiltByWorker,
        Self::Prefetch,
        Self::Prerender,
    ];

    /// The kinds whose answer becomes a part of a page.
    pub const ASSETS: [Self; 8] = [
        Self::Script,
        Self::Module,
        Self::Style,
        Self::Image,
        Self::Font,
        Self::Worker,
        Self::ServiceWorker,
        Self::Manifest,
    ];

    /// The method.
    pub fn method(self) -> &'static str {
        match self {
            Self::FormPost | Self::Beacon => "POST",
            _ => "GET",
        }
    }

    /// `sec-fetch-mode` and `sec-fetch-dest`.
    fn mode_and_destination(self) -> (&'static str, &'static str) {
        match self {
            Self::Navigation | Self::Reload | Self::HardReload | Self::FormPost => {
                ("navigate", "document")
            }
            Self::Prefetch | Self::Prerender => ("navigate", "document"),
            Self::NavigationThroughWorker => ("navigate", "empty"),
            Self::NavigationRebuiltByWorker => ("same-origin", "empty"),
            Self::Frame => ("navigate", "iframe"),
            Self::Script => ("no-cors", "script"),
            Self::Module => ("cors", "script"),
            Self::Style => ("no-cors", "style"),
            Self::Image => ("no-cors", "image"),
            Self::Font => ("cors", "font"),
            Self::Worker => ("same-origin", "worker"),
            Self::ServiceWorker => ("same-origin", "serviceworker"),
            Self::Manifest => ("cors", "manifest"),
            Self::Fetch | Self::EventSource => ("cors", "empty"),
            Self::Beacon | Self::LinkPrefetch => ("no-cors", "empty"),
            Self::WebSocket => ("websocket", "empty"),
        }
    }

    /// Fetch Metadata of such a load by a page of the same origin.
    pub fn fetch_metadata(self) -> [Header; 3] {
        let (mode, destination) = self.mode_and_destination();
        [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", destination),
        ]
    }

    fn wants_page(self) -> bool {
        self == Self::Frame || self == Self::FormPost || Self::NAVIGATIONS.contains(&self)
    }

    /// What only this kind has, in every browser.
    fn own_headers(self) -> &'static [Header] {
        match self {
            Self::Reload => &[
                ("cache-control", "max-age=0"),
                ("if-none-match", "\"page\""),
            ],
            Self::HardReload => &[("cache-control", "no-cache"), ("pragma", "no-cache")],
            Self::FormPost => &[
                ("origin", "https://shop.example.com"),
                ("content-type", "application/x-www-form-urlencoded"),
            ],
            Self::Beacon => &[("content-type", "text/plain;charset=UTF-8")],
            Self::Module | Self::Font => &[("origin", "https://shop.example.com")],
            Self::ServiceWorker => &[("service-worker", "script"), ("cache-control", "max-age=0")],
            Self::EventSource => &[("cache-control", "no-cache")],
            Self::LinkPrefetch | Self::Prefetch => &[("sec-purpose", "prefetch")],
            Self::Prerender => &[("sec-purpose", "prefetch;prerender")],
            _ => &[],
        }
    }
}

/// Name and value.
pub type Header = (&'static str, &'static str);

/// What differs between browsers.
pub struct Browser {
    /// Its name.
    pub name: &'static str,
    user_agent: &'static str,
    page: &'static str,
    image: &'static str,
    /// What it sends with every request.
    always: &'static [Header],
    /// What it sends with a navigation that a person began.
    by_user: &'static [Header],
}

/// The three whose engines all others share.
pub const BROWSERS: [Browser; 3] = [
    Browser {
        name: "Chrome",
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        page: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
        image: "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        always: &[
            (
                "sec-ch-ua",
                "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"",
            ),
            ("sec-ch-ua-mobile", "?0"),
        ],
        by_user: &[("upgrade-insecure-requests", "1"), ("sec-fetch-user", "?1")],
    },
    Browser {
        name: "Firefox",
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        page: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        image: "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        always: &[("accept-language", "en-US,en;q=0.5")],
        by_user: &[("upgrade-insecure-requests", "1"), ("sec-fetch-user", "?1")],
    },
    Browser {
        name: "Safari",
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
        page: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        image: "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
        always: &[("accept-language", "en-GB,en;q=0.9")],
        by_user: &[],
    },
];

impl Browser {
    /// All headers of such a load, except host, cookies and those that the page's script adds.
    pub fn sends(&self, load: Load) -> Vec<Header> {
        let mut headers = self.sends_without_fetch_metadata(load);
        headers.extend(load.fetch_metadata());
        headers
    }

    /// The same to an origin that is not trustworthy (plain http), or from a Safari before 16.4.
    pub fn sends_without_fetch_metadata(&self, load: Load) -> Vec<Header> {
        let mut headers = vec![
            ("user-agent", self.user_agent),
            ("accept", self.accepts(load)),
            ("accept-encoding", "gzip, deflate, br"),
        ];
        headers.extend(self.always);
        headers.extend(load.own_headers());
        if load == Load::Navigation {
            headers.extend(self.by_user);
        }
        headers
    }

    fn accepts(&self, load: Load) -> &'static str {
        match load {
            Load::Style => "text/css,*/*;q=0.1",
            Load::Image => self.image,
            Load::EventSource => "text/event-stream",
            load if load.wants_page() => self.page,
            _ => "*/*",
        }
    }
}

/// Chrome, when one browser is enough.
pub fn chrome(load: Load) -> Vec<Header> {
    let [chrome, ..] = BROWSERS;
    chrome.sends(load)
}
