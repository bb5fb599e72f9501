//! Labels without any set-up in Envoy: `envoy/observability/relabel.yaml`, in real Prometheus.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use skew_guard_lab::bootstrap::{Bootstrap, Plugin, listener};
use skew_guard_lab::envoy::{self, Envoy};
use skew_guard_lab::prometheus::{Prometheus, Sample};
use skew_guard_lab::{http, module, tool, wait};

const RULES: &str = include_str!("../../envoy/observability/relabel.yaml");

/// A plugin name as in Istio, and a route with as many hyphens as the rules can handle.
const PLUGIN: &str = "shop.skew-guard";
const LONG_ROUTE: &str = "f-e-a-t-u-r-e-1-4-2-a-l-p-h-a-9";

/// A gateway with a count in every metric, with or without the tags.
struct Gateway(Envoy);

impl Gateway {
    async fn start(is_tagged: bool) -> Result<Self> {
        let configuration = json!({
            "releases": [
                { "version": "2.0.0", "route": "v2-0-0" },
                { "version": "1.4.2", "route": LONG_ROUTE, "state": "draining" },
                { "version": "1.3.0", "state": "retired" },
            ],
            "current": "2.0.0",
            "revision": 7,
        });
        let filter = Plugin::of(&module::path()?)
            .named(PLUGIN)
            .configured(&configuration)
            .filter();
        let routes = [
            json!({
                "match": { "prefix": "/", "headers": [
                    { "name": "x-release", "string_match": { "exact": "v2-0-0" } },
                ] },
                "direct_response": { "status": 200 },
            }),
            json!({
                "name": "skew-guard-absent",
                "match": { "prefix": "/" },
                "route": { "cluster": "skew-guard-absent" },
            }),
        ];
        let bootstrap = Bootstrap::of(vec![listener("gateway", &[filter], &routes)], Vec::new());
        let bootstrap = if is_tagged {
            bootstrap
        } else {
            bootstrap.without_tags()
        };
        let envoy = Envoy::start(&envoy::installed()?, bootstrap.value()).await?;
        let address = envoy.listener("gateway").await?;
        for version in ["2.0.0", "1.4.2", "1.3.0", "6.6.6", "undefined"] {
            http::get(
                address,
                "/api/cart",
                &[("x-bundle-version", version.as_bytes())],
            )
            .await?;
        }
        Ok(Self(envoy))
    }

    fn metrics(&self) -> String {
        format!("http://{}/stats/prometheus", self.0.admin())
    }

    /// A scrape job for the gateway, with these additional fields.
    fn job(&self, name: &str, more: Value) -> Value {
        let mut job = json!({
            "job_name": name,
            "metrics_path": "/stats/prometheus",
            "static_configs": [{ "targets": [self.0.admin()] }],
        });
        if let (Some(fields), Value::Object(more)) = (job.as_object_mut(), more) {
            fields.extend(more);
        }
        job
    }
}

async fn scraping(jobs: &[Value]) -> Result<Prometheus> {
    let prometheus = Prometheus::start(&json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": jobs,
    }))
    .await?;
    wait::until("every gateway to be scraped", async || {
        Ok(prometheus.query("up == 1").await?.len() == jobs.len())
    })
    .await?;
    Ok(prometheus)
}

/// The filter's series of a job, by everything that distinguishes them except where they were scraped.
async fn series(prometheus: &Prometheus, job: &str) -> Result<BTreeSet<String>> {
    let query = format!(r#"{{__name__=~"(plugin___.*)?skew_guard_.*", job="{job}"}}"#);
    let samples = prometheus.query(&query).await?;
    Ok(samples.into_iter().map(told_apart).collect())
}

fn told_apart(mut sample: Sample) -> String {
    sample.labels.remove("job");
    sample.labels.remove("instance");
    format!("{:?} {}", sample.labels, sample.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_make_the_labels_that_envoy_would_make() -> Result<()> {
    let (tagged, plain) = tokio::try_join!(Gateway::start(true), Gateway::start(false))?;
    let rules: Value = serde_saphyr::from_str(RULES)?;
    let jobs = [
        tagged.job("tagged", json!({})),
        tagged.job("tagged-and-relabelled", rules.clone()),
        plain.job("relabelled", rules),
        plain.job("raw", json!({})),
    ];
    let prometheus = scraping(&jobs).await?;

    let expected = series(&prometheus, "tagged").await?;
    assert_eq!(expected.len(), 13, "{expected:#?}");
    assert_eq!(
        series(&prometheus, "tagged-and-relabelled").await?,
        expected,
        "the rules leave labels as they are"
    );
    let plugin = PLUGIN.replace(['.', '-'], "_");
    let with_plain_name = expected.iter().map(|one| one.replace(PLUGIN, &plugin));
    assert_eq!(
        series(&prometheus, "relabelled").await?,
        with_plain_name.collect()
    );
    let raw = series(&prometheus, "raw").await?;
    assert!(
        raw.iter()
            .all(|one| one.contains("plugin___shop_skew_guard___")),
        "{raw:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_leave_every_other_series_as_it_is() -> Result<()> {
    let plain = Gateway::start(false).await?;
    let rules: Value = serde_saphyr::from_str(RULES)?;
    let jobs = [plain.job("relabelled", rules), plain.job("raw", json!({}))];
    let prometheus = scraping(&jobs).await?;
    let others = async |job: &str| {
        let query = format!(
            r#"count by (__name__) ({{__name__=~"envoy_.*", __name__!~".*skew_guard.*", job="{job}"}})"#
        );
        let samples = prometheus.query(&query).await?;
        anyhow::Ok(samples.into_iter().map(told_apart).collect::<BTreeSet<_>>())
    };
    let raw = others("raw").await?;
    assert!(raw.len() > 100, "{}", raw.len());
    assert_eq!(others("relabelled").await?, raw);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_reads_both_forms() -> Result<()> {
    let (tagged, plain) = tokio::try_join!(Gateway::start(true), Gateway::start(false))?;
    let tool = tool::path()?;
    let urls = [tagged.metrics(), plain.metrics()];
    for plugin in ["shop.skew-guard", "shop_skew_guard"] {
        let urls = if plugin == PLUGIN {
            &urls[..]
        } else {
            &urls[1..]
        };
        let run = Command::new(&tool)
            .args([
                "wait",
                "--revision",
                "7",
                "--timeout",
                "20s",
                "--plugin",
                plugin,
            ])
            .args(urls)
            .output()
            .context("skew-guard wait")?;
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stdout)
        );
    }
    Ok(())
}
