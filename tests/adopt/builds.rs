//! The build commands: after each of them, every script and style sheet of the page is in the version's directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{COMMIT, VERSION, adopting, install, run, workshop};

const DIRECTORY: &str = "/assets/v-1.4.2/";

#[test]
fn vite_builds_into_the_versions_directory() -> Result<()> {
    let built = build("Vite", "vite", None)?;
    refers_to_the_versions_directory(&built.join("dist/index.html"))?;
    holds_a_chunk(&built.join("dist/assets/v-1.4.2"), "checkout")
}

#[test]
fn webpack_builds_into_the_versions_directory() -> Result<()> {
    let built = build("webpack", "webpack", None)?;
    refers_to_the_versions_directory(&built.join("dist/index.html"))?;
    let scripts = fs::read_dir(built.join("dist/assets/v-1.4.2"))?.count();
    ensure!(scripts > 1, "the page's script and its chunk: {scripts}");
    Ok(())
}

#[test]
fn create_react_app_builds_for_the_versions_directory() -> Result<()> {
    let built = build("Create React App", "create-react-app", None)?;
    refers_to_the_versions_directory(&built.join("build/index.html"))
}

#[test]
fn angular_builds_for_the_versions_directory() -> Result<()> {
    let built = build("Angular", "angular", None)?;
    refers_to_the_versions_directory(&built.join("dist/index.html"))
}

#[test]
fn nuxt_builds_into_the_versions_directory() -> Result<()> {
    let built = build("Nuxt", "nuxt", None)?;
    let scripts = fs::read_dir(built.join(".output/public/assets/v-1.4.2"))?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "js"))
        .count();
    ensure!(scripts > 1, "the page's script and its chunks: {scripts}");
    Ok(())
}

#[test]
fn sveltekit_builds_into_the_versions_directory() -> Result<()> {
    let built = build(
        "SvelteKit",
        "sveltekit",
        Some(("svelte.config.js", "vite build")),
    )?;
    refers_to_the_versions_directory(&built.join("build/index.html"))
}

/// Next.js puts the version in a query instead, which is one of the default sources. It allows no dots.
#[test]
fn next_stamps_its_scripts_with_the_deployment_id() -> Result<()> {
    let built = build("Next.js", "nextjs", Some(("next.config.js", "next build")))?;
    let page = fs::read_to_string(built.join(".next/server/app/index.html"))?;
    let scripts: Vec<_> = page.split("src=\"/_next/").skip(1).collect();
    ensure!(!scripts.is_empty(), "no scripts in the page");
    for script in scripts {
        let url = script.split('"').next().unwrap_or_default();
        ensure!(url.ends_with("?dpl=9f86d08"), "{url}");
    }
    Ok(())
}

/// Runs the documented command for a tool on the application in that folder. If it is a setting instead, its file must
/// contain it, and the tool's plain build is run.
fn build(tool: &str, application: &str, configured: Option<(&str, &str)>) -> Result<PathBuf> {
    let source = Path::new("tests/adopt/applications").join(application);
    let place = workshop(application, &source)?;
    install(&place)?;
    let line = line_of(tool)?;
    let command = match configured {
        None => line,
        Some((file, build)) => {
            let part = line
                .trim_start_matches("kit: { ")
                .trim_end_matches(" }")
                .to_owned();
            let text = fs::read_to_string(source.join(file))?;
            ensure!(text.contains(&part), "{file} has no {part}");
            build.to_owned()
        }
    };
    let path = std::env::var("PATH").unwrap_or_default();
    run(Command::new("sh")
        .args(["-c", &command])
        .current_dir(&place)
        .env("VERSION", if tool == "Next.js" { COMMIT } else { VERSION })
        .env("CI", "false")
        .env("NEXT_TELEMETRY_DISABLED", "1")
        .env(
            "PATH",
            format!("{}/node_modules/.bin:{path}", place.display()),
        ))?;
    Ok(place)
}

fn line_of(tool: &str) -> Result<String> {
    let adopting = adopting()?;
    let table = adopting.table("tool")?;
    let row = table
        .rows
        .iter()
        .find(|row| row.first().is_some_and(|cell| cell.text == tool))
        .with_context(|| format!("no row of {tool}"))?;
    let line = row.get(1).and_then(|cell| cell.code.first());
    Ok(line.context("no line")?.clone())
}

fn refers_to_the_versions_directory(page: &Path) -> Result<()> {
    let page = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let files: Vec<_> = references(&page)
        .filter(|url| url.ends_with(".js") || url.ends_with(".css"))
        .collect();
    ensure!(!files.is_empty(), "the page has no scripts: {page}");
    ensure!(files.iter().all(|url| url.contains(DIRECTORY)), "{files:?}");
    Ok(())
}

/// The words of the page, including addresses, quoted or not.
fn references(page: &str) -> impl Iterator<Item = &str> {
    page.split(['"', '=', '>', '<', ' ', '\\'])
}

fn holds_a_chunk(directory: &Path, name: &str) -> Result<()> {
    let holds = fs::read_dir(directory)?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with(name));
    ensure!(holds, "{} has no chunk {name}", directory.display());
    Ok(())
}
