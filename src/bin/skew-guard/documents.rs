//! Where configurations are found: by themselves, in Kubernetes manifests, in Envoy's files, in the
//! chart's values.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use crate::document::{Document, Form, has_distinctive_key};
use crate::envoy;
use crate::yaml::{self, Node, Segment};

/// The configurations of a file, at least one.
pub fn read(file: &Path) -> Result<Vec<Document>> {
    find(file, &roots(file)?).with_context(|| file.display().to_string())
}

/// The documents of a file, whatever they hold.
pub fn roots(file: &Path) -> Result<Vec<Rc<Node>>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (_, text) = yaml::split_bom(&text);
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let roots = if is_json {
        yaml::read_json(text).map(|root| vec![root])
    } else {
        yaml::read(text)
    };
    let roots = roots.with_context(|| file.display().to_string())?;
    Ok(roots.into_iter().map(Rc::new).collect())
}

/// The configurations in the documents of a file, at least one.
pub fn find(file: &Path, roots: &[Rc<Node>]) -> Result<Vec<Document>> {
    let mut found = Vec::new();
    for (index, root) in roots.iter().enumerate() {
        let mut search = Search {
            file,
            index,
            root,
            found: Vec::new(),
        };
        search.visit(root, &mut Vec::new());
        found.append(&mut search.found);
    }
    let (ours, others): (Vec<_>, Vec<_>) = found.into_iter().partition(Document::is_ours);
    match (ours.is_empty(), others.len(), roots) {
        (false, ..) => Ok(ours),
        // What is not recognised, for it is wrong, but cannot be anything else.
        (true, 1, _) => Ok(others),
        (true, 0, [root])
            if root.get("kind").is_none() && root.get("static_resources").is_none() =>
        {
            Ok(vec![Document {
                file: file.to_owned(),
                index: 0,
                name: String::new(),
                form: Form::Object,
                at: Vec::new(),
                root: Rc::clone(root),
            }])
        }
        _ if !envoy::discovered(roots).is_empty() => {
            let discovered = envoy::discovered(roots);
            let files: Vec<_> = discovered.iter().map(|(_, file)| *file).collect();
            bail!(
                "the filter's configuration is in a separate file; give that one: {}",
                files.join(", ")
            )
        }
        _ => bail!(
            "no skew-guard configuration was found: neither the configuration itself, nor the chart's values, nor a WasmPlugin, a TrafficExtension, an EnvoyExtensionPolicy, or a StringValue of a Wasm filter"
        ),
    }
}

/// The one configuration of a file.
pub fn read_one(file: &Path) -> Result<Document> {
    let mut documents = read(file)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => bail!(
            "{} contains several skew-guard configurations; this command takes a file with one",
            file.display()
        ),
    }
}

struct Search<'a> {
    file: &'a Path,
    index: usize,
    root: &'a Rc<Node>,
    found: Vec<Document>,
}

impl Search<'_> {
    fn visit(&mut self, node: &Node, at: &mut Vec<Segment>) {
        let kind = node.get("kind").and_then(Node::text);
        let before = self.found.len();
        match kind {
            Some("WasmPlugin") => self.take(node, at, &["spec", "pluginConfig"], Form::Object),
            Some("TrafficExtension") => {
                self.take(node, at, &["spec", "wasm", "pluginConfig"], Form::Object);
            }
            Some("EnvoyExtensionPolicy") => self.take_each_wasm(node, at),
            _ if is_chart(node) => self.take(node, at, &[], Form::Chart),
            _ if at.is_empty() && kind.is_none() && has_distinctive_key(node) => {
                self.take(node, at, &[], Form::Object);
            }
            _ if is_text_configuration(node) => {
                self.take(node, at, &["configuration", "value"], Form::Text);
            }
            _ => {}
        }
        if self.found.len() > before {
            return;
        }
        for (key, value) in node.entries() {
            at.push(Segment::Key(key.clone()));
            self.visit(value, at);
            at.pop();
        }
        for (index, item) in node.items().iter().enumerate() {
            at.push(Segment::Item(index));
            self.visit(item, at);
            at.pop();
        }
    }

    fn take_each_wasm(&mut self, node: &Node, at: &[Segment]) {
        let extensions = node.below(&["spec", "wasm"]).map_or(&[][..], Node::items);
        for index in 0..extensions.len() {
            let mut at = at.to_vec();
            at.extend(["spec", "wasm"].map(|key| Segment::Key(key.to_owned())));
            at.push(Segment::Item(index));
            self.add(node, at, &["config"], Form::Object);
        }
    }

    fn take(&mut self, node: &Node, at: &[Segment], keys: &[&str], form: Form) {
        self.add(node, at.to_vec(), keys, form);
    }

    fn add(&mut self, named: &Node, mut at: Vec<Segment>, keys: &[&str], form: Form) {
        at.extend(keys.iter().map(|key| Segment::Key((*key).to_owned())));
        if self.root.at(&at).is_none() {
            return;
        }
        self.found.push(Document {
            file: self.file.to_owned(),
            index: self.index,
            name: name_of(named, form),
            form,
            at,
            root: Rc::clone(self.root),
        });
    }
}

/// The chart's values, or the part of them that holds the releases: teams often keep that by itself.
fn is_chart(node: &Node) -> bool {
    let has = |key| node.get(key).is_some();
    let releases = node.get("releases").map_or(&[][..], Node::items);
    let has_labels = releases
        .iter()
        .any(|release| release.get("labels").is_some());
    let says_none = node.get("current").and_then(Node::text) == Some("");
    let is_whole = ["services", "gateways", "config", "plugin", "plugins"]
        .into_iter()
        .any(has);
    has("releases") && (is_whole || has_labels || says_none)
}

/// Envoy's `PluginConfig`, whose configuration is a text.
fn is_text_configuration(node: &Node) -> bool {
    node.below(&["configuration", "@type"])
        .and_then(Node::text)
        .is_some_and(|name| name.ends_with("google.protobuf.StringValue"))
        && node.below(&["configuration", "value"]).is_some()
}

fn name_of(node: &Node, form: Form) -> String {
    let text = |keys: &[&str]| node.below(keys).and_then(Node::text);
    if form == Form::Chart {
        return "chart values".to_owned();
    }
    match (
        text(&["kind"]),
        text(&["metadata", "name"]),
        text(&["name"]),
    ) {
        (Some(kind), Some(name), _) => match text(&["metadata", "namespace"]) {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        },
        (Some(kind), None, _) => kind.to_owned(),
        (None, _, Some(name)) => format!("Wasm filter {name}"),
        (None, _, None) => String::new(),
    }
}
