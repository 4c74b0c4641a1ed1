//! `[[grant-source]]`.

use super::grant::WHEN;
use super::{Key, Kind, Shape};

pub(super) const GRANT_SOURCE: Shape = Shape::new(
    "A program or a service of yours that says which roles a name has: that of who proved one, or the user's name of a caller outside containers. It answers `{\"account\": [[\"role\", \"reason\"]]}` within 2 s, and is believed for a minute; what fails or is not understood grants nothing. Each is tried among the grants by its priority, after those of the same.",
    &[
        Key::new(
            "command",
            Kind::Many(&Kind::Text),
            "a program with its arguments; it gets the name as its last one (never one that begins with `-`), an environment of `PATH` and `LC_ALL`, and prints the answer",
        ),
        Key::new(
            "url",
            Kind::Text,
            "an https URL that is asked instead; `{name}` stands for the name, or it goes into the query as `name`",
        ),
        Key::new(
            "token",
            Kind::Secret,
            "the bearer token that the URL asks for",
        ),
        Key::new(
            "ca-file",
            Kind::Path,
            "authorities to trust for the URL besides the system's",
        ),
        Key::new(
            "when",
            Kind::Either(&[Kind::Word(&["anyone"]), Kind::Table(&WHEN)]),
            "about whom it is asked",
        )
        .default("everybody who has a name"),
        Key::new(
            "priority",
            Kind::Whole {
                least: -1_000_000,
                most: 1_000_000,
            },
            "higher ones are tried first",
        )
        .default("0"),
    ],
);
