//! What `release` preserves: braces or blocks, line endings, the byte order mark.

use crate::tool::Workspace;

const AT: &str = "2026-11-21T12:00:00Z";
const MARK: &str = "\u{feff}";

/// The file after both steps of 2.1.0.
fn released(name: &str, text: &str) -> String {
    let workspace = Workspace::new();
    workspace.write(name, text);
    for _ in 0..2 {
        workspace
            .run(&["release", name, "2.1.0", "--now", AT])
            .ends(0);
        workspace.run(&["check", name]).ends(0);
    }
    workspace.read(name)
}

const BRACES: &str = r#"{
  releases: [
    {version: "2.0.0", route: v2-0-0},   # since Monday
    {version: "1.4.2", state: retired},
  ],
  current: "2.0.0",
  revision: 3
}
"#;
const BRACES_AFTER: &str = r#"{
  releases: [
    {version: "2.1.0", route: "v2-1-0"},
    {version: "2.0.0", route: v2-0-0, state: draining, until: "2026-11-22T12:00:00Z"},   # since Monday
    {version: "1.4.2", state: retired},
  ],
  current: "2.1.0",
  revision: 5
}
"#;
const BLOCKS: &str = "\
releases: # newest first
- version: 2.0.0
  route: v2-0-0
- {version: 1.4.2, state: retired}
current: 2.0.0
revision: 3";
const BLOCKS_AFTER: &str = "\
releases: # newest first
- version: \"2.1.0\"
  route: \"v2-1-0\"
- version: 2.0.0
  route: v2-0-0
  state: draining
  until: \"2026-11-22T12:00:00Z\"
- {version: 1.4.2, state: retired}
current: \"2.1.0\"
revision: 5";
const JSON: &str = r#"{
  "releases": [
    { "version": "2.0.0" }
  ],
  "current": "2.0.0"
}
"#;
const JSON_AFTER: &str = r#"{
  "releases": [
    { "version": "2.1.0" },
    { "version": "2.0.0", "state": "draining", "until": "2026-11-22T12:00:00Z" }
  ],
  "current": "2.1.0"
}
"#;
const TEXT: &str = r#"name: skew-guard
configuration:
  "@type": type.googleapis.com/google.protobuf.StringValue
  value: |
    {
      "releases": [
        { "version": "2.0.0" }
      ],
      "current": "2.0.0"
    }"#;
const TEXT_AFTER: &str = r#"name: skew-guard
configuration:
  "@type": type.googleapis.com/google.protobuf.StringValue
  value: |
    {
      "releases": [
        { "version": "2.1.0" },
        { "version": "2.0.0", "state": "draining", "until": "2026-11-22T12:00:00Z" }
      ],
      "current": "2.1.0"
    }"#;
const WRITTEN: [(&str, &str, &str); 5] = [
    ("braces.yaml", BRACES, BRACES_AFTER),
    ("blocks.yaml", BLOCKS, BLOCKS_AFTER),
    ("shop.json", JSON, JSON_AFTER),
    ("json.yaml", JSON, JSON_AFTER),
    ("envoy.yaml", TEXT, TEXT_AFTER),
];

#[test]
fn braces_blocks_json_and_json_in_a_text_stay_what_they_are() {
    for (name, before, after) in WRITTEN {
        assert_eq!(released(name, before), after, "{name}");
    }
}

#[test]
fn a_configuration_on_one_line_stays_on_it() {
    assert_eq!(
        released(
            "shop.yaml",
            "{releases: [{version: \"2.0.0\"}], current: \"2.0.0\"}"
        ),
        "{releases: [{version: \"2.1.0\"}, {version: \"2.0.0\", state: draining, until: \"2026-11-22T12:00:00Z\"}], current: \"2.1.0\"}"
    );
}

#[test]
fn lines_end_as_they_did() {
    for (name, before, after) in WRITTEN {
        let after = after.replace('\n', "\r\n");
        assert_eq!(
            released(name, &before.replace('\n', "\r\n")),
            after,
            "{name}"
        );
    }
}

#[test]
fn the_byte_order_mark_stays() {
    for (name, before, after) in WRITTEN {
        let marked = released(name, &format!("{MARK}{before}"));
        assert_eq!(marked, format!("{MARK}{after}"), "{name}");
    }
}
