//! An answer on its way to the client, and what may be asked about it.

use crate::headers::Headers;

/// What may be asked of an answer.
pub trait Response {
    /// Its headers, `:status` among them.
    fn headers(&self) -> Headers<'_>;
    /// An attribute of the stream
    /// ([Envoy attributes](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes)).
    fn attribute(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Whether the answer has a body.
    fn has_body(&self) -> bool;
}
