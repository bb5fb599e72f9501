//! Answers and response headers, as data: what the filter says itself, and what it changes in what
//! others say.

pub mod amend;
mod caching;
mod failure;
mod gone;
mod grpc;
pub mod local;
pub mod response;
mod set_cookie;
mod skew;
