//! Roles that are fetched before anybody asks.

use super::*;
use crate::grants::Placeholder;

#[test]
fn a_prefetched_role_has_every_name_fixed() {
    let with = |role: &str, when: &str| {
        format!(
            "[account.a]\nid = 1\nrole.one = {{ prefetch = true, {role} }}\n\
             [[grant]]\nrole = 'a/one'\nwhen = {when}\n"
        )
    };
    for (role, when) in [
        ("session-name = 'fixed'", "'anyone'"),
        ("session-name = '{hostname}'", "'anyone'"),
        ("", "{ unit = 'nginx.service' }"),
        ("", "{ unit = 'nginx.service', uid = [7, 8] }"),
        ("", "{ uid = 7, user-unit = 'a.service' }"),
        ("", "{ uid = 7, unit = 'user@7.service' }"),
        ("", "{ container.name = 'web' }"),
        ("session-name = '{slice}'", "{ slice = 'a.slice' }"),
        (
            "session-name = '{user-unit}'",
            "{ uid = 7, user-unit = 'a.service' }",
        ),
        ("session-name = '{image}'", "{ container.image = 'a' }"),
        ("session-name = '{container-id}'", "{ container.id = 'a' }"),
        (
            "session-name = '{namespace}-{service-account}'",
            "{ pod.namespace = 'a', pod.service-account = 'b' }",
        ),
        ("session-name = '{pod}'", "{ pod.name = 'a' }"),
        (
            "session-name = '{subject}'",
            "{ token = { issuer = 'a', subject = 'b' } }",
        ),
        ("session-name = '{host}'", "{ host = 'a' }"),
        ("session-name = '{principal}'", "{ principal = 'a' }"),
        (
            "session-name = '{user}'",
            "{ user = 'ann', container = 'any' }",
        ),
    ] {
        load(&with(role, when));
    }
    for (role, when, name) in [
        ("", "'anyone'", "{caller}"),
        // In a service of its own this user is that.
        ("", "{ uid = 7 }", "{caller}"),
        ("", "{ unit = 'nginx-*.service' }", "{caller}"),
        ("", "{ unit = ['a.service', 'b.service'] }", "{caller}"),
        ("", "{ unit = 'user@7.service' }", "{caller}"),
        ("", "{ container.name = 'web', uid = 7 }", "{caller}"),
        ("", "{ token.issuer = 'a' }", "{caller}"),
        (
            "session-name = '{user}'",
            "{ unit = 'nginx.service' }",
            "{user}",
        ),
        (
            "session-name = '{user}'",
            "{ container.image = 'a', uid = 7 }",
            "{user}",
        ),
        ("session-name = '{unit}'", "{ uid = 7 }", "{unit}"),
        (
            "session-name = 'x1', tags = { a = '{user}' }",
            "{ uid = [7, 8] }",
            "{user}",
        ),
        (
            "session-name = 'x1', source-identity = '{uid}'",
            "'anyone'",
            "{uid}",
        ),
    ] {
        let told = refused(&with(role, when));
        let said = format!("this role cannot be fetched ahead: no grant fixes its {name}");
        assert!(told.contains(&said), "{role} {when}: {told}");
    }
    let base = with("session-name = 'fixed'", "'anyone'") + "[account.hub]\nid = 1\nrole.it = {}\n";
    let chained = base.replace(
        "id = 1\nrole.one",
        "id = 1\ncredentials = { from = 'role', role = 'hub/it' }\nrole.one",
    );
    assert!(refused(&chained).contains("no grant fixes its {caller}"));
}

#[test]
fn one_session_is_fetched_ahead_for_each_grant_that_fixes_it() {
    let text = "[account.a]\nid = 1\nrole.one = { prefetch = true }\n\
                [[grant]]\nrole = 'a/one'\nwhen = { unit = 'a.service' }\n\
                [[grant]]\nrole = 'a/one'\nwhen = { unit = 'a.service', uid = 7 }\n\
                [[grant]]\nrole = 'a/one'\nwhen = { unit = '*.service' }\n\
                [[grant]]\nrole = 'a/one'\nwhen = { slice = 'x.slice', uid = 7 }\n\
                session-name = '{user}-{slice}'\nduration = '15m'\n";
    let ahead = load(text).0.prefetched();
    let [plain, narrowed] = ahead.as_slice() else {
        panic!("{ahead:?}");
    };
    assert_eq!((plain.uid, &plain.narrowing), (None, &None));
    let caller = plain.names.get(Placeholder::Caller).map(AsRef::as_ref);
    assert_eq!(caller, Some("a.service"));
    assert_eq!(narrowed.uid, Some(7));
    let by = narrowed.narrowing.as_ref().unwrap();
    assert_eq!(by.duration, Some(Duration::from_mins(15)));
    let name = by.session_name.as_ref().unwrap();
    let names = narrowed.names.clone().with(Placeholder::User, "ann");
    assert_eq!(name.fill_known(&names).as_deref(), Some("ann-x.slice"));
    let matched = text.replace("{user}-{slice}", "{user-unit}");
    assert_eq!(
        load(&matched).0.prefetched().len(),
        1,
        "what a grant does not fix is left out"
    );
}
