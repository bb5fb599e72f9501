//! A step made in a file: everything that is not changed stays as it was written, comments included.

use std::rc::Rc;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use skew_guard::config::State;
use skew_guard::rollout::{Edit, Reader, apply, written_entry};
use yaml_edit::{Mapping, Scalar, Sequence, YamlFile, YamlNode};

use crate::document::{Document, Form};
use crate::yaml::{self, Node, Segment};

const NOT_EDITABLE: &str =
    "the way this file is written, the step cannot be made without damage; make it by hand";

/// The text of a file after some changes to one configuration in it.
pub fn edited(text: &str, document: &Document, edits: &[Edit]) -> Result<String> {
    let (mark, text) = yaml::split_bom(text);
    edited_without_bom(text, document, edits).map(|edited| format!("{mark}{edited}"))
}

fn edited_without_bom(text: &str, document: &Document, edits: &[Edit]) -> Result<String> {
    if document.form == Form::Text {
        return edited_in_text(text, document, edits);
    }
    let file = YamlFile::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let root = file
        .documents()
        .nth(document.index)
        .and_then(|document| document.as_mapping())
        .context("the document is not a map")?;
    let root = find(root, &document.at)?;
    let style = Style::of(text, &root, document.reader());
    for edit in edits {
        style.make(edit, &root)?;
    }
    let edited = style.lay_out(file.to_string(), edits);
    verify(text, &edited, document, edits)?;
    Ok(edited)
}

/// The same where the configuration is JSON in a text, as Envoy wants it: on lines of its own, below
/// `value: |`.
fn edited_in_text(text: &str, document: &Document, edits: &[Edit]) -> Result<String> {
    let json = document.json();
    let inner = Document {
        index: 0,
        form: Form::Object,
        at: Vec::new(),
        root: Rc::new(yaml::read_json(&json)?),
        ..document.clone()
    };
    let new = edited_without_bom(&json, &inner, edits)?;
    let after = with_block(text, &json, &new).with_context(|| {
        format!(
            "the configuration is JSON within a string of {}; to let skew-guard edit it, put it on separate lines below \"value: |\"",
            document.file.display()
        )
    })?;
    let mut meant = values(&yaml::read(text)?)?;
    let written = value_at(&mut meant, document).context(NOT_EDITABLE)?;
    *written = Value::String(new);
    ensure!(
        values(&yaml::read(&after).context(NOT_EDITABLE)?)? == meant,
        NOT_EDITABLE
    );
    Ok(after)
}

/// A text with the lines of a block, however far they are indented, replaced by others. `None` where
/// the block is not there, or twice.
fn with_block(text: &str, block: &str, new: &str) -> Option<String> {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let wanted: Vec<_> = block.lines().collect();
    let indent_of = |window: &[&str]| {
        let first = window.first()?.trim_end_matches(['\r', '\n']);
        let indent = first.strip_suffix(wanted.first()?)?;
        let is_indented = |(line, wanted): (&&str, &&str)| {
            let line = line.trim_end_matches(['\r', '\n']);
            line.strip_prefix(indent).unwrap_or(line.trim_start()) == *wanted
        };
        let is_it = indent.trim().is_empty() && window.iter().zip(&wanted).all(is_indented);
        is_it.then(|| indent.to_owned())
    };
    let mut found = lines
        .windows(wanted.len())
        .enumerate()
        .filter_map(|(at, window)| Some((at, indent_of(window)?)));
    let (at, indent) = found.next().filter(|_| found.next().is_none())?;
    let before = lines.get(..at)?.concat();
    let after = lines.get(at + wanted.len()..)?.concat();
    let end = |line: &str| {
        line.get(line.trim_end_matches(['\r', '\n']).len()..)
            .map(str::to_owned)
    };
    let (first, last) = (lines.get(at)?, lines.get(at + wanted.len() - 1)?);
    let indented: Vec<_> = new.lines().map(|line| format!("{indent}{line}")).collect();
    let new = indented.join(&end(first)?) + &end(last)?;
    Some(format!("{before}{new}{after}"))
}

fn find(root: Mapping, at: &[Segment]) -> Result<Mapping> {
    let mut node = YamlNode::Mapping(root);
    for segment in at {
        node = match segment {
            Segment::Key(key) => node.get(key.as_str()),
            Segment::Item(index) => node.get_item(*index),
        }
        .context("the configuration is written in a way that cannot be edited here")?;
    }
    node.as_mapping()
        .cloned()
        .context("the configuration is not a map")
}

/// How a file is written.
struct Style {
    reader: Reader,
    is_json: bool,
    /// Whether a new release is written on one line, within braces.
    is_flow: bool,
}

impl Style {
    fn of(text: &str, root: &Mapping, reader: Reader) -> Self {
        let is_json = yaml::is_json(text);
        let releases = root.get_sequence("releases");
        let is_flow = releases.is_none_or(|releases| {
            releases.is_flow_style()
                || releases
                    .first()
                    .and_then(|first| first.as_mapping().map(Mapping::is_flow_style))
                    .unwrap_or(true)
        });
        Self {
            reader,
            is_json,
            is_flow,
        }
    }

