//! The JSON Schema of the configuration, for editors and for charts: what one value may be. What has
//! to fit together is checked in [`crate::policy`] alone.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Config, RESERVED_HEADERS};
use crate::scope::{HostPattern, PathPrefix};
use crate::source::Source;
use crate::version::{Version, VersionPattern};

/// The schema of the plugin configuration.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07().with_transform(Written);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), json!("skew-guard configuration"));
    schema.to_value()
}

/// Makes a schema of Rust's types one of what is written: what has a default may be left out, and
/// `null` stands for nothing.
#[derive(Clone)]
struct Written;

impl Transform for Written {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(object) = schema.as_object_mut() {
            strip_null(object);
            release_defaults(object);
        }
    }
}

fn strip_null(object: &mut serde_json::Map<String, Value>) {
    let is_null = |value: &Value| *value == json!("null") || *value == json!({"type": "null"});
    for key in ["type", "anyOf"] {
        let Some(Value::Array(kinds)) = object.get_mut(key) else {
            continue;
        };
        kinds.retain(|kind| !is_null(kind));
        if kinds.len() != 1 {
            continue;
        }
        match (key, kinds.pop()) {
            ("type", Some(kind)) => {
                object.insert(key.to_owned(), kind);
            }
            (_, Some(only)) => {
                object.remove(key);
                // Beside other keys, draft 7 would not look at a reference.
                object.insert("allOf".to_owned(), json!([only]));
            }
            (_, None) => {}
        }
    }
}

fn release_defaults(object: &mut serde_json::Map<String, Value>) {
    let has_default: Vec<String> = object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("default").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let Some(Value::Array(required)) = object.get_mut("required") else {
        return;
    };
    required.retain(|name| !has_default.iter().any(|free| name == free));
    if required.is_empty() {
        object.remove("required");
    }
}

/// The sources where none are given.
pub(super) fn default_sources() -> Value {
    json!([{"header": "x-bundle-version"}, {"header": "x-deployment-id"}, {"query": "dpl"}])
}

/// A string of a certain form.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $description:expr, $pattern:expr) => {
        $(#[$doc])*
        pub(super) struct $name;
        text!(for $name, $description, $pattern);
    };
    (for $name:ident, $description:expr, $pattern:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $description, "pattern": $pattern})
            }
        }
    };
}

const HOST: &str = r"([-_A-Za-z0-9]+(\.[-_A-Za-z0-9]+)*|\[[0-9A-Fa-f:.]+\])";
const SEMVER: &str = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?";
const TOKEN: &str = "[-A-Za-z0-9_.]+";

text!(for Version, Version::ALLOWED, "^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$");
text!(for VersionPattern, VersionPattern::ALLOWED, version_pattern());
text!(for HostPattern, HostPattern::ALLOWED, format!(r"^(\*|(\*\.)?{HOST})$"));
text!(for PathPrefix, PathPrefix::ALLOWED, r#"^/[!"$-)+->@-~]*$"#);
text!(
    /// A semver version.
    Semver,
    "a semver version: \"1.4.0\"",
    format!("^{SEMVER}$")
);
text!(
    /// A name of letters, digits and a few signs.
    Token,
    "letters, digits and - _ .",
    format!("^{TOKEN}$")
);
text!(
    /// A moment.
    Time,
    "an RFC 3339 time: \"2026-01-31T18:00:00Z\"",
    r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"
);
text!(
    /// The domain of a cookie.
    CookieDomain,
    "a host name: \"example.com\"",
    format!(r"^\.?{HOST}$")
);
text!(
    /// The path of a cookie.
    CookiePath,
    "a path that begins with \"/\"",
    "^/[!-:<-~]*$"
);
text!(
    /// An origin.
    Origin,
    "an origin, exact: \"https://app.example.com\"",
    r"^https?://[-A-Za-z0-9.:\[\]]+$"
);
text!(
    /// A SHA-256 in hexadecimal digits.
    Sha256,
    "the SHA-256 of the key, 64 hexadecimal digits",
    "^[0-9A-Fa-f]{64}$"
);

/// An exact version, a prefix, or a semver range.
fn version_pattern() -> String {
    let exact = "[A-Za-z0-9][A-Za-z0-9._+-]{0,63}";
    let prefix = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}\.\*";
    let part = r"(\d+|[xX*])";
    let comparator = format!(
        r"\s*(=|>=?|<=?|~|\^)?\s*\d+(\.{part}(\.{part}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?)?\s*"
    );
    format!(r"^({exact}|{prefix}|\s*[xX*]\s*|{comparator}(,{comparator})*)$")
}

/// The name of a header that is the application's to choose.
pub(super) struct HeaderName;

impl JsonSchema for HeaderName {
    fn schema_name() -> Cow<'static, str> {
        "HeaderName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let reserved: Vec<_> = RESERVED_HEADERS
            .iter()
            .map(|name| format!("{}$", in_any_case(name)))
            .collect();
        json_schema!({
            "type": "string",
            "description": super::HEADER_NAME,
            "pattern": "^[-A-Za-z0-9_.]{1,128}$",
            "not": {"pattern": format!("^({}|{})", in_any_case("content-"), reserved.join("|"))},
        })
    }
}

/// A path with `{version}` once, in a segment that holds more than it.
fn path_template() -> String {
    let plain = r#"[!"$-.0->@-z|~]"#;
    let any = r#"[!"$->@-z|~]"#;
    format!(r"^/({any}*/)?({plain}+\{{version\}}{plain}*|\{{version\}}{plain}+)(/{any}*)?$")
}

/// Schemas know no flag for it.
fn in_any_case(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphabetic() {
                format!("[{}{letter}]", letter.to_ascii_uppercase())
            } else {
                letter.to_string()
            }
        })
        .collect()
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let header = generator.subschema_for::<HeaderName>();
        let token = generator.subschema_for::<Token>();
        json_schema!({
            "type": "object",
            "description": "A place where a request carries its client version: one of the keys.",
            "properties": {
                "header": header,
                "query": token,
                "cookie": token,
                "baggage": token,
                "path": {
                    "type": "string",
                    "description": crate::source::PathTemplate::ALLOWED,
                    "pattern": path_template(),
                },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}
