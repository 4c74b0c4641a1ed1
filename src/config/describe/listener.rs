//! `[[listener]]`.

use super::{Key, Kind, Shape, Word, later, now};

const APIS: [Word; 7] = [
    now("imds"),
    now("container"),
    now("metrics"),
    now("accounts"),
    now("connectors"),
    later("keystone"),
    later("sts"),
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
            Kind::Word(&[now("first"), now("only")]),
            "who has several roles gets the `first`; `only`: none, unless it asks for one by name",
        )
        .default("\"first\""),
        Key::later("peers"),
        Key::later("public-url"),
        Key::later("tls"),
        Key::later("mount"),
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
    ],
);
