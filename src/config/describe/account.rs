//! `[account.ALIAS]`, its credentials and roles.

use super::{Key, Kind, Shape};

pub(super) const ACCOUNT: Shape = Shape::new(
    "An account: an upstream, and the base credentials that its roles are assumed with.",
    &[
        Key::new(
            "id",
            Kind::Either(&[
                Kind::Text,
                Kind::Whole {
                    least: 0,
                    most: 999_999_999_999,
                },
            ]),
            "its twelve digits; a number is padded",
        ),
        Key::new("partition", Kind::Text, "its partition").default("the region's, else `aws`"),
        Key::new("region", Kind::Text, "whose STS endpoint is asked"),
        Key::new(
            "dialect",
            Kind::Word(&["aws", "ceph", "minio", "generic"]),
            "how its STS speaks",
        )
        .default("\"aws\""),
        Key::new(
            "endpoint",
            Kind::Text,
            "a URL instead of the regional STS endpoint",
        ),
        Key::new(
            "credentials",
            Kind::Table(&CREDENTIALS),
            "what its roles are assumed with",
        )
        .default("{ from = \"environment\" }"),
        Key::new(
            "rate-limit",
            Kind::Table(&RATE_LIMIT),
            "bounds the calls to it",
        ),
        Key::new(
            "defaults",
            Kind::Table(&DEFAULTS),
            "what a role gets that says nothing",
        ),
        Key::new("role", Kind::Named(&ROLE), "its roles, by name"),
        Key::new("description", Kind::Text, "what it is for, in your words"),
        Key::new(
            "signin-endpoint",
            Kind::Text,
            "a URL where sign-in tokens for the console are asked for",
        )
        .default("the partition's"),
        Key::new("console-endpoint", Kind::Text, "the console's URL").default("the partition's"),
        Key::new(
            "callback-origins",
            Kind::Many(&Kind::Text),
            "whither the console may send people when their session ends, as `https://wiki.example.org`",
        )
        .default("any site over http or https"),
        Key::new(
            "console-destination",
            Kind::Text,
            "where in the console people begin: a path, or a URL of the console",
        ),
        Key::new(
            "console-region",
            Kind::Text,
            "the region in which people begin",
        ),
        Key::new(
            "ecr-endpoint",
            Kind::Text,
            "a URL instead of the regional endpoint of ECR's API",
        ),
        Key::new(
            "ecr-region",
            Kind::Text,
            "the region of the account's container registry",
        )
        .default("`region`"),
        Key::new(
            "keystone-roles",
            Kind::Many(&Kind::Text),
            "the names of the roles that Keystone's tokens for it tell, whoever has any role there",
        )
        .default("the caller's roles there, and `member`"),
    ],
);

const CREDENTIALS: Shape = Shape::new(
    "Base credentials.",
    &[
        Key::new(
            "from",
            Kind::Word(&[
                "environment",
                "profile",
                "key",
                "web-identity",
                "process",
                "endpoint",
                "imds",
                "role",
                "caller-token",
                "local",
            ]),
            "`environment`: the SDK's default chain; `profile`, `key`, `web-identity`, `process`, `endpoint`; `imds`: the real one; `role`: chaining; `caller-token`: the web identity token that the caller shows; `local`: the built-in authority, no cloud at all",
        )
        .required(),
        Key::new("profile", Kind::Text, "for `profile`: a profile of the shared AWS files"),
        Key::new("access-key-id", Kind::Text, "for `key`"),
        Key::new("secret-access-key", Kind::Secret, "for `key`"),
        Key::new("session-token", Kind::Secret, "for `key`, where it is a session's"),
        Key::new("token-file", Kind::Path, "for `web-identity`: read at each use"),
        Key::new("command", Kind::Many(&Kind::Text), "for `process`: prints `credential_process` output"),
        Key::new("url", Kind::Text, "for `endpoint`: another rolecall, AFP or container endpoint"),
        Key::new("token", Kind::Secret, "for `endpoint`: what it asks for as `Authorization`"),
        Key::new("role", Kind::Text, "for `role`: the role to chain from, `account/role`"),
    ],
);

