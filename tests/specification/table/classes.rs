//! How a request is classified, and which release therefore answers it.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{
    Compatible, Current, Gone, Invalid, Pinned, Uncovered, Unversioned,
};
use skew_guard::request::Class::{self, Api, Asset, Framed, Navigation, Other};
use skew_guard_behaviour::{
    BROWSERS, Load, Request, answer, behaviours, by, by_without_metadata, call, fetch, form, frame,
    load, mesh, navigation, plain, refused, script, shop, to, with,
};

/// The shop, with every kind of source.
fn everywhere() -> Value {
    with(
        shop(),
        json!({ "sources": [
        { "header": "x-bundle-version" },
        { "query": "dpl" },
        { "path": "/api/v-{version}/" },
        { "cookie": "pin" },
    ] }),
    )
}

fn everywhere_and(keys: Value) -> Value {
    with(everywhere(), keys)
}

fn class_of(load: Load) -> Class {
    match load {
        Load::LinkPrefetch => Asset,
        Load::Frame => Framed,
        load if Load::NAVIGATIONS.contains(&load) => Navigation,
        load if Load::ASSETS.contains(&load) => Asset,
        _ => Api,
    }
}

fn fetching(mode: &str, destination: &str) -> Request {
    plain("/")
        .with("sec-fetch-mode", mode)
        .with("sec-fetch-dest", destination)
}

const VERSIONED: &str = "/api?dpl=1.4.2";

/// A request with 1.4.2 in every source except a header, which no navigation has.
fn carrying(request: &Request) -> [Request; 3] {
    let by_query = request.clone().but(":path", VERSIONED);
    [
        by_query.clone(),
        request.clone().cookie("pin=1.4.2"),
        by_query.cookie("pin=1.4.2"),
    ]
}

fn preflight(target: &str) -> Request {
    let options = fetch(target)
        .method("OPTIONS")
        .origin("https://app.example.com");
    options
        .with("access-control-request-method", "GET")
        .with("access-control-request-headers", "x-bundle-version")
}

