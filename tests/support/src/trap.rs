//! A plugin that traps on request, to see what each fail strategy does then.

use anyhow::Result;

/// The request header that the plugin writes, to show that a request passed it.
pub const PASSED: (&str, &str) = ("x-passed", "the plugin");

/// A request with more headers than this makes it trap.
pub const MOST_HEADERS: usize = 50;

/// The plugin has everything that a host requires of a module
/// (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>); the map of the request's headers is 0.
const PLUGIN: &str = r#"(module
    (import "env" "proxy_replace_header_map_value"
        (func $set (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x-passedthe plugin")
    (func (export "_initialize"))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $is_all i32)
        (result i32)
        (if (i32.gt_u (local.get $headers) (i32.const 50)) (then unreachable))
        (drop (call $set (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 10)))
        i32.const 0))"#;

/// The module.
pub fn module() -> Result<Vec<u8>> {
    Ok(wat::parse_str(PLUGIN)?)
}

/// The headers of a request that makes it trap.
pub fn trigger() -> Vec<(String, &'static str)> {
    (0..=MOST_HEADERS)
        .map(|number| (format!("x-trap-{number}"), "1"))
        .collect()
}
