//! What the operator's documents name is there, and what is there is in them: log events, metrics,
//! the tests that show each attack to fail, and every link. This test reads the sources.
#![cfg(test)]

mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    const LEVELS: [&str; 3] = ["error", "warn", "info"];

    #[test]
    fn the_runbook_has_every_log_event_and_no_others() {
        let mut told = Events::new();
        for (name, level) in rust_sources("src").iter().flat_map(|source| events(source)) {
            told.entry(name).or_default().insert(level);
        }
        assert!(told.len() > 50, "the events were not found");
        let mut documented = Events::new();
        for cells in rows(&section("docs/runbook.md", "## Log events")) {
            let levels = cells[1].split(", ").map(str::to_owned).collect();
            let before = documented.insert(code_in(&cells[0]), levels);
            assert!(before.is_none(), "{} stands there twice", cells[0]);
            assert!(
                cells[2..].iter().all(|cell| !cell.is_empty()),
                "{}",
                cells[0]
            );
        }
        same(&told, &documented);
    }

    #[test]
    fn the_runbook_has_every_metric_and_no_others() {
        // The unit test of the metrics holds this page to what is served.
        let served = names_in(&section("docs/telemetry.md", "## Metrics"));
        let documented = names_in(&section("docs/runbook.md", "## Metrics"));
        assert!(served.len() > 10, "the metrics were not found");
        assert_eq!(documented, served);
    }

    #[test]
    fn each_attack_of_the_threat_model_has_tests_that_exist() {
        let mut tests = 0;
        for cells in rows(&section("docs/threat-model.md", "## Known attacks")) {
            let named: Vec<String> = codes_in(&cells[cells.len() - 1]).collect();
            assert!(!named.is_empty(), "no test for: {}", cells[0]);
            for test in named {
                assert!(
                    is_there(&test),
                    "{} names a test that is not: {test}",
                    cells[0]
                );
                tests += 1;
            }
        }
        assert!(tests > 50, "the table was not read");
    }

    #[test]
    fn what_is_no_test_is_not_taken_for_one() {
        let here = "tests/documents.rs::";
        assert!(is_there(&format!(
            "{here}what_is_no_test_is_not_taken_for_one"
        )));
        assert!(!is_there(&format!("{here}is_there")));
        assert!(!is_there(&format!("{here}not_at_all")));
        assert!(!is_there("tests/no_such_file.rs::main"));
        assert!(!is_there("tests/it/hostile.rs"));
    }

    #[test]
    fn every_link_leads_somewhere() {
        let mut links = 0;
        for file in documents() {
            let text = read(&file);
            for target in links_in(&text) {
                let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
                let to = if path.is_empty() {
                    file.clone()
                } else {
                    file.parent().unwrap().join(path)
                };
                let from = file.display();
                assert!(to.exists(), "{from} links to {target}, which is not there");
                if !anchor.is_empty() {
                    assert!(anchors(&read(&to)).contains(anchor), "{from}: {target}");
                }
                links += 1;
            }
        }
        assert!(links > 30, "the links were not read");
    }

    #[test]
    fn the_readme_leads_to_every_document() {
        let readme = read(&root().join("README.md"));
        let listed: BTreeSet<String> = links_in(&readme).collect();
        for file in documents() {
            let name = file.file_name().unwrap().to_str().unwrap();
            if file.parent().is_some_and(|folder| folder.ends_with("docs")) {
                assert!(
                    listed.contains(&format!("docs/{name}")),
                    "it does not link to {name}"
                );
            }
        }
    }

    #[test]
    fn the_gateways_settings_are_those_that_are_tested() {
        let mut tested = read(&root().join("tests/authority/checks/gateway.py"));
        tested.push_str(&read(&root().join("tests/upstreams/radosgw.sh")));
        let guide = read(&root().join("docs/ceph.md"));
        let settings: Vec<_> = guide
            .lines()
            .filter(|line| line.starts_with("rgw_"))
            .collect();
        assert!(settings.len() > 8, "the settings were not found");
        for setting in settings {
            let (key, value) = setting.split_once(" = ").unwrap();
            let is_given = value.contains('<') || value.contains("://");
            let found = tested.lines().any(|line| {
                let same = line.split_once(" = ").filter(|(other, _)| *other == key);
                same.is_some_and(|(_, other)| is_given || other == value || other.starts_with('{'))
            });
            assert!(
                found || is_given && tested.contains(key),
                "not tested: {setting}"
            );
        }
    }

    #[test]
    fn events_are_known_by_their_fixed_text() {
        let source = r#"
            tracing::debug!("not told");
            tracing::warn!(%error, why = "no", "a thing failed");
            tracing::info!("read {}, and \"{text}\" \
                of `it`", f(a, "b"));
            tracing::error!(
                target: "rolecall",
                place,
                "a ')' is \"no\" end"
            );
#[cfg(test)]
mod tests { fn a() { tracing::info!("of a test"); } }
        "#;
        let told: Vec<_> = events(source).collect();
        let told: Vec<_> = told.iter().map(|(n, l)| (n.as_str(), l.as_str())).collect();
        assert_eq!(
            told,
            [
                ("a ')' is \"no\" end", "error"),
                ("a thing failed", "warn"),
                ("read …, and \"…\" of …it…", "info")
            ]
        );
    }

    type Events = BTreeMap<String, BTreeSet<String>>;

    fn same(told: &Events, documented: &Events) {
        let but = |these: &Events, those: &Events| {
            let not_there = these
                .iter()
                .filter(|(name, what)| those.get(*name) != Some(*what));
            not_there
                .map(|(name, what)| format!("{name} {what:?}"))
                .collect::<Vec<_>>()
        };
        let (missing, stale) = (but(told, documented), but(documented, told));
        assert!(
            missing.is_empty() && stale.is_empty(),
            "told, but not so in the runbook: {missing:#?}\nin the runbook, but not told so: {stale:#?}"
        );
    }

    /// The events above `debug` in a source, by what is fixed in their messages, with their levels.
    fn events(source: &str) -> impl Iterator<Item = (String, String)> {
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut found = Vec::new();
        for level in LEVELS {
            let call = format!("tracing::{level}!(");
            for after in code.split(&call).skip(1) {
                let message = arguments(after)
                    .into_iter()
                    .find_map(|argument| argument.strip_prefix('"').map(fixed_text))
                    .unwrap_or_else(|| panic!("an event without a message: {after}"));
                found.push((message, level.to_owned()));
            }
        }
        found.into_iter()
    }

    /// What stands between the commas of a call, up to its end.
    fn arguments(call: &str) -> Vec<String> {
        let mut found = vec![String::new()];
        let (mut depth, mut quoted, mut escaped) = (0, false, false);
        for c in call.chars() {
            if quoted {
                quoted = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            } else {
                match c {
                    '"' => quoted = true,
                    '(' | '[' | '{' => depth += 1,
                    ')' if depth == 0 => break,
                    ')' | ']' | '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push(String::new());
                        continue;
                    }
                    _ => {}
                }
            }
            found.last_mut().unwrap().push(c);
        }
        found.iter().map(|text| text.trim().to_owned()).collect()
    }

    /// A message without what differs, from behind its opening quote. Code marks cannot stand in a
    /// name that is itself shown as code.
    fn fixed_text(literal: &str) -> String {
        let mut name = String::new();
        let mut chars = literal.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '`' => differs(&mut name),
                '{' => {
                    chars.by_ref().find(|end| *end == '}');
                    differs(&mut name);
                }
                '\\' => match chars.next() {
                    Some('\n') => {
                        let rest = chars.as_str().trim_start();
                        chars = rest.chars();
                    }
                    Some(escaped) => name.push(escaped),
                    None => {}
                },
                c => name.push(c),
            }
        }
        name
    }

    fn differs(name: &mut String) {
        if !name.ends_with('…') {
            name.push('…');
        }
    }

    /// Whether `path::name` is a test: of cargo's, a function of a Python suite, or, in quotes, the
    /// title of one of its cases.
    fn is_there(test: &str) -> bool {
        let Some((path, name)) = test.split_once("::") else {
            return false;
        };
        let Ok(source) = fs::read_to_string(root().join(path)) else {
            return false;
        };
        if name.starts_with('"') {
            return source.contains(name);
        }
        if Path::new(path).extension().is_some_and(|ends| ends == "py") {
            return source.contains(&format!("def {name}("));
        }
        let Some(at) = source.find(&format!("fn {name}(")) else {
            return false;
        };
        let above = source.split_at(at).0.lines().rev().take(6);
        let above: Vec<&str> = above.take_while(|line| *line != "}").collect();
        above
            .iter()
            .any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    }

    /// The part of a document below a heading, to the next of its rank.
    fn section(file: &str, heading: &str) -> String {
        let text = read(&root().join(file));
        let (_, rest) = text
            .split_once(&format!("\n{heading}\n"))
            .unwrap_or_else(|| panic!("{file} has no {heading}"));
        rest.split("\n## ").next().unwrap().to_owned()
    }

    /// The rows of all tables of a text, as cells, without their heads.
    fn rows(text: &str) -> Vec<Vec<String>> {
        let lines: Vec<&str> = text.lines().collect();
        let is_head = |at: usize| {
            lines
                .get(at + 1)
                .is_some_and(|next| next.starts_with("|---"))
        };
        (0..lines.len())
            .filter(|at| lines[*at].starts_with("| ") && !is_head(*at))
            .map(|at| {
                let cells = lines[at].trim_matches('|').split(" | ");
                cells.map(|cell| cell.trim().to_owned()).collect()
            })
            .collect()
    }

    fn names_in(text: &str) -> BTreeSet<String> {
        let names = rows(text).into_iter().map(|cells| code_in(&cells[0]));
        let bare = |name: String| name.split('{').next().unwrap().to_owned();
        names.map(bare).collect()
    }

    fn code_in(cell: &str) -> String {
        codes_in(cell).next().unwrap_or_default()
    }

    fn codes_in(cell: &str) -> impl Iterator<Item = String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned)
    }

    /// What a document links to in this tree.
    fn links_in(text: &str) -> impl Iterator<Item = String> {
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
        targets
            .filter(|target| !target.contains("://") && !target.contains(' '))
            .map(str::to_owned)
    }

    /// The anchors of a document's headings, as GitHub makes them.
    fn anchors(text: &str) -> BTreeSet<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| {
                let words = line.trim_start_matches('#').trim().to_lowercase();
                let kept = words
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }

    fn documents() -> Vec<PathBuf> {
        let mut files = files_in(&root().join("docs"), "md");
        files.extend(files_in(&root().join("monitoring"), "md"));
        for name in [
            "README.md",
            "ARCHITECTURE.md",
            "SECURITY.md",
            "CONTRIBUTING.md",
        ] {
            files.push(root().join(name));
        }
        files
    }

    fn rust_sources(folder: &str) -> Vec<String> {
        let files = files_in(&root().join(folder), "rs");
        let code = files.iter().filter(|path| {
            let inside = path.strip_prefix(root()).unwrap();
            let mut parts = inside.iter().filter_map(|part| part.to_str());
            !parts.any(|part| part == "tests" || part == "tests.rs")
        });
        code.map(|path| read(path)).collect()
    }

    fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files_in(&path, extension));
            } else if path.extension().is_some_and(|ends| ends == extension) {
                found.push(path);
            }
        }
        found
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }
}
