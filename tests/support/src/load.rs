//! Load as browsers make it: a crowd of tabs, each with a page of one version and its own connection.
//!
//! The load is honest. A tab's version is that of the page it was given, its calls use the field names that the script
//! it loaded uses, and each answer is judged as that page would judge it ([`Verdict`]): by whether it can use it.

mod tab;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::wait;
use tab::{Lifetime, Tab};
pub use tally::{Tally, Verdict};

/// Visitors of an application, and where they visit it.
#[derive(Debug, Clone)]
pub struct LoadGenerator {
    gateways: Vec<SocketAddr>,
    host: String,
    visitors: usize,
    long_lived: usize,
}

impl LoadGenerator {
    /// Nobody yet, at that gateway, with the gateway's address as the host.
    pub fn at(gateway: SocketAddr) -> Self {
        Self {
            gateways: vec![gateway],
            host: gateway.to_string(),
            visitors: 0,
            long_lived: 0,
        }
    }

    /// At that gateway too: a load balancer gives each request of a tab to the next one.
    #[must_use]
    pub fn and_at(mut self, gateway: SocketAddr) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// For the application of that host name.
    #[must_use]
    pub fn of_host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// With this many tabs that load a page, use it for a while, and load it again.
    #[must_use]
    pub fn visitors(mut self, tabs: usize) -> Self {
        self.visitors = tabs;
        self
    }

    /// With this many tabs that keep their first page until they are told to reload.
    #[must_use]
    pub fn long_lived(mut self, tabs: usize) -> Self {
        self.long_lived = tabs;
        self
    }

    /// Opens all tabs; they continue until [`Load::stop`].
    pub fn start(self) -> Result<Load> {
        let state = Arc::new(LoadState::default());
        let mut tabs = JoinSet::new();
        let lifetimes = [
            (Lifetime::Visit, self.visitors),
            (Lifetime::Stay, self.long_lived),
        ];
        for lifetime in lifetimes
            .into_iter()
            .flat_map(|(lifetime, count)| std::iter::repeat_n(lifetime, count))
        {
            let tab = Tab::new(&self.gateways, &self.host, lifetime)?;
            tabs.spawn(tab.browse(state.clone()));
        }
        Ok(Load {
            state,
            tabs,
            started: Instant::now(),
        })
    }
}

/// A load under way; dropping it closes all tabs.
#[derive(Debug)]
pub struct Load {
    state: Arc<LoadState>,
    tabs: JoinSet<()>,
    started: Instant,
}

impl Load {
    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        let mut tally = self.state.tally().clone();
        tally.elapsed = self.started.elapsed();
        tally
    }

    /// Forgets what was counted so far, as when a phase ends.
    pub fn reset(&mut self) {
        *self.state.tally() = Tally::default();
        self.started = Instant::now();
    }

    /// How many tabs show a page of each version now.
    pub fn pages(&self) -> BTreeMap<String, usize> {
        self.state.pages().clone()
    }

    /// Waits until this many more requests were answered, as long as answers keep coming.
    pub async fn answers(&self, count: u64) -> Result<()> {
        let mut answered = self.state.tally().requests;
        let goal = answered + count;
        while answered < goal {
            wait::until("the next answer", async || {
                Ok(self.state.tally().requests > answered)
            })
            .await?;
            answered = self.state.tally().requests;
        }
        Ok(())
    }

    /// From now on every tab with a page of that version reloads, even if it gets that version again.
    pub fn reload_pages_of(&self, version: &str) {
        lock(&self.state.outdated).insert(version.into());
    }

    /// Waits until a tab shows a page of that version.
    pub async fn until_page_of(&self, version: &str) -> Result<()> {
        let what = format!("the first tab of {version}");
        wait::until(&what, async || Ok(self.state.pages().contains_key(version))).await
    }

    /// Waits until no tab shows a page of that version any more.
    pub async fn until_no_page_of(&self, version: &str) -> Result<()> {
        let what = format!("the last tab of {version} to reload");
        wait::until(&what, async || {
            Ok(!self.state.pages().contains_key(version))
        })
        .await
    }

    /// Lets every tab finish its request, closes it, and returns what was counted.
    pub async fn stop(mut self) -> Tally {
        self.state.closing.store(true, Ordering::Relaxed);
        while self.tabs.join_next().await.is_some() {}
        self.tally()
    }
}

/// What the tabs of one load share.
#[derive(Debug, Default)]
struct LoadState {
    closing: AtomicBool,
    tally: Mutex<Tally>,
    pages: Mutex<BTreeMap<String, usize>>,
    outdated: Mutex<BTreeSet<String>>,
}

impl LoadState {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn must_reload(&self, version: &str) -> bool {
        lock(&self.outdated).contains(version)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    fn pages(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        lock(&self.pages)
    }

    fn page_opened(&self, version: &str) {
        *self.pages().entry(version.into()).or_default() += 1;
    }

    fn page_closed(&self, version: &str) {
        let mut pages = self.pages();
        if let Some(open) = pages.get_mut(version) {
            *open -= 1;
            if *open == 0 {
                pages.remove(version);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
