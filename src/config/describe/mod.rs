//! The declarative description of the configuration: every table and key with its kind, default
//! and meaning. The walker, the hints, the JSON schema and the reference page all come from it.

mod account;
mod authority;
mod daemon;
mod grant;
mod issuer;
mod listener;
mod people;
mod reference;
mod runtime;
mod schema;
mod source;
mod walk;

pub use reference::reference;
pub use schema::schema;
pub(super) use walk::walk;

/// A table and its keys.
#[derive(Debug)]
pub(super) struct Shape {
    /// What it is for.
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// As the reference shows it; empty where there is none.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Whole { least: i64, most: i64 },
    /// A number above zero.
    Positive,
    /// A length of time such as `"15m"`.
    Time,
    /// A date with time and zone.
    Moment,
    /// An absolute path.
    Path,
    /// Where a secret is: never the secret itself.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One value or a list of them.
    Many(&'static Self),
    /// The first of these that the value's form fits.
    Either(&'static [Self]),
    /// A table with these keys.
    Table(&'static Shape),
    /// A list of tables, `[[name]]`.
    Tables(&'static Shape),
    /// Tables under names that the user chooses, `[key.NAME]`.
    Named(&'static Shape),
    /// Texts under names that the user chooses.
    Texts,
    /// A text in which `*` is a glob, or `{ regex = "…" }`.
    Pattern,
    /// Values of this kind under names that the user chooses.
    Each(&'static Self),
}

impl Shape {
    const fn new(doc: &'static str, keys: &'static [Key]) -> Self {
        Self { doc, keys }
    }
}

impl Key {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            required: false,
            default: "",
            doc,
        }
    }

    const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }
}

/// Patterns of which one must match.
const PATTERNS: Kind = Kind::Many(&Kind::Pattern);

/// A pattern that is no plain text.
const REGEX: Shape = Shape::new(
    "A regular expression.",
    &[Key::new(
        "regex",
        Kind::Text,
        "a regular expression that matches the whole value",
    )
    .required()],
);

/// The largest uid; the one above it means "no user".
const MAX_UID: i64 = 4_294_967_294;

/// The whole file.
pub(super) const ROOT: Shape = Shape::new(
    "The file `/etc/rolecall/rolecall.toml`.",
    &[
        Key::new(
            "listener",
            Kind::Tables(&listener::LISTENER),
            "what is listened on",
        ),
        Key::new(
            "account",
            Kind::Named(&account::ACCOUNT),
            "the accounts, by alias",
        ),
        Key::new("grant", Kind::Tables(&grant::GRANT), "who gets which role"),
        Key::new(
            "issuer",
            Kind::Tables(&issuer::ISSUER),
            "whose web identities are believed",
        ),
        Key::new(
            "people",
            Kind::Table(&people::PEOPLE),
            "how people and build servers prove a name",
        ),
        Key::new(
            "grant-source",
            Kind::Tables(&source::GRANT_SOURCE),
            "who else is asked which roles a name has",
        ),
        Key::new(
            "state",
            Kind::Table(&daemon::STATE),
            "what survives a restart, and where",
        ),
        Key::new("log", Kind::Table(&daemon::LOG), "where log events go"),
        Key::new("limits", Kind::Table(&daemon::LIMITS), "bounds"),
        Key::new(
            "runtime",
            Kind::Table(&runtime::RUNTIME),
            "what tells the daemon of containers",
        ),
        Key::new(
            "admin",
            Kind::Table(&daemon::ADMIN),
            "the command line's way to the daemon",
        ),
        Key::new(
            "authority",
            Kind::Table(&authority::AUTHORITY),
            "how signatures and Keystone's tokens count",
        ),
    ],
);
