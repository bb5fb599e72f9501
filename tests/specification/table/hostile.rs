//! What no well-meaning client sends.

use serde_json::{Value, json};
use skew_guard_behaviour::{Request, behaviours, plain, refused, shop, to, with};

/// The shop, whose clients may state their version in every possible place.
fn everywhere() -> Value {
    with(
        shop(),
        json!({ "sources": [
        { "header": "x-bundle-version" },
        { "query": "dpl" },
        { "cookie": "pin" },
        { "path": "/assets/v-{version}/" },
        { "baggage": "client-version" },
    ] }),
    )
}

/// Values that are not versions.
const VALUES: [&[u8]; 16] = [
    b"",
    b" ",
    "é".as_bytes(),
    b"1.4.2, 2.0.0",
    b"1.4.2;v",
    b"\"1.4.2\"",
    b"../../etc",
    b"${jndi:ldap://x}",
    b"-1.4.2",
    b"1%0d%0ax-release:v1-4-2",
    b"v1-4-2 OR 1=1",
    b"<script>",
    b"1.4.2\xff",
    &[0x80, 0xfe, 0xff],
    &[b'1'; 65],
    &[b'1'; 8_000],
];

/// With a route header in two copies and in mixed case, the first of which a proxy would follow.
fn forged(request: Request) -> Request {
    let first = request.with("X-Release", "v1-4-2");
    first.with("x-RELEASE", "v2-1-0").with("x-release", "")
}

behaviours! {
    a_header_without_a_valid_version_is_ignored {
        under(everywhere()) {
            for value in VALUES {
                for header in ["x-bundle-version", "cookie", "baggage"] {
                    plain("/api").with(header, value) => to("v2-0-0");
                }
            }
        }
    }

    a_cookie_or_query_without_a_valid_version_is_ignored {
        under(everywhere()) {
            for target in [
                "/api?dpl=",
                "/api?dpl",
                "/api?dpl=%",
                "/api?dpl=%zz",
                "/api?dpl=%ff%fe",
                "/api?dpl=1.4.2%00",
                "/api?dpl=1.4.2%0d%0ax-release:%20v1-4-2",
                "/api?&&=&dpl=&=1.4.2",
                "/api?xdpl=1.4.2&dplx=1.4.2&next=%3Fdpl%3D1.4.2",
                "/assets/v-/x.js",
                "/assets/v-%ff/x.js",
                "/assets/v-1.4.2",
            ] {
                plain(target) => to("v2-0-0");
            }
            for cookie in [
                "pin",
                "pin;pin",
                "=1.4.2",
                ";;;",
                "mypin=1.4.2; pin2=1.4.2; PIN=1.4.2",
                "other=pin=1.4.2",
            ] {
                plain("/api").cookie(cookie) => to("v2-0-0");
            }
        }
    }

    cookies_may_come_in_several_lines_of_any_bytes {
        under(everywhere()) {
            let any = plain("/api").with("cookie", b"a=\xff\xfe; b").cookie("nothing");
            any.cookie("c=d; pin=1.4.2").cookie("pin=2.0.0") => to("v1-4-2");
        }
    }

    the_first_of_several_copies_of_a_header_counts {
        under(shop()) {
            plain("/api").with("X-Bundle-Version", "1.4.2").version("2.0.0") => to("v1-4-2");
        }
    }

    a_client_cannot_add_time_series {
        under(shop()) {
            for version in ["6.6.6", "v2-0-0"] {
                plain("/api").version(version) => refused(409).counted_as("none gone api");
            }
            for version in ["release=.=x;.;", "%00", "1.4.2\",x=\""] {
                plain("/api").version(version) => to("v2-0-0").counted_as("v2-0-0 invalid other");
            }
        }
    }

    a_forged_route_header_never_reaches_the_mesh {
        under(shop()) {
            forged(plain("/api")) => to("v2-0-0");
            forged(plain("/api").version("2.0.0")) => to("v2-0-0");
        }
    }

    a_forged_route_header_is_removed_where_no_release_is_chosen {
        under(skew_guard_behaviour::mesh()) {
            forged(plain("/api")) => to("");
        }
    }

    a_forged_route_header_is_removed_where_the_filter_only_observes {
        under(with(shop(), json!({ "enforce": false }))) {
            forged(plain("/api").version("1.4.2")) => to("");
        }
    }

    a_forged_header_is_removed_under_the_configured_name {
        under(with(shop(), json!({ "routeHeader": "X-Shop-Release" }))) {
            plain("/api").with("x-shop-release", "v1-4-2").with("x-release", "mine") =>
                to("mine").received("x-shop-release", &["v2-0-0"]);
        }
    }

    a_route_header_outside_the_scope_is_left_alone {
        under(with(shop(), json!({ "hosts": ["shop.example.com"] }))) {
            forged(plain("/api").host("wiki.example.com")) =>
                skew_guard_behaviour::untouched().received("x-release", &["v1-4-2", "v2-1-0", ""]);
        }
    }
}
