//! Whether the gateways will get the module that an upgrade names: one that starts without it routes as if there were no
//! plugin.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::chart::Chart;
use super::helm::Helm;
use super::report::Report;
use super::timeout::Stop;
use crate::cluster::image::Pull;
use crate::cluster::{Kubectl, Plugin};
use crate::yaml;

/// Ends the run where the registry certainly does not give out an image of the chart with these values; says what cannot
/// be known.
pub fn check(
    kubectl: &Kubectl,
    helm: &Helm,
    (chart, chart_version): (&Chart, Option<&str>),
    values: &Value,
    report: &Report,
) -> Result<()> {
    let rendered = helm.template(chart.reference(), chart_version, values)?;
    let mut asked = Vec::new();
    for plugin in plugins(&rendered)? {
        let image = (plugin.url.clone(), plugin.image_pull_secret.clone());
        if !plugin.url.starts_with("oci://") || asked.contains(&image) {
            continue;
        }
        asked.push(image);
        let url = &plugin.url;
        match Pull::of(kubectl, &plugin) {
            Pull::Possible => {}
            pull @ Pull::Refused(_) => bail!(Stop(format!(
                "{url} {pull}. A gateway that starts would go without the plugin, and its visitors would be skewed. Push the image, or mend plugin.url. Nothing was changed"
            ))),
            pull @ Pull::Unknown(_) => report.note(format!("{url} {pull}")),
        }
    }
    Ok(())
}

/// The plugins among the objects of a chart.
fn plugins(rendered: &str) -> Result<Vec<Plugin>> {
    let objects = yaml::read(rendered).context("what helm template prints is not understood")?;
    let mut plugins = Vec::new();
    for object in objects {
        let object: Value = serde_json::from_str(&object.to_json())?;
        plugins.extend(Plugin::of(&object));
    }
    Ok(plugins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_of_both_kinds_of_plugin_are_found() -> Result<()> {
        let rendered = "---\nkind: VirtualService\nmetadata: {name: shop}\nspec: {}\n---\nkind: WasmPlugin\nmetadata: {name: a, namespace: ingress}\nspec: {url: \"oci://r/one\", imagePullSecret: key}\n---\nkind: TrafficExtension\nmetadata: {name: b, namespace: ingress}\nspec: {wasm: {url: \"oci://r/two\"}}\n";
        let found = plugins(rendered)?;
        let found: Vec<_> = found
            .iter()
            .map(|plugin| {
                (
                    plugin.full_name(),
                    plugin.url.as_str(),
                    plugin.image_pull_secret.as_str(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("ingress.a".to_owned(), "oci://r/one", "key"),
                ("ingress.b".to_owned(), "oci://r/two", "")
            ]
        );
        Ok(())
    }
}
