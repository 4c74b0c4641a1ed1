//! May they: which role a caller gets, by which grant. Pure: no I/O, no clock, total.
//!
//! [`decide()`] says the role, denies, or names the fact that it needs and that somebody must look
//! up off the request's path. Unknown is denied; nothing here guesses.

mod decide;
mod facts;
mod grant;
mod index;
mod matching;
mod pattern;
mod template;
#[cfg(test)]
mod tests;
mod when;
mod why;

pub use decide::{Decision, Granted, NoGrant, Select, Verdict, Wanted, decide, every, explain};
pub use facts::{
    ContainerFacts, ContainerId, ContainerPlace, Fact, Facts, Groups, HostPlace, Known, Person,
    Place, Pod, Provided, Way, WebIdentity,
};
pub use grant::{CallerPolicy, Grant, GrantId, GrantedRole, Narrowing};
pub use index::Grants;
pub use pattern::{Named, Pattern, Patterns, matches_glob};
pub use template::{Names, Placeholder, Template, TemplateError};
pub use when::{
    ContainerFactsWhen, ContainerWhen, GroupWhen, Key, PodWhen, TokenWhen, UserIds, When,
};
pub use why::WhyNot;
