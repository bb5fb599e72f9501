//! Makes of the sources what others install. The lab of the tests uses it too, so that what is tested is what is
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
