//! Where configurations are found: by themselves, in Kubernetes manifests, in Envoy's own files, in
//! the chart's values.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use skew_guard::config::{Problem, Problems};
use skew_guard::rollout::{Reader, Side};

use crate::envoy;
use crate::yaml::{self, Node, Step, Value};

/// A configuration in a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: PathBuf,
    /// Its place among the documents of the file, from 0.
    pub index: usize,
    /// What it is called: `WasmPlugin shop/skew-guard`.
    pub name: String,
    /// Where it is written.
    pub form: Form,
    /// The way from the root of the document to it.
    pub at: Vec<Step>,
    /// The document.
    pub root: Rc<Node>,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As an object.
    Object,
    /// As JSON in a text, as Envoy wants it.
    Text,
    /// As the values of the Helm chart: `config` holds all but `releases`, `current` and `hosts`.
    Chart,
}

/// Keys that tell a skew-guard configuration from that of another Wasm module.
const TELLING: &[&str] = &[
    "releases",
    "current",
    "routeHeader",
    "unknownVersion",
    "pinCookie",
    "pinnedNavigation",
    "unpinnedPaths",
];

/// The configurations of a file, at least one.
pub fn read(file: &Path) -> Result<Vec<Document>> {
    find(file, &roots(file)?).with_context(|| file.display().to_string())
}

/// The documents of a file, whatever they hold.
pub fn roots(file: &Path) -> Result<Vec<Rc<Node>>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let roots = if is_json {
        yaml::read_json(&text).map(|root| vec![root])
    } else {
        yaml::read(&text)
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
                "the filter's configuration is in a file of its own, give that: {}",
                files.join(", ")
            )
        }
        _ => bail!(
            "no skew-guard configuration was found: neither one by itself, nor the chart's values, nor a WasmPlugin, a TrafficExtension, an EnvoyExtensionPolicy, or a StringValue of a Wasm filter"
        ),
    }
}

/// The one configuration of a file.
pub fn read_one(file: &Path) -> Result<Document> {
    let mut documents = read(file)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => bail!(
            "{} holds several skew-guard configurations; this command takes a file with one",
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
    fn visit(&mut self, node: &Node, at: &mut Vec<Step>) {
        let kind = node.get("kind").and_then(Node::text);
        let before = self.found.len();
        match kind {
            Some("WasmPlugin") => self.take(node, at, &["spec", "pluginConfig"], Form::Object),
            Some("TrafficExtension") => {
                self.take(node, at, &["spec", "wasm", "pluginConfig"], Form::Object);
            }
            Some("EnvoyExtensionPolicy") => self.take_each_wasm(node, at),
            _ if is_chart(node) => self.take(node, at, &[], Form::Chart),
            _ if at.is_empty() && kind.is_none() && is_telling(node) => {
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
            at.push(Step::Key(key.clone()));
            self.visit(value, at);
            at.pop();
        }
        for (index, item) in node.items().iter().enumerate() {
            at.push(Step::Item(index));
            self.visit(item, at);
            at.pop();
        }
    }

    fn take_each_wasm(&mut self, node: &Node, at: &[Step]) {
        let extensions = node.below(&["spec", "wasm"]).map_or(&[][..], Node::items);
        for index in 0..extensions.len() {
            let mut at = at.to_vec();
            at.extend(["spec", "wasm"].map(|key| Step::Key(key.to_owned())));
            at.push(Step::Item(index));
            self.add(node, at, &["config"], Form::Object);
        }
    }

    fn take(&mut self, node: &Node, at: &[Step], keys: &[&str], form: Form) {
        self.add(node, at.to_vec(), keys, form);
    }

    fn add(&mut self, named: &Node, mut at: Vec<Step>, keys: &[&str], form: Form) {
        at.extend(keys.iter().map(|key| Step::Key((*key).to_owned())));
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
    let is_whole = ["services", "gateways", "config", "plugin"]
        .into_iter()
        .any(has);
    has("releases") && (is_whole || has_labels || says_none)
}

fn is_telling(node: &Node) -> bool {
    TELLING.iter().any(|key| node.get(key).is_some())
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

impl Document {
    /// The configuration as the filter gets it.
    pub fn json(&self) -> String {
        let Some(node) = self.root.at(&self.at) else {
            return String::new();
        };
        match self.form {
            Form::Object => node.to_json(),
            Form::Text => node.text().unwrap_or_default().to_owned(),
            Form::Chart => chart_configuration(node).to_json(),
        }
    }

    /// The configuration as it is written, within its text too.
    pub fn node(&self) -> Option<Node> {
        let node = self.root.at(&self.at)?;
        match self.form {
            Form::Text => yaml::read_json(node.text()?).ok(),
            Form::Object | Form::Chart => Some(node.clone()),
        }
    }

    /// Who reads what is written here.
    pub fn reader(&self) -> Reader {
        match self.form {
            Form::Chart => Reader::Chart,
            Form::Object | Form::Text => Reader::Plugin,
        }
    }

    /// The configuration, or all that is wrong with it, each with its path in the document.
    pub fn load(&self) -> Result<Side, Vec<Located>> {
        let mut problems = self.foreign_numbers();
        match Side::load(self.json().as_bytes()) {
            Ok(side) if problems.is_empty() => Ok(side),
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(located(self, &found));
                Err(problems)
            }
        }
    }

    /// The configuration of a command that needs a right one.
    pub fn load_or_explain(&self) -> Result<Side> {
        self.load().map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("a wrong configuration:\n{}", lines.join("\n"))
        })
    }

    fn is_ours(&self) -> bool {
        let says_so = |text: &str| text.contains("skew-guard") || text.contains("skew_guard");
        if says_so(&self.name) || self.form == Form::Chart {
            return true;
        }
        let Some(node) = self.root.at(&self.at) else {
            return false;
        };
        match &node.value {
            Value::Text(text) => TELLING
                .iter()
                .any(|key| text.contains(&format!("\"{key}\""))),
            _ => is_telling(node),
        }
    }

    fn foreign_numbers(&self) -> Vec<Located> {
        let mut found = Vec::new();
        if let Some(node) = self.root.at(&self.at) {
            collect_foreign_numbers(node, &mut self.at.clone(), &mut |at, line, number| {
                found.push(Located {
                    line: Some(line),
                    path: written(at),
                    text: format!(
                        "{number} is a number in YAML; write it as a string: \"{number}\""
                    ),
                });
            });
        }
        found
    }

    /// Where a problem of the configuration stands in the document.
    fn locate(&self, problem: &Problem) -> Located {
        let mut at = self.at.clone();
        let below = steps(&problem.path);
        if self.form == Form::Text {
            return Located {
                line: self.root.at(&at).map(|node| node.line),
                path: format!("{}: {}", written(&at), problem.path),
                text: problem.text.clone(),
            };
        }
        let is_beside_config = matches!(
            below.first(),
            Some(Step::Key(key)) if ["releases", "current", "hosts"].contains(&key.as_str())
        );
        if self.form == Form::Chart && !is_beside_config && !below.is_empty() {
            at.push(Step::Key("config".to_owned()));
        }
        let mut line = self.root.at(&at).map(|node| node.line);
        for step in below {
            at.push(step);
            line = self.root.at(&at).map(|node| node.line).or(line);
        }
        Located {
            line,
            path: written(&at),
            text: problem.text.clone(),
        }
    }
}

fn located(document: &Document, problems: &Problems) -> Vec<Located> {
    problems
        .iter()
        .map(|problem| document.locate(problem))
        .collect()
}

/// A problem and where it stands in its document.
#[derive(Clone, Debug)]
pub struct Located {
    /// The line, from 1.
    pub line: Option<usize>,
    /// The path: `spec.pluginConfig.releases[1].version`.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub text: String,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.path, self.text)
        }
    }
}

