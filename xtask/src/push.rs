//! An image on its way to a registry.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::image::{self, Digest};

/// Where an image goes: `registry/name:tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    name: String,
    tag: String,
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (registry, path) = text.split_once('/').context("no registry before a slash")?;
        match path.split_once(':') {
            // The image behind `latest` changes, and gateways follow at different moments.
            Some((_, "latest")) => bail!("give it a distinct tag instead of `latest`"),
            Some((path, tag)) if !tag.is_empty() && !tag.contains('@') => Ok(Self {
                name: format!("{registry}/{path}"),
                tag: tag.to_owned(),
            }),
            _ => bail!("no tag: registry/name:tag"),
        }
    }
}

impl Place {
    /// The plugin's URL for whatever the tag names now.
    pub fn url(&self) -> String {
        format!("oci://{}:{}", self.name, self.tag)
    }

    /// The plugin's URL for that image, without the tag.
    pub fn url_by_digest(&self, image: &Digest) -> String {
        format!("oci://{}@{image}", self.name)
    }

    /// The plugin's URL for exactly that image, whatever the tag, which is for the reader, comes to
    /// name.
    pub fn url_of(&self, image: &Digest) -> String {
        format!("{}@{image}", self.url())
    }

    /// A registry on this machine is reached without TLS, as container engines do.
    fn is_loopback(&self) -> bool {
        ["127.", "localhost:", "localhost/", "[::1]"]
            .iter()
            .any(|start| self.name.starts_with(start))
    }
}

/// Copies an OCI layout to a registry, byte for byte, and returns the digest of what is there.
pub fn push(layout: &Path, place: &Place) -> Result<Digest> {
    let with_tls = !place.is_loopback();
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--quiet", "--preserve-digests"])
        .arg(format!("--dest-tls-verify={with_tls}"))
        .arg(format!("oci:{}", layout.display()))
        .arg(format!("docker://{}:{}", place.name, place.tag));
    command::output(&mut copy)?;
    image::digest(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Place, String> {
        text.parse()
            .map_err(|error: anyhow::Error| error.to_string())
    }

    #[test]
    fn an_image_goes_to_a_registry_under_a_tag() -> Result<()> {
        let place: Place = "127.0.0.1:5000/team/skew-guard:0.1.0".parse()?;
        assert_eq!(place.url(), "oci://127.0.0.1:5000/team/skew-guard:0.1.0");
        let digest = Digest::of(b"");
        assert_eq!(place.url_of(&digest), format!("{}@{digest}", place.url()));
        Ok(())
    }

    #[test]
    fn a_place_without_a_tag_of_its_own_is_refused() {
        for (text, expected) in [
            ("skew-guard:0.1.0", "no registry before a slash"),
            (
                "registry.example.com/skew-guard",
                "no tag: registry/name:tag",
            ),
            ("127.0.0.1:5000/skew-guard", "no tag: registry/name:tag"),
            (
                "registry.example.com/skew-guard:",
                "no tag: registry/name:tag",
            ),
            (
                "registry.example.com/skew-guard:latest",
                "give it a distinct tag instead of `latest`",
            ),
        ] {
            assert_eq!(parsed(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_a_registry_on_this_machine_is_reached_without_tls() -> Result<()> {
        for (text, expected) in [
            ("127.0.0.1:5000/a:1", true),
            ("localhost:5000/a:1", true),
            ("localhost.example.com/a:1", false),
            ("registry.example.com/a:1", false),
        ] {
            assert_eq!(text.parse::<Place>()?.is_loopback(), expected, "{text}");
        }
        Ok(())
    }
}
