//! Proxy-Wasm: the only file that knows the SDK, and the only one that calls the host.
//!
//! The SDK brings the entry points of the module and the table of contexts behind them; the calls to the
//! host are declared here, because the SDK's own panic on a status that they do not expect, and a panic
//! ends the VM. Here any status but success means no result, and the filter goes on without one.
//!
//! What can still panic is the SDK's dispatcher, where the host breaks the protocol:
//! - a callback for a context that was not created, or is deleted. Envoy makes a context with
//!   `proxy_on_context_create` before any other callback of it, gives each an id of its own, and calls
//!   `proxy_on_delete` once, last (`Context::onCreate` and `ContextBase::destroy` in proxy-wasm-cpp-host);
//! - a stream whose root context is gone. Envoy's plugin handles keep a root until its last stream ended;
//! - a callback within another, as the table is borrowed meanwhile. Envoy defers what a call of ours
//!   causes (`DeferAfterCallActions`), the local reply among it, until our callback has returned.
//!
//! We never clear the route cache: the SDK exports ABI 0.2.1, for which Envoy clears it itself whenever a
//! request header is changed (`Context::addHeaderMapValue` and its like call `clearRouteCache` unless the
//! module's ABI is newer, `source/extensions/common/wasm/context.cc`).

#![expect(
    unsafe_code,
    reason = "the host is called by a foreign function interface"
)]

use std::cell::RefCell;
use std::ptr::null_mut;
use std::rc::Rc;

use log::{LevelFilter, Log, Metadata, Record};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::filter::{Exchange, Flow, Installation};
use crate::headers;
use crate::host::Host;
use crate::last_good::NOTE_INTERVAL;
use crate::reply::local::Reply;
use crate::request::Environment;

proxy_wasm::main! {{
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    proxy_wasm::set_root_context(|_| Box::new(Root { installation: None }));
}}

struct Root {
    installation: Option<Rc<Installation>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Always true: Envoy would answer a first wrong configuration with 500 for every request, and freeze
    /// all listeners after a later one.
    fn on_configure(&mut self, size: usize) -> bool {
        log::set_max_level(ProxyWasm.log_level());
        let configuration = ProxyWasm.configuration(size);
        self.installation = Some(Rc::new(Installation::configure(&ProxyWasm, &configuration)));
        // SAFETY: a number alone.
        let status = unsafe { abi::proxy_set_tick_period_milliseconds(NOTE_INTERVAL * 1000) };
        succeeded(status, "no tick");
        true
    }

    fn on_tick(&mut self) {
        if let Some(installation) = &self.installation {
            installation.note(&ProxyWasm);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let installation = match &self.installation {
            Some(installation) => Rc::clone(installation),
            None => Rc::new(Installation::inert()),
        };
        Some(Box::new(Exchange::new(ProxyWasm, installation)))
    }
}

impl Context for Exchange<ProxyWasm> {}

/// The callbacks of a request; `xtask` takes those out of the module that are not here.
impl HttpContext for Exchange<ProxyWasm> {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match self.on_request_headers() {
            Flow::Continue => Action::Continue,
            Flow::Answered => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.on_response_headers(!end_of_stream);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _: bool) -> Action {
        self.on_response_body(size);
        Action::Continue
    }
}

/// Writes to the proxy's log, under its component `wasm`.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let message = record.args().to_string();
            // SAFETY: the host reads the message before it returns.
            unsafe { abi::proxy_log(level(record.level()), message.as_ptr(), message.len()) };
        }
    }

    fn flush(&self) {}
}

/// The level as the ABI numbers it.
fn level(level: log::Level) -> u32 {
    match level {
        log::Level::Trace => 0,
        log::Level::Debug => 1,
        log::Level::Info => INFO,
        log::Level::Warn => WARN,
        log::Level::Error => 4,
    }
}

/// The proxy, through the Proxy-Wasm ABI.
#[derive(Clone, Copy, Debug)]
struct ProxyWasm;

