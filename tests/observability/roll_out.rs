//! A rolling update behind real gateways that a real Prometheus scrapes: what rules and dashboard show of it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use serde_json::json;
use skew_guard_lab::load::LoadGenerator;
use skew_guard_lab::pods::{Role, start_release};
use skew_guard_lab::prometheus::Prometheus;
use skew_guard_lab::{http, wait};
use skew_guard_traffic::browsers::Load;
use tempfile::TempDir;

use crate::dashboard::Dashboard;
use crate::picture;
use crate::site::{Gateway, NEW, OLD, step};

const RULES: &str = include_str!("../../envoy/observability/rules.yaml");

/// The shipped rules look back for minutes, and wait for minutes. These are the same rules with seconds instead.
const SHORTER: [(&str, &str); 10] = [
    ("[5m]", "[10s]"),
    ("offset 5m", "offset 10s"),
    ("[10m]", "[20s]"),
    ("offset 10m", "offset 20s"),
    ("[30m]", "[20s]"),
    ("offset 30m", "offset 20s"),
    ("for: 1h", "for: 2s"),
    ("for: 10m", "for: 2s"),
    ("for: 5m", "for: 2s"),
    ("for: 2m", "for: 2s"),
];

/// Prometheus, and when it began.
struct Watch {
    prometheus: Prometheus,
    began: f64,
    _rules: TempDir,
}

