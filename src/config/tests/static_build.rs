//! What a build without libraries of the system refuses, and warns of.

use super::*;

fn read(text: &str) -> Result<Vec<Problem>, String> {
    let mut surroundings = surroundings();
    surroundings.without_libraries();
    parse_text("rolecall.toml", text, &surroundings)
        .map(|(_, problems)| problems)
        .map_err(|error| error.to_string())
}

fn granted(when: &str) -> String {
    format!("{ROLES}[[grant]]\nrole = 'a/one'\nwhen = {{ {when} }}\n")
}

#[test]
fn pam_is_refused() {
    let text = format!("{ROLES}[people]\npam = {{ service = 'rolecall' }}\n");
    let told = read(&text).unwrap_err();
    assert!(told.contains("cannot use PAM"), "{told}");
    assert!(told.contains("people.users-file"), "{told}");
    assert!(!refused_or_told(&text).contains("cannot use PAM"));
}

#[test]
fn who_is_not_in_the_files_is_refused_with_the_reason() {
    for when in ["user = 'somebody'", "group = 'somegroup'"] {
        let told = read(&granted(when)).unwrap_err();
        assert!(told.contains("without libraries"), "{told}");
        assert!(!refused(&granted(when)).contains("without libraries"));
    }
}

#[test]
fn a_pattern_of_groups_is_warned_of() {
    let warned = |when: &str| {
        let problems = read(&granted(when)).unwrap();
        let told = |problem: &Problem| problem.message.contains("no directory's");
        problems.iter().any(told)
    };
    assert!(warned("group = { regex = 'aws-.*' }"));
    assert!(!warned("user = 'ann'"));
    assert!(!warned("uid = 7"));
}

fn refused_or_told(text: &str) -> String {
    parse_text("rolecall.toml", text, &surroundings()).map_or_else(
        |error| error.to_string(),
        |(_, problems)| problems.iter().map(ToString::to_string).collect(),
    )
}
