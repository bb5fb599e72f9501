//! What the page shows, as reported by Envoy and by the pods themselves.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::future::join_all;
use serde::Serialize;

use super::controller::{Controller, Status};
use super::desired_state::{Phase, Refusals, STAGED};
use crate::site::{NEW, OLD};

/// All of it.
#[derive(Debug, Serialize)]
pub struct Snapshot {
    round: u64,
    phase: Phase,
    settled: bool,
    guard: bool,
    share: u8,
    releases: Releases,
    pods: Vec<PodSnapshot>,
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

/// A pod that Envoy sends requests to, with its own description if it answers.
#[derive(Debug, Default, Serialize)]
struct PodSnapshot {
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

impl Controller {
    /// Collects everything now.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let Status {
            desired,
            settled,
            pods,
        } = self.status();
        let (_, revision) = self.gateway.configuration().await;
        Ok(Snapshot {
            round: desired.round,
            phase: desired.phase,
            settled,
            guard: desired.guard,
            share: desired.share,
            releases: Releases {
                old: OLD,
                new: NEW,
                staged: STAGED,
            },
            pods: self.see(&pods).await?,
            counters: self.counters().await?,
            revision,
            refusals: desired.refusals(settled),
            preview: desired.key.link(),
        })
    }

    async fn see(&self, pods: &[SocketAddr]) -> Result<Vec<PodSnapshot>> {
        let endpoints = self.gateway.endpoints().await?;
        let requests = self.gateway.envoy().requests_by_endpoint().await?;
        let look = async |pod: &SocketAddr| {
            if !endpoints.contains(pod) {
                return PodSnapshot::default();
            }
            PodSnapshot {
                requests: requests.get(pod).copied().unwrap_or_default(),
                // A pod that just died does not answer, and the page shows that.
                ..self.ask(*pod).await.unwrap_or_default()
            }
        };
        Ok(join_all(pods.iter().map(look)).await)
    }

    async fn ask(&self, pod: SocketAddr) -> Result<PodSnapshot> {
        let answer = self
            .client
            .get(format!("http://{pod}/healthz"))
            .send()
            .await?;
        let header = |name| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        Ok(PodSnapshot {
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
    /// Labels come before the name: `wasmcustom.release=.=v1-4-2;.;outcome=.=pinned;.;skew_guard_requests_total`.
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
            "wasmcustom.release=.=v1-4-2;.;answer=.=skewed;.;skew_guard_answers_total",
            7,
        );
        let labels = [("release", "v1-4-2"), ("answer", "skewed")];
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
