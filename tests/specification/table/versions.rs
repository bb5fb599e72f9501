//! Which release answers a client that states its version.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{
    Compatible, Gone, Invalid, Pinned, Uncovered, Unknown, Unversioned,
};
use skew_guard::request::Class::{Api, Asset, Framed, Navigation, Other};
use skew_guard_behaviour::{
    behaviours, call, fetch, frame, mesh, navigation, plain, refused, script, shop, to, with,
};

/// 2.10.0 and others accept the same, and so does 1.5.0, which drains.
fn accepting() -> Value {
    json!({ "releases": [
        { "version": "3.0.0", "accepts": ["1.*"] },
        { "version": "2.10.0", "accepts": ["1.*"] },
        { "version": "2.9.0", "accepts": ["1.0.*"] },
        { "version": "1.5.0", "state": "draining", "accepts": ["1.*"] },
    ] })
}

behaviours! {
    a_version_of_a_live_or_draining_release_is_pinned {
        under(shop()) {
            call("2.0.0") => to("v2-0-0").counted(Pinned);
            call("1.4.2") => to("v1-4-2").counted(Pinned).received("x-bundle-version", &["1.4.2"]);
        }
    }

    a_version_in_the_query_routes_as_one_in_the_header_does {
        under(shop()) {
            for (target, route) in [
                ("/api?dpl=1.4.2", "v1-4-2"),
                ("/api?page=3&dpl=1.4.2&sort=up", "v1-4-2"),
                ("/api?dpl=2.0.0", "v2-0-0"),
            ] {
                plain(target) => to(route).received(":path", &[target]);
            }
        }
    }

    without_a_version_current_answers {
        under(with(mesh(), json!({ "current": "1.4.2" }))) {
            for request in [plain("/api"), fetch("/api"), navigation("/")] {
                request => to("v1-4-2").status(200);
            }
        }
    }

    an_accepted_version_is_compatible_for_api_calls_and_never_for_assets {
        under(shop()) {
            call("1.9.7") => to("v2-0-0").counted(Compatible);
            script("/a.js?dpl=1.9.7") => refused(404).because("unknown");
            script("/a.js").version("1.9.7") => refused(404).because("unknown");
        }
    }

    a_release_that_accepts_a_retired_version_serves_its_api_calls {
        under(json!({
            "releases": [{ "version": "2.0.0", "accepts": ["1.3.0"] }, { "version": "1.3.0", "state": "retired" }],
            "current": "2.0.0",
        })) {
            call("1.3.0") => to("2.0.0").counted(Compatible);
            script("/a.js?dpl=1.3.0") => refused(404).because("retired");
        }
    }

    of_several_releases_that_accept_a_version_current_serves_it {
        under(with(accepting(), json!({ "current": "2.10.0" }))) {
            call("1.0.0") => to("2.10.0").counted(Compatible);
        }
    }

    listing_a_release_before_its_pods_takes_no_client_from_another {
        under(json!({ "releases": [{ "version": "2.0.0", "accepts": ["1.*"] }], "current": "2.0.0" })) {
            call("1.9.3") => to("2.0.0").counted(Compatible);
        }
        under(json!({
            "releases": [{ "version": "2.1.0", "accepts": ["1.*"] }, { "version": "2.0.0", "accepts": ["1.*"] }],
            "current": "2.0.0",
        })) {
            call("1.9.3") => to("2.0.0").counted(Compatible);
        }
    }

    where_current_does_not_accept_a_version_the_first_release_that_does_serves_it {
        under(with(accepting(), json!({ "releases": [
            { "version": "3.0.0", "accepts": ["1.*"] },
            { "version": "2.0.0", "accepts": ["1.*"] },
            { "version": "1.9.0" },
        ], "current": "1.9.0" }))) {
            call("1.0.0") => to("3.0.0").counted(Compatible);
        }
    }

    without_current_the_oldest_live_release_that_accepts_it_serves_it {
        under(accepting()) {
            call("1.0.0") => to("2.9.0").counted(Compatible);
            call("1.2.0") => to("2.10.0").counted(Compatible);
        }
    }

    without_current_and_semver_the_oldest_is_the_last_of_the_list {
        under(json!({ "releases": [
            { "version": "c3", "accepts": ["a.*"] },
            { "version": "b2", "accepts": ["a.*"] },
            { "version": "b1", "accepts": ["b.*"] },
        ] })) {
            call("a.0") => to("b2").counted(Compatible);
        }
    }

    a_staged_release_is_not_reached_by_its_version {
        under(shop()) {
            call("2.1.0") => refused(409).because("unknown");
            script("/a.js?dpl=2.1.0") => refused(404).because("unknown");
        }
    }

    without_current_only_a_version_older_than_every_live_release_is_gone {
        under(mesh()) {
            call("1.4.1") => refused(409).because("unknown");
            for version in ["1.5.0", "2.0.1", "9f86d08"] {
                call(version) => to("").counted(Unknown);
            }
        }
    }

    a_same_origin_request_without_a_version_is_uncovered {
        under(shop()) {
            for request in [fetch("/api"), script("/logo.svg"), frame("/frame"), skew_guard_behaviour::form("/order")] {
                request => to("v2-0-0").counted(Uncovered);
            }
        }
    }

    a_request_from_another_site_or_a_navigation_is_unversioned {
        under(shop()) {
            navigation("/").site("same-origin") => to("v2-0-0").counted(Unversioned);
            for site in ["cross-site", "same-site", "none"] {
                fetch("/api").site(site) => to("v2-0-0").counted(Unversioned);
            }
            plain("/api") => to("v2-0-0").counted(Unversioned);
        }
    }

    each_request_is_counted_by_release_outcome_and_class {
        under(with(shop(), json!({ "unknownVersion": "current" }))) {
            fetch("/api?dpl=1.4.2") => to("v1-4-2").counted(Pinned).class(Api);
            plain("/api?dpl=1.4.2") => to("v1-4-2").counted(Pinned).class(Other);
            script("/x.js?dpl=1.4.2") => to("v1-4-2").counted(Pinned).class(Asset);
            frame("/x?dpl=1.4.2") => to("v1-4-2").counted(Pinned).class(Framed);
            navigation("/x?dpl=1.4.2") =>
                to("v2-0-0").counted(skew_guard::decision::Outcome::Current).class(Navigation);
            navigation("/x") => to("v2-0-0").counted(Unversioned).class(Navigation);
            fetch("/api") => to("v2-0-0").counted(Uncovered).class(Api);
            fetch("/api").without("sec-fetch-site") => to("v2-0-0").counted(Unversioned).class(Api);
            fetch("/api?dpl=%ff") => to("v2-0-0").counted(Invalid).class(Api);
            fetch("/api?dpl=1.9.7") => to("v2-0-0").counted(Compatible).class(Api);
            fetch("/api?dpl=7.7") => to("v2-0-0").counted(Unknown).class(Api);
            script("/x.js?dpl=1.3.0") => refused(404).counted(Gone).class(Asset);
        }
    }
}
