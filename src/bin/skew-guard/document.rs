//! A configuration in its place: in a file of its own, a Kubernetes manifest, one of Envoy's files, or
//! the chart's values.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Map, json};
use skew_guard::config::{Problem, Problems};
use skew_guard::rollout::{LoadedConfig, Reader};

use crate::yaml::{self, Node, Segment, Value};

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
    pub at: Vec<Segment>,
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
const DISTINCTIVE_KEYS: &[&str] = &[
    "releases",
    "current",
    "routeHeader",
    "unknownVersion",
    "pinCookie",
    "pinnedNavigation",
    "unpinnedPaths",
];

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
    pub fn load(&self) -> Result<LoadedConfig, Vec<Located>> {
        let mut problems = self.non_json_numbers();
        match LoadedConfig::load(self.json().as_bytes()) {
            Ok(loaded) if problems.is_empty() => Ok(loaded),
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(located(self, &found));
                Err(problems)
            }
        }
    }

    /// A problem with its place, for people.
    pub fn describe(&self, problem: &Located) -> String {
        format!("{}{problem}", self.place(problem.line))
    }

    /// How a line about it begins.
    pub fn place(&self, line: Option<usize>) -> String {
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        let mut place = format!("{}{line}: ", self.file.display());
        if self.index > 0 {
            place += &format!("document {}: ", self.index + 1);
        }
        if !self.name.is_empty() {
            place += &format!("{}: ", self.name);
        }
        place
    }

    /// Which one it is, for machines.
    pub fn identity(&self) -> Map<String, serde_json::Value> {
        let identity = [
            ("file", json!(self.file)),
            ("document", json!(self.index + 1)),
            ("name", json!(self.name)),
        ];
        let keys = identity.into_iter();
        keys.map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Whether it is a configuration of this filter, and not of another Wasm module.
    pub fn is_ours(&self) -> bool {
        let says_so = |text: &str| text.contains("skew-guard") || text.contains("skew_guard");
        if says_so(&self.name) || self.form == Form::Chart {
            return true;
        }
        let Some(node) = self.root.at(&self.at) else {
            return false;
        };
        match &node.value {
            Value::Text(text) => DISTINCTIVE_KEYS
                .iter()
                .any(|key| text.contains(&format!("\"{key}\""))),
            _ => has_distinctive_key(node),
        }
    }

    fn non_json_numbers(&self) -> Vec<Located> {
        let mut found = Vec::new();
        if let Some(node) = self.root.at(&self.at) {
            collect_non_json_numbers(node, &mut self.at.clone(), &mut |at, line, number| {
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
        let below = segments(&problem.path);
        if self.form == Form::Text {
            return Located {
                line: self.root.at(&at).map(|node| node.line),
                path: format!("{}: {}", written(&at), problem.path),
                text: problem.text.clone(),
            };
        }
        let is_beside_config = matches!(
            below.first(),
            Some(Segment::Key(key)) if ["releases", "current", "hosts"].contains(&key.as_str())
        );
        if self.form == Form::Chart && !is_beside_config && !below.is_empty() {
            at.push(Segment::Key("config".to_owned()));
        }
        let mut line = self.root.at(&at).map(|node| node.line);
        for segment in below {
            at.push(segment);
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

impl Located {
    /// For machines.
    pub fn json(&self) -> serde_json::Value {
        json!({"path": self.path, "line": self.line, "problem": self.text})
    }
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

fn collect_non_json_numbers(
    node: &Node,
    at: &mut Vec<Segment>,
    found: &mut impl FnMut(&[Segment], usize, &str),
) {
    if let Value::NonJsonNumber(number) = &node.value {
        found(at, node.line, number);
    }
    for (key, value) in node.entries() {
        at.push(Segment::Key(key.clone()));
        collect_non_json_numbers(value, at, found);
        at.pop();
    }
    for (index, item) in node.items().iter().enumerate() {
        at.push(Segment::Item(index));
        collect_non_json_numbers(item, at, found);
        at.pop();
    }
}

/// The steps of a problem's path, `releases[1].version`; none for the configuration itself.
fn segments(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    if path == "configuration" {
        return segments;
    }
    for part in path.split('.') {
        let mut pieces = part.split('[');
        segments.extend(pieces.next().map(|key| Segment::Key(key.to_owned())));
        let items = pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok());
        segments.extend(items.map(Segment::Item));
    }
    segments
}

fn written(at: &[Segment]) -> String {
    let mut path = String::new();
    for segment in at {
        match segment {
            Segment::Key(key) if path.is_empty() => path += key,
            Segment::Key(key) => path += &format!(".{key}"),
            Segment::Item(index) => path += &format!("[{index}]"),
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

pub fn has_distinctive_key(node: &Node) -> bool {
    DISTINCTIVE_KEYS.iter().any(|key| node.get(key).is_some())
}
