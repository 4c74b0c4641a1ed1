//! `[[issuer]]`.

use super::{Key, Kind, Shape};

pub(super) const ISSUER: Shape = Shape::new(
    "An issuer of web identities: its tokens, shown as `Authorization` to the container API, say who asks.",
    &[
        Key::new("url", Kind::Text, "what its tokens name as `iss`, to the letter").required(),
        Key::new(
            "audiences",
            Kind::Many(&Kind::Text),
            "for whom a token must be meant: one of these must be its `aud`",
        )
        .default("`pods.eks.amazonaws.com`"),
        Key::new(
            "keys",
            Kind::Text,
            "`discovery`: where `/.well-known/openid-configuration` below the URL says; or the path of a JSON Web Key Set, which is read again when it changes",
        )
        .default("`discovery`"),
        Key::new(
            "algorithms",
            Kind::Many(&Kind::Word(&[
                "RS256",
                "RS384",
                "RS512",
                "PS256",
                "PS384",
                "PS512",
                "ES256",
                "ES384",
                "EdDSA",
            ])),
            "what its tokens may be signed with",
        )
        .default("`RS256`, `ES256`"),
        Key::new(
            "ca-file",
            Kind::Path,
            "for `discovery`: certificates of the authorities to trust there besides the system's, as a cluster has its own",
        ),
        Key::new(
            "tags",
            Kind::Flag,
            "a token's `https://aws.amazon.com/tags` become session tags",
        )
        .default("false"),
        Key::new(
            "introspection",
            Kind::Table(&INTROSPECTION),
            "where it is asked about access tokens that only it can read, shown to AssumeRoleWithWebIdentity with a `ProviderId`",
        ),
    ],
);

const INTROSPECTION: Shape = Shape::new(
    "An issuer's endpoint for access tokens (RFC 7662). What it says of a token counts for a minute.",
    &[
        Key::new("url", Kind::Text, "the endpoint").required(),
        Key::new("client-id", Kind::Text, "as whom the daemon asks").required(),
        Key::new("client-secret", Kind::Secret, "what proves that").required(),
    ],
);
