//! JSON with nothing of it lost: a number is the digits that its writer gave it, and an object its
//! entries in order, also those that are there twice.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value as it was written. What is below it is looked at when it is asked for.
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
            return serde_json::from_str(self.written()).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(quoted))
    }

    /// The items of a list; `None` for anything else.
    #[must_use]
    pub fn items(self) -> Option<Vec<Self>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.written()).ok()?;
        Some(items.into_iter().map(Self).collect())
    }

    /// The keys and values of an object, in order. `None` for anything else, and where a key misses
    /// half of a surrogate pair.
    #[must_use]
    pub fn entries(self) -> Option<Vec<(Cow<'b, str>, Self)>> {
        let Entries(entries) = serde_json::from_str(self.written()).ok()?;
        entries
            .into_iter()
            .map(|(key, value)| Some((Self(key).text()?, Self(value))))
            .collect()
    }
}

struct Entries<'b>(Vec<(&'b RawValue, &'b RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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

        deserializer.deserialize_map(InOrder)
    }
}