impl Watch {
    async fn over(gateways: &[&Gateway]) -> Result<Self> {
        let directory = TempDir::with_prefix("skew-guard-rules-")?;
        let rules = directory.path().join("rules.yaml");
        let shorter = SHORTER
            .iter()
            .fold(RULES.to_owned(), |rules, (long, short)| {
                rules.replace(long, short)
            });
        fs::write(&rules, shorter)?;
        let targets: Vec<_> = gateways
            .iter()
            .map(|gateway| gateway.admin().to_string())
            .collect();
        let prometheus = Prometheus::start(&json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "skew-guard",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{ "targets": targets }],
            }],
        }))
        .await?;
        let began = now()?;
        Ok(Self {
            prometheus,
            began,
            _rules: directory,
        })
    }

    /// Waits until a query returns something.
    async fn until(&self, expression: &str) -> Result<()> {
        wait::until(expression, async || {
            Ok(!self.prometheus.query(expression).await?.is_empty())
        })
        .await
    }

    async fn until_fires(&self, alert: &str) -> Result<()> {
        self.until(&format!(
            "ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}"
        ))
        .await
    }

    async fn until_rests(&self, alert: &str) -> Result<()> {
        self.until(&format!("absent(ALERTS{{alertname=\"{alert}\"}})"))
            .await
    }

    async fn says_nothing_of(&self, expression: &str) -> Result<()> {
        let samples = self.prometheus.query(expression).await?;
        assert!(samples.is_empty(), "{expression}: {samples:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_dashboard_say_how_a_rolling_update_goes() -> Result<()> {
    let first = step(1, &[(OLD, "live"), ("1.3.0", "retired")], OLD);
    let listed = step(
        2,
        &[(NEW, "live"), (OLD, "live"), ("1.3.0", "retired")],
        OLD,
    );
    let draining = step(
        3,
        &[(NEW, "live"), (OLD, "draining"), ("1.3.0", "retired")],
        NEW,
    );
    let retired = step(
        4,
        &[(NEW, "live"), (OLD, "retired"), ("1.3.0", "retired")],
        NEW,
    );

    let old = start_release(Role::All, OLD, 2).await?;
    let mut gateways = [Gateway::start(&first).await?, Gateway::start(&first).await?];
    for gateway in &gateways {
        gateway.publish(&old, &[]).await?;
    }
    let watch = Watch::over(&[&gateways[0], &gateways[1]]).await?;
    let addresses = [gateways[0].address().await?, gateways[1].address().await?];
    let load = LoadGenerator::at(addresses[0])
        .and_at(addresses[1])
        .visitors(4)
        .long_lived(4)
        .start()?;
    watch
        .until("plugin:skew_guard_skew_free:ratio_rate5m == 1")
        .await?;

    // One gateway learns of the new release before the other.
    let new = start_release(Role::All, NEW, 2).await?;
    for gateway in &gateways {
        gateway.publish(&old, &new).await?;
    }
    gateways[0].configure(&listed)?;
    watch.until_fires("SkewGuardGatewaysDisagree").await?;
    gateways[1].configure(&listed)?;
    watch.until_rests("SkewGuardGatewaysDisagree").await?;

    // A typo changes nothing but the gauge.
    gateways[1].configure(&json!({ "releases": [{ "version": 2.0 }] }))?;
    watch.until_fires("SkewGuardConfigurationRefused").await?;
    gateways[1].configure(&listed)?;
    watch.until_rests("SkewGuardConfigurationRefused").await?;

    // The new release becomes current. Tabs of the old one stay, one of them with a chat.
    let url = format!("ws://{}/api/chat?dpl={OLD}", addresses[1]);
    let (mut chat, _) = tokio_tungstenite::connect_async(url).await?;
    chat.next().await.context("the pod said nothing")??;
    for gateway in &mut gateways {
        gateway.configure(&draining)?;
        gateway.until_in_force(3).await?;
    }
    let of_old = "{release=\"v1-4-2\"}";
    watch.until(&format!("release:draining{of_old}")).await?;
    watch.until(&format!("release:used{of_old}")).await?;
    watch.says_nothing_of("release:idle").await?;
    stray_requests(&watch, addresses[0]).await?;

    // They reload; the chat alone keeps the release.
    load.reload_pages_of(OLD);
    load.until_no_page_of(OLD).await?;
    let quiet = "sum(increase(skew_guard_requests_total{release=\"v1-4-2\", outcome=\"pinned\"}[20s])) == 0";
    watch.until(quiet).await?;
    watch.says_nothing_of("release:idle").await?;
    assert_eq!(
        watch
            .prometheus
            .query(&format!("sum(skew_guard_open_streams{of_old})"))
            .await?[0]
            .value,
        1.0
    );
    chat.close(None).await?;
    drop(chat);
    let closed = now()?;
    watch.until_fires("SkewGuardReleaseIdle").await?;
    let idle = watch.prometheus.query("release:idle_since").await?;
    assert_eq!(idle.len(), 1, "{idle:?}");
    assert_eq!(idle[0].label("release"), "v1-4-2");
    assert!(
        closed <= idle[0].value && idle[0].value <= now()?,
        "{idle:?}"
    );

    // At this moment everything has something to show.
    let time = (watch.began, now()?);
    let dashboard = Dashboard::read()?;
    let answers = dashboard.ask(&watch.prometheus, time).await?;
    for (panel, answers) in dashboard.panels.iter().zip(&answers) {
        for (target, series) in panel.targets.iter().zip(answers) {
            let is_there = series.iter().any(|series| !series.values.is_empty());
            assert!(
                is_there,
                "{}, query {}: no data",
                panel.title, target.ref_id
            );
        }
    }
    picture::write(&dashboard, &answers, time)?;

    // Retired, its pods may go; and nothing was skewed or failed on the way.
    for gateway in &mut gateways {
        gateway.configure(&retired)?;
        gateway.until_in_force(4).await?;
        gateway.publish(&[], &new).await?;
    }
    drop(old);
    watch.until("absent(release:idle)").await?;
    let tally = load.stop().await;
    assert_eq!((tally.skewed, tally.failed), (0, 0), "{tally:?}");
    watch
        .says_nothing_of("ALERTS{alertname=\"SkewGuardSkewedAnswers\"}")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_the_filter_is_reported_as_missing_and_bypassed() -> Result<()> {
    let pods = start_release(Role::All, OLD, 1).await?;
    let with = Gateway::start(&step(1, &[(OLD, "live")], OLD)).await?;
    let without = Gateway::without_filter().await?;
    for gateway in [&with, &without] {
        gateway.publish(&pods, &[]).await?;
    }
    let watch = Watch::over(&[&with, &without]).await?;
    let loads = [
        LoadGenerator::at(with.address().await?)
            .visitors(2)
            .start()?,
        LoadGenerator::at(without.address().await?)
            .visitors(2)
            .start()?,
    ];
    for alert in ["SkewGuardMissing", "SkewGuardBypassed"] {
        watch.until_fires(alert).await?;
        let told = watch
            .prometheus
            .query(&format!("ALERTS{{alertname=\"{alert}\"}}"))
            .await?;
        let told: Vec<_> = told.iter().map(|sample| sample.label("instance")).collect();
        assert_eq!(told, [without.admin().to_string()], "{alert}");
    }
    for load in loads {
        load.stop().await;
    }
    Ok(())
}

/// Requests beside those of pages: a tab whose release is gone, a version that nobody has, a missing file, and calls of
/// a page that do not state its version. More than once, because a new counter has no rate.
async fn stray_requests(watch: &Watch, gateway: std::net::SocketAddr) -> Result<()> {
    let [call, script] = [Load::Fetch, Load::Script].map(|load| {
        let metadata = load.fetch_metadata();
        metadata.map(|(name, value)| (name, value.as_bytes()))
    });
    let seen = "sum(rate(skew_guard_answers_total{answer=\"fallback\"}[10s])) > 0 \
                and on () sum(rate(skew_guard_requests_total{outcome=\"uncovered\"}[10s])) > 0 \
                and on () sum(rate(skew_guard_requests_total{outcome=\"gone\"}[10s])) > 0";
    wait::until(seen, async || {
        http::get(gateway, "/api/cart?dpl=1.3.0", &call).await?;
        http::get(gateway, "/api/cart", &call).await?;
        http::get(gateway, &format!("/assets/v-{NEW}/missing.js"), &script).await?;
        Ok(!watch.prometheus.query(seen).await?.is_empty())
    })
    .await
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}
