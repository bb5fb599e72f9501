//! Keys that an object has twice. JSON lets the last one win in silence; a list of releases of which
//! half is lost in a merge is not something to be silent about.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::reader::{Problems, ROOT, below};

/// Reports each key that some object of this JSON text has more than once.
pub fn report(json: &[u8], problems: &mut Problems) {
    let value = Value {
        path: ROOT.to_owned(),
        problems,
    };
    // What is not JSON has been reported by who parsed it.
    let _ = value.deserialize(&mut serde_json::Deserializer::from_slice(json));
}

/// A value somewhere in the text, looked at for the keys of its objects alone.
struct Value<'p> {
    path: String,
    problems: &'p mut Problems,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = below(&self.path, &key);
            map.next_value_seed(Value {
                path: path.clone(),
                problems: self.problems,
            })?;
            if !seen.insert(key) {
                self.problems
                    .add(path, "this key is there twice; allowed: once");
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let item = Value {
                path: format!("{}[{index}]", self.path),
                problems: self.problems,
            };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}
