//! A client that writes the route header itself.

use anyhow::Result;
use serde_json::json;
use skew_guard_lab::http;

use crate::behaviour::{Behaviour, behaviours};
use crate::gateway::{Spec, shop};
use crate::lab::Lab;
use crate::received::Received;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    a_forged_route_header_never_reaches_the_mesh,
    a_forged_route_header_is_removed_where_no_release_is_chosen,
    a_forged_route_header_is_removed_where_the_filter_only_observes,
    a_forged_header_of_another_name_is_removed_where_that_is_the_route_header,
    a_route_header_outside_the_scope_is_somebody_elses,
    a_forged_route_header_in_http_2_never_reaches_the_mesh,
];

/// Two copies, in mixed case, the first of which a proxy would follow.
const FORGED: [(&str, &str); 3] = [
    ("X-Release", "v1-4-2"),
    ("x-RELEASE", "v2-1-0"),
    ("x-release", ""),
];

fn with_forged<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let (first, rest) = FORGED.split_at(1);
    [first, headers, rest].concat()
}

async fn a_forged_route_header_never_reaches_the_mesh(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged")?.open(lab).await?;
    for headers in [vec![], vec![("x-bundle-version", "2.0.0")]] {
        let received = gateway.received(&with_forged(&headers)).await?;
        assert_eq!(received.release(), "2.0.0");
        assert_eq!(received.lines("x-release"), ["v2-0-0"]);
    }
    Ok(())
}

async fn a_forged_route_header_is_removed_where_no_release_is_chosen(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged-unassigned")?
        .configured(&shop(json!({ "current": null })))?
        .open(lab)
        .await?;
    let received = gateway.received(&with_forged(&[])).await?;
    assert_eq!(received.lines("x-release"), [""; 0]);
    Ok(())
}

async fn a_forged_route_header_is_removed_where_the_filter_only_observes(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged-observed")?
        .configured(&shop(json!({ "enforce": false })))?
        .open(lab)
        .await?;
    let received = gateway
        .received(&with_forged(&[("x-bundle-version", "1.4.2")]))
        .await?;
    assert_eq!(received.lines("x-release"), [""; 0]);
    Ok(())
}

async fn a_forged_header_of_another_name_is_removed_where_that_is_the_route_header(
    lab: &Lab,
) -> Result<()> {
    let gateway = Spec::of(lab, "forged-other")?
        .configured(&shop(json!({ "routeHeader": "X-Shop-Release" })))?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let received = gateway
        .received(&[("x-shop-release", "v1-4-2"), ("x-release", "mine")])
        .await?;
    assert_eq!(received.lines("x-shop-release"), ["v2-0-0"]);
    assert_eq!(received.lines("x-release"), ["mine"]);
    Ok(())
}

async fn a_route_header_outside_the_scope_is_somebody_elses(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged-elsewhere")?
        .configured(&shop(json!({ "hosts": ["shop.example.com"] })))?
        .one_route_to("shop")
        .open(lab)
        .await?;
    let received = gateway
        .received(&with_forged(&[("host", "wiki.example.com")]))
        .await?;
    assert_eq!(received.lines("x-release"), ["v1-4-2", "v2-1-0", ""]);
    Ok(())
}

async fn a_forged_route_header_in_http_2_never_reaches_the_mesh(lab: &Lab) -> Result<()> {
    let gateway = Spec::of(lab, "forged-http-2")?.open(lab).await?;
    let answer = http::client_http2()?
        .get(format!("http://{}/api/request", gateway.address()))
        .header("x-release", "v1-4-2")
        .header("x-release", "v2-1-0")
        .header("x-bundle-version", "2.0.0")
        .send()
        .await?;
    let received = Received::read(&answer.bytes().await?)?;
    assert_eq!(received.release(), "2.0.0");
    assert_eq!(received.lines("x-release"), ["v2-0-0"]);
    Ok(())
}
