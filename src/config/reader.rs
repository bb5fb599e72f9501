//! Reading that collects every problem: a node knows its place, and notes what is wrong with it in the
//! words of the person who wrote it.

use std::borrow::Cow;

use super::json::{Json, Kind};
use super::problems::Report;

/// What the root of a configuration is called in a problem.
const ROOT: &str = "configuration";

/// A JSON value and where it stands.
pub struct Node<'v> {
    /// Where: `releases[1].version`.
    pub path: String,
    /// What it is.
    pub json: Json<'v>,
    report: &'v Report,
}

impl<'v> Node<'v> {
    /// Parses a value, or notes a problem.
    pub fn root(bytes: &'v [u8], report: &'v Report) -> Option<Self> {
        if bytes.trim_ascii().is_empty() {
            report.add(
                ROOT,
                "empty; allowed: a JSON object, at least {\"releases\":[{\"version\":\"1.0.0\"}]}",
            );
            return None;
        }
        let json = match std::str::from_utf8(bytes) {
            Ok(text) => Json::read(text).map_err(|error| error.to_string()),
            Err(error) => Err(format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1)),
        };
        match json {
            Ok(json) => Some(Self {
                path: ROOT.to_owned(),
                json,
                report,
            }),
            Err(error) => {
                report.add(ROOT, format!("not JSON: {error}; allowed: a JSON object (in Envoy's own configuration within a google.protobuf.StringValue)"));
                None
            }
        }
    }

    /// The text, or a problem. A number gets the explanation that everybody needs once: `1.10` loses
    /// its zero on the way, in YAML and in Istio.
    pub fn text(&self) -> Option<Cow<'v, str>> {
        match self.json.kind() {
            Kind::Text => {
                let text = self.json.text();
                if text.is_none() {
                    self.refuse("Unicode, with both halves of each surrogate pair");
                }
                text
            }
            Kind::Number => {
                let number = self.json.written();
                self.report.add(
                    &self.path,
                    format!("{number} is a number; write it as a string: \"{number}\""),
                );
                None
            }
            _ => self.not("a string"),
        }
    }

    /// What a text parses to, or a problem that says what is allowed.
    pub fn parse<T>(&self, allowed: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(&self.text()?);
        if parsed.is_none() {
            self.refuse(allowed);
        }
        parsed
    }

    /// `true` or `false`, or a problem.
    pub fn boolean(&self) -> Option<bool> {
        match self.json.kind() {
            Kind::Boolean => Some(self.json.written() == "true"),
            _ => self.not("true or false"),
        }
    }

    /// A whole number within bounds, both included, or a problem.
    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let allowed = format!("a whole number from {least} to {most}");
        if self.json.kind() != Kind::Number {
            return self.not(&allowed);
        }
        let integer = self.json.written().parse().ok();
        let integer = integer.filter(|integer| (least..=most).contains(integer));
        if integer.is_none() {
            self.refuse(&allowed);
        }
        integer
    }

    /// A list whose items are read by `read`; those that cannot be read are left out, with a
    /// problem.
    pub fn list_of<T>(&self, read: impl FnMut(Node<'v>) -> Option<T>) -> Vec<T> {
        self.items().into_iter().filter_map(read).collect()
    }

    fn items(&self) -> Vec<Node<'v>> {
        let Some(items) = self.json.items() else {
            self.not::<()>("a list");
            return Vec::new();
        };
        (0..)
            .zip(items)
            .map(|(index, json): (usize, _)| Node {
                path: format!("{}[{index}]", self.path),
                json,
                report: self.report,
            })
            .collect()
    }

    /// Notes a problem where the value is an empty list.
    pub fn refuse_empty(&self, allowed: &str) {
        let list = self.json.written().strip_prefix('[');
        if list.is_some_and(|rest| rest.trim_ascii_start() == "]") {
            self.refuse(allowed);
        }
    }

    /// An object with these keys and no others, each once, or a problem. JSON silently lets the
    /// last of two equal keys win; but half of a list lost in a merge should not go unnoticed.
    pub fn object(&self, known: &[&str]) -> Option<Object<'v>> {
        if self.json.kind() != Kind::Object {
            return self.not(&format!("an object with the keys {}", enumerated(known)));
        }
        let Some(entries) = self.json.entries() else {
            self.refuse("keys of Unicode, with both halves of each surrogate pair");
            return None;
        };
        let object = Object {
            path: self.path.clone(),
            entries,
            report: self.report,
        };
        for (index, key) in object.keys().enumerate() {
            if !known.contains(&key) {
                object.add(key, unknown_key(key, known));
            } else if object.keys().take(index).any(|earlier| earlier == key) {
                object.add(key, "this key occurs twice; allowed: once");
            }
        }
        Some(object)
    }

    /// Notes that the value is of the wrong kind.
    pub fn not<T>(&self, allowed: &str) -> Option<T> {
        let kind = match self.json.kind() {
            Kind::Null => "no value",
            Kind::Boolean => "a boolean",
            Kind::Number => "a number",
            Kind::Text => "a string",
            Kind::List => "a list",
            Kind::Object => "an object",
        };
        let excerpt = excerpt(self.json);
        self.report.add(
            &self.path,
            format!("{excerpt} is {kind}; allowed: {allowed}"),
        );
        None
    }

    /// Notes that the value, though of the right kind, is not one of those allowed.
    pub fn refuse(&self, allowed: &str) {
        let excerpt = excerpt(self.json);
        self.report.add(
            &self.path,
            format!("{excerpt} is not allowed; allowed: {allowed}"),
        );
    }
}

