//! The seam: what the filter asks of its host, and the only file that calls the host.
//!
//! Every call returns nothing where the host refuses: a header that is not there, bytes that are not
//! UTF-8, a property that does not exist in this phase are data and never a panic, because a panic
//! ends the VM and the request with it.

use crate::reply::Reply;

/// What the filter asks of the proxy that runs it.
pub trait Host {
    /// The first copy of a request header. Only in the request phase.
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    /// All copies of a request header. Only in the request phase.
    fn request_header_lines(&self, name: &str) -> Vec<Vec<u8>>;
    /// Gives a request header this value and no other.
    fn set_request_header(&self, name: &str, value: &str);
    /// Removes all copies of a request header.
    fn remove_request_header(&self, name: &str);
    /// The first copy of a response header. Only in the response phase.
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    /// All copies of a response header. Only in the response phase.
    fn response_header_lines(&self, name: &str) -> Vec<Vec<u8>>;
    /// Gives a response header this value and no other.
    fn set_response_header(&self, name: &str, value: &str);
    /// Adds a line of a response header.
    fn add_response_header(&self, name: &str, value: &str);
    /// Removes all copies of a response header.
    fn remove_response_header(&self, name: &str);
    /// Puts these bytes in the place of the response body that is buffered, all `size` bytes of it.
    fn replace_response_body(&self, size: usize, body: &[u8]);
    /// An attribute of the stream or of the plugin.
    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Seconds since 1970, UTC.
    fn now(&self) -> u64;
    /// A number drawn at random.
    fn draw(&self) -> u32;
    /// Answers the request, which goes no further. Only in the request phase.
    fn reply(&self, reply: &Reply);
    /// The id of a counter of this name; the same for the same name.
    fn counter(&self, name: &str) -> Option<u32>;
    /// Adds one to a counter.
    fn increment(&self, counter: u32);
    /// Gives the gauge of this name a value.
    fn gauge(&self, name: &str, value: u64);
    /// Keeps bytes for later configurations, whatever becomes of this one's VM.
    fn keep(&self, key: &str, bytes: &[u8]);
    /// The bytes that were last kept.
    fn kept(&self, key: &str) -> Option<Vec<u8>>;
}

#[cfg(target_arch = "wasm32")]
pub use proxy_wasm_host::ProxyWasm;

#[cfg(target_arch = "wasm32")]
mod proxy_wasm_host {
    use std::cell::RefCell;
    use std::time::UNIX_EPOCH;

    use proxy_wasm::hostcalls;
    use proxy_wasm::types::{BufferType, MapType, MetricType};

    use super::Host;
    use crate::reply::Reply;

    thread_local! {
        /// The ids of metrics: defining one name twice leaks an id, and a VM outlives configurations.
        static METRICS: RefCell<Vec<(String, u32)>> = const { RefCell::new(Vec::new()) };
        /// What this VM kept itself. Shared data is every thread's: one that lags may write an older
        /// configuration there after this one wrote a newer.
        static KEPT: RefCell<Vec<(String, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
    }

    /// The proxy, by the Proxy-Wasm ABI.
    #[derive(Clone, Copy, Debug)]
    pub struct ProxyWasm;

    impl ProxyWasm {
        /// The configuration that the proxy has for this plugin, as it was written.
        #[must_use]
        pub fn configuration(self, size: usize) -> Vec<u8> {
            hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
                .ok()
                .flatten()
                .unwrap_or_default()
        }
    }

    impl Host for ProxyWasm {
        fn request_header(&self, name: &str) -> Option<Vec<u8>> {
            first(MapType::HttpRequestHeaders, name)
        }

        fn request_header_lines(&self, name: &str) -> Vec<Vec<u8>> {
            lines(MapType::HttpRequestHeaders, name)
        }

        fn set_request_header(&self, name: &str, value: &str) {
            set(MapType::HttpRequestHeaders, name, Some(value));
        }

        fn remove_request_header(&self, name: &str) {
            set(MapType::HttpRequestHeaders, name, None);
        }

        fn response_header(&self, name: &str) -> Option<Vec<u8>> {
            first(MapType::HttpResponseHeaders, name)
        }

        fn response_header_lines(&self, name: &str) -> Vec<Vec<u8>> {
            lines(MapType::HttpResponseHeaders, name)
        }

        fn set_response_header(&self, name: &str, value: &str) {
            set(MapType::HttpResponseHeaders, name, Some(value));
        }

        fn add_response_header(&self, name: &str, value: &str) {
            if let Err(status) =
                hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, name, value.as_bytes())
            {
                log::debug!("{name} was not added: {status:?}");
            }
        }

        fn remove_response_header(&self, name: &str) {
            set(MapType::HttpResponseHeaders, name, None);
        }

        fn replace_response_body(&self, size: usize, body: &[u8]) {
            if let Err(status) = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, size, body)
            {
                log::debug!("the body was not replaced: {status:?}");
            }
        }

