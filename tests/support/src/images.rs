//! What `envoy/docker-compose.yaml` mounts and makes its image from.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{cargo, module, pods};

/// Builds the module and the shop, puts both where the compose file looks for them, and returns that folder.
pub fn prepare() -> Result<PathBuf> {
    let place = cargo::workspace().join("target/compose");
    fs::create_dir_all(&place)?;
    let files = [
        (module::path()?, "skew_guard.wasm"),
        (pods::static_application()?, "shop"),
    ];
    for (built, name) in files {
        fs::copy(&built, place.join(name))
            .with_context(|| format!("copying {}", built.display()))?;
    }
    Ok(place)
}
