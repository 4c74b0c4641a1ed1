//! Grants: each rule with a text that breaks it, and which of them hide others.

use super::*;

#[test]
fn grants_say_whom_and_what() {
    let grant = |keys: &str| format!("[[grant]]\n{keys}");
    each_refused(
        ROLES,
        &[
            (&grant("role = 'a/one'"), "`when` is missing"),
            (&grant("when = 'anyone'"), "`role` is missing"),
            (
                &grant("role = 'a/one'\nwhen = {}"),
                "this says nothing about the caller",
            ),
            (
                &grant("role = 'a/one'\nwhen = { listener = 'one' }"),
                "this says nothing about the caller",
            ),
            (
                &grant("role = 'a/one'\nwhen = { container = 'any' }"),
                "this says nothing about the caller",
            ),
            (
                &grant("role = 'a/one'\nwhen = { anyone = true, uid = 1 }"),
                "say two things",
            ),
            (
                &grant("role = 'a/one'\nwhen = 'everyone'"),
                "known: `anyone`",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = [] }"),
                "this names nobody",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = -1 }"),
                "is not between",
            ),
            (
                &grant("role = 'a/one'\nwhen = { user = 'ann*' }"),
                "users are named one by one",
            ),
            (
                &grant("role = 'a/one'\nwhen = { user = '1000' }"),
                "a number is written as `uid`",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = 1, listener = 'on' }"),
                "did you mean `one`?",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = 1, uer = 'ann' }"),
                "did you mean `user`?",
            ),
            (
                &grant("role = 'one'\nwhen = { uid = 1 }"),
                "written as account/role",
            ),
            (
                &grant("role = 'b/one'\nwhen = { uid = 1 }"),
                "did you mean `a`?",
            ),
        ],
    );
    each_warned(
        ROLES,
        &[
            (
                &grant("role = 'a/one'\nwhen = { uid = 1, user = 'ann' }"),
                "this grant can never match",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = 65534 }"),
                "this grant can never match",
            ),
            (
                &grant("role = 'a/one'\nwhen = { uid = 1 }"),
                "note: no grant gives a/two to anybody",
            ),
        ],
    );
}

#[test]
fn roles_that_a_template_can_name_are_given() {
    let grant = "[[grant]]\nrole = '{x}/t{y}'\n\
                 when = { group = { regex = '(?<x>a)-(?<y>.*)' } }\n";
    let told = told(&format!("{ROLES}{grant}"));
    assert!(!told.contains("a/two"), "{told}");
    assert!(told.contains("no grant gives a/one to anybody"), "{told}");
}

/// Whether the second of two grants with these `when`s is hidden.
fn hides(first: &str, second: &str) -> bool {
    told(&format!(
        "{ROLES}[[grant]]\nrole = 'a/one'\nwhen = {first}\n[[grant]]\nrole = 'a/two'\nwhen = {second}\n"
    ))
    .contains("grant 1 takes all callers of grant 2 first")
}

/// Of each key: one that takes all of another.
const WIDER: [(&str, &str); 30] = [
    ("{ gid = [1, 2] }", "{ gid = 2 }"),
    ("{ gid = 1 }", "{ gid = 1, uid = 1 }"),
    ("{ group = ['adm', 'x*'] }", "{ group = 'adm' }"),
    ("{ group = 'a*' }", "{ group = 'adm' }"),
    (
        "{ group = { regex = 'a' } }",
        "{ group = { regex = 'a' }, uid = 1 }",
    ),
    ("{ unit = '*.service' }", "{ unit = 'a.service' }"),
    (
        "{ unit = ['a.service', 'b.service'] }",
        "{ unit = 'b.service', uid = 1 }",
    ),
    (
        "{ user-unit = '*', uid = 1 }",
        "{ user-unit = 'a.service', uid = 1 }",
    ),
    (
        "{ slice = 'a.slice' }",
        "{ slice = 'a.slice', unit = 'a.service' }",
    ),
    ("{ uid = 1 }", "{ uid = 1, exe = '/bin/a' }"),
    ("{ uid = 1, exe = '/bin/*' }", "{ uid = 1, exe = '/bin/a' }"),
    ("{ container.image = 'a*' }", "{ container.image = 'ab' }"),
    (
        "{ container.id = 'a' }",
        "{ container.id = 'a', container.name = 'b' }",
    ),
    (
        "{ container.label.x = ['a', 'b'] }",
        "{ container.label = { x = 'a', y = 'c' } }",
    ),
    (
        "{ container.runtime = 'docker' }",
        "{ container = { runtime = 'docker', image = 'a' } }",
    ),
    (
        "{ container.image = 'a*', uid = [1, 2] }",
        "{ container.image = 'a', uid = 1 }",
    ),
    ("{ uid = 1, container = 'any' }", "{ uid = 1 }"),
    (
        "{ uid = 1, container = 'any' }",
        "{ uid = 1, unit = 'a.service' }",
    ),
    (
        "{ pod.namespace = 'a' }",
        "{ pod.namespace = 'a', pod.name = 'b' }",
    ),
    (
        "{ pod.service-account = '*' }",
        "{ pod.service-account = 'a' }",
    ),
    (
        "{ address = '10.0.0.0/8' }",
        "{ address = ['10.1.0.0/16', '10.2.3.4'] }",
    ),
    ("{ host = '*.org' }", "{ host = 'a.org' }"),
    ("{ principal = ['a', 'b'] }", "{ principal = 'a' }"),
    (
        "{ token.issuer = 'a' }",
        "{ token = { issuer = 'a', subject = 'b' } }",
    ),
    (
        "{ token.claim.x = 'a*' }",
        "{ token.claim = { x = 'ab', y = 'c' } }",
    ),
    (
        "{ token.audience = 'a' }",
        "{ token.audience = 'a', uid = 1 }",
    ),
    ("{ uid = 1 }", "{ uid = 1, mfa = true }"),
    (
        "{ uid = 1, external-id = '*' }",
        "{ uid = 1, external-id = 'a' }",
    ),
    (
        "{ uid = 1, source-identity = '*' }",
        "{ uid = 1, source-identity = 'a' }",
    ),
    ("'anyone'", "{ container.image = 'a' }"),
];

