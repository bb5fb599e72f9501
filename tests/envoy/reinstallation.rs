//! The filter removed and installed again, and beside other plugins.

use anyhow::Result;
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::Plugin;
use skew_guard_lab::wait;
use tempfile::NamedTempFile;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    beside_another_plugin_the_last_good_configuration_is_found_again,
    it_is_found_again_under_the_name_that_another_version_of_istio_gives_the_plugin,
    without_another_plugin_the_last_good_configuration_is_lost,
    two_skew_guards_keep_their_configurations_apart,
    a_typo_does_not_install_another_applications_configuration,
];

/// A plugin that does nothing, with everything that a host requires of a module
/// (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>).
const BYSTANDER: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_initialize"))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0))"#;

const WORKERS: u32 = 2;

/// As in Istio, every plugin has the empty VM id.
fn as_in_istio(spec: Spec) -> Spec {
    spec.plugin(|plugin| plugin.vm_id(""))
}

async fn beside_another_plugin_the_last_good_configuration_is_found_again(lab: &Lab) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let _module = listen_with_bystander(&lab).await?;
    let gateway = reinstalled_wrong(&lab, "shop.skew-guard", "shop.skew-guard").await?;
    assert_eq!(gateway.received(&[]).await?.lines("x-release"), ["v1-4-2"]);
    let log = lab.envoy().log();
    let found = "skew-guard shop.skew-guard: the last good one stays in force: revision 7";
    assert!(log.contains(found), "{log}");
    Ok(())
}

async fn it_is_found_again_under_the_name_that_another_version_of_istio_gives_the_plugin(
    lab: &Lab,
) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let _module = listen_with_bystander(&lab).await?;
    let translated = "shop.skew-guard~istio-translated-wasmplugin";
    let gateway = reinstalled_wrong(&lab, "shop.skew-guard", translated).await?;
    assert_eq!(gateway.received(&[]).await?.lines("x-release"), ["v1-4-2"]);
    Ok(())
}

async fn without_another_plugin_the_last_good_configuration_is_lost(lab: &Lab) -> Result<()> {
    let lab = lab.another(WORKERS, &[]).await?;
    let gateway = reinstalled_wrong(&lab, "alone", "alone").await?;
    let received = gateway.received(&[("x-release", "v1-4-2")]).await?;
    assert_eq!(received.lines("x-release"), [""; 0]);
    Ok(())
}

/// Adds a listener with only the bystander; its module must be kept.
async fn listen_with_bystander(lab: &Lab) -> Result<NamedTempFile> {
    let module = NamedTempFile::with_suffix(".wasm")?;
    std::fs::write(module.path(), wat::parse_str(BYSTANDER)?)?;
    let plugin = Plugin::of(module.path()).named("bystander").vm_id("");
    let mut spec = Spec::of(lab, "another-listener")?.and_filter(plugin.filter());
    spec.answer_everything_with("bystander");
    let address = lab.listen(spec.listener_without_filter()).await?;
    lab.wait_for_answer(address, "bystander").await?;
    Ok(module)
}

/// A gateway that had the plugin with a good configuration, then not at all, and now under another name with a wrong
/// one. In between all its VMs go.
async fn reinstalled_wrong<'l>(
    lab: &'l Lab,
    first_name: &str,
    second_name: &str,
) -> Result<Gateway<'l>> {
    let vms_of_others = vms(lab).await?;
    let good = shop(json!({ "current": "1.4.2", "revision": 7 }));
    let mut first = as_in_istio(Spec::of(lab, "gateway")?)
        .plugin(|plugin| plugin.named(first_name))
        .configured(&good)?
        .open(lab)
        .await?;
    assert_eq!(first.received(&[]).await?.release(), "1.4.2");

    let spec = first.spec();
    spec.answer_everything_with("without");
    let address = lab.listen(spec.listener_without_filter()).await?;
    lab.wait_for_answer(address, "without").await?;
    wait::until("the end of the plugin's VMs", async || {
        Ok(vms(lab).await? == vms_of_others)
    })
    .await?;

    as_in_istio(Spec::of(lab, "gateway-again")?)
        .plugin(|plugin| plugin.named(second_name))
        .configured(&wrong(7))?
        .open(lab)
        .await
}

fn wrong(number: u64) -> Value {
    shop(json!({ "current": "3.0.0", "revision": number }))
}

async fn vms(lab: &Lab) -> Result<u64> {
    let active = lab.envoy().stats(r"wasm\..*v8.*active").await?;
    Ok(active.values().sum())
}

async fn two_skew_guards_keep_their_configurations_apart(lab: &Lab) -> Result<()> {
    let spec = |name: &str, root: &str| -> Result<Spec> {
        Ok(as_in_istio(Spec::of(lab, name)?).plugin(|plugin| plugin.root_id(root)))
    };
    let good = |current: &str| shop(json!({ "current": current }));
    let mut one = spec("one", "root")?
        .configured(&good("1.4.2"))?
        .open(lab)
        .await?;
    let mut other = spec("other", "root")?
        .configured(&good("2.0.0"))?
        .open(lab)
        .await?;
    let third = spec("third", "another-root")?
        .configured(&wrong(1))?
        .open(lab)
        .await?;
    one.configure(&wrong(1)).await?;
    other.configure(&wrong(1)).await?;
    assert_eq!(one.received(&[]).await?.lines("x-release"), ["v1-4-2"]);
    assert_eq!(other.received(&[]).await?.lines("x-release"), ["v2-0-0"]);
    assert!(third.received(&[]).await?.lines("x-release").is_empty());
    let metrics = lab.metrics().await?;
    for plugin in ["one", "other", "third"] {
        let refused = metrics.sum("skew_guard_config_refused", &[("plugin", plugin)]);
        assert_eq!(refused, 1, "{plugin}");
    }
    Ok(())
}

/// In plain Envoy a filter has no name and no root by default.
async fn a_typo_does_not_install_another_applications_configuration(lab: &Lab) -> Result<()> {
    let nameless = |name: &str| -> Result<Spec> {
        let spec = as_in_istio(Spec::of(lab, name)?);
        Ok(spec.plugin(|plugin| plugin.named("").root_id("")))
    };
    let of_host = |host: &str, current: &str| shop(json!({ "hosts": [host], "current": current }));
    let one = nameless("nameless-one")?
        .configured(&of_host("one.example", "1.4.2"))?
        .open(lab)
        .await?;
    let mut other = nameless("nameless-other")?
        .configured(&of_host("other.example", "2.0.0"))?
        .open(lab)
        .await?;
    let asking = |host: &'static str| [("host", host), ("x-release", "v1-4-2")];

    let mut typo = of_host("other.example", "2.0.0");
    typo["curent"] = json!("2.0.0");
    other.configure(&typo).await?;
    let received = other.received(&asking("other.example")).await?;
    assert_eq!(received.lines("x-release"), ["v2-0-0"]);

    let third = nameless("nameless-third")?
        .configured(&of_host("third.example", "3.0.0"))?
        .open(lab)
        .await?;
    let received = third.received(&asking("third.example")).await?;
    assert!(received.lines("x-release").is_empty());

    other.configure_by_text("not JSON").await?;
    let received = other.received(&asking("one.example")).await?;
    assert_eq!(received.lines("x-release"), ["v1-4-2"], "it is not touched");
    let received = one.received(&asking("one.example")).await?;
    assert_eq!(received.lines("x-release"), ["v1-4-2"]);
    Ok(())
}
