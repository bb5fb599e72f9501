//! The same version everywhere.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::project::Project;

/// Files that contain the version, and how the line with it begins.
fn places(version: &str) -> [(&'static str, String); 6] {
    [
        ("Cargo.toml", format!("version = \"{version}\"")),
        ("istio/Chart.yaml", format!("version: {version}")),
        ("istio/Chart.yaml", format!("appVersion: \"{version}\"")),
        (
            "istio/example.yaml",
            format!("  url: oci://registry.example.com/skew-guard:{version}"),
        ),
        (
            "istio/README.md",
            format!("  url: oci://registry.example.com/skew-guard:{version}"),
        ),
        ("CHANGELOG.md", format!("## {version}")),
    ]
}

/// Checks that a release's tag and all files have the same version, and names every place that does
/// not.
pub fn check(project: &Project, tag: &str) -> Result<()> {
    let version = tag
        .strip_prefix('v')
        .context("a tag of a release is v1.2.3")?;
    let mut missing = Vec::new();
    for (file, line) in places(version) {
        if !says(&project.directory, file, &line)? {
            missing.push(format!("{file} has no line `{line}`"));
        }
    }
    ensure!(missing.is_empty(), "{tag}: {}", missing.join("; "));
    Ok(())
}

/// Whether a line is this one, or begins with it and goes on after a space.
fn says(directory: &Path, file: &str, line: &str) -> Result<bool> {
    let text = fs::read_to_string(directory.join(file)).with_context(|| file.to_owned())?;
    Ok(text
        .lines()
        .filter_map(|found| found.strip_prefix(line))
        .any(|rest| rest.is_empty() || rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_says_the_version_of_the_package() -> Result<()> {
        let project = Project::here()?;
        check(&project, &format!("v{}", project.version))
    }

    #[test]
    fn every_file_that_says_another_version_is_named() -> Result<()> {
        let problem = check(&Project::here()?, "v9.9.9").err();
        let problem = problem
            .map(|problem| problem.to_string())
            .unwrap_or_default();
        for (file, _) in places("9.9.9") {
            assert!(problem.contains(file), "{file} is not in {problem}");
        }
        Ok(())
    }

    #[test]
    fn a_longer_version_is_another_one() -> Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(
            directory.path().join("a"),
            "version: 1.2.30\n## 1.2.3 - today\n",
        )?;
        assert!(!says(directory.path(), "a", "version: 1.2.3")?);
        assert!(says(directory.path(), "a", "## 1.2.3")?);
        Ok(())
    }
}
