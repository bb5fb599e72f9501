//! `cargo run --package xtask -- --help`; the Makefile's targets call it.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::project::Project;
use xtask::push::{self, Place};
use xtask::{chart, image, module, tool, trim, version};

/// Make what others install out of the sources.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Remove the callbacks that the filter does not answer from a built module.
    Trim {
        /// The module, which is changed in place.
        file: PathBuf,
    },
    /// Build the module with the pinned toolchain and write its image, an OCI layout, into target/image.
    Image,
    /// Check that a release's tag and all files have the same version.
    CheckVersion {
        /// v1.2.3
        tag: String,
    },
    /// Write the chart, with that image as its default, into target/chart.
    Chart {
        /// registry/name:tag, where the image was pushed
        place: Place,
    },
    /// Build the command-line tool for every target of a release, into target/release-files.
    Tool,
    /// Push the image, and print the lines that name it in the chart's values.
    Push {
        /// registry/name:tag
        place: Place,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Trim { file } => trim::trim(&file),
        Task::Image => write_image(&Project::here()?),
        Task::CheckVersion { tag } => version::check(&Project::here()?, &tag),
        Task::Chart { place } => write_chart(&Project::here()?, &place),
        Task::Tool => write_tool(&Project::here()?),
        Task::Push { place } => push_image(&Project::here()?, &place),
    }
}

fn write_image(project: &Project) -> Result<()> {
    let module = module::build(project)?;
    let digest = image::write(&project.image(), &module, &image::annotations(project))?;
    println!("{digest}");
    Ok(())
}

fn push_image(project: &Project, place: &Place) -> Result<()> {
    let digest = push::push(&project.image(), place)?;
    println!("{digest}\n\nplugin:\n  url: {}", place.url_of(&digest));
    Ok(())
}

fn write_chart(project: &Project, place: &Place) -> Result<()> {
    let digest = image::digest(&project.image())?;
    let chart = chart::write(project, &place.url_of(&digest))?;
    println!("{}", chart.display());
    Ok(())
}

fn write_tool(project: &Project) -> Result<()> {
    for target in tool::TARGETS {
        println!("{}", tool::write(project, target)?.display());
    }
    Ok(())
}