behaviours! {
    each_load_of_each_browser_has_its_class {
        under(everywhere()) {
            let loads = Load::ALL;
            for browser in BROWSERS {
                for load in loads {
                    by(&browser, load, "/x") => answer(200).class(class_of(load));
                }
            }
        }
    }

    without_fetch_metadata_only_pages_are_recognised {
        under(everywhere()) {
            let loads = Load::ALL;
            for browser in BROWSERS {
                for load in loads {
                    let is_page = Load::NAVIGATIONS.contains(&load) || load == Load::Frame;
                    by_without_metadata(&browser, load, "/x") => answer(200).class(if is_page { Navigation } else { Other });
                }
            }
            let html = "application/xhtml+xml, Text/HTML;q=0.9";
            plain("/").with("accept", html) => answer(200).class(Navigation);
            plain("/").method("POST").with("accept", html) => answer(200).class(Other);
            plain("/").with("accept", "*/*") => answer(200).class(Other);
            plain("/").with("accept", "text/htmlx") => answer(200).class(Other);
        }
    }

    a_navigation_loads_a_document {
        under(shop()) {
            fetching("navigate", "document") => answer(200).class(Navigation);
            fetching("navigate", "document").method("HEAD") => answer(200).class(Navigation);
            fetching("navigate", "document").method("POST") => answer(200).class(Api);
        }
    }

    a_navigation_passed_on_by_a_service_worker_stays_a_navigation {
        under(shop()) {
            fetching("navigate", "empty") => answer(200).class(Navigation);
        }
    }

    a_navigation_rebuilt_by_a_service_worker_is_recognised_by_accept {
        under(shop()) {
            fetching("same-origin", "empty").with("accept", "text/html, */*;q=0.1") => answer(200).class(Navigation);
            fetching("same-origin", "empty").with("accept", "application/json") => answer(200).class(Api);
        }
    }

    a_framed_document_is_not_a_navigation {
        under(shop()) {
            for destination in ["iframe", "frame", "embed", "object"] {
                fetching("navigate", destination) => answer(200).class(Framed);
            }
        }
    }

    whatever_a_page_includes_is_an_asset {
        under(shop()) {
            for destination in [
                "script", "style", "image", "font", "worker", "sharedworker", "serviceworker", "manifest", "video",
                "audio", "track",
            ] {
                fetching("no-cors", destination) => answer(200).class(Asset);
            }
        }
    }

    a_prefetch_that_does_not_accept_html_is_an_asset {
        under(shop()) {
            let prefetch = fetching("no-cors", "empty").with("sec-purpose", "prefetch");
            prefetch.with("accept", "*/*") => answer(200).class(Asset);
            let prefetch = fetching("no-cors", "empty").with("sec-purpose", "prefetch");
            prefetch.with("accept", "text/html") => answer(200).class(Api);
            fetching("navigate", "document").with("sec-purpose", "prefetch;prerender") => answer(200).class(Navigation);
        }
    }

    without_fetch_metadata_a_file_below_a_path_source_is_an_asset {
        under(with(mesh(), json!({ "sources": [{ "path": "/assets/v-{version}/" }, { "path": "/api/v-{version}/" }] }))) {
            for (method, target, class) in [
                ("GET", "/assets/v-1.4.2/main.js", Asset),
                ("HEAD", "/assets/v-1.4.2/main.js", Asset),
                ("POST", "/assets/v-1.4.2/main.js", Other),
                ("GET", "/assets/v-1.4.2/part.html", Other),
                ("GET", "/api/v-1.4.2/cart", Other),
                ("GET", "/main.js", Other),
            ] {
                plain(target).method(method).with("accept", "*/*") => answer(200).class(class);
            }
            plain("/assets/v-1.4.2/a.js").with("accept", "text/html") => answer(200).class(Navigation);
        }
    }

    fetch_and_websockets_are_api_calls {
        under(shop()) {
            for (mode, destination) in [("cors", "empty"), ("websocket", "websocket"), ("same-origin", "empty")] {
                fetching(mode, destination) => answer(200).class(Api);
            }
        }
    }

    a_navigation_goes_to_current_whatever_version_it_carries {
        under(everywhere()) {
            let loads = Load::NAVIGATIONS;
            for browser in BROWSERS {
                for load in loads {
                    let carrying = carrying(&by(&browser, load, "/"));
                    for request in carrying {
                        request => to("v2-0-0");
                    }
                }
            }
            navigation("/?dpl=1.4.2") => to("v2-0-0").counted(Current);
            navigation("/").cookie("pin=1.3.0") => to("v2-0-0").counted(Current);
            navigation("/") => to("v2-0-0").counted(Unversioned);
            navigation("/?dpl=%00") => to("v2-0-0").counted(Invalid);
        }
    }

    everything_else_stays_with_its_version {
        under(everywhere()) {
            let loads = Load::ALL;
            for browser in BROWSERS {
                for load in loads {
                    let request = by(&browser, load, "/");
                    // A cookie pins no service worker: its registration must see updates.
                    let is_pinned = !Load::NAVIGATIONS.contains(&load) && load != Load::ServiceWorker;
                    let carrying = if is_pinned { carrying(&request).to_vec() } else { Vec::new() };
                    for request in carrying {
                        request => to("v1-4-2");
                    }
                }
            }
        }
    }

    without_current_the_mesh_chooses_the_pod_of_a_page {
        under(mesh()) {
            navigation("/") => to("").counted(Unversioned);
        }
    }

    pinned_navigation_matches_whole_path_segments {
        under(everywhere_and(json!({ "pinnedNavigation": ["/checkout", "/exa"] }))) {
            navigation("/checkout/pay?dpl=1.4.2") => to("v1-4-2").counted(Pinned);
            navigation("/checkout").cookie("pin=1.4.2") => to("v1-4-2").counted(Pinned);
            navigation("/checkouts?dpl=1.4.2") => to("v2-0-0").counted(Current);
            navigation("/exam").cookie("pin=1.4.2") => to("v2-0-0").counted(Current);
            navigation("/checkout") => to("v2-0-0").counted(Unversioned);
            navigation("/checkout?dpl=1.3.0") => to("v2-0-0").counted(Gone);
        }
    }

    a_link_on_another_site_chooses_no_version_for_a_page_but_the_cookie_does {
        under(everywhere_and(json!({ "pinnedNavigation": ["/"] }))) {
            for request in [navigation(VERSIONED), frame(VERSIONED)] {
                request.clone().site("cross-site") => to("v2-0-0");
                request.site("same-origin") => to("v1-4-2");
            }
            navigation(VERSIONED).site("cross-site") => to("v2-0-0").counted(Unversioned);
            navigation(VERSIONED).site("cross-site").cookie("pin=1.4.2") => to("v1-4-2").counted(Pinned);
            navigation(VERSIONED).site("same-site") => to("v1-4-2").counted(Pinned);
            // A part of a page may be on another site.
            script(VERSIONED).site("cross-site") => to("v1-4-2");
        }
    }

    a_framed_document_follows_a_version_that_is_served_else_current {
        under(shop()) {
            frame("/?dpl=1.4.2") => to("v1-4-2").counted(Pinned);
            for version in ["1.3.0", "1.9.1", "0.0.7"] {
                frame(&format!("/?dpl={version}")) => to("v2-0-0").counted(Gone);
            }
            frame("/") => to("v2-0-0").counted(Uncovered);
        }
    }

    a_preflight_follows_the_version_in_the_url_else_current {
        under(everywhere()) {
            preflight("/api?dpl=1.4.2") => to("v1-4-2").counted(Pinned);
            preflight("/api?dpl=1.9.3") => to("v2-0-0").counted(Compatible);
            preflight("/api") => to("v2-0-0").counted(Unversioned);
            preflight("/api").cookie("pin=1.4.2") => to("v2-0-0").counted(Unversioned);
            preflight("/api?dpl=1.4.2").cookie("pin=1.4.2") => to("v1-4-2");
            fetch("/api").method("OPTIONS").cookie("pin=1.4.2") => to("v1-4-2");
        }
    }

    a_preflight_is_never_refused {
        under(with(shop(), json!({ "denied": ["1.2.3", "1.4.2"] }))) {
            for version in ["1.3.0", "1.2.3", "1.4.2", "9.9.9"] {
                preflight(&format!("/api?dpl={version}")) => to("v2-0-0").status(200).counted(Current);
            }
        }
    }

    requests_below_an_unpinned_path_go_to_current {
        under(everywhere_and(json!({ "unpinnedPaths": ["/version.json", "/api"] }))) {
            for load in [Load::Fetch, Load::ServiceWorker, Load::Script, Load::Frame] {
                let carrying = carrying(&skew_guard_behaviour::load(load, "/api"));
                for request in carrying {
                    request => to("v2-0-0");
                }
                skew_guard_behaviour::load(load, "/api").version("1.4.2") => to("v2-0-0");
            }
            fetch("/version.json?t=1").version("1.4.2") => to("v2-0-0").counted(Current);
            fetch("/version.json?dpl=1.3.0") => to("v2-0-0").counted(Current);
            fetch("/version.jsonx?dpl=1.4.2") => to("v1-4-2").counted(Pinned);
        }
    }

    a_service_workers_own_fetches_are_not_pinned_by_the_cookie {
        under(with(shop(), json!({ "unpinnedPaths": ["/sw.js"], "pinCookie": { "name": "pin" } }))) {
            let pinned = fetch("/assets/main.js").cookie("pin=1.4.2");
            let by_worker = pinned.clone().with("referer", "https://shop.example.com/sw.js");
            pinned.clone() => to("v1-4-2").counted(Pinned);
            pinned.clone().with("referer", "https://shop.example.com/sw.js?v=3") => to("v2-0-0").counted(Uncovered);
            for page in ["https://shop.example.com/", "https://shop.example.com/sw.json", "https://shop.example.com", "sw.js"] {
                pinned.clone().with("referer", page) => to("v1-4-2").counted(Pinned);
            }
            by_worker.clone() => to("v2-0-0").counted(Uncovered);
            by_worker.version("1.4.2") => to("v1-4-2").counted(Pinned);
            load(Load::ServiceWorker, "/worker.js").cookie("pin=1.4.2") => to("v2-0-0").counted(Uncovered);
        }
    }

    /// README, rule 2: "a request with a version header is neither a preflight nor a navigation".
    a_request_with_a_version_header_is_not_a_navigation {
        under(with(shop(), json!({ "sources": [{ "query": "dpl" }, { "header": "x-bundle-version" }] }))) {
            // A fragment of a page, fetched on plain http.
            plain("/").version("1.4.2").with("accept", "text/html") => to("v1-4-2");
        }
    }

    /// `<a href="/assets/v-1.4.2/manual.pdf" target=_blank>` on a page of 1.4.2, as Vite and webpack write it.
    a_versioned_file_opened_in_a_tab_comes_from_its_version {
        under(with(shop(), json!({ "sources": [
            { "header": "x-bundle-version" },
            { "path": "/assets/v-{version}/" },
        ] }))) {
            navigation("/assets/v-1.4.2/manual.pdf") => to("v1-4-2");
        }
    }

    /// Chromium sends `sec-purpose` with every request of a page that it renders ahead, `fetch` among them.
    a_call_of_a_prerendered_page_is_a_call {
        under(shop()) {
            let ahead = ("sec-purpose", "prefetch;prerender");
            call("2.0.0").with_all(&[ahead]), skew_guard_behaviour::html().body("<p>a fragment") =>
                to("v2-0-0").status(200).body("<p>a fragment").class(Api);
            call("1.9.3").with_all(&[ahead]) => to("v2-0-0").counted(Compatible);
            call("1.3.0").with_all(&[ahead]) => refused(409);
            form("/order").with_all(&[ahead]) => to("v2-0-0").class(Api);
        }
    }
}
