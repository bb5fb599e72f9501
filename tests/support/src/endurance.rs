//! Endurance runs: how large they are, and what they report, on the terminal and in files below `target/endure`.

use std::fmt::Display;
use std::fs;

use anyhow::{Context, Result};
use comfy_table::Table;

use crate::cargo;

/// The size of a run, from an environment variable.
pub fn size(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .with_context(|| format!("{variable} is a number, not {text:?}")),
        _ => Ok(usual),
    }
}

/// A table with that heading.
pub fn table<C: Display>(heading: &[&str], rows: impl IntoIterator<Item = Vec<C>>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(heading);
    for row in rows {
        table.add_row(row.iter().map(ToString::to_string));
    }
    table
}

/// Prints the text, and keeps it under that name.
pub fn publish(name: &str, text: &str) -> Result<()> {
    keep(name, text)?;
    eprintln!("\n{text}");
    Ok(())
}

/// Keeps the text under that name.
pub fn keep(name: &str, text: &str) -> Result<()> {
    let folder = cargo::target().join("endure");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), text)?)
}
