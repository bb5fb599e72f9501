//! What Envoy's files say around a configuration: which routes a client could choose with a forged
//! route header, because the filter does not remove it there.

use std::rc::Rc;

use skew_guard::config::Config;
use skew_guard::scope::HostPattern;

use crate::document::Document;
use crate::yaml::{Node, Segment, Value};

/// The filter of a configuration in a connection manager of Envoy.
struct InstalledFilter<'n> {
    manager: &'n Node,
    /// Its entry in `http_filters`.
    filter: &'n Node,
}

/// What lets a client choose its release, as far as these files show.
pub fn warnings(document: &Document, config: &Config, roots: &[Rc<Node>]) -> Vec<String> {
    let mut warnings = Vec::new();
    for installed in installed(document, roots) {
        for table in installed.route_tables(roots) {
            for host in items(table, "virtual_hosts") {
                warnings.extend(unguarded_domains(&installed, host, config));
                warnings.extend(installed.routes_without_filter(table, host, &config.route_header));
            }
        }
    }
    warnings
}

/// The filters of these documents whose configuration is in a file of its own (ECDS), each with that
/// file.
pub fn discovered(roots: &[Rc<Node>]) -> Vec<(&str, &str)> {
    const FILE: &[&str] = &[
        "config_discovery",
        "config_source",
        "path_config_source",
        "path",
    ];
    let mut found = Vec::new();
    for manager in managers(roots) {
        for filter in items(manager, "http_filters") {
            found.extend(text(filter, &["name"]).zip(text(filter, FILE)));
        }
    }
    found
}

/// Where the filter of this configuration stands: around it, or where it is discovered by the name of
/// the extension around it.
fn installed<'n>(document: &'n Document, roots: &'n [Rc<Node>]) -> Vec<InstalledFilter<'n>> {
    let is_list = |segment: &Segment| *segment == Segment::Key("http_filters".to_owned());
    if let Some(place) = document.at.iter().position(is_list) {
        let (around, below) = document.at.split_at(place);
        let filter = below.get(..2).unwrap_or_default();
        let manager = document.root.at(around);
        return manager
            .and_then(|manager| Some((manager, manager.at(filter)?)))
            .map(|(manager, filter)| InstalledFilter { manager, filter })
            .into_iter()
            .collect();
    }
    let Some(name) = extension_name(document) else {
        return Vec::new();
    };
    let is_ours = |filter: &&Node| {
        text(filter, &["name"]) == Some(name) && filter.get("config_discovery").is_some()
    };
    managers(roots)
        .into_iter()
        .filter_map(|manager| {
            let filter = items(manager, "http_filters").iter().find(is_ours)?;
            Some(InstalledFilter { manager, filter })
        })
        .collect()
}

/// The name of the `TypedExtensionConfig` that a configuration stands in.
fn extension_name(document: &Document) -> Option<&str> {
    let typed = Segment::Key("typed_config".to_owned());
    let place = document.at.iter().position(|segment| *segment == typed)?;
    let around = document.root.at(document.at.get(..place)?)?;
    text(around, &["name"])
}

fn managers(roots: &[Rc<Node>]) -> Vec<&Node> {
    let mut found = Vec::new();
    for root in roots {
        collect(root, &|node| node.get("http_filters").is_some(), &mut found);
    }
    found
}

fn collect<'n>(node: &'n Node, is_wanted: &dyn Fn(&Node) -> bool, found: &mut Vec<&'n Node>) {
    if is_wanted(node) {
        found.push(node);
        return;
    }
    for (_, value) in node.entries() {
        collect(value, is_wanted, found);
    }
    for item in node.items() {
        collect(item, is_wanted, found);
    }
}

