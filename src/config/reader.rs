//! Reading JSON with every problem in mind: a node knows where it stands, and says what is wrong with
//! it in the words of the person who wrote it.

use std::borrow::Cow;
use std::fmt;

use hifijson::value::Value;

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

/// A JSON value with nothing of it lost: a number is the digits that its writer gave it, and an object
/// its entries in order, also those that are there twice.
pub type Json<'b> = Value<&'b str, Cow<'b, str>>;

/// A JSON value and where it stands.
pub struct Node<'v> {
    /// Where: `releases[1].version`.
    pub path: String,
    /// What it is.
    pub json: &'v Json<'v>,
}

impl<'v> Node<'v> {
    pub fn root(json: &'v Json<'v>) -> Self {
        Self {
            path: ROOT.to_owned(),
            json,
        }
    }

    /// The text, or a problem. A number gets the explanation that everybody needs once: `1.10` loses
    /// its zero on the way, in YAML and in Istio.
    pub fn text(&self, problems: &mut Problems) -> Option<String> {
        match self.json {
            Json::String(text) => Some(text.as_ref().to_owned()),
            Json::Number((number, _)) => {
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
        let parsed = parse(&text);
        if parsed.is_none() {
            self.refuse(problems, allowed);
        }
        parsed
    }

    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match self.json {
            Json::Bool(boolean) => Some(*boolean),
            _ => self.not(problems, "true or false"),
        }
    }

    /// A whole number within bounds, both included.
    pub fn integer(&self, problems: &mut Problems, least: u64, most: u64) -> Option<u64> {
        let allowed = format!("a whole number from {least} to {most}");
        let Json::Number((number, _)) = self.json else {
            return self.not(problems, &allowed);
        };
        let integer = number
            .parse()
            .ok()
            .filter(|integer| (least..=most).contains(integer));
        if integer.is_none() {
            self.refuse(problems, &allowed);
        }
        integer
    }

    pub fn list(&self, problems: &mut Problems) -> Option<Vec<Node<'v>>> {
        let Json::Array(items) = self.json else {
            return self.not(problems, "a list");
        };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, json)| Node {
                    path: format!("{}[{index}]", self.path),
                    json,
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

    /// An object with these keys and no others, each once, or a problem. JSON lets the last of two
    /// equal keys win in silence; half of a list lost in a merge is nothing to be silent about.
    pub fn object(&self, problems: &mut Problems, known: &[&str]) -> Option<Object<'v>> {
        let Json::Object(entries) = self.json else {
            return self.not(
                problems,
                &format!("an object with the keys {}", enumerated(known)),
            );
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            if !known.contains(&key.as_ref()) {
                problems.add(below(&self.path, key), unknown_key(key, known));
            } else if entries
                .iter()
                .take(index)
                .any(|(earlier, _)| earlier == key)
            {
                problems.add(
                    below(&self.path, key),
                    "this key is there twice; allowed: once",
                );
            }
        }
        Some(Object {
            path: self.path.clone(),
            entries,
        })
    }

    /// Reports that the value is of a wrong kind.
    pub fn not<T>(&self, problems: &mut Problems, allowed: &str) -> Option<T> {
        let kind = match self.json {
            Json::Null => "no value",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        };
        let excerpt = excerpt(self.json);
        problems.add(
            &self.path,
            format!("{excerpt} is {kind}; allowed: {allowed}"),
        );
        None
    }

    /// Reports that the value, though of the right kind, is not one of those allowed.
    pub fn refuse(&self, problems: &mut Problems, allowed: &str) {
        let excerpt = excerpt(self.json);
        problems.add(
            &self.path,
            format!("{excerpt} is not allowed; allowed: {allowed}"),
        );
    }
}

/// A JSON object and where it stands.
pub struct Object<'v> {
    path: String,
    entries: &'v [(Cow<'v, str>, Json<'v>)],
}

impl<'v> Object<'v> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'v>> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, json)| Node {
                path: below(&self.path, key),
                json,
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
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_ref())
    }
}

fn below(path: &str, key: &str) -> String {
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
pub fn enumerated(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A value on one line, cut where it is long.
fn excerpt(json: &Json<'_>) -> String {
    const LONGEST: usize = 60;
    let line = json.to_string();
    match line.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}
