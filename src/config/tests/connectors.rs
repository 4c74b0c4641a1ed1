//! Roles as connectors.

use super::*;

const ACCOUNT: &str = "[account.prod]\nid = '123456789012'\nregion = 'eu-central-1'\n";

#[test]
fn connectors_keys_of_a_role_are_read() {
    let (config, warnings) = load(&format!(
        "{ACCOUNT}[account.prod.role.web]\ndisplay-name = 'Wéb Team'\n\
         connector-id = '1521fbf0-fa97-4c4a-9877-9f0c5e9982d3'\nduration = '2h'\nmax-duration = '4h'\n"
    ));
    assert!(!warnings.iter().any(|one| one.severity == Severity::Warning));
    let (_, role) = config.role(&RoleRef::parse("prod/web").unwrap()).unwrap();
    assert_eq!(role.display_name.as_deref(), Some("Wéb Team"));
    assert_eq!(
        role.id().to_string(),
        "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3"
    );
    assert_eq!(role.max_duration, Some(Duration::from_hours(4)));
}

#[test]
fn connectors_keys_of_a_role_that_are_wrong_are_refused() {
    let role = format!("{ACCOUNT}[account.prod.role.web]");
    each_refused(
        &role,
        &[
            ("display-name = \"a\\nb\"", "no control characters"),
            ("connector-id = '1'", "an id is of the form"),
            (
                "connector-id = '1521fbf0fa974c4a98779f0c5e9982d3'",
                "an id is of the form",
            ),
            ("max-duration = '30m'", "less than `duration`"),
            ("max-duration = '13h'", "STS takes no duration of 13h"),
        ],
    );
}

#[test]
fn connectors_of_one_id_are_refused() {
    let id = "connector-id = '1521fbf0-fa97-4c4a-9877-9f0c5e9982d3'";
    let twice = format!("{ACCOUNT}[account.prod.role.web]\n{id}\n[account.prod.role.db]\n{id}\n");
    let told = refused(&twice);
    assert!(told.contains("have the same id"), "{told}");
    let derived = id_of_role(&RoleRef::parse("prod/web").unwrap());
    let taken = format!(
        "{ACCOUNT}[account.prod.role.web]\n[account.prod.role.db]\nconnector-id = '{derived}'\n"
    );
    let said = refused(&taken);
    assert!(said.contains("have the same id"), "{said}");
}
