//! The module as an image that every mesh accepts.
//!
//! Istio's agent and Envoy Gateway look for `plugin.wasm` in the last layer of a plain image (the "compat" variant of
//! the [Wasm image specification](https://github.com/solo-io/wasm/tree/master/spec)). So there is one layer, and one
//! manifest for all platforms: an index of several is refused if a plugin names it by digest. Neither times nor
//! owners are kept, so the same module makes the same image.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::archive::Archive;
use crate::project::Project;

/// The name under which every fetcher looks for the module.
pub const FILE: &str = "plugin.wasm";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A SHA-256 of some content, which is its name in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub fn of(content: &[u8]) -> Self {
        let digits = Sha256::digest(content);
        Self(digits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its 64 digits, without the name of the algorithm.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl Display for Digest {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

/// What an image says about itself, as [annotations of OCI](https://specs.opencontainers.org/image-spec/annotations/).
pub fn annotations(project: &Project) -> BTreeMap<String, String> {
    let said = [
        ("title", Some(project.name.clone())),
        ("description", Some(project.description.clone())),
        ("version", Some(project.version.clone())),
        ("licenses", Some(project.license.clone())),
        ("source", project.repository.clone()),
        ("revision", project.revision()),
    ];
    said.into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
        .collect()
}

/// Writes the image into a folder, as an [OCI layout](https://specs.opencontainers.org/image-spec/image-layout/), in
/// the place of what was there, and returns the digest of its manifest.
pub fn write(
    folder: &Path,
    module: &[u8],
    annotations: &BTreeMap<String, String>,
) -> Result<Digest> {
    let layout = Layout::begin(folder)?;
    let mut files = Archive::new();
    files.add(FILE, 0o644, module)?;
    let files = files.finish()?;
    let layer = layout.add(LAYER, &files.compressed()?)?;
    // Some fetchers choose by platform, and no machine's platform is Wasm: this is what a container build writes.
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Labels": annotations },
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(files.bytes()).to_string()] },
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add(CONFIG, &serde_json::to_vec(&config)?)?,
        "layers": [layer],
        "annotations": annotations,
    });
    let manifest = serde_json::to_vec(&manifest)?;
    layout.finish(&layout.add(MANIFEST, &manifest)?)?;
    Ok(Digest::of(&manifest))
}

/// The digest of the image in a layout.
pub fn digest(folder: &Path) -> Result<Digest> {
    let index = folder.join("index.json");
    let index = fs::read(&index).with_context(|| format!("reading {}", index.display()))?;
    let index: Value = serde_json::from_slice(&index)?;
    let digest = index.pointer("/manifests/0/digest").and_then(Value::as_str);
    let digits = digest.and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(Digest(digits.context("a layout with an image")?.to_owned()))
}

/// An OCI layout that is being written.
struct Layout<'a> {
    folder: &'a Path,
}

impl<'a> Layout<'a> {
    fn begin(folder: &'a Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        fs::create_dir_all(folder.join("blobs/sha256"))?;
        let layout = Self { folder };
        layout.write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
        Ok(layout)
    }

    /// Adds content, and returns what refers to it.
    fn add(&self, kind: &str, content: &[u8]) -> Result<Value> {
        let digest = Digest::of(content);
        fs::write(
            self.folder.join("blobs/sha256").join(digest.digits()),
            content,
        )?;
        Ok(json!({ "mediaType": kind, "digest": digest.to_string(), "size": content.len() }))
    }

    /// A layout always begins with a list; this one contains one manifest, which is what is pushed.
    fn finish(&self, manifest: &Value) -> Result<()> {
        self.write(
            "index.json",
            &json!({ "schemaVersion": 2, "manifests": [manifest] }),
        )
    }

