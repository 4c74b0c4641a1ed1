//! `[[grant]]` and the keys of `when`.

use super::{Key, Kind, MAX_UID, PATTERNS, Shape};

pub(super) const GRANT: Shape = Shape::new(
    "Who gets which role. Grants are tried by priority, higher first, then in order.",
    &[
        Key::new("role", Kind::Text, "the role it gives, `account/role`; `{name}` stands for what a named group or a key of `when` matched").required(),
        Key::new(
            "when",
            Kind::Either(&[Kind::Word(&["anyone"]), Kind::Table(&WHEN)]),
            "to whom: all keys must match; `\"anyone\"` must be written out",
        )
        .required(),
        Key::new(
            "priority",
            Kind::Whole {
                least: -1_000_000,
                most: 1_000_000,
            },
            "higher ones are tried first",
        )
        .default("0"),
        Key::new(
            "reason",
            Kind::Text,
            "why, in your words; it stands in the audit trail; may hold `{name}` as `role` may",
        ),
        Key::new(
            "imdsv1",
            Kind::Flag,
            "serve this grant's callers without a metadata token too",
        )
        .default("what the listener says"),
        Key::new(
            "duration",
            Kind::Time,
            "a shorter life than the role's",
        ),
        Key::new(
            "policy-file",
            Kind::Path,
            "a session policy, JSON, where the role has none; it narrows the session",
        ),
        Key::new(
            "policy-arns",
            Kind::Many(&Kind::Text),
            "managed policies that narrow the session, where the role has none",
        ),
        Key::new(
            "tags",
            Kind::Texts,
            "session tags beside the role's own; `{name}` as in `role`, else as in a role's",
        ),
        Key::new(
            "session-name",
            Kind::Text,
            "the role session name instead of the role's; `{name}` as in `role`, else as in a role's",
        ),
        Key::new(
            "source-identity",
            Kind::Text,
            "the source identity instead of the role's",
        ),
        Key::new(
            "caller-policy",
            Kind::Word(&["refuse", "replace"]),
            "what becomes of a session policy that a caller of the STS face brings where the role or this grant has one: `refuse` the caller, or `replace` ours by it",
        )
        .default("\"refuse\""),
    ],
);

const NUMBERS: Kind = Kind::Many(&Kind::Whole {
    least: 0,
    most: MAX_UID,
});

pub(super) const WHEN: Shape = Shape::new(
    "A pattern of callers. A list is *or*, several keys are *and*.",
    &[
        Key::new("uid", NUMBERS, "the caller's uid, outside containers"),
        Key::new(
            "user",
            Kind::Many(&Kind::Text),
            "the caller's user by name, outside containers",
        ),
        Key::new(
            "gid",
            NUMBERS,
            "the user's primary group, outside containers",
        ),
        Key::new(
            "group",
            PATTERNS,
            "a group of the user in the system's database, outside containers; names become numbers when the file is read, globs and regular expressions see the names",
        ),
        Key::new(
            "unit",
            PATTERNS,
            "the caller's systemd unit, as `nginx.service`",
        ),
        Key::new(
            "user-unit",
            PATTERNS,
            "the unit of the user's own manager; `uid` or `user` stands beside it, for its name is that user's choice",
        ),
        Key::new(
            "slice",
            PATTERNS,
            "the innermost system slice, as `system.slice`",
        ),
        Key::new(
            "exe",
            PATTERNS,
            "the path of the caller's program; of unix sockets' peers only, and beside another key that says who asks: a program is whatever its user makes of it",
        ),
        Key::new("anyone", Kind::Flag, "everybody whom the listener lets in"),
        Key::new(
            "container",
            Kind::Either(&[Kind::Word(&["any"]), Kind::Table(&CONTAINER)]),
            "`\"any\"`: callers in containers match too; or facts of the caller's container",
        ),
        Key::new("pod", Kind::Table(&POD), "facts of the caller's pod"),
        Key::new(
            "address",
            Kind::Many(&Kind::Text),
            "where the caller connects from: addresses or networks as `10.0.0.0/8`",
        ),
        Key::new(
            "host",
            PATTERNS,
            "the name of that address, where reverse and forward look-up agree; lower case",
        ),
        Key::new(
            "principal",
            PATTERNS,
            "who proved a password, token or key to an API",
        ),
        Key::new(
            "token",
            Kind::Table(&TOKEN),
            "what a verified token of an `[[issuer]]` says",
        ),
        Key::new("external-id", PATTERNS, "of a request to the STS face"),
        Key::new(
            "mfa",
            Kind::Flag,
            "whether a request to the STS face was made with a second factor",
        ),
        Key::new("source-identity", PATTERNS, "of a request to the STS face"),
        Key::new(
            "listener",
            Kind::Many(&Kind::Text),
            "the listener that is asked; `*` is a glob",
        ),
    ],
);

const CONTAINER: Shape = Shape::new(
    "Facts of the caller's container. Its name, image and labels are its maker's choice: they count from root's runtime, and of a user's own container only where the grant names that user by `uid` or `user`. All but `id` need `[runtime]`.",
    &[
        Key::new("name", PATTERNS, "its name"),
        Key::new("id", PATTERNS, "its whole id"),
        Key::new(
            "image",
            PATTERNS,
            "its image, as it was named when it was made",
        ),
        Key::new(
            "label",
            Kind::Each(&PATTERNS),
            "its labels, `container.label.\"x\"`",
        ),
        Key::new(
            "runtime",
            PATTERNS,
            "what runs it, as `docker`, `podman` or `containerd`",
        ),
    ],
);

const POD: Shape = Shape::new(
    "Facts of the caller's pod: what its service-account token says (`[[issuer]]`), else what the runtime does (`[runtime]`).",
    &[
        Key::new("namespace", PATTERNS, "its namespace"),
        Key::new(
            "service-account",
            PATTERNS,
            "its service account; only a token tells it",
        ),
        Key::new("name", PATTERNS, "its name"),
    ],
);

const TOKEN: Shape = Shape::new(
    "What a verified token says.",
    &[
        Key::new("issuer", PATTERNS, "`iss`"),
        Key::new(
            "subject",
            PATTERNS,
            "`sub`; `issuer` stands beside it, for two issuers may use the same name",
        ),
        Key::new("audience", PATTERNS, "one of its `aud`"),
        Key::new(
            "claim",
            Kind::Each(&PATTERNS),
            "its other claims, `token.claim.\"x\"`; those in objects as `outer/inner`",
        ),
    ],
);
