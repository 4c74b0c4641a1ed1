//! `[state]`, `[log]`, `[limits]`, `[admin]`.

use super::{Key, Kind, Shape};

pub(super) const STATE: Shape = Shape::new(
    "What survives a restart, and where.",
    &[
        Key::new("directory", Kind::Path, "where state is kept")
            .default("`$STATE_DIRECTORY`, else `/var/lib/rolecall`, for an ordinary user `~/.local/state/rolecall`"),
        Key::new("key", Kind::Secret, "32 bytes in hex or base64 that seal secrets at rest")
            .default("generated, in the directory, mode 0600"),
        Key::new(
            "sessions",
            Kind::Word(&["sealed", "memory"]),
            "`sealed`: held sessions survive a restart, in the directory; `memory`: they end with the daemon",
        )
        .default("\"sealed\""),
    ],
);

pub(super) const LOG: Shape = Shape::new(
    "Where log events go. A target that cannot be written to blocks nothing.",
    &[
        Key::new(
            "to",
            Kind::Many(&Kind::Text),
            "`journald`, `json` or `text` (standard error), `syslog`, `syslog:/path`, `udp://HOST:PORT` or `tcp://HOST:PORT` (RFC 5424), `file:/path` (reopened on SIGHUP)",
        )
        .default("journald under systemd, text on a terminal, json otherwise"),
        Key::new("level", Kind::Text, "the least level, or filters as `info,rolecall::sessions=debug`")
            .default("\"info\""),
    ],
);

pub(super) const LIMITS: Shape = Shape::new(
    "Bounds. What is above them waits where it can.",
    &[
        Key::new(
            "connections",
            Kind::Whole {
                least: 1,
                most: 1_000_000,
            },
            "connections at once",
        )
        .default("4096"),
        Key::new(
            "connections-per-caller",
            Kind::Whole {
                least: 1,
                most: 1_000_000,
            },
            "connections at once for each caller; the surplus waits, and is told 503 after 5 s",
        )
        .default("256"),
        Key::new(
            "requests-per-caller",
            Kind::Whole {
                least: 1,
                most: 1_000_000,
            },
            "requests of each caller that are answered at once or in one turn of the loop; the surplus waits for its turn, and is told 503 after 850 ms",
        )
        .default("64"),
        Key::new(
            "flights-per-caller",
            Kind::Whole {
                least: 1,
                most: 1_000_000,
            },
            "sessions at once that are fetched because one caller asked first; further ones wait for their turn",
        )
        .default("32"),
        Key::new(
            "sessions",
            Kind::Whole {
                least: 1,
                most: 10_000_000,
            },
            "held sessions",
        )
        .default("20000"),
        Key::new(
            "ready-deadline",
            Kind::Time,
            "how long readiness waits for roles with `prefetch`",
        )
        .default("\"30s\""),
        Key::new(
            "linger",
            Kind::Time,
            "how long callers are served still after SIGTERM, before the end begins: for a sidecar that is told to end together with those whom it serves; a second signal ends it at once",
        )
        .default("\"0s\""),
        Key::new(
            "drain",
            Kind::Time,
            "how long open connections may finish at the end",
        )
        .default("\"200ms\""),
        Key::new(
            "patience",
            Kind::Time,
            "how long callers wait for credentials that are being fetched",
        )
        .default("what their SDKs are known to bear"),
    ],
);

pub(super) const ADMIN: Shape = Shape::new(
    "The socket over which the command line talks to the daemon.",
    &[Key::new("socket", Kind::Path, "where it is").default(
        "`/run/rolecall/admin.sock`, for an ordinary user `$XDG_RUNTIME_DIR/rolecall/admin.sock`, without a login session in the state directory",
    )],
);
