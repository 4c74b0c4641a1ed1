//! `[runtime]` and `[[runtime.engine]]`.

use super::{Key, Kind, Shape};

pub(super) const RUNTIME: Shape = Shape::new(
    "What tells the daemon of containers: the unit `rolecall-runtime` (`rolecall runtime`), which alone holds the sockets of container runtimes. Without this table only what a container's control group says is known of it, and connections from its own network are closed.",
    &[
        Key::new(
            "socket",
            Kind::Path,
            "where the unit answers; the daemon believes it only if root or the daemon's own user serves it",
        )
        .default("\"/run/rolecall-runtime/runtime.sock\""),
        Key::new(
            "user",
            Kind::Either(&[
                Kind::Text,
                Kind::Whole {
                    least: 0,
                    most: super::MAX_UID,
                },
            ]),
            "who may ask the unit beside root: the daemon's user, by name or uid",
        )
        .default("`rolecall`, where there is such a user"),
        Key::new(
            "engine",
            Kind::Tables(&ENGINE),
            "the runtimes that the unit asks",
        )
        .required(),
    ],
);

const ENGINE: Shape = Shape::new(
    "A container runtime that the unit asks. What it tells counts as the word of the user that it runs as: names, images and labels of a user's own runtime match only grants that name that user, and its addresses match none.",
    &[
        Key::new(
            "kind",
            Kind::Word(&["docker", "podman", "cri"]),
            "how it is spoken to; `cri`: containerd, CRI-O",
        )
        .required(),
        Key::new("socket", Kind::Path, "its unix socket").default(
            "`/run/docker.sock`, `/run/podman/podman.sock`, `/run/containerd/containerd.sock`",
        ),
    ],
);
