//! `trim-module FILE`: see the library.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Take out of a built module the callbacks that the filter does not answer.
#[derive(Parser)]
struct Arguments {
    /// The module, which is changed in place.
    file: PathBuf,
}

fn main() -> Result<()> {
    trim_module::trim(&Arguments::parse().file)
}
