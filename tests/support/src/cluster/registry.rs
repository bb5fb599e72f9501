//! An image registry on loopback, and how a module gets into it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tools::Tools;
use crate::http;
use crate::process::Process;

const ADDRESS: &str = "127.0.0.1:5000";

/// The type of manifest, and of layers, that Istio's agent knows as a Wasm module, see `pkg/wasm/imagefetcher.go`
/// in istio.io/istio.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const MODULE_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const MODULE_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// A running registry.
#[derive(Debug)]
pub(super) struct Registry {
    http: reqwest::Client,
    _process: Process,
}

impl Registry {
    pub(super) async fn start(tools: &Tools, directory: &Path) -> Result<Self> {
        let config = directory.join("registry.json");
        let settings = json!({
            "version": 0.1,
            "log": { "level": "warn" },
            "storage": { "filesystem": { "rootdirectory": directory.join("registry") } },
            "http": { "addr": ADDRESS },
        });
        // JSON is YAML too.
        fs::write(&config, serde_json::to_vec_pretty(&settings)?)?;
        let mut registry = Command::new(tools.debian("docker-registry"));
        registry.arg("serve").arg(&config);
        let mut process = Process::start("docker-registry", registry)?;
        let http = http::client()?;
        super::serving(&mut process, async || {
            Ok(http
                .get(format!("http://{ADDRESS}/v2/"))
                .send()
                .await?
                .status()
                .is_success())
        })
        .await?;
        Ok(Self {
            http,
            _process: process,
        })
    }

    /// Publishes the module under `repository:tag`, and returns the URL for the plugin.
    pub(super) async fn push(&self, module: &Path, repository: &str, tag: &str) -> Result<String> {
        let config = self
            .push_blob(repository, MODULE_CONFIG, b"{}".to_vec())
            .await?;
        let content = self
            .push_blob(repository, MODULE_LAYER, fs::read(module)?)
            .await?;
        // The agent looks for the module behind a layer of metadata, as `wasm-to-oci` writes them.
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [content, config],
        });
        let url = format!("http://{ADDRESS}/v2/{repository}/manifests/{tag}");
        let request = self
            .http
            .put(url)
            .header("content-type", MANIFEST)
            .body(serde_json::to_vec(&manifest)?);
        request.send().await?.error_for_status()?;
        Ok(format!("oci://{ADDRESS}/{repository}:{tag}"))
    }

    /// Uploads one blob as the distribution specification says: ask where to, then put it there.
    async fn push_blob(&self, repository: &str, kind: &str, bytes: Vec<u8>) -> Result<Value> {
        let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        let descriptor = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        let uploads = format!("http://{ADDRESS}/v2/{repository}/blobs/uploads/");
        let opened = self.http.post(uploads).send().await?.error_for_status()?;
        let place = opened
            .headers()
            .get("location")
            .map(|place| place.to_str())
            .transpose()?;
        ensure!(
            place.is_some(),
            "the registry does not say where to upload to"
        );
        let separator = if place.unwrap_or_default().contains('?') {
            '&'
        } else {
            '?'
        };
        let place = format!("{}{separator}digest={digest}", place.unwrap_or_default());
        let request = self
            .http
            .put(place)
            .header("content-type", "application/octet-stream")
            .body(bytes);
        request.send().await?.error_for_status()?;
        Ok(descriptor)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
