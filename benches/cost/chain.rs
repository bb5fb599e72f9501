//! Filter chains, each on its own listener.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use skew_guard_lab::bootstrap::Plugin;
use skew_guard_traffic::class::Class;
use skew_guard_traffic::plugin::{self, Style};

/// The chain without a filter: what all others are compared with.
pub const NOTHING: &str = "nothing";

/// The Lua filter that does the least.
pub const SIMPLE_LUA: &str = "simple Lua";

/// The Lua filter that does what ours does.
pub const EQUAL_LUA: &str = "equal Lua";

/// The filter of the SDK that does nothing.
pub const EMPTY: &str = "empty SDK filter";

/// The module of this repository.
pub const OURS: &str = "skew-guard";

/// One filter, which a chain holds many copies of.
pub struct Chain {
    /// Its name in the tables.
    pub name: String,
    /// The filter, if the chain has one.
    pub filter: Option<Value>,
    /// Whether it is skew-guard, which counts what it decides.
    pub is_ours: bool,
}

impl Chain {
    /// The chain without a filter.
    pub fn nothing() -> Self {
        Self {
            name: NOTHING.into(),
            filter: None,
            is_ours: false,
        }
    }

    /// The chain of a filter that is not ours.
    pub fn of(name: &str, filter: Value) -> Self {
        Self {
            name: name.into(),
            filter: Some(filter),
            is_ours: false,
        }
    }

    /// The chain of ours.
    pub fn ours(name: &str, filter: Value) -> Self {
        Self {
            is_ours: true,
            ..Self::of(name, filter)
        }
    }
}

/// The modules that are measured.
pub struct Modules {
    /// The filter of the SDK that does nothing.
    pub empty: PathBuf,
    /// Ours, and other builds of it, each with its name in the tables.
    pub ours: Vec<(String, PathBuf)>,
}

/// The chains of a class of requests.
pub fn chains(class: &Class, modules: &Modules) -> Vec<Chain> {
    let mut chains = vec![
        Chain::nothing(),
        Chain::of("header_to_metadata", header_to_metadata()),
        Chain::of(EMPTY, Plugin::of(&modules.empty).vm_id("empty").filter()),
        Chain::of(SIMPLE_LUA, lua(include_str!("../lua/simple.lua"))),
        Chain::of(EQUAL_LUA, lua(class.lua)),
    ];
    for (name, module) in &modules.ours {
        for style in class.styles() {
            for releases in plugin::RELEASES {
                let configuration = plugin::configuration(*style, releases, class.keys());
                let plugin = Plugin::of(module).vm_id(name).configured(&configuration);
                chains.push(Chain::ours(&ours(name, *style, releases), plugin.filter()));
            }
        }
    }
    chains
}

/// The name of ours, or of another build of it, with such a configuration.
pub fn ours(module: &str, style: Style, releases: usize) -> String {
    format!("{module}, {}, {releases} releases", style.name())
}

/// How to restore headers: all values are removed, and the original ones added.
#[derive(Default)]
pub struct Restoration {
    /// The headers of the request.
    pub request: Vec<(String, Vec<String>)>,
    /// The headers of the answer.
    pub response: Vec<(String, Vec<String>)>,
}

/// This many copies of a filter, each followed by a filter that undoes it, so that the next copy has the same work.
pub fn copies(filter: Option<&Value>, restoration: &Restoration, number: usize) -> Vec<Value> {
    let undo = undo(restoration);
    let mut filters = Vec::new();
    for _ in 0..number {
        filters.extend(filter.cloned());
        filters.push(undo.clone());
    }
    filters
}

fn undo(restoration: &Restoration) -> Value {
    let typed = |lines: &[(String, Vec<String>)]| -> Vec<Value> {
        lines
            .iter()
            .flat_map(|(name, values)| {
                let remove = json!({ "remove": name });
                let append = values.iter().map(move |value| {
                    json!({ "append": {
                        "header": { "key": name, "value": value },
                        "append_action": "APPEND_IF_EXISTS_OR_ADD",
                    } })
                });
                std::iter::once(remove).chain(append)
            })
            .collect()
    };
    extension(
        "header_mutation",
        "header_mutation.v3.HeaderMutation",
        json!({ "mutations": {
            "request_mutations": typed(&restoration.request),
            "response_mutations": typed(&restoration.response),
        } }),
    )
}

fn header_to_metadata() -> Value {
    let rule = json!({
        "header": "x-bundle-version",
        "on_header_present": { "metadata_namespace": "envoy.lb", "key": "version", "type": "STRING" },
    });
    extension(
        "header_to_metadata",
        "header_to_metadata.v3.Config",
        json!({ "request_rules": [rule] }),
    )
}

fn lua(code: &str) -> Value {
    let fields = json!({ "default_source_code": { "inline_string": code } });
    extension("lua", "lua.v3.Lua", fields)
}

fn extension(name: &str, kind: &str, fields: Value) -> Value {
    let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}");
    let mut typed = Map::from_iter([("@type".to_owned(), json!(kind))]);
    if let Value::Object(fields) = fields {
        typed.extend(fields);
    }
    json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": typed })
}
