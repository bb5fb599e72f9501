//! An image registry on loopback, and how to push a module to it as a user would.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use xtask::image::{self, Digest};
use xtask::push::{self, Place};

use crate::process::Process;
use crate::{cargo, http};

/// A running registry, without TLS.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    _process: Process,
}

impl Registry {
    /// Starts Debian's `docker-registry`, which keeps its images in that directory.
    pub async fn start(address: SocketAddr, directory: &Path) -> Result<Self> {
        let config = directory.join("registry.json");
        let settings = json!({
            "version": 0.1,
            "log": { "level": "warn" },
            "storage": { "filesystem": { "rootdirectory": directory.join("registry") } },
            "http": { "addr": address.to_string() },
        });
        // JSON is YAML too.
        fs::write(&config, serde_json::to_vec_pretty(&settings)?)?;
        let program = cargo::target().join("istio-lab/debian/usr/bin/docker-registry");
        let mut registry = Command::new(program);
        registry.arg("serve").arg(&config);
        let mut process = Process::start("docker-registry", registry)?;
        let http = http::client()?;
        process
            .serving(async || {
                let answer = http.get(format!("http://{address}/v2/")).send().await?;
                Ok(answer.status().is_success())
            })
            .await?;
        Ok(Self {
            address,
            _process: process,
        })
    }

    /// Its address, as the first part of an image's name.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes a module as `repository:tag`, in the image that a user would make of it.
    pub fn push(&self, module: &[u8], repository: &str, tag: &str) -> Result<Image> {
        let layout = TempDir::with_prefix("skew-guard-image-")?;
        image::write(layout.path(), module, &BTreeMap::new())?;
        let place = format!("{}/{repository}:{tag}", self.address).parse()?;
        let digest = push::push(layout.path(), &place)?;
        Ok(Image { place, digest })
    }
}

/// An image in the registry.
#[derive(Debug, Clone)]
pub struct Image {
    place: Place,
    /// The digest of its manifest.
    pub digest: Digest,
}

impl Image {
    /// The plugin's URL by tag.
    pub fn url_by_tag(&self) -> String {
        self.place.url()
    }

    /// The plugin's URL by digest.
    pub fn url_by_digest(&self) -> String {
        self.place.url_by_digest(&self.digest)
    }

    /// The plugin's URL as `make push` prints it: by tag and digest.
    pub fn url(&self) -> String {
        self.place.url_of(&self.digest)
    }
}
