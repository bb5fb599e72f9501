//! How a tester, and nobody else, reaches a staged release.

use std::fmt::Write;

use anyhow::Result;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{BROWSERS, Header, Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    nobody_reaches_a_staged_release_by_its_name,
    the_key_in_a_header_opens_it,
    a_link_leaves_a_cookie_and_no_key_in_the_url,
    with_the_cookie_every_browser_gets_the_staged_page_and_what_it_loads,
    a_page_of_another_version_keeps_it_beside_the_cookie,
    what_a_key_decided_is_kept_by_no_cache,
    a_link_ends_the_preview,
    a_wrong_key_is_as_none,
    its_cookie_wins_over_the_pins,
    a_key_opens_nothing_that_is_denied,
    a_link_to_a_release_that_is_not_there_says_which_are,
    a_link_never_leads_to_another_site,
];

const KEY: &str = "open sesame:1";

fn sha256(key: &str) -> String {
    let digest = Sha256::digest(key);
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(json!({
            "releases": [
                { "version": "2.1.0", "route": "v2-1-0", "state": "staged" },
                { "version": "2.0.0", "route": "v2-0-0" },
                { "version": "1.4.2", "route": "v1-4-2" },
                { "version": "1.2.0", "route": "v1-2-0", "state": "staged" },
            ],
            "denied": ["1.2.0"],
            "preview": { "sha256": sha256(KEY) },
        })))?
        .open(lab)
        .await
}

fn with(mut headers: Vec<Header>, more: &[Header]) -> Vec<Header> {
    headers.extend(more);
    headers
}

const STAGED: Header = ("x-bundle-version", "2.1.0");
const BY_HEADER: Header = ("x-preview-key", KEY);
/// As the link leaves it.
const BY_COOKIE: Header = ("cookie", "session=1; __preview=open%20sesame%3A1:2.1.0");
const ATTRIBUTES: &str = "; Path=/; SameSite=Lax; Secure; HttpOnly";

async fn its_cookie_wins_over_the_pins(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "preview-and-pin")?
        .configured(&shop(json!({
            "releases": [
                { "version": "2.1.0", "route": "v2-1-0", "state": "staged" },
                { "version": "2.0.0", "route": "v2-0-0" },
            ],
            "pinCookie": { "name": "pin" },
            "preview": { "sha256": sha256(KEY) },
        })))?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let cookies = ("cookie", "pin=2.0.0; __preview=open%20sesame%3A1:2.1.0");
    for load in [Load::Navigation, Load::Script, Load::Fetch] {
        let received = gateway.received(&with(chrome(load), &[cookies])).await?;
        assert_eq!(received.lines("x-release"), ["v2-1-0"], "{load:?}");
    }
    Ok(())
}

async fn nobody_reaches_a_staged_release_by_its_name(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "staged").await?;
    for more in [
        vec![STAGED],
        vec![STAGED, ("x-preview-key", "wrong")],
        vec![STAGED, ("x-preview-key", "")],
        vec![STAGED, ("cookie", "__preview=wrong:2.1.0")],
        vec![STAGED, ("cookie", "__preview=2.1.0; pin=2.1.0")],
        vec![STAGED, ("x-release", "v2-1-0")],
    ] {
        let call = with(chrome(Load::Fetch), &more);
        let answer = gateway.get("/api/cart", &call).await?;
        assert_eq!(answer.status, 409, "{more:?}");
    }
    let page = gateway
        .get("/?dpl=2.1.0", &chrome(Load::Navigation))
        .await?;
    assert_eq!(page.values("x-app-version"), ["2.0.0"]);
    let script = chrome(Load::Script);
    let answer = gateway.get("/main.js?dpl=2.1.0", &script).await?;
    assert_eq!(answer.status, 404);
    Ok(())
}

async fn the_key_in_a_header_opens_it(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "key-header").await?;
    let call = with(chrome(Load::Fetch), &[STAGED, BY_HEADER]);
    assert_eq!(gateway.received(&call).await?.release(), "2.1.0");
    let unnamed = with(chrome(Load::Fetch), &[BY_HEADER]);
    assert_eq!(gateway.received(&unnamed).await?.release(), "2.0.0");
    let page = with(chrome(Load::Navigation), &[BY_HEADER]);
    let answer = gateway.get("/?dpl=2.1.0", &page).await?;
    assert_eq!(answer.values("x-app-version"), ["2.1.0"]);
    Ok(())
}

