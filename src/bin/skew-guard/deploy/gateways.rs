//! The gateways, as a deployment waits for them: again and again for a while, so that whoever loses the Lease
//! in the meantime does not wait to the end.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use super::report::Report;
use crate::cluster::{Gateways, Installation, Kubectl};
use crate::probe::{self, InstalledGateways};
use crate::wait;

/// How long is waited before the Lease is looked at again.
const POLL_DURATION: Duration = Duration::from_secs(15);

/// Time for a second round: a gateway may not know yet of pods that have just become ready.
const PROBE_DURATION: Duration = Duration::from_secs(4);

/// What was seen of the gateways.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub in_force: Vec<String>,
    /// On a person's word.
    pub skipped: Vec<String>,
    told: BTreeSet<String>,
}

impl Watch {
    /// How many gateways were asked, and which were not.
    pub fn in_words(&self) -> String {
        let asked = match self.in_force.as_slice() {
            [only] => format!("gateway {only}"),
            all => format!("{} gateways", all.len()),
        };
        if self.skipped.is_empty() {
            asked
        } else {
            format!(
                "{asked}; NOT ASKED, as you said: {}",
                self.skipped.join(", ")
            )
        }
    }

    /// The gateways that have the newest revision, all of them; or what is lacking.
    pub fn poll(
        &mut self,
        kubectl: &Kubectl,
        namespace: &str,
        helm_release: &str,
        gateways: &Gateways,
        report: &Report,
    ) -> Result<Result<Vec<String>, String>> {
        let mut told = std::mem::take(&mut self.told);
        let seen = wait::in_force(
            kubectl,
            namespace,
            helm_release,
            gateways,
            POLL_DURATION,
            &mut |line| {
                if told.insert(line.clone()) {
                    report.note(line);
                }
            },
        )?;
        self.told = told;
        Ok(match seen {
            wait::Seen::InForce { gateways, skipped } => {
                self.told.clear();
                self.in_force.clone_from(&gateways);
                self.skipped = skipped;
                Ok(gateways)
            }
            wait::Seen::Lacking(why) => Err(why),
        })
    }
}

/// Why the pods of a release do not answer through every gateway, in a first round and another; nothing where they do.
pub fn unanswered(
    kubectl: &Kubectl,
    namespace: &str,
    helm_release: &str,
    gateways: &Gateways,
    version: &str,
) -> Result<Option<String>> {
    let installation = Installation::of(kubectl, namespace, helm_release)?;
    let installed = InstalledGateways {
        kubectl,
        installation: &installation,
        gateways,
    };
    // What it complains of is told below.
    let outcome = probe::until_answered(installed, version, PROBE_DURATION, &mut |_| {})?;
    Ok((!outcome.is_good()).then(|| {
        let complaints: Vec<_> = outcome.complaints().collect();
        complaints.join("; ")
    }))
}