/// Neither takes all of the other, though all its keys seem to.
const APART: [(&str, &str); 8] = [
    // Outside containers, and inside.
    ("{ uid = 1 }", "{ uid = 1, container.image = 'a' }"),
    // The process's user, and the container's owner.
    (
        "{ uid = 1, container = 'any' }",
        "{ uid = 1, container.image = 'a' }",
    ),
    // Containers of root only, and those of a user too.
    (
        "{ container.image = 'a' }",
        "{ container.image = 'a', uid = 1 }",
    ),
    ("{ pod.name = 'a' }", "{ pod.name = 'a', uid = 1 }"),
    ("{ unit = 'a.service' }", "{ uid = 1 }"),
    ("{ group = 'adm' }", "{ gid = 4 }"),
    ("{ token.claim.x = 'a' }", "{ token.claim.y = 'a' }"),
    ("{ container.label.x = 'a' }", "{ container.label.y = 'a' }"),
];

#[test]
fn a_wider_grant_before_a_narrow_one_is_told() {
    assert!(hides("'anyone'", "{ uid = 1 }"));
    assert!(hides("{ anyone = true }", "{ uid = 1, container = 'any' }"));
    assert!(hides("{ uid = [1, 2] }", "{ uid = 2 }"));
    assert!(hides("{ uid = 1 }", "{ uid = 1, listener = 'one' }"));
    assert!(!hides("{ uid = 1 }", "{ uid = [1, 2] }"));
    assert!(!hides("{ uid = 1 }", "{ uid = 1, container = 'any' }"));
    assert!(!hides("{ uid = 1, listener = 'one' }", "{ uid = 1 }"));
    assert!(!hides("{ uid = 1 }", "'anyone'"));
    for (wide, narrow) in WIDER {
        assert!(hides(wide, narrow), "{wide} takes all of {narrow}");
    }
    for (wide, narrow) in WIDER.iter().filter(|(wide, narrow)| wide != narrow) {
        assert!(!hides(narrow, wide), "{narrow} does not take all of {wide}");
    }
    for (one, other) in APART {
        assert!(!hides(one, other), "{one} does not take all of {other}");
    }
    let raised = told(&format!(
        "{ROLES}[[grant]]\nrole = 'a/one'\nwhen = 'anyone'\n\
         [[grant]]\nrole = 'a/two'\nwhen = {{ uid = 1 }}\npriority = 1\n"
    ));
    assert!(!raised.contains("takes all callers"), "{raised}");
}

#[test]
fn a_grant_whose_patterns_may_name_no_role_hides_none() {
    let told = told(&format!(
        "{ROLES}[[grant]]\nrole = 'a/{{unit}}'\nwhen = {{ unit = '*' }}\n\
         [[grant]]\nrole = 'a/two'\nwhen = {{ unit = 'a.service' }}\n"
    ));
    assert!(!told.contains("takes all callers"), "{told}");
}

#[test]
fn a_grant_may_name_a_role_that_an_api_makes() {
    let grant = "[[grant]]\nrole = 'a/three'\nwhen = { uid = 1 }\n\
                 [[grant]]\nrole = 'b/one'\nwhen = { uid = 1 }\n";
    let error = refused(&format!("{ROLES}{grant}"));
    assert!(error.contains("has no role `three`"), "{error}");
    let served = ROLES.replace("'container'", "'connectors'");
    let (config, problems) = load(&format!("{served}{grant}"));
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for role in ["a/three", "b/one"] {
        let named = format!("{role} is not declared");
        assert!(told.iter().any(|it| it.contains(&named)), "{told:?}");
    }
    assert_eq!(config.grants.len(), 2);
}