async fn a_link_leaves_a_cookie_and_no_key_in_the_url(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "link").await?;
    for link in [
        "/cart?a=1&preview=open%20sesame:1:2.1.0&b=2",
        "/cart?a=1&preview=open%20sesame%3A1%3A2.1.0&b=2",
    ] {
        let answer = gateway.get(link, &chrome(Load::Navigation)).await?;
        assert_eq!(answer.status, 303, "{link}");
        assert_eq!(answer.values("location"), ["/cart?a=1&b=2"], "{link}");
        assert_eq!(
            answer.values("set-cookie"),
            [format!("__preview=open%20sesame%3A1:2.1.0{ATTRIBUTES}")],
        );
        assert_eq!(answer.values("cache-control"), ["private, no-store"]);
        assert_eq!(answer.text(), "");
    }
    Ok(())
}

async fn with_the_cookie_every_browser_gets_the_staged_page_and_what_it_loads(
    lab: &Lab,
) -> Result<()> {
    let gateway = gateway(lab, "key-cookie").await?;
    for browser in BROWSERS {
        let loads = [Load::Navigation, Load::Reload, Load::Script, Load::Fetch];
        for load in loads {
            let sent = with(browser.sends(load), &[BY_COOKIE]);
            let received = gateway.received(&sent).await?;
            assert_eq!(received.release(), "2.1.0", "{load:?} {}", browser.name);
        }
    }
    Ok(())
}

async fn a_page_of_another_version_keeps_it_beside_the_cookie(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "another-tab").await?;
    for version in ["2.0.0", "1.4.2"] {
        let other = ("x-bundle-version", version);
        let call = with(chrome(Load::Fetch), &[other, BY_COOKIE]);
        assert_eq!(gateway.received(&call).await?.release(), version);
        let script = with(chrome(Load::Script), &[BY_COOKIE]);
        let path = format!("/api/request?dpl={version}");
        let received = gateway.received_at(&path, &script).await?;
        assert_eq!(received.release(), version);
    }
    Ok(())
}

async fn what_a_key_decided_is_kept_by_no_cache(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "key-caches").await?;
    for (load, path) in [
        (Load::Navigation, "/"),
        (Load::Fetch, "/api/cart"),
        (Load::Script, "/assets/v-2.1.0/main.js"),
    ] {
        let answer = gateway.get(path, &with(chrome(load), &[BY_COOKIE])).await?;
        assert_eq!(answer.values("x-app-version"), ["2.1.0"], "{path}");
        assert_eq!(
            answer.values("cache-control"),
            ["private, no-store"],
            "{path}"
        );
    }
    Ok(())
}

async fn a_link_ends_the_preview(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "off").await?;
    let page = with(chrome(Load::Navigation), &[BY_COOKIE]);
    let answer = gateway.get("/?preview=off", &page).await?;
    assert_eq!(
        (answer.status, answer.values("location")),
        (303, vec!["/".into()])
    );
    assert_eq!(
        answer.values("set-cookie"),
        [format!("__preview=; Max-Age=0{ATTRIBUTES}")]
    );
    Ok(())
}

async fn a_wrong_key_is_as_none(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "wrong-key").await?;
    for value in [
        "wrong:2.1.0",
        "2.1.0",
        "",
        ":2.1.0",
        "open%20sesame:1",
        "%ff:%ff",
    ] {
        let link = format!("/?preview={value}");
        let answer = gateway.get(&link, &chrome(Load::Navigation)).await?;
        assert_eq!(answer.status, 200, "{value}");
        assert_eq!(answer.values("x-app-version"), ["2.0.0"], "{value}");
        assert!(answer.values("set-cookie").is_empty(), "{value}");
    }
    Ok(())
}

async fn a_key_opens_nothing_that_is_denied(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "key-denied").await?;
    let denied = ("x-bundle-version", "1.2.0");
    let call = with(chrome(Load::Fetch), &[denied, BY_HEADER]);
    assert_eq!(gateway.get("/api/cart", &call).await?.status, 409);
    let cookie = ("cookie", "__preview=open%20sesame%3A1:1.2.0");
    let page = gateway
        .get("/", &with(chrome(Load::Navigation), &[cookie]))
        .await?;
    assert_eq!(page.values("x-app-version"), ["2.0.0"]);
    Ok(())
}

async fn a_link_to_a_release_that_is_not_there_says_which_are(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "no-such").await?;
    let link = "/?preview=open%20sesame:1:3.0.0";
    let answer = gateway.get(link, &chrome(Load::Navigation)).await?;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.text(),
        "No release 3.0.0 can be previewed. There are: 2.1.0, 2.0.0, 1.4.2, 1.2.0\n"
    );
    assert!(answer.values("set-cookie").is_empty());
    Ok(())
}

async fn a_link_never_leads_to_another_site(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "open-redirect").await?;
    for path in ["//evil.example/", "/\\evil.example/", "///evil.example/"] {
        let link = format!("{path}?preview=open%20sesame:1:2.1.0");
        let answer = gateway.get(&link, &chrome(Load::Navigation)).await?;
        assert_eq!(answer.values("location"), ["/evil.example/"], "{path}");
    }
    Ok(())
}
