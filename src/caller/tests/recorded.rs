//! Paths that people reported of their machines, one file each with its source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::caller::place::{Located, PlaceReader};
use crate::grants::Place;

/// `key: value`, one a line.
fn entries(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect()
}

#[test]
fn recorded_paths_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/caller/tests/cgroups");
    let mut read = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        let recorded = entries(&text);
        let name = file.display();
        assert!(recorded["source"].starts_with("https://"), "{name}");
        assert!(recorded.contains_key("seen"), "{name}");
        let located = PlaceReader::default().locate(recorded["path"].as_bytes(), None);
        let expected: Vec<&str> = recorded
            .keys()
            .copied()
            .filter(|key| !matches!(*key, "source" | "seen" | "path" | "owner"))
            .collect();
        match located {
            Located::At {
                place: Place::Container(container),
                ..
            } => {
                assert_eq!(expected, ["container"], "{name}");
                assert_eq!(container.id.as_str(), recorded["container"], "{name}");
                let owner = recorded.get("owner").map(|owner| owner.parse().unwrap());
                assert_eq!(container.owner, owner, "{name}");
            }
            Located::At {
                place: Place::Host(host),
                ..
            } => match host.unit {
                Some(unit) => {
                    assert_eq!(expected, ["unit"], "{name}");
                    assert_eq!(*unit, *recorded["unit"], "{name}");
                }
                None => assert_eq!(expected, ["host"], "{name}"),
            },
            Located::WithForwarders => assert_eq!(expected, ["helpers"], "{name}"),
            Located::Outside => assert_eq!(expected, ["outside"], "{name}"),
        }
        read += 1;
    }
    assert!(read >= 25, "{read}");
}
