//! `[people]`.

use super::{Key, Kind, Shape};

pub(super) const PEOPLE: Shape = Shape::new(
    "How people and build servers prove a name to the APIs that are theirs. What a mount takes is said by its `authenticate`.",
    &[
        Key::new(
            "users-file",
            Kind::Path,
            "names and password hashes as `htpasswd -B` and `rolecall password` write them: `name:hash`, a line each, argon2id or bcrypt; read again when it changes",
        ),
        Key::new(
            "groups-file",
            Kind::Path,
            "`group: user user`, a line each; read again when it changes. It adds to the groups of the system, of the directory or of the token",
        ),
        Key::new(
            "administrators",
            Kind::Many(&Kind::Text),
            "who manages accounts and connectors, and may use all of them: names, and `@group` for its members",
        ),
        Key::new(
            "ldap",
            Kind::Table(&LDAP),
            "a directory that knows names, passwords and groups",
        ),
        Key::new("pam", Kind::Table(&PAM), "passwords that PAM takes"),
        Key::new(
            "oidc",
            Kind::Table(&OIDC),
            "tokens of an OpenID Connect issuer, shown as `Authorization: Bearer`",
        ),
        Key::new(
            "proxy-header",
            Kind::Table(&PROXY_HEADER),
            "a proxy that says who asks; from anybody else its header is refused",
        ),
        Key::new(
            "cookie-lifetime",
            Kind::Time,
            "how long the cookie of a password counts that LDAP or PAM took, at most 8h: until then a password that was changed there still counts",
        )
        .default("\"30m\""),
    ],
);

const LDAP: Shape = Shape::new(
    "An LDAP directory, of which a user's name is one attribute's value. Groups name their members by `member`, `uniqueMember` or `memberUid`; groups in groups count. All is said over TLS, and no referral is followed.",
    &[
        Key::new(
            "url",
            Kind::Text,
            "`ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]`, which is upgraded by StartTLS",
        )
        .required(),
        Key::new("base-users", Kind::Text, "below which entry users are").required(),
        Key::new("base-groups", Kind::Text, "below which entry groups are").default("`base-users`"),
        Key::new(
            "bind-dn",
            Kind::Text,
            "as whom the daemon binds to look users up",
        )
        .default("anonymously"),
        Key::new(
            "bind-password",
            Kind::Secret,
            "the password that goes with `bind-dn`",
        ),
        Key::new(
            "user-attribute",
            Kind::Text,
            "the attribute that holds a user's name",
        )
        .default("\"uid\""),
        Key::new(
            "group-attribute",
            Kind::Text,
            "the attribute that holds a group's name",
        )
        .default("\"cn\""),
        Key::new(
            "ca-file",
            Kind::Path,
            "certificates of the authorities to trust there besides the system's",
        ),
    ],
);

const PAM: Shape = Shape::new(
    "Passwords that PAM takes. Its stack runs in the daemon, as the daemon's user: `pam_sss`, `pam_ldap` or `pam_krb5` serve any user, `pam_unix` reads the system's own passwords for root only.",
    &[Key::new(
        "service",
        Kind::Text,
        "the service's name, a file in `/etc/pam.d`",
    )
    .required()],
);

const OIDC: Shape = Shape::new(
    "Tokens of an OpenID Connect issuer.",
    &[
        Key::new("issuer", Kind::Text, "the `url` of one of `[[issuer]]`").required(),
        Key::new("name-claim", Kind::Text, "the claim that is the name").default("\"sub\""),
        Key::new("groups-claim", Kind::Text, "the claim that lists groups")
            .default("tokens tell none"),
    ],
);

const PROXY_HEADER: Shape = Shape::new(
    "A proxy that says who asks.",
    &[
        Key::new("name", Kind::Text, "the header").default("\"X-Remote-User\""),
        Key::new(
            "listener",
            Kind::Text,
            "the listener that the proxy connects to",
        )
        .required(),
        Key::new(
            "uid",
            Kind::Many(&Kind::Either(&[
                Kind::Text,
                Kind::Whole {
                    least: 0,
                    most: super::MAX_UID,
                },
            ])),
            "who the proxy runs as where it connects to a unix socket: names or uids",
        ),
        Key::new(
            "subject",
            Kind::Many(&Kind::Text),
            "the subjects of the certificates that it shows where the listener asks for one",
        ),
        Key::new(
            "lower-case",
            Kind::Flag,
            "whether the proxy takes names for one that differ in case only: they are one name here, in lower case. Where LDAP or the system's users know a name, their spelling counts anyway",
        )
        .default("false"),
        Key::new(
            "visitor-header",
            Kind::Text,
            "the header to whose end the proxy adds its visitor's address, as `X-Forwarded-For`. Wrong passwords that come through the proxy are then counted for each visitor as well as for each name",
        ),
    ],
);
