//! Answers and response headers, as data: what the filter itself answers, and what it changes in
//! others' answers.

pub mod amend;
mod caching;
pub mod failure;
mod gone;
mod grpc;
pub mod local;
pub mod response;
mod set_cookie;
mod skew;
