//! What a gateway does that has to serve without the module: it is named so that this is rare, and the route header so
//! that nobody can make use of it.

use skew_guard::config::{Config, State};

use crate::cluster::image;
use crate::document::{Document, Form};
use crate::yaml::{Node, Segment};

/// What the chart's values or an Istio resource say of where the module is.
pub fn warnings(document: &Document, config: &Config) -> Vec<String> {
    let places = places(document);
    let tags = places.iter().filter(|place| place.is_tag());
    let mut warnings: Vec<_> = tags
        .map(|place| {
            format!(
                "{} is a tag, which may be moved, and a gateway that starts while it does not exist serves without the plugin. Name the image by its digest",
                place.url
            )
        })
        .collect();
    let mut releases = config.releases.iter();
    let has_staged = releases.any(|release| release.state == State::Staged);
    if !places.is_empty() && config.route_header == Config::DEFAULT_ROUTE_HEADER && has_staged {
        warnings.push(format!(
            "a release is staged, and everybody knows the route header {}: in a gateway that has to serve without the plugin, who sends it gets the staged release. Choose a routeHeader of your own",
            config.route_header
        ));
    }
    warnings
}

/// Where a module is.
struct Place<'n> {
    url: &'n str,
    has_checksum: bool,
}

impl Place<'_> {
    fn is_tag(&self) -> bool {
        image::is_tag(self.url) && !self.has_checksum
    }
}

fn places(document: &Document) -> Vec<Place<'_>> {
    let root = &document.root;
    let nodes: Vec<&Node> = match (document.form, document.at.split_last()) {
        (Form::Chart, _) => {
            let values = root.at(&document.at);
            let plugins = values.and_then(|values| values.get("plugins"));
            let plugin = values.and_then(|values| values.get("plugin"));
            let each = plugins.map_or(&[][..], Node::items);
            plugin.into_iter().chain(each).collect()
        }
        (Form::Object, Some((Segment::Key(key), beside))) if key == "pluginConfig" => {
            root.at(beside).into_iter().collect()
        }
        _ => Vec::new(),
    };
    nodes.into_iter().filter_map(place).collect()
}

fn place(node: &Node) -> Option<Place<'_>> {
    let text = |key| node.get(key).and_then(Node::text);
    Some(Place {
        url: text("url").filter(|url| !url.is_empty())?,
        has_checksum: text("sha256").is_some_and(|sum| !sum.is_empty()),
    })
}
