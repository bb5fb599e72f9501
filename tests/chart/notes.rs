//! What Helm prints after an upgrade: the next step, and warnings.

use anyhow::Result;

use crate::helm;
use crate::resources::LIFE;

#[test]
fn notes_say_the_next_step_of_each_release() -> Result<()> {
    let notes = helm::notes(&format!("{LIFE}\nconfig: {{revision: 1234567}}"))?;
    for step in [
        "skew-guard wait --helm-release skew-guard --namespace shop --revision 1234567",
        "skew-guard wait --revision 1234567 --plugin shop.skew-guard ",
        "--routes skew-guard-shop-skew-guard-r1234567 http://GATEWAY-POD",
        "2.0.0                green                live, current",
        "and 1 more that is retired, without routes",
        "2.2.0 is staged: deploy its pods (version: v2-2-0), try it with the preview key",
        "2.1.0 is live but not current: deploy its pods (version: v2-1-0)",
        "1.4.2 is draining: keep its pods until 2026-01-31T18:00:00Z. Then set it to retired.",
        "1.3.0 is retired: you can delete its pods.",
        "Do not use\n`helm rollback`",
    ] {
        assert!(notes.contains(step), "{step:?} is not in\n{notes}");
    }
    assert!(!notes.contains("2.0.0 is"), "{notes}");
    Ok(())
}

#[test]
fn notes_explain_the_rolling_update_of_plain_deployments() -> Result<()> {
    let notes = helm::notes(
        r#"
        releases: [{version: "2.0.0"}, {version: "1.4.2"}]
        current: ""
        "#,
    )?;
    assert!(
        notes.contains("2.0.0 is the newest: roll its pods out (version: v2-0-0):"),
        "{notes}"
    );
    assert!(
        notes.contains("1.4.2: when its last pod is gone, set it to retired."),
        "{notes}"
    );
    Ok(())
}

#[test]
fn notes_say_when_nothing_is_left_to_do() -> Result<()> {
    let notes = helm::notes(r#"releases: [{version: "2.0.0"}]"#)?;
    assert!(notes.contains("None: 2.0.0 is current"), "{notes}");
    assert!(
        notes.contains("Argo CD always renders revision 1"),
        "{notes}"
    );
    Ok(())
}

#[test]
fn notes_warn_about_a_plugin_that_only_watches() -> Result<()> {
    let words = "config.enforce is false: the plugin counts, but routes nothing";
    assert!(!helm::notes("")?.contains(words));
    assert!(!helm::notes("config: {enforce: true}")?.contains(words));
    let with_current = helm::notes("config: {enforce: false}")?;
    assert!(with_current.contains(words), "{with_current}");
    assert!(with_current.contains("to current"), "{with_current}");
    let without = helm::notes("{config: {enforce: false}, current: \"\"}")?;
    assert!(without.contains("every tab is skewed"), "{without}");
    Ok(())
}

#[test]
fn notes_warn_about_an_image_without_a_digest() -> Result<()> {
    let digest = "a".repeat(64);
    let words = "is a tag, which may be moved";
    for (plugin, warned) in [
        ("url: oci://registry.example.com/guard:1".to_owned(), true),
        (
            format!("url: oci://registry.example.com/guard:1@sha256:{digest}"),
            false,
        ),
        (
            format!("url: oci://registry.example.com/guard:1, sha256: {digest}"),
            false,
        ),
        ("url: file:///etc/guard/plugin.wasm".to_owned(), false),
    ] {
        let notes = helm::notes(&format!("plugin: {{{plugin}}}"))?;
        assert_eq!(notes.contains(words), warned, "{plugin}:\n{notes}");
    }
    Ok(())
}

#[test]
fn notes_warn_about_a_staged_release_behind_a_well_known_header() -> Result<()> {
    let words = "A release is staged, and the route header is x-release";
    for (config, warned) in [
        ("{}", true),
        ("{routeHeader: X-Release}", true),
        ("{routeHeader: x-release-k3v9q2}", false),
    ] {
        let notes = helm::notes(&format!("{LIFE}\nconfig: {config}"))?;
        assert_eq!(notes.contains(words), warned, "{config}:\n{notes}");
    }
    assert!(!helm::notes("")?.contains(words), "nothing is staged");
    Ok(())
}
