//! Reading JSON with every problem in mind: a node knows where it stands, and says what is wrong with
//! it in the words of the person who wrote it.

use std::fmt;

use serde_json::{Map, Value};

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `releases[1].version`.
    pub path: String,
    /// What, and what is allowed.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// All that is wrong with a configuration, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one more.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            text: text.into(),
        });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something was already said about a key or what is below it.
    #[must_use]
    pub fn mention(&self, key: &str) -> bool {
        self.0.iter().any(|problem| {
            problem
                .path
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The problems, first found first.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// What the root of a configuration is called in a problem.
pub const ROOT: &str = "configuration";

/// A JSON value and where it stands.
pub struct Node<'v> {
    /// Where: `releases[1].version`.
    pub path: String,
    value: &'v Value,
}

impl<'v> Node<'v> {
    pub fn root(value: &'v Value) -> Self {
        Self {
            path: ROOT.to_owned(),
            value,
        }
    }

    /// The text, or a problem. A number gets the explanation that everybody needs once: `1.10` loses
    /// its zero on the way, in YAML and in Istio.
    pub fn text(&self, problems: &mut Problems) -> Option<&'v str> {
        match self.value {
            Value::String(text) => Some(text),
            Value::Number(number) => {
                problems.add(
                    &self.path,
                    format!("{number} is a number; write it as a string: \"{number}\""),
                );
                None
            }
            _ => self.not(problems, "a string"),
        }
    }

    /// What a text parses to, or a problem that says what is allowed.
    pub fn parse<T>(
        &self,
        problems: &mut Problems,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(problems)?;
        let parsed = parse(text);
        if parsed.is_none() {
            self.refuse(problems, allowed);
        }
        parsed
    }

    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match self.value {
            Value::Bool(boolean) => Some(*boolean),
            _ => self.not(problems, "true or false"),
        }
    }

    /// A whole number within bounds, both included.
    pub fn integer(&self, problems: &mut Problems, least: u64, most: u64) -> Option<u64> {
        let Value::Number(number) = self.value else {
            return self.not(problems, &format!("a whole number from {least} to {most}"));
        };
        let integer = number
            .as_u64()
            .filter(|integer| (least..=most).contains(integer));
        if integer.is_none() {
            self.refuse(problems, &format!("a whole number from {least} to {most}"));
        }
        integer
    }

    pub fn list(&self, problems: &mut Problems) -> Option<Vec<Node<'v>>> {
        let Value::Array(items) = self.value else {
            return self.not(problems, "a list");
        };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, value)| Node {
                    path: format!("{}[{index}]", self.path),
                    value,
                })
                .collect(),
        )
    }

    /// A list whose every item is read by `read`; those that cannot be are left out, with a problem.
    pub fn list_of<T>(
        &self,
        problems: &mut Problems,
        mut read: impl FnMut(&Node<'v>, &mut Problems) -> Option<T>,
    ) -> Vec<T> {
        self.list(problems)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| read(item, problems))
            .collect()
    }

    /// An object with these keys and no others, or a problem.
    pub fn object(&self, problems: &mut Problems, known: &[&str]) -> Option<Object<'v>> {
        let Value::Object(entries) = self.value else {
            return self.not(
                problems,
                &format!("an object with the keys {}", enumerated(known)),
            );
        };
        for key in entries.keys().filter(|key| !known.contains(&key.as_str())) {
            problems.add(self.below(key), unknown_key(key, known));
        }
        Some(Object {
            path: self.path.clone(),
            entries,
        })
    }

    /// Whether the value is a list, for keys that take one or something simpler.
    pub fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// The value as it was written.
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// Reports that the value is of a wrong kind.
    pub fn not<T>(&self, problems: &mut Problems, allowed: &str) -> Option<T> {
        let kind = match self.value {
            Value::Null => "no value",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        problems.add(
            &self.path,
            format!("{} is {kind}; allowed: {allowed}", excerpt(self.value)),
        );
        None
    }

    /// Reports that the value, though of the right kind, is not one of those allowed.
    pub fn refuse(&self, problems: &mut Problems, allowed: &str) {
        problems.add(
            &self.path,
            format!("{} is not allowed; allowed: {allowed}", excerpt(self.value)),
        );
    }

    fn below(&self, key: &str) -> String {
        below(&self.path, key)
    }
}

/// A JSON object and where it stands.
pub struct Object<'v> {
    /// Where: `releases[1]`.
    pub path: String,
    entries: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'v>> {
        self.entries.get(key).map(|value| Node {
            path: below(&self.path, key),
            value,
        })
    }

    /// The value of a key that must be there.
    pub fn require(&self, problems: &mut Problems, key: &str, allowed: &str) -> Option<Node<'v>> {
        let node = self.get(key);
        if node.is_none() {
            problems.add(
                below(&self.path, key),
                format!("missing; allowed: {allowed}"),
            );
        }
        node
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &'v str> {
        self.entries.keys().map(String::as_str)
    }
}

pub fn below(path: &str, key: &str) -> String {
    if path == ROOT {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| {
            (
                strsim::osa_distance(&key.to_lowercase(), &candidate.to_lowercase()),
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
pub fn enumerated(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A value as it was written, cut where it is long.
pub fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 60;
    let written = value.to_string();
    match written.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", written.get(..cut).unwrap_or_default()),
        None => written,
    }
}
