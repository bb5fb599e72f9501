//! How a tester reaches a release that nobody else can.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::behaviour::{Behaviour, behaviours};
use crate::browsers::{Load, chrome};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    nobody_reaches_a_staged_release_by_its_name,
    the_key_in_a_header_opens_it_to_what_names_it,
    a_link_opens_it_in_any_browser_and_another_one_closes_it_again,
    a_link_with_a_wrong_key_is_a_page_like_any_other,
    a_link_leads_to_no_other_host,
    a_preview_is_kept_by_no_cache,
];

const KEY: &str = "open sesame";
const LINK: &str = "/cart?preview=open%20sesame:2.1.0&page=2";

async fn gateway<'l>(lab: &'l Lab, name: &str) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?.configured(&staged())?.open(lab).await
}

fn staged() -> Value {
    let sha256: String = Sha256::digest(KEY)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    shop(json!({
        "releases": [
            { "version": "2.1.0", "route": "v2-1-0", "state": "staged" },
            { "version": "2.0.0", "route": "v2-0-0" },
            { "version": "1.4.2", "route": "v1-4-2" },
        ],
        "preview": { "sha256": sha256 },
    }))
}

/// Which release answers a load of this kind with these headers.
async fn release_of(
    gateway: &Gateway<'_>,
    load: Load,
    path: &str,
    more: &[(&str, &str)],
) -> Result<String> {
    let headers = [&chrome(load)[..], more].concat();
    let answer = gateway.get(path, &headers).await?;
    answer
        .value("x-app-version")
        .with_context(|| format!("no pod answered: {answer:?}"))
}

async fn nobody_reaches_a_staged_release_by_its_name(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "staged").await?;
    for more in [
        &[][..],
        &[("x-preview-key", "open barley")],
        &[("cookie", "__preview=open%20barley:2.1.0")],
    ] {
        let named = [&[("x-bundle-version", "2.1.0")][..], more].concat();
        let call = gateway.get("/api/cart", &named).await?;
        assert_eq!((call.status, call.value("x-app-version")), (409, None));
        let script = [&chrome(Load::Script)[..], more].concat();
        let file = gateway.get("/main.js?dpl=2.1.0", &script).await?;
        assert_eq!((file.status, file.value("x-app-version")), (404, None));
        assert_eq!(
            release_of(&gateway, Load::Navigation, "/?dpl=2.1.0", more).await?,
            "2.0.0"
        );
    }
    Ok(())
}

async fn the_key_in_a_header_opens_it_to_what_names_it(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "preview-header").await?;
    let key = ("x-preview-key", KEY);
    let named = [key, ("x-bundle-version", "2.1.0")];
    assert_eq!(
        release_of(&gateway, Load::Fetch, "/api/cart", &named).await?,
        "2.1.0"
    );
    assert_eq!(
        release_of(&gateway, Load::Fetch, "/api/cart", &[key]).await?,
        "2.0.0"
    );
    Ok(())
}

async fn a_link_opens_it_in_any_browser_and_another_one_closes_it_again(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "preview-link").await?;
    let followed = gateway.get(LINK, &chrome(Load::Navigation)).await?;
    assert_eq!(
        (followed.status, followed.value("location").as_deref()),
        (303, Some("/cart?page=2"))
    );
    assert_eq!(followed.values("cache-control"), ["private, no-store"]);
    assert_eq!(
        followed.values("set-cookie"),
        ["__preview=open%20sesame:2.1.0; Path=/; SameSite=Lax; Secure; HttpOnly"]
    );

    let cookie = [("cookie", "a=b; __preview=open%20sesame:2.1.0")];
    for (load, path) in [
        (Load::Navigation, "/cart?page=2"),
        (Load::Script, "/assets/v-2.1.0/main.js"),
        (Load::Fetch, "/api/cart"),
    ] {
        assert_eq!(
            release_of(&gateway, load, path, &cookie).await?,
            "2.1.0",
            "{path}"
        );
    }
    let of_another_tab = [cookie[0], ("x-bundle-version", "1.4.2")];
    assert_eq!(
        release_of(&gateway, Load::Fetch, "/api/cart", &of_another_tab).await?,
        "1.4.2"
    );

    let off = [&chrome(Load::Navigation)[..], &cookie].concat();
    let off = gateway.get("/cart?preview=off", &off).await?;
    assert_eq!(
        (off.status, off.value("location").as_deref()),
        (303, Some("/cart"))
    );
    assert_eq!(
        off.values("set-cookie"),
        ["__preview=; Max-Age=0; Path=/; SameSite=Lax; Secure; HttpOnly"]
    );
    Ok(())
}

async fn a_link_with_a_wrong_key_is_a_page_like_any_other(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "preview-guess").await?;
    let path = LINK.replace("sesame", "barley");
    let answer = gateway.get(&path, &chrome(Load::Navigation)).await?;
    assert_eq!(
        (answer.status, answer.value("x-app-version").as_deref()),
        (200, Some("2.0.0"))
    );
    assert!(answer.values("set-cookie").is_empty());
    let unknown = gateway
        .get("/?preview=open%20sesame:7.0.0", &chrome(Load::Navigation))
        .await?;
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.text(),
        "No release 7.0.0 can be previewed. There are: 2.1.0, 2.0.0, 1.4.2\n"
    );
    Ok(())
}

async fn a_link_leads_to_no_other_host(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "preview-redirect").await?;
    for path in [
        "//evil.example.com/?preview=off",
        "/\\evil.example.com?preview=off",
    ] {
        let answer = gateway.get(path, &chrome(Load::Navigation)).await?;
        let location = answer.value("location").unwrap_or_default();
        assert!(
            location.is_empty() || location.starts_with("/evil.example.com"),
            "{location}"
        );
    }
    Ok(())
}

async fn a_preview_is_kept_by_no_cache(lab: &Lab) -> Result<()> {
    let gateway = gateway(lab, "preview-cache").await?;
    let cookie = ("cookie", "__preview=open%20sesame:2.1.0");
    for (load, path) in [
        (Load::Navigation, "/"),
        (Load::Script, "/assets/v-2.1.0/main.js"),
    ] {
        let headers = [&chrome(load)[..], &[cookie]].concat();
        let answer = gateway.get(path, &headers).await?;
        assert_eq!(
            answer.values("cache-control"),
            ["private, no-store"],
            "{path}"
        );
    }
    Ok(())
}