thread_local! {
    /// The ids of metrics, in the order of their names: defining one name twice leaks an id, and a VM outlives
    /// configurations. (A `BTreeMap` would be no faster, and 2,700 bytes of the module.)
    static METRICS: RefCell<Vec<(String, u32)>> = const { RefCell::new(Vec::new()) };
    /// What this VM kept itself. Shared data is every thread's: one that lags may write an older
    /// configuration there after this one wrote a newer.
    static KEPT: RefCell<Vec<(String, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
}

impl ProxyWasm {
    /// What the proxy would print. It is asked once per configuration, because it costs a call.
    fn log_level(self) -> LevelFilter {
        let mut level = INFO;
        // SAFETY: it is a place to write to.
        let status = unsafe { abi::proxy_get_log_level(&raw mut level) };
        succeeded(status, "the log level was not given");
        match level {
            0..INFO => LevelFilter::Debug,
            INFO => LevelFilter::Info,
            WARN => LevelFilter::Warn,
            _ => LevelFilter::Error,
        }
    }

    /// The configuration that the proxy has for this plugin, as it was written.
    fn configuration(self, size: usize) -> Vec<u8> {
        taken(|data, length| {
            // SAFETY: `data` and `length` are places to write to.
            unsafe { abi::proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, length) }
        })
        .unwrap_or_default()
    }
}

impl Environment for ProxyWasm {
    fn now(&self) -> u64 {
        let mut nanoseconds = 0;
        // SAFETY: it is a place to write to.
        let status = unsafe { abi::proxy_get_current_time_nanoseconds(&raw mut nanoseconds) };
        succeeded(status, "the time was not given");
        nanoseconds / 1_000_000_000
    }

    fn draw(&self) -> u32 {
        getrandom::u32().unwrap_or_default()
    }
}

impl Host for ProxyWasm {
    fn request_headers(&self) -> Vec<u8> {
        map(REQUEST_HEADERS)
    }

    fn set_request_header(&self, name: &str, value: &str) {
        set(REQUEST_HEADERS, name, value);
    }

    fn remove_request_header(&self, name: &str) {
        remove(REQUEST_HEADERS, name);
    }

    fn response_headers(&self) -> Vec<u8> {
        map(RESPONSE_HEADERS)
    }

    fn set_response_header(&self, name: &str, value: &str) {
        set(RESPONSE_HEADERS, name, value);
    }

    fn add_response_header(&self, name: &str, value: &str) {
        // SAFETY: the host copies name and value before it returns.
        let status = unsafe {
            abi::proxy_add_header_map_value(
                RESPONSE_HEADERS,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
        succeeded(status, name);
    }

    fn remove_response_header(&self, name: &str) {
        remove(RESPONSE_HEADERS, name);
    }

    fn replace_response_body(&self, size: usize, body: &[u8]) {
        // SAFETY: the host copies the body before it returns.
        let status = unsafe {
            abi::proxy_set_buffer_bytes(RESPONSE_BODY, 0, size, body.as_ptr(), body.len())
        };
        succeeded(status, "the body was not replaced");
    }

    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
        // Its parts, each ended by a zero.
        let path = path.join("\0");
        taken(|data, length| {
            // SAFETY: the host reads the path before it returns; the others are places to write to.
            unsafe { abi::proxy_get_property(path.as_ptr(), path.len(), data, length) }
        })
    }

    fn set_attribute(&self, path: &str, value: &str) {
        // SAFETY: the host copies path and value before it returns.
        let status = unsafe {
            abi::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len())
        };
        succeeded(status, path);
    }

    fn reply(&self, reply: &Reply) {
        let headers = headers::serialize(&reply.headers);
        let grpc_status = reply.grpc_status.map_or(-1, u32::cast_signed);
        // SAFETY: the host copies each range before it returns, and all are alive until then.
        let status = unsafe {
            abi::proxy_send_local_response(
                u32::from(reply.status),
                reply.details.as_ptr(),
                reply.details.len(),
                reply.body.as_ptr(),
                reply.body.len(),
                headers.as_ptr(),
                headers.len(),
                grpc_status,
            )
        };
        succeeded(status, "a reply was not sent");
    }

    fn counter(&self, name: &str) -> Option<u32> {
        metric(COUNTER, name)
    }

    fn gauge(&self, name: &str) -> Option<u32> {
        metric(GAUGE, name)
    }

    fn add(&self, metric: u32, by: i64) {
        // SAFETY: numbers alone.
        let status = unsafe { abi::proxy_increment_metric(metric, by) };
        succeeded(status, "a metric was not added to");
    }

