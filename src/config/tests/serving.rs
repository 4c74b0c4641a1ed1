//! Listeners, grants and the daemon's own settings: each rule with a text that breaks it.

use super::*;
use crate::grants::Placeholder;

fn listener(name: &str, keys: &str) -> String {
    format!("[[listener]]\nname = '{name}'\n{keys}\n")
}

#[test]
fn listeners_do_not_collide() {
    let first = listener(
        "one",
        "bind = ['127.0.0.1:80', 'unix:/run/a']\napis = 'imds'",
    );
    each_refused(
        &first,
        &[
            (
                &listener("one", "bind = '127.0.0.1:81'\napis = 'imds'"),
                "two listeners of the name `one`",
            ),
            (
                &listener("two", "bind = '127.0.0.1:80'\napis = 'imds'"),
                "`127.0.0.1:80` is bound already",
            ),
            (
                &listener("two", "bind = '0.0.0.0:80'\napis = 'metrics'"),
                "`0.0.0.0:80` is bound already",
            ),
            (
                &listener("two", "bind = 'unix:/run/a'\napis = 'imds'"),
                "`unix:/run/a` is bound already",
            ),
            (
                &listener("two", "bind = []\napis = 'imds'"),
                "a listener has one address at least",
            ),
            (
                &listener("two", "bind = 'unix:/run/b'\napis = []"),
                "a listener serves one API at least",
            ),
            (
                &listener("a b", "bind = 'unix:/run/b'\napis = 'imds'"),
                "a listener's name is",
            ),
            (
                "[admin]\nsocket = '/run/a'",
                "this is the admin socket's path",
            ),
            (
                &listener(
                    "two",
                    "bind = 'unix:/run/b'\napis = 'imds'\nhosts = ['a:80']",
                ),
                "it is no host name",
            ),
            (
                &listener(
                    "two",
                    "bind = 'unix:/run/b'\napis = 'imds'\ninstance-id = \"a\\nb\"",
                ),
                "letters, digits",
            ),
        ],
    );
    load(
        &(first
            + &listener(
                "two",
                "bind = ['127.0.0.1:0', '[::1]:0', '[::1]:80']\napis = 'imds'",
            )),
    );
}

#[test]
fn runtimes_are_named_once_each() {
    each_refused(
        "",
        &[
            ("[runtime]", "`engine` is missing"),
            ("[runtime]\nengine = []", "no runtime is named"),
            ("[[runtime.engine]]\nkind = 'rkt'", "none of the words"),
            (
                "[[runtime.engine]]\nkind = 'docker'\n[[runtime.engine]]\nkind = 'podman'\n\
                 socket = '/run/docker.sock'",
                "`/run/docker.sock` is asked already",
            ),
            (
                "[runtime]\nuser = 'nobody-here'\n[[runtime.engine]]\nkind = 'cri'",
                "there is no user `nobody-here`",
            ),
        ],
    );
    let (config, _) = load("[[runtime.engine]]\nkind = 'cri'");
    let runtime = config.runtime.unwrap();
    assert_eq!(
        runtime.socket,
        PathBuf::from("/run/rolecall-runtime/runtime.sock")
    );
    let engines: Vec<_> = runtime
        .engines
        .iter()
        .map(|one| (one.kind, &one.socket))
        .collect();
    let containerd = PathBuf::from("/run/containerd/containerd.sock");
    assert_eq!(engines, [(EngineKind::Cri, &containerd)]);
    assert_eq!(runtime.asker, None, "there is no user `rolecall` here");
}

#[test]
fn listeners_of_this_host_stay_on_it() {
    each_warned(
        "",
        &[
            (
                &listener("a", "bind = '0.0.0.0:80'\napis = 'imds'"),
                "0.0.0.0 can be reached from elsewhere",
            ),
            (
                &listener("a", "bind = '10.0.0.1:80'\napis = 'container'"),
                "10.0.0.1 can be reached",
            ),
            (
                &listener(
                    "a",
                    "bind = '127.0.0.1:80'\napis = 'metrics'\nimdsv1 = true",
                ),
                "`imdsv1` does nothing",
            ),
            (
                &listener(
                    "a",
                    "bind = '127.0.0.1:80'\napis = 'container'\ntokenless = true",
                ),
                "without a token",
            ),
        ],
    );
    let metrics = listener("a", "bind = '0.0.0.0:80'\napis = 'metrics'");
    assert_eq!(told(&metrics), "");
}

