//! Makes what others install out of the sources. The tests' lab uses it too, so what is tested is what is
//! released.

pub mod chart;
pub mod image;
pub mod module;
pub mod project;
pub mod push;
pub mod tool;
pub mod trim;
pub mod version;

mod archive;
mod command;
mod toolchain;
