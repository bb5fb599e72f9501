//! skew-guard
