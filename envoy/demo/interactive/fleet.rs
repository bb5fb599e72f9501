//! The shop's pods, each a separate process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use skew_guard_lab::pods::Pod;

use super::desired_state::{DesiredState, PODS, STAGED};
use super::gateway::Gateway;
use crate::site::pod_name;

/// How long a replaced pod keeps answering, for requests that are still under way.
const GRACE: Duration = Duration::from_secs(1);

/// Eight pods of the two releases, and one of the staged release.
pub struct Fleet {
    pages: PathBuf,
    pods: Vec<Pod>,
    staged: Pod,
}

impl Fleet {
    /// Starts all of them and makes the gateway send requests there.
    pub async fn start(desired: &DesiredState, pages: &Path, gateway: &Gateway) -> Result<Self> {
        let mut pods = Vec::new();
        for place in 0..PODS {
            pods.push(start(pages, desired.release_of(place), place).await?);
        }
        let staged = start(pages, STAGED, 0).await?;
        let fleet = Self {
            pages: pages.to_path_buf(),
            pods,
            staged,
        };
        fleet.publish(gateway).await?;
        Ok(fleet)
    }

    /// Where the eight listen, in order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.pods.iter().map(Pod::address).collect()
    }

    /// Whether each pod is of the desired release.
    pub fn is_as_wanted(&self, desired: &DesiredState) -> bool {
        let mut pods = self.pods.iter().enumerate();
        pods.all(|(place, pod)| pod.version() == desired.release_of(place))
    }

    /// Replaces dead pods, and the first with a release other than the desired one. Returns whether it did.
    pub async fn step(&mut self, desired: &DesiredState, gateway: &Gateway) -> Result<bool> {
        let mut moved = self.revive_staged().await?;
        let mut may_flip = true;
        for (place, pod) in self.pods.iter_mut().enumerate() {
            let died = pod.check_running().is_err();
            let flips = may_flip && pod.version() != desired.release_of(place);
            if died || flips {
                may_flip &= !flips;
                let next = start(&self.pages, desired.release_of(place), place).await?;
                leave(std::mem::replace(pod, next));
                moved = true;
            }
        }
        if moved {
            self.publish(gateway).await?;
        }
        Ok(moved)
    }

    async fn revive_staged(&mut self) -> Result<bool> {
        let died = self.staged.check_running().is_err();
        if died {
            self.staged = start(&self.pages, STAGED, 0).await?;
        }
        Ok(died)
    }

    async fn publish(&self, gateway: &Gateway) -> Result<()> {
        let pods = self.pods.iter().chain([&self.staged]);
        let pods: Vec<_> = pods.map(|pod| (pod.version(), pod.address())).collect();
        gateway.send_to(&pods).await
    }
}

async fn start(pages: &Path, version: &str, place: usize) -> Result<Pod> {
    Pod::start_with_pages(version, &pod_name(version, place + 1), pages).await
}

/// As Kubernetes does it: no new requests, time to finish, SIGTERM.
fn leave(pod: Pod) {
    tokio::spawn(async move {
        tokio::time::sleep(GRACE).await;
        // A pod that is already dead, or too slow to end, is gone all the same.
        let _ = pod.stop().await;
    });
}
