//! A configuration as it is written: a tree of values with their places, read from TOML files and
//! merged, nothing in it understood yet.

mod document;
mod merge;
mod place;
mod tree;

pub(super) use document::parse;
pub(super) use merge::merge;
pub use place::Position;
pub(super) use place::{Place, Sources};
pub(super) use tree::{Data, PartId, Table, Tree};

#[cfg(test)]
mod tests;
