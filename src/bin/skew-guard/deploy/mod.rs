//! `skew-guard deploy`, `tidy`, and `rollback` of a Helm release: the steps of a release's life, made in the cluster.
//!
//! ```text
//!            list.rs      what the cluster holds        helm.rs, chart.rs, storage.rs
//!               │                                              ▲
//!               ▼                                              │
//! run.rs ── rollout::Deployment: the next safe step ──► an upgrade, by one Lease (lease.rs)
//!                                                  ├──► a wait for gateways (gateways.rs)
//!                                                  └──► manifests, pods, a probe (manifests.rs, service.rs, rolling_update.rs)
//! ```

mod chart;
mod conflict;
mod gateways;
mod helm;
mod lease;
mod list;
mod manifests;
mod module;
mod options;
mod release;
mod report;
mod rollback;
mod rolling_update;
mod run;
mod service;
mod storage;
mod tidy;
mod timeout;
mod workload;

pub use options::Options;
pub use release::Deploy;
pub use rollback::ClusterRollback;
pub use tidy::Tidy;

use anyhow::Result;
use serde_json::json;

use crate::answer::{Answer, Verdict};
use timeout::Stop;

/// If a run ends without an error of the tool, that is an answer.
fn answered(outcome: Result<Answer>) -> Result<Answer> {
    outcome.or_else(|error| match error.downcast_ref::<Stop>() {
        Some(Stop(why)) => Ok(Answer {
            verdict: Verdict::Bad,
            text: why.clone(),
            json: json!({"event": "stopped", "text": why}),
        }),
        None => Err(error),
    })
}

/// The steps that would be made, and what else there is to say.
fn plan(steps: &[String], note: Option<String>) -> Answer {
    let mut lines: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("{}. {step}", index + 1))
        .collect();
    if lines.is_empty() {
        lines.push("nothing is left to do".to_owned());
    }
    lines.extend(note.clone());
    Answer {
        verdict: Verdict::Good,
        text: lines.join("\n"),
        json: json!({"event": "plan", "steps": steps, "note": note}),
    }
}