    fn record(&self, gauge: u32, value: u64) {
        // SAFETY: numbers alone.
        let status = unsafe { abi::proxy_record_metric(gauge, value) };
        succeeded(status, "a gauge was not set");
    }

    fn keep(&self, key: &str, bytes: &[u8]) {
        KEPT.with_borrow_mut(|kept| {
            kept.retain(|(earlier, _)| earlier != key);
            kept.push((key.to_owned(), bytes.to_vec()));
        });
        // SAFETY: the host copies key and bytes before it returns.
        let status = unsafe {
            abi::proxy_set_shared_data(key.as_ptr(), key.len(), bytes.as_ptr(), bytes.len(), 0)
        };
        succeeded(status, "the configuration was not kept");
    }

    fn kept(&self, key: &str) -> Option<Vec<u8>> {
        let own = KEPT.with_borrow(|kept| {
            kept.iter()
                .find(|(earlier, _)| earlier == key)
                .map(|(_, bytes)| bytes.clone())
        });
        own.or_else(|| shared_data(key))
    }

    fn kept_by_any(&self, key: &str) -> Option<Vec<u8>> {
        shared_data(key)
    }
}

fn map(map: u32) -> Vec<u8> {
    taken(|data, length| {
        // SAFETY: `data` and `length` are places to write to.
        unsafe { abi::proxy_get_header_map_pairs(map, data, length) }
    })
    .unwrap_or_default()
}

fn set(map: u32, name: &str, value: &str) {
    // SAFETY: the host copies name and value before it returns.
    let status = unsafe {
        abi::proxy_replace_header_map_value(
            map,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    succeeded(status, name);
}

fn remove(map: u32, name: &str) {
    // SAFETY: the host reads the name before it returns.
    let status = unsafe { abi::proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    succeeded(status, name);
}

fn metric(kind: u32, name: &str) -> Option<u32> {
    METRICS.with_borrow_mut(|ids| {
        match ids.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(place) => ids.get(place).map(|(_, id)| *id),
            Err(place) => {
                let id = define(kind, name)?;
                ids.insert(place, (name.to_owned(), id));
                Some(id)
            }
        }
    })
}

fn define(kind: u32, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the host copies the name before it returns, and `id` is a place to write to.
    let status = unsafe { abi::proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    succeeded(status, name).then_some(id)
}

fn shared_data(key: &str) -> Option<Vec<u8>> {
    let mut version = 0;
    taken(|data, length| {
        // SAFETY: the host reads the key before it returns; the others are places to write to.
        unsafe {
            abi::proxy_get_shared_data(key.as_ptr(), key.len(), data, length, &raw mut version)
        }
    })
}

/// What a call gives back in memory that the host asked this module for. It is freed with the vector.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut data: *mut u8 = null_mut();
    let mut length = 0;
    let status = call(&raw mut data, &raw mut length);
    if status != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host got `data` from `proxy_on_memory_allocate`, where the SDK allocates `length` bytes by
    // the global allocator, and filled it; nobody else has it.
    Some(unsafe { Vec::from_raw_parts(data, length, length) })
}

/// Whether a call succeeded. If it did not, the filter goes on without its result.
fn succeeded(status: u32, what: &str) -> bool {
    if status != OK {
        log::debug!("{what}: status {status} of the host");
    }
    status == OK
}

const OK: u32 = 0;
const INFO: u32 = 2;
const WARN: u32 = 3;
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_BODY: u32 = 1;
const PLUGIN_CONFIGURATION: u32 = 7;
const COUNTER: u32 = 0;
const GAUGE: u32 = 1;

/// The calls of
/// [Proxy-Wasm 0.2.1](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1) that the filter
/// makes. What they return is a status; what they read is copied before they return.
mod abi {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_get_log_level(level: *mut u32) -> u32;
        pub fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            most: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub fn proxy_set_buffer_bytes(
            buffer: u32,
            start: usize,
            replaced: usize,
            data: *const u8,
            size: usize,
        ) -> u32;
        pub fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub fn proxy_replace_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub fn proxy_add_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
        pub fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_size: usize,
            id: *mut u32,
        ) -> u32;
        pub fn proxy_increment_metric(id: u32, by: i64) -> u32;
        pub fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
            version: *mut u32,
        ) -> u32;
        pub fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            data: *const u8,
            size: usize,
            version: u32,
        ) -> u32;
    }
}
