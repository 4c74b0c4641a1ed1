//! Who else says which roles a name has.

use std::path::PathBuf;

use secrecy::SecretString;

/// One `[[grant-source]]`: somebody who says which roles a name has.
#[derive(Clone, Debug)]
pub struct GrantSource {
    /// Its number in the configuration, from 1.
    pub number: usize,
    /// Who is asked.
    pub from: RolesFrom,
}

/// Who says which roles a name has.
#[derive(Clone, Debug)]
pub enum RolesFrom {
    /// A program with its arguments, the name after them.
    Command(Vec<String>),
    /// A service.
    Service(RoleService),
}

/// A service that says which roles a name has.
#[derive(Clone, Debug)]
pub struct RoleService {
    /// Where it is asked: `{name}` stands for the name; without it the name is in the query.
    pub url: String,
    /// The bearer token that it asks for.
    pub token: Option<SecretString>,
    /// Authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}
