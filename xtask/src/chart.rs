//! The chart as it is released, with the released image as its default.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::project::Project;

/// The line of the chart's values that a release fills in.
const UNSAID: &str = "\n  url: \"\"\n";

/// Copies the chart into the build folder, with this image as its default, and returns where it is.
pub fn write(project: &Project, url: &str) -> Result<PathBuf> {
    let chart = project.target.join("chart").join(&project.name);
    copy(&project.directory.join("istio"), &chart)?;
    let values = chart.join("values.yaml");
    let text = fs::read_to_string(&values)?;
    ensure!(
        text.matches(UNSAID).count() == 1,
        "values.yaml of the chart does not leave out plugin.url"
    );
    fs::write(&values, text.replace(UNSAID, &format!("\n  url: {url}\n")))?;
    Ok(chart)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
