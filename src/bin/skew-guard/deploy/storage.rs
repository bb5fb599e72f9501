//! What Helm stores of a revision: a Secret, which says that an upgrade is in progress long after whoever made it
//! was killed, and lets nobody make another.

use std::io::{Read, Write};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::helm::Helm;
use crate::cluster::Kubectl;

/// The bytes by which Helm tells that a release is compressed.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Writes down that an upgrade which was broken off has failed, as Helm would have done itself.
pub fn mark_failed(kubectl: &Kubectl, helm: &Helm, revision: u64) -> Result<()> {
    let name = format!("sh.helm.release.v1.{}.v{revision}", helm.name());
    let secret: Option<Value> = kubectl.object("secret", helm.namespace(), &name)?;
    let mut secret = secret.with_context(|| {
        format!("{} {revision} is pending and not stored as a Secret, so it cannot be repaired here: helm rollback", helm.title())
    })?;
    let kept = secret.pointer("/data/release").and_then(Value::as_str);
    let kept = failed(kept.context("a Secret of Helm's without a release")?)?;
    if let Some(release) = secret.pointer_mut("/data/release") {
        *release = json!(kept);
    }
    if let Some(status) = secret.pointer_mut("/metadata/labels/status") {
        *status = json!("failed");
    }
    // With the resourceVersion that was read: whoever goes on with the upgrade after all is not overwritten.
    kubectl.run_with(
        ["replace", "--filename=-", "--validate=false"],
        secret.to_string().as_bytes(),
    )?;
    Ok(())
}

/// The same release as Kubernetes and Helm encode it, with another status.
fn failed(kept: &str) -> Result<String> {
    let kept = STANDARD.decode(STANDARD.decode(kept)?)?;
    let mut release: Value = if kept.starts_with(&GZIP) {
        let mut json = Vec::new();
        GzDecoder::new(kept.as_slice()).read_to_end(&mut json)?;
        serde_json::from_slice(&json)?
    } else {
        serde_json::from_slice(&kept)?
    };
    // While it is under way, Helm describes all alike: only this tool's upgrades say which revision they are to make.
    let is_ours = release
        .pointer("/config/expectedRevision")
        .is_some_and(Value::is_u64);
    let info = release.get_mut("info").and_then(Value::as_object_mut);
    let info = info.context("a release of Helm's without a status")?;
    info.insert("status".to_owned(), json!("failed"));
    let description = if is_ours {
        "skew-guard: interrupted, and marked as failed by a later run"
    } else {
        "interrupted, and marked as failed by skew-guard"
    };
    info.insert("description".to_owned(), json!(description));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(release.to_string().as_bytes())?;
    Ok(STANDARD.encode(STANDARD.encode(encoder.finish()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_is_pending_is_kept_as_failed_and_otherwise_as_it_was() -> Result<()> {
        let release =
            json!({"name": "shop", "info": {"status": "pending-upgrade"}, "config": {"a": "1.10"}});
        let plain = STANDARD.encode(STANDARD.encode(release.to_string()));
        // What was compressed by it can be read by it again.
        let written = failed(&failed(&plain)?)?;
        let bytes = STANDARD.decode(STANDARD.decode(written)?)?;
        assert!(bytes.starts_with(&GZIP));
        let mut json = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut json)?;
        let read: Value = serde_json::from_str(&json)?;
        assert_eq!(read["info"]["status"], "failed");
        assert_eq!(read["config"], release["config"]);
        // Whoever has upgraded, it was not this tool: what he did to the list is looked at.
        assert_eq!(
            read["info"]["description"],
            "interrupted, and marked as failed by skew-guard"
        );
        let ours = json!({"info": {}, "config": {"expectedRevision": 3}});
        let written = failed(&STANDARD.encode(STANDARD.encode(ours.to_string())))?;
        let bytes = STANDARD.decode(STANDARD.decode(written)?)?;
        let mut json = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut json)?;
        let read: Value = serde_json::from_str(&json)?;
        assert_eq!(
            read["info"]["description"],
            "skew-guard: interrupted, and marked as failed by a later run"
        );
        Ok(())
    }
}
