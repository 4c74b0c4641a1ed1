//! May they: which role a caller gets, by which grant. Pure: no I/O, no clock, total.
//!
//! [`decide()`] says the role, denies, or names the fact that it needs and that somebody must look
//! up off the request's path. Unknown is denied; nothing here guesses.

mod decide;
mod facts;
mod grant;
mod template;

pub use decide::{Decision, Granted, NoGrant, Wanted, decide};
pub use facts::{Container, ContainerId, Fact, Facts, Known};
pub use grant::{Grant, UserIds, When};
pub use template::{Names, Placeholder, Template, TemplateError};
