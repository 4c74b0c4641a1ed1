//! Listeners and the daemon's own settings: each rule with a text that breaks it.

use super::*;

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
    for (user, uid) in [("'ann'", 1000), ("65532", 65_532), ("'65532'", 65_532)] {
        let text = format!("[runtime]\nuser = {user}\n[[runtime.engine]]\nkind = 'cri'");
        let asker = load(&text).0.runtime.unwrap().asker;
        assert_eq!(asker, Some(uid), "{user}: images have no names of users");
    }
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
    assert_eq!((file.owner, file.holder), (1001, Holder::Owner));
    for (key, holder) in [
        ("bearer", Holder::Bearer),
        ("containers", Holder::Container),
    ] {
        let text = format!("{ROLES}{}", token(&format!("file = '/t'\n{key} = true")));
        assert_eq!(load(&text).0.listeners[0].tokens[0].holder, holder);
    }
    // What a container gets is decided of it: nothing is asked of the file's owner.
    let of_nobody = token("file = '/t'\nowner = 'ann'\ncontainers = true");
    load(&format!("{ROLES}{of_nobody}"));
    each_refused(
        ROLES,
        &[(
            &token("file = '/t'\nbearer = true\ncontainers = true"),
            "exclude each other",
        )],
    );
}

#[test]
fn limits_logs_and_state_keep_to_sense() {
    each_refused(
        "",
        &[
            ("[limits]\nconnections = 0", "0 is not between 1 and"),
            ("[limits]\ndrain = '2h'", "`drain` is at most 1h"),
            ("[limits]\nlinger = '2h'", "`linger` is at most 1h"),
            ("[log]\nto = 'stderr'", "it is none of"),
            ("[log]\nlevel = 'info,rolecall'", "a level is error, warn"),
            ("[log]\nlevel = 'loud'", "a level is error, warn"),
            (
                "[state]\nsessions = 'kept'",
                "`kept` is none of the words that `sessions` takes",
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
        ],
    );
}

#[test]
fn a_configuration_that_serves_nothing_says_so() {
    let note = "note: no SDK finds anything here: there is no [[listener]]";
    assert!(told("").starts_with(note), "{}", told(""));
    assert!(!told(ROLES).contains(note));
}