    fn write(&self, name: &str, content: &Value) -> Result<()> {
        Ok(fs::write(
            self.folder.join(name),
            serde_json::to_vec(content)?,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use tempfile::TempDir;

    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn said() -> BTreeMap<String, String> {
        BTreeMap::from([("org.opencontainers.image.version".into(), "0.1.0".into())])
    }

    /// An image in a folder of its own.
    fn written() -> Result<(TempDir, Digest)> {
        let folder = tempfile::tempdir()?;
        let digest = write(folder.path(), MODULE, &said())?;
        Ok((folder, digest))
    }

    fn read(folder: &TempDir, name: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(
            folder.path().join(name),
        )?)?)
    }

    fn blob(folder: &TempDir, descriptor: &Value) -> Result<Vec<u8>> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let name = digest.strip_prefix("sha256:").context("a SHA-256")?;
        let content = fs::read(folder.path().join("blobs/sha256").join(name))?;
        assert_eq!(Digest::of(&content).digits(), name);
        assert_eq!(descriptor["size"], content.len());
        Ok(content)
    }

    fn manifest(folder: &TempDir) -> Result<Value> {
        let index = read(folder, "index.json")?;
        Ok(serde_json::from_slice(&blob(
            folder,
            &index["manifests"][0],
        )?)?)
    }

    #[test]
    fn there_is_one_manifest_under_the_digest_that_is_returned() -> Result<()> {
        let (folder, digest) = written()?;
        let manifests = read(&folder, "index.json")?["manifests"].clone();
        assert_eq!(manifests.as_array().map(Vec::len), Some(1));
        assert_eq!(manifests[0]["digest"], digest.to_string());
        assert_eq!(super::digest(folder.path())?, digest);
        assert_eq!(manifests[0]["mediaType"], MANIFEST);
        Ok(())
    }

    #[test]
    fn the_only_layer_holds_the_module_as_plugin_wasm() -> Result<()> {
        let (folder, _) = written()?;
        let manifest = manifest(&folder)?;
        assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
        assert_eq!(manifest["layers"][0]["mediaType"], LAYER);
        let layer = blob(&folder, &manifest["layers"][0])?;
        let mut archive = tar::Archive::new(GzDecoder::new(layer.as_slice()));
        let mut files = archive.entries()?;
        let mut file = files.next().context("a file")??;
        assert_eq!(file.path()?, Path::new("plugin.wasm"));
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        assert_eq!(content, MODULE);
        assert!(files.next().is_none());
        Ok(())
    }

    #[test]
    fn the_configuration_names_the_archive_as_it_was_before_compression() -> Result<()> {
        let (folder, _) = written()?;
        let manifest = manifest(&folder)?;
        let config: Value = serde_json::from_slice(&blob(&folder, &manifest["config"])?)?;
        let mut archive = Vec::new();
        let layer = blob(&folder, &manifest["layers"][0])?;
        GzDecoder::new(layer.as_slice()).read_to_end(&mut archive)?;
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([Digest::of(&archive).to_string()])
        );
        Ok(())
    }

    #[test]
    fn it_says_what_it_is() -> Result<()> {
        let (folder, _) = written()?;
        assert_eq!(
            manifest(&folder)?["annotations"],
            json!({ "org.opencontainers.image.version": "0.1.0" })
        );
        Ok(())
    }

    #[test]
    fn neither_time_nor_owner_is_in_it() -> Result<()> {
        let (folder, _) = written()?;
        let layer = blob(&folder, &manifest(&folder)?["layers"][0])?;
        assert_eq!(
            GzDecoder::new(layer.as_slice())
                .header()
                .map(|gzip| gzip.mtime()),
            Some(0)
        );
        let mut archive = tar::Archive::new(GzDecoder::new(layer.as_slice()));
        let file = archive.entries()?.next().context("a file")??;
        let header = file.header();
        assert_eq!((header.mtime()?, header.uid()?, header.gid()?), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn an_image_takes_the_place_of_the_one_before() -> Result<()> {
        let (folder, first) = written()?;
        let second = write(folder.path(), b"\0asm\x01\0\0\0\0", &said())?;
        assert_ne!(first, second);
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256"))?.count(), 3);
        assert_eq!(write(folder.path(), MODULE, &said())?, first);
        Ok(())
    }
}
