//! What the filter asks of the proxy that runs it.
//!
//! A call returns nothing if the host refuses: an absent header, or a property that does not exist in
//! this phase, is data and never a panic, because a panic ends the VM and the request with it.

use crate::reply::local::Reply;
use crate::request::Environment;

/// The proxy, as the filter sees it.
pub trait Host: Environment {
    /// All request headers, as [`crate::headers`] reads them. Only in the request phase.
    fn request_headers(&self) -> Vec<u8>;
    /// Gives a request header this value and no other.
    fn set_request_header(&self, name: &str, value: &str);
    /// Removes all copies of a request header.
    fn remove_request_header(&self, name: &str);
    /// All response headers, as [`crate::headers`] reads them. Only in the response phase.
    fn response_headers(&self) -> Vec<u8>;
    /// Gives a response header this value and no other.
    fn set_response_header(&self, name: &str, value: &str);
    /// Adds a line of a response header.
    fn add_response_header(&self, name: &str, value: &str);
    /// Removes all copies of a response header.
    fn remove_response_header(&self, name: &str);
    /// Replaces the buffered response body, all `size` bytes of it, with these bytes.
    fn replace_response_body(&self, size: usize, body: &[u8]);
    /// An attribute of the stream or of the plugin.
    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Sets an attribute of the stream, for whoever asks about the stream later.
    fn set_attribute(&self, path: &str, value: &str);
    /// Answers the request, which goes no further. Only in the request phase.
    fn reply(&self, reply: &Reply);
    /// The id of a counter of this name; the same for the same name.
    fn counter(&self, name: &str) -> Option<u32>;
    /// The id of a gauge of this name; the same for the same name.
    fn gauge(&self, name: &str) -> Option<u32>;
    /// Adds to a counter or a gauge; a negative number only to a gauge.
    fn add(&self, metric: u32, by: i64);
    /// Gives a gauge a value.
    fn record(&self, gauge: u32, value: u64);
    /// Keeps bytes for later configurations, whatever happens to this one's VM.
    fn keep(&self, key: &str, bytes: &[u8]);
    /// The bytes that were last kept, by this VM if it kept some.
    fn kept(&self, key: &str) -> Option<Vec<u8>>;
    /// The bytes that were last kept by any VM.
    fn kept_by_any(&self, key: &str) -> Option<Vec<u8>>;
}
