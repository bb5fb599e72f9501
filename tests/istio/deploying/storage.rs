//! What Helm keeps when it is killed in the middle of an upgrade.

use std::io::{Read, Write};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::pipeline::Pipeline;

/// Writes the revision down as Helm does before it applies anything.
pub async fn make_pending(pipeline: &Pipeline<'_>, revision: u64) -> Result<()> {
    let name = format!(
        "sh.helm.release.v1.{}.v{revision}",
        pipeline.testbed.chart.name()
    );
    let arguments = ["get", "secret", &name, "--output", "json"];
    let mut secret: Value =
        serde_json::from_str(&pipeline.testbed.shop.kubectl(&arguments).await?)?;
    let kept = secret["data"]["release"].as_str().context("a release")?;
    let kept = STANDARD.decode(STANDARD.decode(kept)?)?;
    let mut json = Vec::new();
    GzDecoder::new(kept.as_slice()).read_to_end(&mut json)?;
    let mut release: Value = serde_json::from_slice(&json)?;
    release["info"]["status"] = json!("pending-upgrade");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(release.to_string().as_bytes())?;
    secret["data"]["release"] = json!(STANDARD.encode(STANDARD.encode(encoder.finish()?)));
    secret["metadata"]["labels"]["status"] = json!("pending-upgrade");
    let mut file = NamedTempFile::with_suffix(".json")?;
    file.write_all(secret.to_string().as_bytes())?;
    let path = file.path().to_str().context("a path")?;
    pipeline
        .testbed
        .shop
        .kubectl(&["replace", "--filename", path])
        .await?;
    Ok(())
}
