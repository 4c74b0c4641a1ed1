//! `[authority]`.

use super::{Key, Kind, Shape};

pub(super) const AUTHORITY: Shape = Shape::new(
    "How the Keystone and STS faces take signatures and tokens.",
    &[
        Key::new(
            "signature-age",
            Kind::Time,
            "how far the date of a signature may be off, both ways; `\"0s\"` takes any date",
        )
        .default("\"15m\""),
        Key::new(
            "token-lifetime",
            Kind::Time,
            "how long Keystone's tokens live",
        )
        .default("\"1h\""),
        Key::new(
            "service-token",
            Kind::Secret,
            "what services send as `X-Auth-Token` to have signatures and tokens verified; 16 characters at least",
        )
        .default("only administrators' tokens count for that"),
        Key::new(
            "ec2tokens-without-token",
            Kind::Flag,
            "whether whoever asks has signatures verified, as by Keystone before 2025",
        )
        .default("false"),
        Key::new(
            "replay-cache",
            Kind::Whole {
                least: 0,
                most: 1_000_000,
            },
            "how many signatures are remembered, so that each counts once. A client that asks the same twice within a second makes the same signature twice, and is refused then",
        )
        .default("0"),
    ],
);