#[test]
fn the_daemon_is_not_its_own_upstream() {
    let own = listener(
        "a",
        "bind = ['127.0.0.1:80', '169.254.169.254:80', '[::]:8080']\napis = 'imds'",
    );
    each_refused(
        &own,
        &[
            (
                "[account.a]\nendpoint = 'http://localhost/'",
                "this endpoint is our own listener `a`",
            ),
            (
                "[account.a]\nendpoint = 'http://[::1]:8080/'",
                "this endpoint is our own listener `a`",
            ),
            (
                "[account.a]\ncredentials = { from = 'endpoint', url = 'http://127.0.0.1:80/x' }",
                "our own listener `a`",
            ),
            (
                "[account.a]\ncredentials = { from = 'imds' }",
                "would be this daemon itself",
            ),
        ],
    );
    load(&(own + "[account.a]\nendpoint = 'http://127.0.0.1:5000/'\n"));
}

const ROLES: &str = "[account.a]\nid = 1\nrole.one = {}\nrole.two = {}\n\
                     [[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'container'\n";

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
fn a_grant_whose_patterns_may_name_no_role_hides_none() {
    let told = told(&format!(
        "{ROLES}[[grant]]\nrole = 'a/{{unit}}'\nwhen = {{ unit = '*' }}\n\
         [[grant]]\nrole = 'a/two'\nwhen = {{ unit = 'a.service' }}\n"
    ));
    assert!(!told.contains("takes all callers"), "{told}");
}

#[test]
fn roles_that_a_template_can_name_are_given() {
    let grant = "[[grant]]\nrole = '{x}/t{y}'\n\
                 when = { group = { regex = '(?<x>a)-(?<y>.*)' } }\n";
    let told = told(&format!("{ROLES}{grant}"));
    assert!(!told.contains("a/two"), "{told}");
    assert!(told.contains("no grant gives a/one to anybody"), "{told}");
}

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

#[test]
fn token_files_are_somebody_s() {
    let token = |keys: &str| format!("[[listener.token]]\n{keys}");
    each_refused(
        ROLES,
        &[
            (&token("owner = 'ann'"), "`file` is missing"),
            (
                &token("file = '/t'\nowner = 'bob'"),
                "there is no user `bob`",
            ),
            (&token("file = 't'"), "`t` is no absolute path"),
            (
                &token("file = '/t'\nbearer = 'yes'"),
                "must be true or false",
            ),
            (
                &token("file = '/t'\nrole = 'a/three'"),
                "account `a` has no role `three`",
            ),
            (
                &token("file = '/t'\nuri-file = '/t'"),
                "another token is written to this file",
            ),
        ],
    );
    let imds = ROLES.replace("'container'", "'imds'");
    each_refused(
        &imds,
        &[(
            &token("file = '/t'"),
            "belong to a listener that serves `container`",
        )],
    );
    each_warned(
        ROLES,
        &[(
            &token("file = '/t'\nowner = 'ann'"),
            "no grant gives anything to uid 1000",
        )],
    );
    let (config, _) = load(&format!("{ROLES}{}", token("file = '/t'\nowner = '1001'")));
    let file = &config.listeners[0].tokens[0];
    assert_eq!((file.owner, file.bearer), (1001, false));
    let bearer = load(&format!("{ROLES}{}", token("file = '/t'\nbearer = true")));
    assert!(bearer.0.listeners[0].tokens[0].bearer);
}

#[test]
fn limits_logs_and_state_keep_to_sense() {
    each_refused(
        "",
        &[
            ("[limits]\nconnections = 0", "0 is not between 1 and"),
            ("[limits]\ndrain = '2h'", "`drain` is at most 1h"),
            ("[log]\nto = 'stderr'", "it is none of"),
            ("[log]\nlevel = 'info,rolecall'", "a level is error, warn"),
            ("[log]\nlevel = 'loud'", "a level is error, warn"),
            (
                "[state]\nsessions = 'sealed'",
                "`sealed` is not served by this version",
            ),
            ("[state]\nkey = 'env:SECRET'", "this key is not 32 bytes"),
            (
                "[state]\ndirectory = 'state'",
                "`state` is no absolute path",
            ),
            ("override = true", "`override` belongs to drop-ins"),
            ("log = 3", "this must be a table, and is a whole number"),
            (
                "[[log]]\nlevel = 'info'",
                "this must be a table, and is a list",
            ),
            (
                "[listener]\nname = 'x'",
                "this must be a list of tables, and is a table",
            ),
            (
                "[[issuer]]\nurl = 'https://x'\nintrospection = { url = 'https://x' }",
                "`introspection` is not served by this version of rolecall",
            ),
        ],
    );
}
