//! Behaviours as separate tests that share a laboratory.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::lab::{Lab, Pods};
use crate::specified::{self, Protocol};

/// A behaviour: its name, and how to check it.
pub type Behaviour = (&'static str, See);

type See = for<'l> fn(&'l Lab) -> Pin<Box<dyn Future<Output = Result<()>> + 'l>>;

/// Lists functions as behaviours, each under its own name and its module's.
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        &[$((
            concat!(module_path!(), "::", stringify!($name)),
            |lab| Box::pin($name(lab)),
        )),*]
    };
}
pub(crate) use behaviours;

/// The laboratory of one version of Envoy; the first behaviour starts it, the last one ends it.
pub struct SharedLab {
    version: &'static str,
    runtime: Arc<Runtime>,
    pods: Arc<Pods>,
    lab: OnceCell<Lab>,
}

impl SharedLab {
    /// Starts nothing yet.
    pub fn of(version: &'static str, runtime: Arc<Runtime>, pods: Arc<Pods>) -> Arc<Self> {
        Arc::new(Self {
            version,
            runtime,
            pods,
            lab: OnceCell::new(),
        })
    }

    /// The behaviour as a test.
    pub fn trial(self: &Arc<Self>, (name, see): Behaviour) -> Trial {
        self.named(name, async move |lab| see(lab).await)
    }

    /// A behaviour of the specification as a test.
    pub fn specified(
        self: &Arc<Self>,
        behaviour: skew_guard_behaviour::Behaviour,
        protocol: Protocol,
    ) -> Trial {
        let name = match protocol {
            Protocol::Http1 => behaviour.name.to_owned(),
            Protocol::Http2 => behaviour.name.replace("::specification::", "::http_2::"),
        };
        self.named(&name, async move |lab| {
            specified::see(lab, &behaviour, protocol).await
        })
    }

    fn named(
        self: &Arc<Self>,
        name: &str,
        see: impl AsyncFnOnce(&Lab) -> Result<()> + Send + 'static,
    ) -> Trial {
        let shared = Arc::clone(self);
        let name = name.split_once("::").map_or(name, |(_, name)| name);
        Trial::test(name, move || shared.run(see)).with_kind(format!("Envoy {}", self.version))
    }

    fn run(&self, see: impl AsyncFnOnce(&Lab) -> Result<()>) -> Result<(), Failed> {
        let outcome = self.runtime.block_on(async {
            let lab = self
                .lab
                .get_or_try_init(|| Lab::start(self.version, Arc::clone(&self.pods)))
                .await?;
            let seen = see(lab).await;
            seen.with_context(|| format!("the shared Envoy printed:\n{}", lab.envoy().log_tail()))
        });
        outcome.map_err(|problem| Failed::from(format!("{problem:#}")))
    }
}
