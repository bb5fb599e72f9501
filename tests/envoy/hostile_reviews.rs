//! Wrong configurations that come after a change of scope, or beside other applications of the same name.

use anyhow::Result;
use serde_json::{Value, json};

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Gateway, Spec, shop};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    after_a_change_of_scope_a_syntax_error_leaves_the_last_good_one_in_force,
    a_typo_does_not_install_the_policy_of_another_application,
    each_of_nine_applications_under_one_name_gets_its_own_configuration_back,
];

async fn gateway<'l>(lab: &'l Lab, name: &str, keys: Value) -> Result<Gateway<'l>> {
    Spec::of(lab, name)?
        .configured(&shop(keys))?
        .open(lab)
        .await
}

async fn after_a_change_of_scope_a_syntax_error_leaves_the_last_good_one_in_force(
    lab: &Lab,
) -> Result<()> {
    let one = json!({ "hosts": ["shop.example.com"] });
    let mut gateway = gateway(lab, "scope-then-syntax", one).await?;
    let forged = [("host", "shop.example.com"), ("x-release", "v1-4-2")];
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    let two = shop(json!({ "hosts": ["shop.example.com", "www.shop.example.com"] }));
    gateway.configure(&two).await?;
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    gateway.configure_by_text("{ \"hosts\": [").await?;
    assert_eq!(gateway.received(&forged).await?.release(), "2.0.0");
    Ok(())
}

async fn a_typo_does_not_install_the_policy_of_another_application(lab: &Lab) -> Result<()> {
    let named = |listener| {
        Ok::<_, anyhow::Error>(Spec::of(lab, listener)?.plugin(|plugin| plugin.named("shared")))
    };
    let hosts = json!(["shop.example.com"]);
    let mut shop_gateway = named("shared-by-shop")?
        .configured(&shop(json!({ "hosts": hosts })))?
        .open(lab)
        .await?;
    let _wiki = named("shared-by-wiki")?
        .configured(&shop(json!({ "current": "1.4.2" })))?
        .open(lab)
        .await?;
    let page = [("host", "shop.example.com")];
    assert_eq!(shop_gateway.received(&page).await?.release(), "2.0.0");
    let typo = shop(json!({ "hosts": hosts, "curent": "2.0.0" }));
    shop_gateway.configure(&typo).await?;
    assert_eq!(shop_gateway.received(&page).await?.release(), "2.0.0");
    Ok(())
}

async fn each_of_nine_applications_under_one_name_gets_its_own_configuration_back(
    lab: &Lab,
) -> Result<()> {
    let keys = |number: usize| json!({ "hosts": [format!("app-{number}.example.com")], "routeHeader": format!("x-app-{number}") });
    let mut gateways = Vec::new();
    for number in 0..9 {
        let spec = Spec::of(lab, &format!("nine-{number}"))?.plugin(|plugin| plugin.named("nine"));
        let spec = spec.configured(&shop(keys(number)))?;
        gateways.push(spec.one_route_to("shop").open(lab).await?);
    }
    let mut wrong = shop(keys(0));
    wrong["curent"] = json!("2.0.0");
    let first = &mut gateways[0];
    first.configure(&wrong).await?;
    let received = first.received(&[("host", "app-0.example.com")]).await?;
    assert_eq!(received.lines("x-app-0"), ["v2-0-0"]);
    Ok(())
}