impl<'n> InstalledFilter<'n> {
    /// Its own, or those of the name that it discovers (RDS).
    fn route_tables(&self, roots: &'n [Rc<Node>]) -> Vec<&'n Node> {
        if let Some(own) = self.manager.get("route_config") {
            return vec![own];
        }
        let Some(name) = text(self.manager, &["rds", "route_config_name"]) else {
            return Vec::new();
        };
        let is_wanted = |node: &Node| {
            node.get("virtual_hosts").is_some() && text(node, &["name"]) == Some(name)
        };
        let mut found = Vec::new();
        for root in roots {
            collect(root, &is_wanted, &mut found);
        }
        found
    }

    /// Whether routes, or subsets below them, are chosen by the route header on this virtual host.
    fn chooses_by_header(&self, host: &Node, header: &str) -> bool {
        let is_header = |rule: &Node| is_named(rule, "header", header);
        let feeds_subsets = |filter: &Node| {
            let rules = filter.below(&["typed_config", "request_rules"]);
            rules.map_or(&[][..], Node::items).iter().any(is_header)
        };
        items(host, "routes")
            .iter()
            .any(|route| is_chosen_by(route, header))
            || items(self.manager, "http_filters")
                .iter()
                .any(feeds_subsets)
    }

    fn routes_without_filter(&self, table: &Node, host: &Node, header: &str) -> Vec<String> {
        let routes = items(host, "routes").iter();
        let open =
            routes.filter(|route| is_chosen_by(route, header) && self.is_off(table, host, route));
        open.map(|route| {
            format!(
                "{} is chosen by {header}, and the filter is off there: a header of that name from a client is not removed, and chooses its release. Leave the filter on wherever a route is chosen by {header}",
                named("route", route)
            )
        })
        .collect()
    }

    /// Whether the filter is off on a route: the innermost that speaks of it decides.
    fn is_off(&self, table: &Node, host: &Node, route: &Node) -> bool {
        let name = text(self.filter, &["name"]).unwrap_or_default();
        let own = [route, host, table]
            .into_iter()
            .find_map(|around| around.below(&["typed_per_filter_config", name]));
        is_disabled(own.unwrap_or(self.filter))
    }
}

fn unguarded_domains(
    installed: &InstalledFilter<'_>,
    host: &Node,
    config: &Config,
) -> Option<String> {
    let hosts = config.hosts.as_ref()?;
    let header = &config.route_header;
    let wide: Vec<_> = items(host, "domains")
        .iter()
        .filter_map(Node::text)
        .filter(|domain| !hosts.iter().any(|pattern| covers(pattern, domain)))
        .collect();
    if wide.is_empty() || !installed.chooses_by_header(host, header) {
        return None;
    }
    Some(format!(
        "{} has domains that are not in hosts ({}): there a client's own {header} is not removed, and chooses its release. Put those domains into a separate virtual host, without routes that are chosen by {header}, or add them to hosts",
        named("virtual host", host),
        wide.join(", ")
    ))
}

/// Whether a pattern of hosts holds all that a domain of a virtual host matches.
fn covers(pattern: &HostPattern, domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    let name = domain
        .rsplit_once(':')
        .filter(|(_, port)| *port == "*" || port.parse::<u16>().is_ok())
        .map_or(domain.as_str(), |(name, _)| name);
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(host) => host == name,
        // `*.example.com` matches what ends with `.example.com`, as the pattern does.
        HostPattern::Suffix(suffix) => {
            name.len() > suffix.len() && name.ends_with(suffix) && !name.ends_with('*')
        }
    }
}

fn is_chosen_by(route: &Node, header: &str) -> bool {
    let headers = route.below(&["match", "headers"]);
    headers.map_or(&[][..], Node::items).iter().any(|matcher| {
        let is = |key, value| {
            matches!(matcher.get(key).map(|node| &node.value), Some(Value::Boolean(is)) if *is == value)
        };
        is_named(matcher, "name", header) && !is("present_match", false) && !is("invert_match", true)
    })
}

fn is_disabled(node: &Node) -> bool {
    matches!(
        node.get("disabled").map(|node| &node.value),
        Some(Value::Boolean(true))
    )
}

fn is_named(node: &Node, key: &str, name: &str) -> bool {
    text(node, &[key]).is_some_and(|text| text.eq_ignore_ascii_case(name))
}

fn named(kind: &str, node: &Node) -> String {
    match text(node, &["name"]) {
        Some(name) => format!("{kind} {name}"),
        None => format!("the {kind} in line {}", node.line),
    }
}

fn text<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n str> {
    node.below(keys).and_then(Node::text)
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).map_or(&[], Node::items)
}
