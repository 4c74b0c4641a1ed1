//! The protocols, one folder each. An API may not fetch, cache or authorise: it parses, asks
//! vending, renders.

pub mod admin;