fn collect_foreign_numbers(
    node: &Node,
    at: &mut Vec<Step>,
    found: &mut impl FnMut(&[Step], usize, &str),
) {
    if let Value::ForeignNumber(number) = &node.value {
        found(at, node.line, number);
    }
    for (key, value) in node.entries() {
        at.push(Step::Key(key.clone()));
        collect_foreign_numbers(value, at, found);
        at.pop();
    }
    for (index, item) in node.items().iter().enumerate() {
        at.push(Step::Item(index));
        collect_foreign_numbers(item, at, found);
        at.pop();
    }
}

/// The steps of a problem's path, `releases[1].version`; none for the configuration itself.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    if path == "configuration" {
        return steps;
    }
    for part in path.split('.') {
        let mut pieces = part.split('[');
        steps.extend(pieces.next().map(|key| Step::Key(key.to_owned())));
        let items = pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok());
        steps.extend(items.map(Step::Item));
    }
    steps
}

fn written(at: &[Step]) -> String {
    let mut path = String::new();
    for step in at {
        match step {
            Step::Key(key) if path.is_empty() => path += key,
            Step::Key(key) => path += &format!(".{key}"),
            Step::Item(index) => path += &format!("[{index}]"),
        }
    }
    path
}

/// What the chart makes of its values.
fn chart_configuration(values: &Node) -> Node {
    let mut entries = values
        .get("config")
        .map(|config| config.entries().to_vec())
        .unwrap_or_default();
    if let Some(releases) = values.get("releases") {
        let items = releases.items().iter().map(chart_release).collect();
        let value = match &releases.value {
            Value::List(_) => Value::List(items),
            other => other.clone(),
        };
        let line = releases.line;
        entries.push(("releases".to_owned(), Node { line, value }));
    }
    if let Some(current) = values.get("current")
        && !matches!(&current.value, Value::Null)
        && current.text() != Some("")
    {
        entries.push(("current".to_owned(), current.clone()));
    }
    if let Some(hosts) = values.get("hosts")
        && !hosts.items().iter().any(|host| host.text() == Some("*"))
    {
        entries.push(("hosts".to_owned(), hosts.clone()));
    }
    Node {
        line: values.line,
        value: Value::Map(entries),
    }
}

fn chart_release(release: &Node) -> Node {
    let Value::Map(entries) = &release.value else {
        return release.clone();
    };
    let mut entries: Vec<_> = entries
        .iter()
        .filter(|(key, _)| key != "labels")
        .cloned()
        .collect();
    let is_retired = release.get("state").and_then(Node::text) == Some("retired");
    if let Some(version) = release.get("version").and_then(Node::text)
        && release.get("route").is_none()
        && !is_retired
    {
        let route = Node {
            line: release.line,
            value: Value::Text(chart_route(version)),
        };
        entries.push(("route".to_owned(), route));
    }
    Node {
        line: release.line,
        value: Value::Map(entries),
    }
}

/// The DNS label that the chart makes of a version where no route is given.
pub fn chart_route(version: &str) -> String {
    let mut label = String::new();
    for letter in version.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() {
            label.push(letter);
        } else if !label.ends_with('-') {
            label.push('-');
        }
    }
    if label.starts_with(|first: char| first.is_ascii_digit()) {
        label.insert(0, 'v');
    }
    label.truncate(63);
    label.strip_suffix('-').unwrap_or(&label).to_owned()
}
