//! The module as gateways fetch it: it is small, and any host of Proxy-Wasm 0.2.1 can run it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use skew_guard_lab::module;
use wasmparser::{Parser, Payload};

const LARGEST: usize = 320_000;

/// The callbacks that the filter implements, its start function, its memory, and the marker of the ABI's version.
const EXPORTS: [&str; 12] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// The functions that a host of [Proxy-Wasm 0.2.1](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1) offers to a
/// module, as Envoy's does (`exports.h` of proxy-wasm-cpp-host).
const HOST: [&str; 39] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// The functions of WASI that a host of Proxy-Wasm has: no files, no network, no processes.
const WASI: [&str; 6] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
];

#[test]
fn the_module_has_at_most_320_000_bytes() -> Result<()> {
    let size = built()?.len();
    assert!(size <= LARGEST, "{size} bytes; allowed: {LARGEST}");
    Ok(())
}

#[test]
fn it_exports_only_the_callbacks_that_it_implements() -> Result<()> {
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&built()?) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                exports.insert(export?.name.to_owned());
            }
        }
    }
    assert_eq!(exports, EXPORTS.map(str::to_owned).into());
    Ok(())
}

#[test]
fn it_imports_only_what_every_host_offers() -> Result<()> {
    let mut asked = 0;
    for payload in Parser::new(0).parse_all(&built()?) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                asked += 1;
                assert!(
                    is_offered(import.module, import.name),
                    "{}.{}",
                    import.module,
                    import.name
                );
            }
        }
    }
    assert!(asked > 0, "a filter without imports could do nothing");
    Ok(())
}

fn is_offered(module: &str, name: &str) -> bool {
    match module {
        "env" => HOST.contains(&name),
        "wasi_snapshot_preview1" => WASI.contains(&name),
        _ => false,
    }
}

fn built() -> Result<Vec<u8>> {
    Ok(fs::read(module::path()?)?)
}
