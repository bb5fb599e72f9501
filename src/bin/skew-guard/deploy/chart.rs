//! The chart that upgrades are made with: the one within the tool, or the one that is named.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::helm::{Helm, Revision};
use super::timeout::{Stop, stop_unless};

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../istio/", $name)))),+]
    };
}

/// The chart of this version of the tool, by the names of its files.
const EMBEDDED: &[(&str, &str)] = embedded![
    "Chart.yaml",
    "values.yaml",
    "values.schema.json",
    "templates/NOTES.txt",
    "templates/_checks.tpl",
    "templates/_names.tpl",
    "templates/_plugins.tpl",
    "templates/_relabelings.tpl",
    "templates/_releases.tpl",
    "templates/_routes.tpl",
    "templates/_virtualservice.tpl",
    "templates/checks.yaml",
    "templates/destinationrules.yaml",
    "templates/plugin.yaml",
    "templates/podmonitor.yaml",
    "templates/virtualservice.yaml",
];

const NAME: &str = "skew-guard";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The line of its values that a released chart fills in, with its own image.
const EMPTY_URL: &str = "\n  url: \"\"\n";

/// A chart that Helm can be given.
#[derive(Debug)]
pub struct Chart {
    reference: String,
    /// Where the embedded one is laid out, for as long as it is needed.
    _folder: Option<TempDir>,
}

impl Chart {
    /// The chart that is named, else the embedded one, which has to be what is installed.
    pub fn choose(named: Option<&str>, helm: &Helm, installed: &Revision) -> Result<Self> {
        let Some(version) = version_of(&installed.chart) else {
            bail!(Stop(format!(
                "{} was installed from the chart {}, which is not skew-guard's. An upgrade would change everything else in that chart too, so none is made here: let its pipeline change the list in its values with skew-guard release, or install skew-guard's chart as a separate Helm release",
                helm.title(),
                installed.chart
            )));
        };
        if let Some(named) = named {
            return Ok(Self {
                reference: named.to_owned(),
                _folder: None,
            });
        }
        stop_unless(version == VERSION, || {
            format!(
                "{} was installed from version {version} of the chart, and this tool has {VERSION}. Use the tool of version {version}, or name the chart to upgrade with: --chart oci://REGISTRY/skew-guard --chart-version {version}",
                helm.title()
            )
        })?;
        Self::embedded(helm, installed.number)
    }

    /// The chart within the tool, whose default image is that of the chart that was installed: a released chart names
    /// its own, which this one cannot know.
    fn embedded(helm: &Helm, installed: u64) -> Result<Self> {
        let all = helm.all_values(installed)?;
        let url = all.pointer("/plugin/url").and_then(Value::as_str);
        let folder = TempDir::with_prefix("skew-guard-chart-")?;
        std::fs::create_dir(folder.path().join("templates"))?;
        for (name, text) in EMBEDDED {
            std::fs::write(folder.path().join(name), text)?;
        }
        let values = folder.path().join("values.yaml");
        let text = std::fs::read_to_string(&values)?;
        let url = Value::from(url.unwrap_or_default());
        std::fs::write(
            &values,
            text.replace(EMPTY_URL, &format!("\n  url: {url}\n")),
        )?;
        let reference = folder.path().to_str().context("a path that is not UTF-8")?;
        Ok(Self {
            reference: reference.to_owned(),
            _folder: Some(folder),
        })
    }

    /// As Helm is given it.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

/// The version of a chart of ours, `skew-guard-0.1.0`.
fn version_of(chart: &str) -> Option<&str> {
    let version = chart.strip_prefix(NAME)?.strip_prefix('-')?;
    semver::Version::parse(version).is_ok().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_that_has_ours_as_a_part_is_not_taken_for_ours() {
        assert_eq!(version_of("skew-guard-0.1.0"), Some("0.1.0"));
        assert_eq!(version_of("skew-guard-0.2.0-rc.1"), Some("0.2.0-rc.1"));
        assert_eq!(version_of("platform-0.1.0"), None);
        assert_eq!(version_of("skew-guard-and-more-0.1.0"), None);
    }

    #[test]
    fn the_chart_within_the_tool_is_of_its_version_is_whole_and_leaves_out_one_image() -> Result<()>
    {
        let text = |name: &str| {
            let mut files = EMBEDDED.iter();
            let found = files.find(|(file, _)| *file == name);
            found.map(|(_, text)| *text).context("a file of the chart")
        };
        assert!(text("Chart.yaml")?.contains(&format!("\nversion: {VERSION}\n")));
        assert_eq!(text("values.yaml")?.matches(EMPTY_URL).count(), 1);
        let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/istio/templates");
        for entry in std::fs::read_dir(templates)? {
            text(&format!(
                "templates/{}",
                entry?.file_name().to_string_lossy()
            ))?;
        }
        Ok(())
    }
}
