//! The static applications of `tests/browser`, built with the client package as `npm pack` makes it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::shop::{NEW, OLD};

/// The variants of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// With `skew-guard-client`.
    Guarded,
    /// The same application without it, built without regard to versions.
    Plain,
    /// With it, and its guard of the entry script in a file.
    GuardInFile,
    /// With it and `vite-plugin-pwa`, which asks before a new service worker takes over.
    PwaPrompt,
    /// With it and `vite-plugin-pwa`, whose new service workers take over at once.
    PwaAutoUpdate,
    /// The application in SvelteKit.
    SvelteKit,
    /// The same without the client.
    PlainSvelteKit,
    /// The application in Nuxt.
    Nuxt,
    /// The application in Angular.
    Angular,
    /// The same without the client.
    PlainAngular,
}

impl Build {
    /// The folder in `tests/browser`.
    fn application(self) -> &'static str {
        match self {
            Self::SvelteKit | Self::PlainSvelteKit => "sveltekit",
            Self::Nuxt => "nuxt",
            Self::Angular | Self::PlainAngular => "angular",
            _ => "application",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Plain => "plain",
            Self::GuardInFile => "guard-in-file",
            Self::PwaPrompt => "pwa-prompt",
            Self::PwaAutoUpdate => "pwa-auto-update",
            Self::SvelteKit | Self::Nuxt | Self::Angular => self.application(),
            Self::PlainSvelteKit | Self::PlainAngular => "plain",
        }
    }

    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Guarded | Self::SvelteKit | Self::Nuxt | Self::Angular | Self::PlainAngular => {
                &[]
            }
            Self::Plain | Self::PlainSvelteKit => &[("CLIENT", "none")],
            Self::GuardInFile => &[("GUARD", "file")],
            Self::PwaPrompt => &[("PWA", "prompt")],
            Self::PwaAutoUpdate => &[("PWA", "autoUpdate")],
        }
    }
}

/// The folder with a release's built files.
pub fn site(build: Build, version: &str) -> Result<PathBuf> {
    static BUILT: Mutex<Vec<Build>> = Mutex::new(Vec::new());
    // A build that failed in another test fails here again, with the same message.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let application = build.application();
    let workshop = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{application}"));
    if !built.iter().any(|other| other.application() == application) {
        prepare(&Path::new("tests/browser").join(application), &workshop)?;
    }
    if !built.contains(&build) {
        for version in [OLD, NEW] {
            run_build(&workshop, build, version)?;
        }
        built.push(build);
    }
    let site = workshop.join(folder(build, version));
    Ok(match build {
        Build::Angular | Build::PlainAngular => site.join("browser"),
        _ => site,
    })
}

fn folder(build: Build, version: &str) -> String {
    format!("dist-{}-{version}", build.name())
}

/// Copies an application, and installs the packages of its lock file, and the client package as if it were installed
/// from a registry. The build tools come from `make client`, on which `make test-browser` depends.
pub fn prepare(source: &Path, workshop: &Path) -> Result<()> {
    std::fs::create_dir_all(workshop)?;
    run(Command::new("cp")
        .arg("-r")
        .arg(format!("{}/.", source.display()))
        .arg(workshop))?;
    let packed = pack(workshop)?;
    let archive = packed.lines().last().context("npm pack names its file")?;
    run(npm(workshop).arg("install"))?;
    run(npm(workshop).args(["install", "--no-save", &format!("./{archive}")]))?;
    Ok(())
}

/// Packing builds the package in its own folder, so it must not run twice at once.
fn pack(workshop: &Path) -> Result<String> {
    static PACKING: Mutex<()> = Mutex::new(());
    let _packing = PACKING.lock().unwrap_or_else(PoisonError::into_inner);
    run(npm(Path::new("client"))
        .args(["pack", "--silent", "--pack-destination"])
        .arg(workshop))
}

fn run_build(workshop: &Path, build: Build, version: &str) -> Result<()> {
    let site = folder(build, version);
    let mut command = npm(workshop);
    command.args(["exec", "--"]);
    match build {
        Build::Nuxt => command.args(["nuxt", "generate"]),
        Build::Angular | Build::PlainAngular => {
            let with_client = build == Build::Angular;
            command
                .args(["ng", "build", "--output-path", &site])
                .arg(format!("--deploy-url=/assets/v-{version}/"))
                .arg(format!("--define=__SKEW_GUARD_VERSION__='{version}'"))
                .arg(format!("--define=WITH_CLIENT={with_client}"))
        }
        Build::SvelteKit | Build::PlainSvelteKit => {
            command.args(["vite", "build", "--logLevel=error"])
        }
        _ => command
            .args(["vite", "build", "--logLevel=error"])
            .arg(format!("--outDir={site}")),
    };
    command
        .env("VERSION", version)
        .env("OUT", &site)
        .env("NUXT_APP_BUILD_ASSETS_DIR", format!("/assets/v-{version}/"))
        .envs(build.environment().iter().copied());
    run(&mut command)?;
    Ok(())
}

fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder)
        .args(["--no-audit", "--no-fund", "--loglevel=error"]);
    npm
}

/// Runs a command to its end, and returns what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?}; `make test-browser` prepares what it needs"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
