//! The demo's page: its buttons work, and it shows only what pods answered.
//!
//! `SCREENSHOTS=1` writes the README's three screenshots.

use std::path::Path;

use anyhow::Result;
use skew_guard_lab::browser::{Browser, Key, Screen};
use skew_guard_lab::wait;

use crate::demo_page::{
    Demo, PROJECTOR, agrees_with_envoy, broken_rules, does_not_fit, is_page_of, may_press,
    more_own_answers, shown_pods, squares, tone_is, totals,
};
use crate::shop::{NEW, OLD};

/// Enough calls to rule out chance.
const CALLS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn three_buttons_show_skew_and_end_it() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    more_own_answers(&browser, CALLS).await?;
    assert_eq!(totals(&browser).await?.1, 0, "one release, no skew");
    assert_eq!(browser.text("#total").await?, "€527.00");
    browser.type_into("#note", "Please ring twice").await?;
    browser.run::<()>("window.wasHere = true").await?;

    browser.click("#deploy").await?;
    may_press(&browser, "retire").await?;
    tone_is(&browser, "bad").await?;
    agrees_with_envoy(&browser, &demo).await?;
    assert_eq!(releases(&browser).await?, (2, 6));
    wait_for_skewed_price(&browser).await?;
    for (kind, release, pod) in squares(&browser).await? {
        let expected = if release == OLD { "own" } else { "other" };
        assert_eq!(kind, expected, "{pod}");
        assert!(pod.starts_with(&format!("{release}-")), "{pod} {release}");
    }

    browser.click("#guard").await?;
    tone_is(&browser, "good").await?;
    let skewed = totals(&browser).await?.1;
    more_own_answers(&browser, CALLS).await?;
    assert_eq!(totals(&browser).await?.1, skewed, "no more skew");
    assert_eq!(browser.text("#total").await?, "€527.00");
    agrees_with_envoy(&browser, &demo).await?;
    keep_screenshot(&browser, "no-skew").await?;

    let old = browser.tab().await?;
    let open = async || browser.click("#new-tab").await;
    browser.show_tab_opened_by(open).await?;
    is_page_of(&browser, NEW).await?;
    more_own_answers(&browser, CALLS).await?;
    assert_eq!(totals(&browser).await?.1, 0);
    browser.show(&old).await?;
    is_page_of(&browser, OLD).await?;

    browser.click("#retire").await?;
    browser
        .until("document.querySelector('[role=alert] #reload')")
        .await?;
    wait::until("eight pods of the new release", async || {
        Ok(releases(&browser).await? == (0, 8))
    })
    .await?;
    agrees_with_envoy(&browser, &demo).await?;
    let stayed: (bool, String) = browser
        .run("return [window.wasHere === true, document.querySelector('#note').value]")
        .await?;
    assert_eq!(stayed, (true, "Please ring twice".to_owned()));
    keep_screenshot(&browser, "retired").await?;

    browser.click("#reload").await?;
    is_page_of(&browser, NEW).await?;
    more_own_answers(&browser, CALLS).await?;
    assert_eq!(totals(&browser).await?.1, 0);
    assert_eq!(browser.text("#total").await?, "€527.00");
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_fits_projector_and_phone_and_is_accessible_in_light_and_dark() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    reads_well(&browser, "before").await?;
    browser.click("#deploy").await?;
    may_press(&browser, "retire").await?;
    tone_is(&browser, "bad").await?;
    reads_well(&browser, "skewed").await?;
    browser.click("#guard").await?;
    tone_is(&browser, "good").await?;
    reads_well(&browser, "guarded").await?;
    browser.click("#retire").await?;
    browser.until("document.querySelector('#reload')").await?;
    reads_well(&browser, "retired").await?;
    browser.click("#reload").await?;
    is_page_of(&browser, NEW).await?;
    reads_well(&browser, "the new page").await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    for button in ["deploy", "guard", "retire"] {
        may_press(&browser, button).await?;
        reach(&browser, button).await?;
        browser.press(Key::Enter).await?;
        let focus: String = browser.run("return document.activeElement.id").await?;
        assert_eq!(focus, button, "a pressed button keeps the focus");
    }
    browser.until("document.querySelector('#reload')").await?;
    let named: Vec<String> = browser
        .run("return ['deploy', 'guard', 'retire'].map((id) => document.getElementById(id).ariaDisabled)")
        .await?;
    assert_eq!(named, ["true", "false", "true"]);
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_can_be_pressed_twice_from_two_tabs_and_in_any_state() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    let first = browser.tab().await?;
    browser.open_tab().await?;
    browser.open(&demo.url("/")).await?;
    is_page_of(&browser, OLD).await?;

    assert_eq!(press_twice(&browser, "retire").await?, [409, 409]);
    assert_eq!(press_twice(&browser, "deploy").await?, [204, 204]);
    assert_eq!(
        press_twice(&browser, "retire").await?,
        [409, 409],
        "rolling"
    );
    browser.show(&first).await?;
    assert_eq!(press_twice(&browser, "deploy").await?, [204, 204]);
    may_press(&browser, "retire").await?;
    assert_eq!(releases(&browser).await?, (2, 6));

    // With skew-guard off it may be either page, which works as far as its calls are understood.
    browser.reload().await?;
    browser
        .until(
            "document.title.startsWith('Shop') && document.querySelector('.squares [data-kind]')",
        )
        .await?;
    assert_eq!(press_twice(&browser, "retire").await?, [204, 204]);
    browser
        .until("document.querySelectorAll('.pods [data-release=\"2.0.0\"]').length === 8 + 1")
        .await?;
    assert_eq!(press_twice(&browser, "start-over").await?, [204, 204]);
    assert_eq!(
        press_twice(&browser, "deploy").await?,
        [409, 409],
        "starting over"
    );
    // Both tabs load the first page again by themselves.
    is_page_of(&browser, OLD).await?;
    may_press(&browser, "deploy").await?;
    assert_eq!(releases(&browser).await?, (8, 0));
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_can_press_a_button_or_read_the_state() -> Result<()> {
    let demo = Demo::start().await?;
    let own = demo.url("");
    for headers in [
        &[][..],
        &[("origin", "https://example.com")],
        &[("origin", "null")],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
        &[
            ("origin", "http://rebound.example"),
            ("host", "rebound.example"),
        ],
    ] {
        assert_eq!(demo.press("deploy", headers).await?, 403, "{headers:?}");
    }
    // The same in a real browser: localhost and 127.0.0.1 are different sites.
    let browser = Browser::start().await?;
    let other = demo.url("/").replace("127.0.0.1", "localhost");
    browser.open(&other).await?;
    is_page_of(&browser, OLD).await?;
    let target = demo.url("/demo/");
    browser
        .run::<()>(&format!(
            "await fetch('{target}deploy', {{ method: 'POST', mode: 'no-cors' }});
             const looked = await fetch('{target}state').then(() => 'looked', () => 'refused');
             if (looked !== 'refused') throw new Error(looked);"
        ))
        .await?;
    assert_eq!(demo.state().await?["phase"], "before");
    assert_eq!(demo.press("deploy", &[("origin", &own)]).await?, 204);
    assert_eq!(demo.state().await?["phase"], "deployed");
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_tools_answer_weights_and_a_preview() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    explains(&browser, "enforce is false").await?;
    browser.click("#deploy").await?;
    may_press(&browser, "retire").await?;
    browser.click("#guard").await?;
    tone_is(&browser, "good").await?;
    explains(&browser, "x-release: v1-4-2").await?;

    browser
        .until("!document.querySelector('#share').disabled")
        .await?;
    reach(&browser, "share").await?;
    for _ in 0..5 {
        browser.press(Key::Left).await?;
    }
    let half =
        async || Ok(demo.state().await?["share"] == 50 && demo.state().await?["settled"] == true);
    wait::until("half of the visitors", half).await?;
    browser.click("#visitors").await?;
    browser
        .until("document.querySelectorAll('#visited .release').length === 2")
        .await?;

    browser.click("#preview").await?;
    is_page_of(&browser, "2.1.0").await?;
    more_own_answers(&browser, CALLS).await?;
    assert_eq!(totals(&browser).await?.1, 0);
    browser.click("#end-preview").await?;
    browser.until("document.title !== 'Shop 2.1.0'").await?;
    browser.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_dies_is_restarted() -> Result<()> {
    let demo = Demo::start().await?;
    let browser = demo.browser().await?;
    is_page_of(&browser, OLD).await?;
    let before = shown_pods(&browser).await?;
    demo.kill_pod("1.4.2-3")?;
    more_own_answers(&browser, CALLS).await?;
    wait::until("the pod to come back", async || {
        Ok(demo.pods().await? == before && shown_pods(&browser).await? == before)
    })
    .await?;
    browser.stop().await
}

/// How many dots are of the old release, and how many of the new one.
async fn releases(browser: &Browser) -> Result<(usize, usize)> {
    let pods = shown_pods(browser).await?;
    let of = |release: &str| pods.iter().filter(|pod| pod.starts_with(release)).count();
    Ok((of(OLD), of(NEW)))
}

/// The price changes with each answer: keeps the screenshot that shows what skew does.
async fn wait_for_skewed_price(browser: &Browser) -> Result<()> {
    let is_broken = "document.querySelector('#total').textContent === '€NaN' \
                     && document.querySelectorAll('.squares [data-kind=other]').length > 13";
    loop {
        browser.until(is_broken).await?;
        keep_screenshot(browser, "skew").await?;
        if browser.run(&format!("return {is_broken}")).await? {
            return Ok(());
        }
    }
}

async fn keep_screenshot(browser: &Browser, name: &str) -> Result<()> {
    nothing_moves(browser).await?;
    let png = browser.screenshot().await?;
    assert!(png.len() < 100_000, "{name} has {} bytes", png.len());
    let folder = match std::env::var_os("SCREENSHOTS") {
        Some(_) => Path::new("envoy/demo").to_path_buf(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo"),
    };
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(format!("{name}.png")), png)?)
}

