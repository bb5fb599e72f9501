//! Where the gateways are, and how each is asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::cluster::{
    Access, Connections, Gateway, Gateways, Installation, Kubectl, Problem, connections,
};
use crate::metrics::FILTER;

/// A gateway that is waited for.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it is told to people.
    pub name: String,
    pub is_skipped: bool,
    /// It is ending by itself, so it is dropped once it cannot be asked.
    pub is_leaving: bool,
    at: Address,
}

#[derive(Clone, Debug)]
enum Address {
    Url(String),
    Pod(Gateway, Arc<Connections>),
}

impl Target {
    /// Its metrics.
    pub fn metrics(&self, limit: Duration) -> Result<String, String> {
        match &self.at {
            Address::Url(url) => connections::read(url, limit),
            Address::Pod(gateway, connections) => connections.metrics(gateway, FILTER, limit),
        }
    }
}

/// Gateways.
#[derive(Debug)]
pub enum Source<'a> {
    /// By the URLs of their metrics.
    Urls(&'a [String]),
    /// The Pods of a plugin.
    Cluster {
        kubectl: &'a Kubectl,
        installation: &'a Installation,
        gateways: &'a Gateways,
        connections: Arc<Connections>,
    },
}

impl<'a> Source<'a> {
    /// The URLs that were given, and no option that is for a cluster.
    pub fn urls(urls: &'a [String], access: &Access, gateways: &Gateways) -> Result<Self> {
        if let Some(option) = access.given().or(gateways.given()) {
            bail!(
                "{option} is for the gateways of a cluster, with --helm-release; URLs are asked as they are"
            );
        }
        for url in urls {
            ensure!(
                url.starts_with("http://"),
                "{url} is not an http:// URL: the metrics of gateways are read over plain HTTP"
            );
        }
        Ok(Self::Urls(urls))
    }

    pub fn cluster(
        kubectl: &'a Kubectl,
        installation: &'a Installation,
        gateways: &'a Gateways,
    ) -> Self {
        Self::Cluster {
            kubectl,
            installation,
            gateways,
            connections: Arc::new(Connections::through(kubectl.clone())),
        }
    }

    /// The gateways of now.
    pub fn list(&self) -> Result<Vec<Target>, Problem> {
        let (kubectl, installation, choice, connections) = match self {
            Self::Urls(urls) => return Ok(urls.iter().map(|url| at_url(url)).collect()),
            Self::Cluster {
                kubectl,
                installation,
                gateways,
                connections,
            } => (kubectl, installation, gateways, connections),
        };
        let gateways = choice.list(kubectl, installation)?;
        connections.keep(&gateways);
        let target = |gateway: Gateway| Target {
            name: gateway.to_string(),
            is_skipped: choice.skips(&gateway),
            is_leaving: gateway.is_leaving,
            at: Address::Pod(gateway, Arc::clone(connections)),
        };
        Ok(gateways.into_iter().map(target).collect())
    }

    /// What would be a gateway, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Urls(_) => "no URL was given".to_owned(),
            Self::Cluster {
                installation,
                gateways,
                ..
            } => format!("there are no {}", gateways.in_words(installation)),
        }
    }
}

fn at_url(url: &str) -> Target {
    Target {
        name: url.to_owned(),
        is_skipped: false,
        is_leaving: false,
        at: Address::Url(url.to_owned()),
    }
}
