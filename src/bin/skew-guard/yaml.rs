//! YAML as it was written: every scalar with its original characters, every key with its line,
//! nothing lost.
//!
//! A plain (unquoted) scalar means what it means in Kubernetes' and Helm's YAML: `yes` is a boolean,
//! `1.10` a number, a date a string.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use skew_guard::config::json::{Json, Kind};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a document holds.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Boolean(bool),
    /// Its digits as they were written.
    Number(String),
    /// A number that JSON cannot write: `0123`, `0x1F`, `1_000`, `.5`.
    NonJsonNumber(String),
    Text(String),
    List(Vec<Node>),
    /// In order, with every key that comes twice.
    Map(Vec<(String, Node)>),
}

/// A step from a value to one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    Item(usize),
}

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value below these keys.
    pub fn below(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The value at the end of a path.
    pub fn at(&self, path: &[Segment]) -> Option<&Node> {
        path.iter().try_fold(self, |node, segment| match segment {
            Segment::Key(key) => node.get(key),
            Segment::Item(index) => node.items().get(*index),
        })
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its bytes and values.
    fn size(&self) -> usize {
        let own = match &self.value {
            Value::Null | Value::Boolean(_) => 0,
            Value::Number(text) | Value::NonJsonNumber(text) | Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| key.len() + value.size())
                .sum(),
        };
        own + size_of::<Self>()
    }

    /// How many values stand around its deepest one.
    fn depth(&self) -> usize {
        let items = self.items().iter();
        let values = self.entries().iter().map(|(_, value)| value);
        let deepest = items.chain(values).map(|below| 1 + below.depth()).max();
        deepest.unwrap_or_default()
    }

    /// The same as JSON, with numbers as they were written.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    fn write_json(&self, json: &mut String) {
        match &self.value {
            Value::Null => json.push_str("null"),
            Value::Boolean(value) => json.push_str(if *value { "true" } else { "false" }),
            Value::Number(digits) => json.push_str(digits),
            Value::Text(text) | Value::NonJsonNumber(text) => write_text(text, json),
            Value::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    item.write_json(json);
                }
                json.push(']');
            }
            Value::Map(entries) => {
                json.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    write_text(key, json);
                    json.push(':');
                    value.write_json(json);
                }
                json.push('}');
            }
        }
    }
}

fn write_text(text: &str, json: &mut String) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

/// How much all aliases of a file may stand for, in bytes and values together: far more than any
/// configuration, and far less than memory.
const MAX_ALIASED: usize = 1 << 24;

/// How deep values may be nested; serde_json's limit too.
const MAX_DEPTH: usize = 128;

/// The byte order mark with which some editors begin a file, and the rest of it.
pub fn split_bom(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches('\u{feff}');
    text.split_at(text.len() - rest.len())
}

/// The documents of a file.
pub fn read(text: &str) -> Result<Vec<Node>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        aliased: 0,
        depth: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(_), _) => {
                let (event, span) = reader.next()?;
                documents.push(reader.node(event, span)?);
            }
            _ => {}
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: BTreeMap<usize, Node>,
    /// How much has been copied so far.
    aliased: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span)> {
        self.parser
            .next()
            .context("the file ends too early")?
            .map_err(|error| anyhow::anyhow!("not YAML: {error}"))
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node> {
        let line = span.start.line();
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar(&text, style, tag.as_deref()))
            }
            Event::SequenceStart(anchor, _) => {
                let items = self.below(line, Self::items)?;
                (anchor, Value::List(items))
            }
            Event::MappingStart(anchor, _) => {
                let entries = self.below(line, Self::entries)?;
                (anchor, Value::Map(entries))
            }
            Event::Alias(anchor) => return self.aliased(anchor, line),
            other => bail!("line {line}: a value was expected, not {other:?}"),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.count(&node, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn below<T>(&mut self, line: usize, read: fn(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        ensure_depth(self.depth, line)?;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn aliased(&mut self, anchor: usize, line: usize) -> Result<Node> {
        let node = self
            .anchors
            .get(&anchor)
            .cloned()
            .with_context(|| format!("line {line}: an alias inside what it stands for"))?;
        ensure_depth(self.depth + node.depth(), line)?;
        self.count(&node, line)?;
        Ok(node)
    }

    /// A few lines of aliases of aliases can stand for more than any memory holds.
    fn count(&mut self, copied: &Node, line: usize) -> Result<()> {
        self.aliased = self.aliased.saturating_add(copied.size());
        ensure!(
            self.aliased <= MAX_ALIASED,
            "line {line}: what the anchors and aliases up to here stand for is too large: more than {} MB",
            MAX_ALIASED >> 20
        );
        Ok(())
    }

    fn items(&mut self) -> Result<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<(String, Node)>> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, ..), _) => text.into_owned(),
                (_, span) => bail!("line {}: a key that is not text", span.start.line()),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if key == "<<" {
                merged.push(value);
            } else {
                entries.push((key, value));
            }
        }
        // Explicit keys override merged ones (yaml.org/type/merge.html).
        for node in merged {
            let maps = match &node.value {
                Value::List(items) => items.clone(),
                _ => vec![node],
            };
            for (key, value) in maps.iter().flat_map(Node::entries) {
                if !entries.iter().any(|(known, _)| known == key) {
                    entries.push((key.clone(), value.clone()));
                }
            }
        }
        Ok(entries)
    }
}

fn ensure_depth(depth: usize, line: usize) -> Result<()> {
    ensure!(
        depth <= MAX_DEPTH,
        "line {line}: values are nested more than {MAX_DEPTH} levels deep"
    );
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_string {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Value::Boolean(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Value::Boolean(false)
        }
        _ if is_json_number(text) => Value::Number(text.to_owned()),
        _ if is_non_json_number(text) => Value::NonJsonNumber(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_json_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && Json::read(text).is_ok()
}

fn is_non_json_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.replace('_', "");
    let starts_right = unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit());
    let is_hexadecimal = digits
        .strip_prefix("0x")
        .is_some_and(|rest| u64::from_str_radix(rest, 16).is_ok());
    starts_right && (digits.parse::<f64>().is_ok() || is_hexadecimal)
}

/// Whether a text is JSON, and not only YAML within braces.
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && Json::read(text).is_ok()
}

/// A JSON file, which may be indented with tabs as YAML may not.
pub fn read_json(text: &str) -> Result<Node> {
    node_of_json(text, Json::read(text).context("not JSON")?, 0)
}

fn node_of_json(text: &str, json: Json<'_>, depth: usize) -> Result<Node> {
    let written = json.written();
    let offset = written.as_ptr() as usize - text.as_ptr() as usize;
    let before = text.get(..offset).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    ensure_depth(depth, line)?;
    let below = |value| node_of_json(text, value, depth + 1);
    let broken = || format!("not JSON: line {line}: half of a surrogate pair is missing");
    let value = match json.kind() {
        Kind::Object => {
            let entries = json.entries().with_context(broken)?;
            let entries = entries
                .into_iter()
                .map(|(key, value)| Ok((key.into_owned(), below(value)?)));
            Value::Map(entries.collect::<Result<_>>()?)
        }
        Kind::List => {
            let items = json.items().unwrap_or_default();
            let items = items.into_iter().map(below);
            Value::List(items.collect::<Result<_>>()?)
        }
        Kind::Text => Value::Text(json.text().with_context(broken)?.into_owned()),
        Kind::Boolean => Value::Boolean(written == "true"),
        Kind::Null => Value::Null,
        Kind::Number => Value::Number(written.to_owned()),
    };
    Ok(Node { line, value })
}
