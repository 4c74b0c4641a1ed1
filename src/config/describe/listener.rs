//! `[[listener]]`.

use super::{Key, Kind, Shape};

const APIS: [&str; 7] = [
    "imds",
    "container",
    "metrics",
    "accounts",
    "connectors",
    "keystone",
    "sts",
];

pub(super) const LISTENER: Shape = Shape::new(
    "One listener: its sockets and what is served there.",
    &[
        Key::new("name", Kind::Text, "its name in logs, metrics and grants").required(),
        Key::new(
            "bind",
            Kind::Many(&Kind::Text),
            "addresses with port, `unix:/path`, or `passed:NAME` for sockets handed over by systemd",
        )
        .required(),
        Key::new("apis", Kind::Many(&Kind::Word(&APIS)), "what is served there").required(),
        Key::new("imdsv1", Kind::Flag, "serve metadata requests without a token too")
            .default("false"),
        Key::new("hosts", Kind::Many(&Kind::Text), "further `Host` names that are accepted"),
        Key::new("instance-id", Kind::Text, "told as `instance-id`; not set: 404"),
        Key::new(
            "availability-zone",
            Kind::Text,
            "told as `placement/availability-zone`; not set: 404",
        ),
        Key::new("instance-type", Kind::Text, "told as `instance-type`; not set: 404"),
        Key::new(
            "minio-js-alias",
            Kind::Flag,
            "`AccessKeyID` beside `AccessKeyId`, as the MinIO SDK for JavaScript reads it",
        )
        .default("false"),
        Key::new(
            "tokenless",
            Kind::Flag,
            "serve the container API without `Authorization`: the kernel's evidence alone decides",
        )
        .default("false"),
        Key::new(
            "token",
            Kind::Tables(&TOKEN),
            "authorization tokens of the container API, written to files at start",
        ),
        Key::new(
            "select",
            Kind::Word(&["first", "only"]),
            "who has several roles gets the `first`; `only`: none, unless it asks for one by name",
        )
        .default("\"first\""),
        Key::new(
            "peers",
            Kind::Many(&Kind::Text),
            "networks that may connect from elsewhere; who proves a name from there needs `tls`",
        )
        .default("this host and its containers; anybody where only `metrics` is served"),
        Key::new(
            "public-url",
            Kind::Text,
            "where people find it, through a proxy for example: its host is accepted, people's APIs answer below its path too, and links are made of it",
        ),
        Key::new(
            "tls",
            Kind::Table(&TLS),
            "the certificate of its TCP sockets; unix sockets stay plain",
        ),
        Key::new(
            "mount",
            Kind::Tables(&MOUNT),
            "where people's APIs are served, each place with rules of its own",
        )
        .default("`/`, and `/afp-api/latest` for `accounts`"),
    ],
);

const TLS: Shape = Shape::new(
    "A certificate. All its files are read again when they change.",
    &[
        Key::new(
            "certificate",
            Kind::Path,
            "the certificate and those between it and its authority, PEM",
        )
        .required(),
        Key::new("key", Kind::Secret, "its key, PEM").required(),
        Key::new(
            "client-ca",
            Kind::Path,
            "authorities whose certificates clients may show, PEM; a trusted proxy is known by its own",
        ),
    ],
);

const MOUNT: Shape = Shape::new(
    "A path where APIs for people are served. The longest prefix that fits is the one that counts.",
    &[
        Key::new("prefix", Kind::Text, "how paths there begin; `/` for all").required(),
        Key::new(
            "apis",
            Kind::Many(&Kind::Word(&[
                "accounts",
                "connectors",
                "keystone",
                "sts",
            ])),
            "what is served there; what no mount names is served where it is by default",
        )
        .default("those of the listener; `accounts` on a machine mount"),
        Key::new(
            "authenticate",
            Kind::Many(&Kind::Word(&[
                "basic",
                "pam",
                "ldap",
                "oidc",
                "token",
                "proxy-header",
                "peer",
            ])),
            "what proves a name, in the order in which it is tried; `peer`: the kernel says who is connected, which is refused on the listener of `people.proxy-header`: everybody behind the proxy would be the user that it runs as",
        )
        .default("what `[people]` names, and `token`; `peer` on a machine mount"),
        Key::new(
            "require-group",
            Kind::Many(&Kind::Text),
            "who is in none of these groups is refused before any grant is looked at",
        ),
        Key::new("console", Kind::Flag, "whether console URLs are made").default("true"),
        Key::new(
            "machine",
            Kind::Flag,
            "serve instance metadata, without ImdsTokens, to hosts that are known by their address: who has exactly one role gets it",
        )
        .default("false"),
    ],
);

const TOKEN: Shape = Shape::new(
    "An authorization token that the daemon writes to a file at start, for a unit or container.",
    &[
        Key::new(
            "role",
            Kind::Text,
            "the role it is for, `account/role`; without it the caller's first matching grant decides",
        ),
        Key::new(
            "file",
            Kind::Path,
            "where the token is written, mode 0400, without newline",
        )
        .required(),
        Key::new(
            "uri-file",
            Kind::Path,
            "where `/v2/credentials/ID` is written, the path that needs no token",
        ),
        Key::new(
            "owner",
            Kind::Either(&[
                Kind::Text,
                Kind::Whole {
                    least: 0,
                    most: super::MAX_UID,
                },
            ]),
            "who may read the files and use the token: a user's name or uid",
        )
        .default("the daemon's user"),
        Key::new(
            "bearer",
            Kind::Flag,
            "who shows it and cannot be told by the kernel (a container behind a forwarder such as rootlesskit or slirp4netns) stands for its owner; it is not bound to who that is, so keep the file from others",
        )
        .default("false"),
        Key::new(
            "containers",
            Kind::Flag,
            "it is for a container that is known by its address (`[runtime]`), and worth nothing to anybody else: what it gets is decided of the container, and the token shows that it chose to ask",
        )
        .default("false"),
    ],
);
