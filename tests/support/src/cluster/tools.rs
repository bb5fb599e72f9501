//! The programs of a cluster: built by `make istio-tools` from their Go modules, or unpacked from Debian's packages.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cargo;

/// A line of Istio's releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IstioLine {
    /// The newest line: `TrafficExtension` beside `WasmPlugin`.
    V1_31,
    /// An old line that is still in use: `WasmPlugin` only.
    V1_24,
}

impl IstioLine {
    /// Every line that the chart is tested with.
    pub const ALL: [Self; 2] = [Self::V1_31, Self::V1_24];

    /// Its number.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_31 => "1.31",
            Self::V1_24 => "1.24",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    shelf: PathBuf,
    istio: PathBuf,
}

impl Tools {
    pub(super) fn of(line: IstioLine) -> Result<Self> {
        let shelf = cargo::target().join("istio-lab");
        let istio = shelf.join(format!("istio-{}", line.name()));
        ensure!(
            istio.is_dir(),
            "no control planes in {}; `make istio-tools` builds them",
            shelf.display()
        );
        Ok(Self { shelf, istio })
    }

    pub(super) fn kubernetes(&self, program: &str) -> PathBuf {
        self.shelf.join("kubernetes").join(program)
    }

    pub(super) fn debian(&self, program: &str) -> PathBuf {
        self.shelf.join("debian/usr/bin").join(program)
    }

    pub(super) fn helm(&self) -> PathBuf {
        self.shelf.join("helm/helm")
    }

    /// A program or a file of the Istio line.
    pub(super) fn istio(&self, name: impl AsRef<Path>) -> PathBuf {
        self.istio.join(name)
    }
}