/// A JSON object and where it stands.
pub struct Object<'v> {
    path: String,
    entries: Vec<(Cow<'v, str>, Json<'v>)>,
    report: &'v Report,
}

impl<'v> Object<'v> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'v>> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, json)| Node {
                path: self.below(key),
                json: *json,
                report: self.report,
            })
    }

    /// The value of a key that must be there, or a problem.
    pub fn require(&self, key: &str, allowed: &str) -> Option<Node<'v>> {
        let node = self.get(key);
        if node.is_none() {
            self.add(key, format!("missing; allowed: {allowed}"));
        }
        node
    }

    /// The items of a list that is empty where it is absent, each read by `read`.
    pub fn list_of<T>(&self, key: &str, read: impl FnMut(Node<'v>) -> Option<T>) -> Vec<T> {
        self.get(key)
            .map(|node| node.list_of(read))
            .unwrap_or_default()
    }

    /// What one of a few names stands for.
    pub fn name<T: Copy + Default>(&self, key: &str, names: &[(&str, T)]) -> T {
        let Some(node) = self.get(key) else {
            return T::default();
        };
        let allowed: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        node.parse(&enumerated(&allowed), |text| {
            let named = names.iter().find(|(name, _)| *name == text);
            named.map(|(_, value)| *value)
        })
        .unwrap_or_default()
    }

    /// Whether something is switched on.
    pub fn switch(&self, key: &str, default: bool) -> bool {
        self.get(key)
            .and_then(|node| node.boolean())
            .unwrap_or(default)
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_ref())
    }

    fn add(&self, key: &str, text: impl Into<String>) {
        self.report.add(self.below(key), text);
    }

    fn below(&self, key: &str) -> String {
        if self.path == ROOT {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| {
            (
                strsim::levenshtein(&key.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
    match nearest {
        Some((_, candidate)) => format!("unknown key; did you mean \"{candidate}\"?"),
        None => format!("unknown key; allowed: {}", enumerated(known)),
    }
}

/// `a, b and c`.
fn enumerated(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A value as it was written, on one line, cut where it is long.
fn excerpt(json: Json<'_>) -> String {
    const MAX_LENGTH: usize = 60;
    let lines = json.written().split(['\n', '\r']).map(str::trim_ascii);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let line = lines.join(" ");
    match line.char_indices().nth(MAX_LENGTH) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}