        fn attribute(&self, path: &[&str]) -> Option<Vec<u8>> {
            hostcalls::get_property(path.to_vec()).ok().flatten()
        }

        fn now(&self) -> u64 {
            hostcalls::get_current_time()
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |since| since.as_secs())
        }

        fn draw(&self) -> u32 {
            getrandom::u32().unwrap_or_default()
        }

        fn reply(&self, reply: &Reply) {
            send(reply);
        }

        fn counter(&self, name: &str) -> Option<u32> {
            metric(MetricType::Counter, name)
        }

        fn increment(&self, counter: u32) {
            if let Err(status) = hostcalls::increment_metric(counter, 1) {
                log::debug!("a counter was not incremented: {status:?}");
            }
        }

        fn gauge(&self, name: &str, value: u64) {
            if let Some(gauge) = metric(MetricType::Gauge, name)
                && let Err(status) = hostcalls::record_metric(gauge, value)
            {
                log::debug!("{name} was not recorded: {status:?}");
            }
        }

        fn keep(&self, key: &str, bytes: &[u8]) {
            KEPT.with_borrow_mut(|kept| {
                kept.retain(|(earlier, _)| earlier != key);
                kept.push((key.to_owned(), bytes.to_vec()));
            });
            if let Err(status) = hostcalls::set_shared_data(key, Some(bytes), None) {
                log::warn!("the configuration could not be kept: {status:?}");
            }
        }

        fn kept(&self, key: &str) -> Option<Vec<u8>> {
            KEPT.with_borrow(|kept| find(kept, key).cloned())
                .or_else(|| hostcalls::get_shared_data(key).ok()?.0)
        }
    }

    /// The value of a name. There are few, and they are looked up once a configuration.
    fn find<'v, V>(values: &'v [(String, V)], name: &str) -> Option<&'v V> {
        values
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    fn first(map: MapType, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(map, name).ok().flatten()
    }

    fn lines(map: MapType, name: &str) -> Vec<Vec<u8>> {
        hostcalls::get_map_bytes(map)
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .collect()
    }

    fn set(map: MapType, name: &str, value: Option<&str>) {
        if let Err(status) = hostcalls::set_map_value_bytes(map, name, value.map(str::as_bytes)) {
            log::debug!("{name} was not set: {status:?}");
        }
    }

    fn metric(kind: MetricType, name: &str) -> Option<u32> {
        if let Some(id) = METRICS.with_borrow(|ids| find(ids, name).copied()) {
            return Some(id);
        }
        let id = hostcalls::define_metric(kind, name).ok()?;
        METRICS.with_borrow_mut(|ids| ids.push((name.to_owned(), id)));
        Some(id)
    }

    #[expect(
        unsafe_code,
        reason = "the SDK's own call leaves out the response code details"
    )]
    unsafe extern "C" {
        fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
    }

    /// Sends a reply with response code details, which the SDK's own call leaves out.
    #[expect(
        unsafe_code,
        reason = "the ABI's call has no safe form that takes details"
    )]
    fn send(reply: &Reply) {
        let headers = serialized(&reply.headers);
        let grpc_status = reply.grpc_status.map_or(-1, u32::cast_signed);
        // SAFETY: the host copies each range before it returns, and all are alive until then.
        let status = unsafe {
            proxy_send_local_response(
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
        if status != 0 {
            log::error!("a reply was not sent: status {status}");
        }
    }

    /// A header map as the ABI has it: the number of pairs, the sizes of each key and value, and then
    /// keys and values themselves, each ended by a zero
    /// ([Proxy-Wasm ABI 0.2.1](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1)).
    fn serialized(headers: &[(&'static str, String)]) -> Vec<u8> {
        let size = |length: usize| u32::try_from(length).unwrap_or_default().to_le_bytes();
        let mut bytes = size(headers.len()).to_vec();
        for (name, value) in headers {
            bytes.extend(size(name.len()));
            bytes.extend(size(value.len()));
        }
        for (name, value) in headers {
            bytes.extend(name.bytes().chain([0]));
            bytes.extend(value.bytes().chain([0]));
        }
        bytes
    }
}
