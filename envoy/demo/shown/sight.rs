//! What there is to be seen, as the page asks for it: said by Envoy and by the pods themselves.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::future::join_all;
use serde::Serialize;

use super::stage::{Now, Stage};
use super::story::{Phase, Refusals, STAGED};
use crate::site::{NEW, OLD};

/// All of it.
#[derive(Debug, Serialize)]
pub struct Sight {
    round: u64,
    phase: Phase,
    settled: bool,
    guard: bool,
    share: u8,
    releases: Releases,
    pods: Vec<SeenPod>,
    counters: Vec<Counter>,
    revision: u64,
    refusals: Refusals,
    preview: String,
}

#[derive(Debug, Serialize)]
struct Releases {
    old: &'static str,
    new: &'static str,
    staged: &'static str,
}

/// A pod that Envoy sends requests to, by its own words; without them where it does not answer.
#[derive(Debug, Default, Serialize)]
struct SeenPod {
    name: Option<String>,
    release: Option<String>,
    /// How many requests Envoy has sent there.
    requests: u64,
}

/// A counter of the filter's.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    name: String,
    labels: Vec<(String, String)>,
    value: u64,
}

impl Stage {
    /// Looks at everything now.
    pub async fn sight(&self) -> Result<Sight> {
        let Now {
            story,
            settled,
            pods,
        } = self.now();
        let (_, revision) = self.gateway.configuration().await;
        Ok(Sight {
            round: story.round,
            phase: story.phase,
            settled,
            guard: story.guard,
            share: story.share,
            releases: Releases {
                old: OLD,
                new: NEW,
                staged: STAGED,
            },
            pods: self.see(&pods).await?,
            counters: self.counters().await?,
            revision,
            refusals: story.refusals(settled),
            preview: story.key.link(),
        })
    }

    async fn see(&self, pods: &[SocketAddr]) -> Result<Vec<SeenPod>> {
        let endpoints = self.gateway.endpoints().await?;
        let requests = self.gateway.envoy().requests_by_endpoint().await?;
        let look = async |pod: &SocketAddr| {
            if !endpoints.contains(pod) {
                return SeenPod::default();
            }
            SeenPod {
                requests: requests.get(pod).copied().unwrap_or_default(),
                // A pod that just died does not answer, and that is what is shown.
                ..self.ask(*pod).await.unwrap_or_default()
            }
        };
        Ok(join_all(pods.iter().map(look)).await)
    }

    async fn ask(&self, pod: SocketAddr) -> Result<SeenPod> {
        let answer = self
            .client
            .get(format!("http://{pod}/healthz"))
            .send()
            .await?;
        let header = |name| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        Ok(SeenPod {
            name: header("x-pod"),
            release: header("x-app-version"),
            requests: 0,
        })
    }

    async fn counters(&self) -> Result<Vec<Counter>> {
        let stats = self.gateway.envoy().stats("skew_guard_.*_total").await?;
        Ok(stats
            .iter()
            .filter_map(|(name, value)| Counter::read(name, *value))
            .collect())
    }
}

impl Counter {
    /// Labels stand before the name: `wasmcustom.release=.=v1-4-2;.;outcome=.=pinned;.;skew_guard_requests_total`.
    fn read(stat: &str, value: u64) -> Option<Self> {
        let stat = stat.strip_prefix("wasmcustom.")?;
        let (labels, name) = stat.rsplit_once(";.;")?;
        let labels = labels
            .split(";.;")
            .filter_map(|label| label.split_once("=.="));
        Some(Self {
            name: name.to_owned(),
            labels: labels
                .map(|(label, value)| (label.to_owned(), value.to_owned()))
                .collect(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_its_labels_before_its_name() {
        let counter = Counter::read(
            "wasmcustom.release=.=v1-4-2;.;sight=.=skewed;.;skew_guard_answers_total",
            7,
        );
        let labels = [("release", "v1-4-2"), ("sight", "skewed")];
        assert_eq!(
            counter,
            Some(Counter {
                name: "skew_guard_answers_total".into(),
                labels: labels
                    .map(|(label, value)| (label.into(), value.into()))
                    .into(),
                value: 7,
            })
        );
    }
}
