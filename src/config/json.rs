//! JSON with nothing lost: a number keeps its digits as written, and an object its entries in
//! order, including duplicates.

//!
//! `serde_json` says what is JSON and where each value ends. It is not asked for strings, lists or maps of its own:
//! whatever else it reads comes with the words for all that may stand there instead, down to the printing of floating
//! point numbers, and would be a tenth of the module.

use std::borrow::Cow;

use serde_json::Deserializer;
use serde_json::value::RawValue;

/// A JSON value as it was written. What is below it is parsed when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Json<'b>(&'b RawValue);

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

impl<'b> Json<'b> {
    /// The value that a text is.
    ///
    /// # Errors
    /// Where it is not JSON: why, with line and column.
    pub fn read(text: &'b str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.written().as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The text that it is written in.
    #[must_use]
    pub fn written(self) -> &'b str {
        self.0.get()
    }

    /// What a string holds. `None` for anything else, and where half of a surrogate pair is missing.
    #[must_use]
    pub fn text(self) -> Option<Cow<'b, str>> {
        let quoted = self.written().strip_prefix('"')?.strip_suffix('"')?;
        if quoted.contains('\\') {
            return unescaped(quoted).map(Cow::Owned);
        }
        Some(Cow::Borrowed(quoted))
    }

    /// The items of a list; `None` for anything else.
    #[must_use]
    pub fn items(self) -> Option<Vec<Self>> {
        Some(values(self.within('[', ']')?))
    }

    /// The keys and values of an object, in order. `None` for anything else, and where a key misses
    /// half of a surrogate pair.
    #[must_use]
    pub fn entries(self) -> Option<Vec<(Cow<'b, str>, Self)>> {
        let mut values = values(self.within('{', '}')?).into_iter();
        let mut entries = Vec::new();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            entries.push((key.text()?, value));
        }
        Some(entries)
    }

    fn within(self, open: char, close: char) -> Option<&'b str> {
        self.written().strip_prefix(open)?.strip_suffix(close)
    }
}

/// The values in what a list or an object holds, its keys too. All of it is known to be JSON, so that whatever stands
/// between two values may be passed over.
fn values(mut rest: &str) -> Vec<Json<'_>> {
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\n', '\r', '\t', ',', ':']);
        let mut stream = Deserializer::from_str(rest).into_iter();
        let Some(Ok(value)) = stream.next() else {
            return values;
        };
        values.push(Json(value));
        rest = rest.get(stream.byte_offset()..).unwrap_or_default();
    }
}

/// What is between the quotes of a string that is known to be JSON; `None` where half of a surrogate pair is missing.
fn unescaped(quoted: &str) -> Option<String> {
    let mut units = Vec::new();
    let mut rest = quoted.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match rest.next()? {
            'u' => {
                let (digits, after) = rest.as_str().split_at_checked(4)?;
                rest = after.chars();
                u16::from_str_radix(digits, 16).ok()?
            }
            'b' => 0x08,
            'f' => 0x0c,
            'n' => u16::from(b'\n'),
            'r' => u16::from(b'\r'),
            't' => u16::from(b'\t'),
            itself => u16::try_from(u32::from(itself)).ok()?,
        });
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fmt;

    use proptest::prelude::*;
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

    /// An object as `serde_json` reads it, with nothing of it lost.
    struct Entries<'b>(Vec<(String, &'b RawValue)>);

    impl<'de> Deserialize<'de> for Entries<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(InOrder)
        }
    }

    struct InOrder;

    impl<'de> Visitor<'de> for InOrder {
        type Value = Entries<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(Entries(entries))
        }
    }

    fn string() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            3 => r#"[^"\\\x00-\x1f]"#,
            3 => r"[\[\]{}:, ]",
            2 => r#"\\["\\/bfnrt]"#,
            2 => r"\\u[0-9a-fA-F]{4}",
            1 => r"\\u[dD][89abAB][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}",
            1 => r"\\u[dD][89a-fA-F][0-9a-f]{2}",
        ];
        prop::collection::vec(part, 0..5).prop_map(|parts| format!("\"{}\"", parts.concat()))
    }

    /// Any value, written in any way.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "null|true|false",
            r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            string(),
        ];
        leaf.prop_recursive(3, 30, 4, |below| {
            let blank = "[ \n\r\t]{0,2}";
            let item = (blank, below.clone(), blank)
                .prop_map(|(before, item, after)| format!("{before}{item}{after}"));
            let entry = (blank, string(), blank, blank, below, blank)
                .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
            prop_oneof![
                blank.prop_map(|blank| format!("[{blank}]")),
                blank.prop_map(|blank| format!("{{{blank}}}")),
                prop::collection::vec(item, 1..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(entry, 1..4)
                    .prop_map(|entries| format!("{{{}}}", entries.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_as_serde_json_does(text in value()) {
            let json = Json::read(&text)?;
            prop_assert_eq!(json.written(), &text);
            let string: Option<String> = serde_json::from_str(&text).ok();
            prop_assert_eq!(json.text().map(Cow::into_owned), string);
            let written = |json: Json<'_>| json.written().to_owned();
            let items: Option<Vec<&RawValue>> = serde_json::from_str(&text).ok();
            prop_assert_eq!(
                json.items().map(|items| items.into_iter().map(written).collect::<Vec<_>>()),
                items.map(|items| items.into_iter().map(|item| item.get().to_owned()).collect())
            );
            let entries: Option<Entries<'_>> = serde_json::from_str(&text).ok();
            prop_assert_eq!(
                json.entries().map(|entries| {
                    let entries = entries.into_iter();
                    entries.map(|(key, value)| (key.into_owned(), written(value))).collect::<Vec<_>>()
                }),
                entries.map(|Entries(entries)| {
                    let entries = entries.into_iter();
                    entries.map(|(key, value)| (key, value.get().to_owned())).collect()
                })
            );
        }
    }
}