async fn reads_well(browser: &Browser, state: &str) -> Result<()> {
    for (width, height) in [(1280, 720), (390, 844)] {
        for dark in [false, true] {
            let screen = Screen {
                width,
                height,
                dark,
            };
            browser.show_on(screen).await?;
            nothing_moves(browser).await?;
            let outside = does_not_fit(browser).await?;
            assert_eq!(outside, [""; 0], "{state} on {screen:?}");
            let broken = broken_rules(browser).await?;
            assert_eq!(broken, [""; 0], "{state} on {screen:?}");
        }
    }
    browser.show_on(PROJECTOR).await
}

/// Waits for colours to stop fading.
async fn nothing_moves(browser: &Browser) -> Result<()> {
    browser.until("document.getAnimations().length === 0").await
}

/// Moves the focus there with the Tab key alone.
async fn reach(browser: &Browser, id: &str) -> Result<()> {
    for _ in 0..40 {
        if browser
            .run::<String>("return document.activeElement.id")
            .await?
            == id
        {
            return Ok(());
        }
        browser.press(Key::Tab).await?;
    }
    anyhow::bail!("the Tab key does not lead to {id}")
}

/// Presses twice at the same time, with the page's own request.
async fn press_twice(browser: &Browser, button: &str) -> Result<[u16; 2]> {
    browser
        .run(&format!(
            "const press = async () => (await fetch('/demo/{button}', {{ method: 'POST' }})).status;
             return Promise.all([press(), press()])"
        ))
        .await
}

async fn explains(browser: &Browser, words: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#explained').textContent.includes('{words}')"
        ))
        .await
}
