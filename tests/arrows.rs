//! Dependencies between the rooms run one way: this test reads the sources and holds them to the
//! arrows that ARCHITECTURE.md draws.
#![cfg(test)]

mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The rooms each room may know. Leaves (`LEAVES`) are known to all.
    const ARROWS: &[(&str, &[&str])] = &[
        ("types", &[]),
        ("clock", &[]),
        ("secret", &[]),
        ("lookups", &[]),
        ("priority", &[]),
        ("allocator", &[]),
        ("linkage", &[]),
        ("socket_file", &[]),
        ("interfaces", &[]),
        ("grants", &[]),
        ("authority", &[]),
        ("store", &["authority"]),
        ("sessions", &["grants"]),
        ("keeping", &["authority", "grants", "sessions"]),
        ("config", &["grants", "sessions"]),
        ("runtime", &["grants", "transport"]),
        ("caller", &["grants", "runtime"]),
        ("http", &["caller"]),
        ("listener", &["http", "caller", "config"]),
        ("transport", &[]),
        (
            "source",
            &[
                "sessions",
                "authority",
                "config",
                "grants",
                "store",
                "transport",
            ],
        ),
        (
            "people",
            &["caller", "config", "grants", "store", "transport"],
        ),
        ("providers", &["grants", "config", "transport"]),
        ("telemetry", &["config", "sessions", "grants", "providers"]),
        (
            "vending",
            &[
                "grants",
                "sessions",
                "telemetry",
                "caller",
                "config",
                "providers",
                "store",
            ],
        ),
        (
            "api",
            &[
                "http",
                "caller",
                "authority",
                "people",
                "store",
                "vending",
                "sessions",
                "grants",
                "telemetry",
                "config",
            ],
        ),
        ("systemd", &["listener"]),
        ("shutdown", &[]),
        (
            "app",
            &[
                "api",
                "authority",
                "caller",
                "config",
                "grants",
                "http",
                "keeping",
                "listener",
                "people",
                "providers",
                "sessions",
                "runtime",
                "shutdown",
                "source",
                "store",
                "systemd",
                "telemetry",
                "transport",
                "vending",
            ],
        ),
        (
            "cli",
            &[
                "app",
                "api",
                "authority",
                "caller",
                "config",
                "people",
                "sessions",
                "source",
                "store",
                "systemd",
                "telemetry",
                "transport",
                "grants",
                "vending",
            ],
        ),
    ];

    const LEAVES: [&str; 9] = [
        "types",
        "clock",
        "secret",
        "lookups",
        "priority",
        "allocator",
        "linkage",
        "socket_file",
        "interfaces",
    ];

    /// What only some rooms may know of other crates: crate, rooms.
    const CRATES: &[(&str, &[&str])] = &[
        ("aws_sdk_sts", &["source"]),
        ("aws_config", &["source"]),
        ("aws_credential_types", &["source"]),
        ("aws_smithy_", &["source", "transport"]),
        (
            "hyper",
            &[
                "http",
                "people",
                "runtime",
                "listener",
                "api",
                "cli",
                "source",
                "config",
                "transport",
            ],
        ),
        ("prometheus_client", &["telemetry"]),
        ("clap", &["cli"]),
        ("rusqlite", &["store"]),
    ];

    #[test]
    fn rooms_know_only_whom_they_may() {
        let mut wrong = Vec::new();
        for (room, file, text) in sources() {
            let allowed = ARROWS.iter().find(|(name, _)| *name == room);
            let (_, allowed) = allowed.unwrap_or_else(|| panic!("no arrows for room {room}"));
            for known in rooms_in(&text) {
                let fine = known == room
                    || LEAVES.contains(&known.as_str())
                    || allowed.contains(&known.as_str());
                if !fine {
                    wrong.push(format!("{}: {room} -> {known}", file.display()));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "arrows that must not be:\n{}",
            wrong.join("\n")
        );
    }

    #[test]
    fn crates_stay_behind_their_borders() {
        let mut wrong = Vec::new();
        for (room, file, text) in sources() {
            for (name, rooms) in CRATES {
                let used = text.match_indices(name).any(|(at, _)| {
                    let (before, rest) = text.split_at(at);
                    let before = before.chars().next_back();
                    let after = rest.replacen(name, "", 1).starts_with("::") || name.ends_with('_');
                    after && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                });
                if used && !rooms.contains(&room.as_str()) {
                    wrong.push(format!("{}: {room} uses {name}", file.display()));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "crates out of bounds:\n{}",
            wrong.join("\n")
        );
    }

    #[test]
    fn arrows_make_no_circle() {
        let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
        for (room, _) in ARROWS {
            let mut seen = BTreeSet::new();
            let mut left: Vec<&str> = arrows[room].to_vec();
            while let Some(next) = left.pop() {
                assert_ne!(next, *room, "{room} leads back to itself");
                if seen.insert(next) {
                    left.extend(arrows[next]);
                }
            }
        }
    }

    /// Each source file with its room and its text without comments and tests.
    fn sources() -> Vec<(String, PathBuf, String)> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        collect(&src, &mut files);
        let mut sources = Vec::new();
        for file in files {
            let below = file.strip_prefix(&src).unwrap();
            let first = below.iter().next().unwrap().to_str().unwrap();
            let room = first.trim_end_matches(".rs").to_owned();
            let is_test = below.to_str().unwrap().contains("tests");
            if room != "lib" && room != "main" && !is_test {
                let text = fs::read_to_string(&file).unwrap();
                sources.push((room, below.to_owned(), without_tests(&text)));
            }
        }
        assert!(sources.len() > 50, "the sources were not found");
        sources
    }

    fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }

    fn without_tests(text: &str) -> String {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The rooms that a text names by `crate::room` or in `use crate::{…}`.
    fn rooms_in(text: &str) -> BTreeSet<String> {
        let mut rooms = BTreeSet::new();
        for (at, _) in text.match_indices("crate::") {
            let (_, rest) = text.split_at(at + "crate::".len());
            if let Some(list) = rest.strip_prefix('{') {
                let list = list.split("};").next().unwrap();
                rooms.extend(list.split(',').map(|item| first_word(item.trim())));
            } else {
                rooms.insert(first_word(rest));
            }
        }
        rooms.remove("");
        rooms
    }

    fn first_word(text: &str) -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    }
}
