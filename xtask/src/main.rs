//! `cargo run --package xtask -- --help`; the targets of the Makefile call it.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::project::Project;
use xtask::push::{self, Place};
use xtask::{image, module, trim};

/// Make of the sources what others install.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Take out of a built module the callbacks that the filter does not answer.
    Trim {
        /// The module, which is changed in place.
        file: PathBuf,
    },
    /// Build the module with the pinned toolchain and write its image, an OCI layout, into target/image.
    Image,
    /// Push the image, and print what names it in the values of the chart.
    Push {
        /// registry/name:tag
        place: Place,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Trim { file } => trim::trim(&file),
        Task::Image => write_image(&Project::here()?),
        Task::Push { place } => push_image(&Project::here()?, &place),
    }
}

fn write_image(project: &Project) -> Result<()> {
    let module = module::build(project)?;
    let digest = image::write(
        &project.target.join("image"),
        &module,
        &image::annotations(project),
    )?;
    println!("{digest}");
    Ok(())
}

fn push_image(project: &Project, place: &Place) -> Result<()> {
    let digest = push::push(&project.target.join("image"), place)?;
    println!("{digest}\n\nplugin:\n  url: {}", place.url_of(&digest));
    Ok(())
}
