//! YAML as it was written: every scalar with the characters that its writer gave it, every key with
//! its line, nothing lost.
//!
//! What is plain (not quoted) means what Kubernetes' and Helm's YAML takes it for: `yes` is a boolean,
//! `1.10` a number, a date a string.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
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
    ForeignNumber(String),
    Text(String),
    List(Vec<Node>),
    /// In order, with every key that comes twice.
    Map(Vec<(String, Node)>),
}

/// A step from a value to one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
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
    pub fn at(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Item(index) => node.items().get(*index),
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
            Value::Text(text) | Value::ForeignNumber(text) => write_text(text, json),
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

/// The documents of a file.
pub fn read(text: &str) -> Result<Vec<Node>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
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
            Event::SequenceStart(anchor, _) => (anchor, Value::List(self.items()?)),
            Event::MappingStart(anchor, _) => (anchor, Value::Map(self.entries()?)),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor);
                return node
                    .cloned()
                    .with_context(|| format!("line {line}: an alias within what it stands for"));
            }
            other => bail!("line {line}: a value was expected, not {other:?}"),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
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
                (_, span) => bail!("line {}: a key that is no text", span.start.line()),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if key == "<<" {
                merged.push(value);
            } else {
                entries.push((key, value));
            }
        }
        // What is merged gives way to what is written (yaml.org/type/merge.html).
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
        _ if is_foreign_number(text) => Value::ForeignNumber(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_json_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && Json::read(text).is_ok()
}

fn is_foreign_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.replace('_', "");
    let starts_right = unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit());
    let is_hexadecimal = digits
        .strip_prefix("0x")
        .is_some_and(|rest| u64::from_str_radix(rest, 16).is_ok());
    starts_right && (digits.parse::<f64>().is_ok() || is_hexadecimal)
}

/// A JSON file, which may be indented with tabs as YAML may not.
pub fn read_json(text: &str) -> Result<Node> {
    node_of_json(text, Json::read(text).context("not JSON")?)
}

fn node_of_json(text: &str, json: Json<'_>) -> Result<Node> {
    let written = json.written();
    let offset = written.as_ptr() as usize - text.as_ptr() as usize;
    let before = text.get(..offset).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    let broken = || format!("not JSON: line {line}: half of a surrogate pair is missing");
    let value = match json.kind() {
        Kind::Object => {
            let entries = json.entries().with_context(broken)?;
            let entries = entries
                .into_iter()
                .map(|(key, value)| Ok((key.into_owned(), node_of_json(text, value)?)));
            Value::Map(entries.collect::<Result<_>>()?)
        }
        Kind::List => {
            let items = json.items().unwrap_or_default();
            let items = items.into_iter().map(|item| node_of_json(text, item));
            Value::List(items.collect::<Result<_>>()?)
        }
        Kind::Text => Value::Text(json.text().with_context(broken)?.into_owned()),
        Kind::Boolean => Value::Boolean(written == "true"),
        Kind::Null => Value::Null,
        Kind::Number => Value::Number(written.to_owned()),
    };
    Ok(Node { line, value })
}