const RATE_LIMIT: Shape = Shape::new(
    "Bounds the calls to an account's upstream.",
    &[
        Key::new(
            "per-second",
            Kind::Positive,
            "calls a second in the long run",
        )
        .default("50"),
        Key::new(
            "burst",
            Kind::Whole {
                least: 1,
                most: 1_000_000,
            },
            "calls at once after a pause",
        )
        .default("200"),
    ],
);

const DURATION: Key = Key::new("duration", Kind::Time, "the life asked for").default("\"1h\"");
const SESSION_NAME: Key = Key::new(
    "session-name",
    Kind::Text,
    "the role session name; may hold what is known of the caller: `{caller}` (its unit, container or user), `{user}`, `{uid}`, `{unit}`, `{user-unit}`, `{slice}`, `{container}`, `{container-id}`, `{image}`, `{namespace}`, `{pod}`, `{service-account}`, `{subject}`, `{principal}`, `{host}`, and `{hostname}`",
)
.default("\"{caller}\"");
const SOURCE_IDENTITY: Key = Key::new(
    "source-identity",
    Kind::Text,
    "the source identity; trust policies must allow `sts:SetSourceIdentity`",
);
const EXTERNAL_ID: Key = Key::new(
    "external-id",
    Kind::Text,
    "the external id that the trust policy asks for",
);
const POLICY_FILE: Key = Key::new(
    "policy-file",
    Kind::Path,
    "a session policy, JSON; it narrows the session",
);
const POLICY_ARNS: Key = Key::new(
    "policy-arns",
    Kind::Many(&Kind::Text),
    "up to ten managed policies that narrow the session",
);
const TAGS: Key = Key::new(
    "tags",
    Kind::Texts,
    "session tags; trust policies must allow `sts:TagSession`",
);
const TRANSITIVE_TAGS: Key = Key::new(
    "transitive-tags",
    Kind::Many(&Kind::Text),
    "which of the tags go on into chained roles",
);
const IDLE: Key = Key::new(
    "idle",
    Kind::Time,
    "a session is let go after this long unused",
)
.default("\"6h\"");

const MAX_DURATION: Key = Key::new(
    "max-duration",
    Kind::Time,
    "what a caller that names a duration may ask at most",
)
.default("`duration`");

const DEFAULTS: Shape = Shape::new(
    "What each role of the account gets that does not say it itself.",
    &[
        DURATION,
        SESSION_NAME,
        SOURCE_IDENTITY,
        EXTERNAL_ID,
        POLICY_FILE,
        POLICY_ARNS,
        TAGS,
        TRANSITIVE_TAGS,
        IDLE,
        MAX_DURATION,
    ],
);

const ROLE: Shape = Shape::new(
    "A role: one way to obtain session credentials in the account.",
    &[
        Key::new("arn", Kind::Text, "its ARN").default("`arn:{partition}:iam::{id}:role/{name}`"),
        Key::new(
            "kind",
            Kind::Word(&[
                "assume-role",
                "web-identity",
                "federation-token",
                "session-token",
            ]),
            "the STS call behind it",
        )
        .default(
            "\"assume-role\", with `web-identity` and `caller-token` credentials \"web-identity\"",
        ),
        DURATION,
        Key::new("prefetch", Kind::Flag, "fetch it at start and keep it").default("false"),
        SESSION_NAME,
        SOURCE_IDENTITY,
        EXTERNAL_ID,
        POLICY_FILE,
        POLICY_ARNS,
        TAGS,
        TRANSITIVE_TAGS,
        IDLE,
        Key::new(
            "not-before",
            Kind::Moment,
            "sessions that the built-in authority issued before this are refused",
        ),
        MAX_DURATION,
        Key::new(
            "display-name",
            Kind::Text,
            "what people are shown as the connector's name",
        )
        .default("its name"),
        Key::new("connector-id", Kind::Text, "its id as a connector, a UUID")
            .default("the UUID of version 5 of `ALIAS/NAME` in the namespace of URLs"),
    ],
);
