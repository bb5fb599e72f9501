//! The rehearsed release, made once for all tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use skew_guard_lab::ports;
use skew_guard_lab::registry::Registry;
use tokio::runtime::Runtime;
use xtask::image::{self, Digest};

/// The password of the key, which exists only during the test.
const PASSWORD: &str = "";

/// Signing with a key needs no certificate authority, and on loopback there is no transparency log.
const SIGN: &str = "--use-signing-config=false --tlog-upload=false";

/// A release that has been pushed and signed.
pub struct Rehearsal {
    /// registry/name:tag
    pub image: String,
    /// registry/charts
    pub charts: String,
    /// Of the image.
    pub digest: Digest,
    folder: PathBuf,
    registry: Registry,
}

impl Rehearsal {
    /// The release, made by the first test that asks for it.
    pub fn get() -> Result<&'static Self> {
        static MADE: OnceLock<Result<Rehearsal, String>> = OnceLock::new();
        MADE.get_or_init(|| Self::make().map_err(|problem| format!("{problem:#}")))
            .as_ref()
            .map_err(|problem| anyhow!("{problem}"))
    }

    fn make() -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let registry = Runtime::new()?.block_on(Registry::start(ports::free()?, &folder))?;
        let version = env!("CARGO_PKG_VERSION");
        let image = format!("{}/team/skew-guard:{version}", registry.address());
        let charts = format!("{}/team/skew-guard/charts", registry.address());
        let mut rehearsal = Self {
            image,
            charts,
            digest: Digest::of(b""),
            folder,
            registry,
        };
        rehearsal.follow_the_workflow(version)?;
        rehearsal.digest = image::digest(&target().join("image"))?;
        Ok(rehearsal)
    }

    fn follow_the_workflow(&self, version: &str) -> Result<()> {
        let names = [
            format!("IMAGE={}", self.image),
            format!("CHARTS={}", self.charts),
            format!("HELM={}", shelf("helm/helm").display()),
            "HELM_FLAGS=--plain-http".to_owned(),
            format!("COSIGN={}", shelf("release/cosign").display()),
            format!("COSIGN_FLAGS={} --allow-http-registry", self.sign()),
            format!("COSIGN_BLOB_FLAGS={}", self.sign()),
        ];
        printed(&mut make(&["release-check", &format!("TAG=v{version}")]))?;
        printed(
            tool("cosign")
                .arg("generate-key-pair")
                .current_dir(&self.folder),
        )?;
        for step in ["push", "push-chart", "release-files", "sign"] {
            printed(make(&[step]).args(&names).env("COSIGN_PASSWORD", PASSWORD))?;
        }
        Ok(())
    }

    fn sign(&self) -> String {
        format!("--key {} {SIGN}", self.folder.join("cosign.key").display())
    }

    /// The image by its digest.
    pub fn pinned_image(&self) -> String {
        format!("{}@{}", self.image, self.digest)
    }

    /// The chart by its digest.
    pub fn pinned_chart(&self) -> Result<String> {
        let pushed = fs::read_to_string(target().join("chart/pushed"))?;
        let digest = pushed
            .lines()
            .find_map(|line| line.strip_prefix("Digest: "))
            .context("helm prints the digest of what it pushed")?;
        Ok(format!("{}/skew-guard@{digest}", self.charts))
    }

    /// Pushes an image that nobody signs, and returns its name by digest.
    pub fn push_another(&self) -> Result<String> {
        let image = self.registry.push(b"\0asm\x01\0\0\0", "team/other", "1")?;
        Ok(image.url_by_digest().replace("oci://", ""))
    }

    /// A `cosign verify` command with the public key.
    pub fn verify(&self, what: &str) -> Command {
        let mut cosign = tool("cosign");
        cosign
            .args([what, "--insecure-ignore-tlog=true", "--key"])
            .arg(self.folder.join("cosign.pub"));
        if what != "verify-blob" {
            cosign.arg("--allow-http-registry");
        }
        cosign
    }

    /// Helm, without the configuration of the user who runs this.
    pub fn helm(&self) -> Command {
        let mut command = Command::new(shelf("helm/helm"));
        for place in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{place}_HOME"), self.folder.join(place));
        }
        command
    }

    /// The folder with the files to download.
    pub fn files(&self) -> PathBuf {
        target().join("release-files")
    }
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that `make release-dry-run` has built.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(shelf("release").join(name));
    command
        .current_dir(repository())
        .env("COSIGN_PASSWORD", PASSWORD);
    command
}

/// `make` in the repository, without the variables of a `make` that runs this test.
pub fn make(arguments: &[&str]) -> Command {
    let mut command = Command::new("make");
    command
        .current_dir(repository())
        .args(arguments)
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL");
    command
}

fn target() -> &'static Path {
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    inside.parent().unwrap_or(inside)
}

fn shelf(name: &str) -> PathBuf {
    target().join("istio-lab").join(name)
}

/// The output of a command that has to succeed.
pub fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{complaint}{out}",
        output.status
    );
    Ok(out)
}

/// The error output of a command that has to fail.
pub fn refused(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(!output.status.success(), "{command:?} succeeded");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}