    fn make(&self, edit: &Edit, root: &Mapping) -> Result<()> {
        match edit {
            Edit::Current(current) => {
                let node = parsed(&format!("current: {}", self.written(current)))?;
                let node = node.get("current").context("a value of current")?;
                root.set("current", &node);
            }
            Edit::Revision(revision) => {
                let holder = match self.reader {
                    Reader::Chart => root.get_mapping("config").context("config")?,
                    Reader::Plugin => root.clone(),
                };
                holder.set("revision", i64::try_from(*revision)?);
            }
            Edit::List { entry, labels } => {
                let entry = parsed(&self.entry(entry, labels))?;
                releases(root)?.insert(0, &entry);
            }
            Edit::Remove(version) => {
                let releases = releases(root)?;
                let index = index_of(&releases, version.as_str())?;
                releases.remove(index);
            }
            Edit::State {
                version,
                state,
                until,
            } => {
                let releases = releases(root)?;
                let index = index_of(&releases, version.as_str())?;
                let release = releases.get(index);
                let release = release
                    .as_ref()
                    .and_then(YamlNode::as_mapping)
                    .context("a release")?;
                set_state(release, *state, until.as_deref())?;
            }
        }
        Ok(())
    }

    /// A new release as it is written here.
    fn entry(&self, entry: &Map<String, Value>, labels: &Map<String, Value>) -> String {
        let entry = written_entry(entry, labels, self.reader);
        let mut keys: Vec<_> = entry.keys().map(String::as_str).collect();
        // What names the release comes first.
        keys.sort_by_key(|key| (*key != "version", *key != "route"));
        let pairs = keys.into_iter().filter_map(|key| {
            let value = self.written(entry.get(key)?);
            Some(if self.is_json {
                format!("\"{key}\": {value}")
            } else {
                format!("{key}: {value}")
            })
        });
        let pairs: Vec<_> = pairs.collect();
        match (self.is_json, self.is_flow) {
            (true, _) => format!("{{ {} }}", pairs.join(", ")),
            (false, true) => format!("{{{}}}", pairs.join(", ")),
            (false, false) => pairs.join("\n"),
        }
    }

    /// A value on one line. Texts are quoted: versions and times would be numbers to some readers.
    fn written(&self, value: &Value) -> String {
        match value {
            Value::Object(entries) if !self.is_json => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| format!("{key}: {}", self.written(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.written(item));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            value => value.to_string(),
        }
    }

    /// A new first item of a list within brackets goes on a line of its own where the next one has
    /// one.
    fn lay_out(&self, text: String, edits: &[Edit]) -> String {
        let entries = edits.iter().filter_map(|edit| match edit {
            Edit::List { entry, labels } => Some(self.entry(entry, labels)),
            _ => None,
        });
        entries.fold(text, |text, entry| {
            let Some(start) = text.find(&entry).filter(|_| self.is_flow) else {
                return text;
            };
            let before = text.get(..start).unwrap_or_default();
            let Some((lines, indent)) = before.rsplit_once('\n') else {
                return text;
            };
            if !indent.chars().all(char::is_whitespace) {
                return text;
            }
            let end = if lines.ends_with('\r') { "\r\n" } else { "\n" };
            let apart = format!("{entry},{end}{indent}");
            text.replacen(&format!("{entry}, "), &apart, 1)
        })
    }
}

fn set_state(release: &Mapping, state: State, until: Option<&str>) -> Result<()> {
    if state == State::Live {
        release.remove("state");
    } else {
        release.set("state", state.name());
    }
    if state != State::Retired {
        release.remove("until");
    }
    if let Some(until) = until {
        release.set("until", &quoted(until)?);
    }
    Ok(())
}

fn quoted(text: &str) -> Result<Scalar> {
    let node = parsed(&format!("value: \"{text}\""))?;
    let value = node.get("value");
    value
        .as_ref()
        .and_then(YamlNode::as_scalar)
        .cloned()
        .context("a quoted text")
}

fn parsed(text: &str) -> Result<Mapping> {
    let document =
        yaml_edit::Document::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    document.as_mapping().context("a map")
}

fn releases(root: &Mapping) -> Result<Sequence> {
    root.get_sequence("releases").context("no list of releases")
}

fn index_of(releases: &Sequence, version: &str) -> Result<usize> {
    releases
        .values()
        .position(|release| {
            let named = release.get("version");
            named
                .as_ref()
                .and_then(YamlNode::as_scalar)
                .is_some_and(|scalar| scalar.as_string() == version)
        })
        .with_context(|| format!("{version} is not listed"))
}

/// That the new text means what was meant, nothing else has changed, and no comment is lost. It is
/// read by another parser than the one that wrote it.
fn verify(before: &str, after: &str, document: &Document, edits: &[Edit]) -> Result<()> {
    let read = |text: &str| -> Result<Vec<Node>> {
        if yaml::is_json(text) {
            yaml::read_json(text).map(|root| vec![root])
        } else {
            yaml::read(text)
        }
    };
    let mut meant = values(&read(before)?)?;
    let root = value_at(&mut meant, document).context(NOT_EDITABLE)?;
    apply(edits, root, document.reader());
    ensure!(
        values(&read(after).context(NOT_EDITABLE)?)? == meant,
        NOT_EDITABLE
    );
    let removes = edits.iter().any(|edit| matches!(edit, Edit::Remove(_)));
    if !removes && comments(before)? > comments(after)? {
        bail!("{NOT_EDITABLE}: a comment would be lost");
    }
    Ok(())
}

/// Where the configuration stands in these documents.
fn value_at<'v>(documents: &'v mut [Value], document: &Document) -> Option<&'v mut Value> {
    let pointer: String = document
        .at
        .iter()
        .map(|segment| match segment {
            Segment::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Item(index) => format!("/{index}"),
        })
        .collect();
    documents.get_mut(document.index)?.pointer_mut(&pointer)
}

fn values(documents: &[Node]) -> Result<Vec<Value>> {
    documents
        .iter()
        .map(|document| Ok(serde_json::from_str(&document.to_json())?))
        .collect()
}

fn comments(text: &str) -> Result<usize> {
    let file = YamlFile::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(file.comments().count())
}
