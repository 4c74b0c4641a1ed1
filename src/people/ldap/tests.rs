//! Sessions against scripted directories, over streams in memory; a directory that says nothing.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

use super::message::server::{self, BIND_REQUEST, SEARCH_REQUEST};
use super::*;

const DAEMON: &str = "cn=rolecall,dc=example";
const JANE: &str = "uid=jane,ou=people,dc=example";

fn config(url: &str) -> config::Ldap {
    config::Ldap {
        url: url.to_owned(),
        base_users: "ou=people,dc=example".to_owned(),
        base_groups: "ou=groups,dc=example".to_owned(),
        bind: Some((DAEMON.to_owned(), SecretString::from("daemon's"))),
        user_attribute: "uid".to_owned(),
        group_attribute: "cn".to_owned(),
        ca_file: None,
    }
}

/// What the directory holds, and what it noted.
#[derive(Debug, Default)]
struct Script {
    /// Answers to searches by a word in them, in the order of asking; none: nothing is found.
    found: HashMap<&'static str, Vec<Found>>,
    /// The codes of binds by their names; none: success.
    binds: HashMap<&'static str, u32>,
    bound: Vec<String>,
    searches: usize,
}

/// One answer to a search.
#[derive(Clone, Debug)]
enum Found {
    Entries(&'static [(&'static str, &'static [&'static str])]),
    Page(
        &'static [(&'static str, &'static [&'static str])],
        &'static [u8],
    ),
    Reference(&'static [(&'static str, &'static [&'static str])]),
    Code(u32),
    Bytes(Vec<u8>),
}

impl Script {
    fn holding(found: &[(&'static str, &[Found])]) -> Self {
        let found = found.iter().map(|(word, of)| (*word, of.to_vec()));
        Self {
            found: found.collect(),
            ..Self::default()
        }
    }

    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let (id, tag, content) = server::request(request);
        match tag {
            BIND_REQUEST => {
                let (name, password) = server::credentials(&content);
                let code = self.binds.get(name.as_str()).copied().unwrap_or(0);
                self.bound.push(format!("{name}:{password}"));
                server::bound(id, code)
            }
            SEARCH_REQUEST => {
                self.searches += 1;
                let holds =
                    |word: &str| request.windows(word.len()).any(|at| at == word.as_bytes());
                let of = self.found.iter_mut().filter(|(word, _)| holds(word));
                // The longest word that matches is the most particular.
                let of = of.max_by_key(|(word, _)| word.len()).map(|(_, of)| of);
                let next = of.and_then(|of| (!of.is_empty()).then(|| of.remove(0)));
                respond(id, &next.unwrap_or(Found::Entries(&[])))
            }
            other => panic!("an unexpected request: {other:#x}"),
        }
    }
}

fn respond(id: u32, found: &Found) -> Vec<u8> {
    let entries = |of: &[(&str, &[&str])]| -> Vec<u8> {
        of.iter()
            .flat_map(|(dn, values)| server::entry(id, dn, values))
            .collect()
    };
    match found {
        Found::Entries(of) => [entries(of), server::found(id, 0, None)].concat(),
        Found::Page(of, next) => [entries(of), server::found(id, 0, Some(next))].concat(),
        Found::Reference(of) => {
            let referred = server::reference(id);
            [referred, entries(of), server::found(id, 0, None)].concat()
        }
        Found::Code(code) => server::found(id, *code, None),
        Found::Bytes(bytes) => bytes.clone(),
    }
}

/// Reads one message: its answers are made only when it is there whole.
async fn read_message(stream: &mut DuplexStream, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(length) = ber::message_length(read)
            .unwrap()
            .filter(|n| *n <= read.len())
        {
            let rest = read.split_off(length);
            return Some(std::mem::replace(read, rest));
        }
        if stream.read_buf(read).await.unwrap() == 0 {
            return None;
        }
    }
}

/// What a session is told by this directory, and what the directory noted.
async fn ask(
    mut script: Script,
    name: &str,
    password: Option<&str>,
) -> (Result<Result<Member, NotMember>, NoAnswer>, Script) {
    let (near, mut far) = duplex(1 << 23);
    let mut session = Session::new(near);
    let serving = async {
        let mut read = Vec::new();
        while let Some(request) = read_message(&mut far, &mut read).await {
            far.write_all(&script.answer(&request)).await.unwrap();
        }
    };
    let asking = async move {
        let password = password.map(SecretString::from);
        session
            .member(&config("ldaps://unused"), name, password.as_ref())
            .await
    };
    let (told, ()) = tokio::join!(asking, serving);
    (told, script)
}

fn groups(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

const ONE_JANE: Found = Found::Entries(&[(JANE, &["jane"])]);

#[tokio::test]
async fn a_name_and_its_password_give_the_name_as_it_is_spelled_and_all_groups() {
    let script = Script::holding(&[
        ("uid", &[ONE_JANE]),
        (
            "memberUid",
            &[Found::Entries(&[
                ("cn=dev,ou=groups", &["dev"]),
                ("cn=web,ou=groups", &["web"]),
            ])],
        ),
        (
            "cn=dev,ou=groups",
            // A group that is in itself ends nowhere.
            &[Found::Entries(&[
                ("cn=staff,ou=groups", &["staff"]),
                ("CN=dev,ou=groups", &["dev"]),
            ])],
        ),
        (
            "cn=staff,ou=groups",
            &[Found::Entries(&[("cn=dev,ou=groups", &["dev"])])],
        ),
    ]);
    let (told, script) = ask(script, "JANE", Some("hers")).await;
    let name = Arc::from("jane");
    let groups = groups(&["dev", "staff", "web"]);
    assert_eq!(told.unwrap(), Ok(Member { name, groups }));
    let daemon = format!("{DAEMON}:daemon's");
    assert_eq!(
        script.bound,
        [daemon.clone(), format!("{JANE}:hers"), daemon]
    );
}

#[tokio::test]
async fn groups_are_told_without_a_password() {
    let dev = Found::Entries(&[("cn=dev,ou=groups", &["dev"])]);
    let script = Script::holding(&[("uid", &[ONE_JANE]), ("memberUid", &[dev])]);
    let (told, script) = ask(script, "jane", None).await;
    assert_eq!(told.unwrap().unwrap().groups, groups(&["dev"]));
    assert_eq!(script.bound, [format!("{DAEMON}:daemon's")]);
}

#[tokio::test]
async fn pages_and_references_are_read_and_nobody_follows_them() {
    let script = Script::holding(&[
        ("uid", &[Found::Reference(&[(JANE, &["jane"])])]),
        (
            "memberUid",
            &[Found::Page(&[("cn=a", &["a"])], b"the second page")],
        ),
        (
            "the second page",
            &[Found::Page(&[("cn=b", &["b"])], b"the third page")],
        ),
        ("the third page", &[Found::Page(&[("cn=c", &["c"])], b"")]),
    ]);
    let (told, _) = ask(script, "jane", None).await;
    assert_eq!(told.unwrap().unwrap().groups, groups(&["a", "b", "c"]));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_told_apart() {
    for code in [49, 19, 53] {
        let mut script = Script::holding(&[("uid", &[ONE_JANE])]);
        script.binds.insert(JANE, code);
        let (told, script) = ask(script, "jane", Some("not hers")).await;
        assert_eq!(told.unwrap(), Err(NotMember::Wrong), "{code}");
        assert_eq!(script.searches, 1);
    }
    let (told, script) = ask(Script::default(), "john", Some("his")).await;
    assert_eq!(told.unwrap(), Err(NotMember::Unknown));
    assert_eq!(script.bound.len(), 1);
}

#[tokio::test]
async fn a_name_of_two_is_nobodys() {
    let nobodies: &[&[(&str, &[&str])]] = &[
        &[(JANE, &["jane"]), ("uid=jane,ou=guests", &["jane"])],
        &[(JANE, &["janet", "j"])],
        &[(JANE, &["jane\n"])],
        &[(JANE, &[])],
        &[("", &["jane"])],
    ];
    for entries in nobodies {
        let script = Script::holding(&[("uid", &[Found::Entries(entries)])]);
        let (told, script) = ask(script, "jane", Some("hers")).await;
        assert!(matches!(told, Err(NoAnswer::Ambiguous)), "{entries:?}");
        assert_eq!(script.bound.len(), 1, "nobody's password was tried");
    }
}

#[tokio::test]
async fn what_a_directory_cannot_say_is_no_refusal_of_the_person() {
    let mut busy = Script::holding(&[("uid", &[ONE_JANE])]);
    busy.binds.insert(JANE, 51);
    assert!(matches!(
        ask(busy, "jane", Some("p")).await.0,
        Err(NoAnswer::Refused { .. })
    ));
    let mut locked_out = Script::default();
    locked_out.binds.insert(DAEMON, 49);
    assert!(matches!(
        ask(locked_out, "jane", Some("p")).await.0,
        Err(NoAnswer::Refused { .. })
    ));
    for (found, expected) in [
        (Found::Code(10), "it refers a search to another directory"),
        (
            Found::Code(32),
            "it has nothing at \"ou=people,dc=example\"",
        ),
        (Found::Code(1), "it refuses a search: code 1 \"words\""),
        (
            Found::Bytes(b"\x30\x84\xff\xff\xff\xff".to_vec()),
            "it cannot be understood",
        ),
        (
            Found::Bytes(server::bound(99, 0)),
            "it cannot be understood",
        ),
        (Found::Bytes(server::extended(0, 52)), "it hung up"),
    ] {
        let script = Script::holding(&[("uid", std::slice::from_ref(&found))]);
        let (told, _) = ask(script, "jane", Some("p")).await;
        assert_eq!(told.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn more_groups_than_are_believed_are_none() {
    let mut endless = Vec::new();
    for number in 0..6000 {
        endless.extend(server::entry(3, &format!("cn=g{number}"), &["g"]));
    }
    endless.extend(server::found(3, 0, None));
    let script = Script::holding(&[
        ("uid", &[ONE_JANE]),
        ("memberUid", &[Found::Bytes(endless)]),
    ]);
    let (told, _) = ask(script, "jane", None).await;
    assert!(matches!(told, Err(NoAnswer::Many)), "{told:?}");
}

#[tokio::test]
async fn more_than_groups_are_called_is_not_kept() {
    let long = "x".repeat(60_000);
    let mut large = Vec::new();
    for number in 0..100 {
        large.extend(server::entry(3, &format!("cn=g{number}"), &[&long]));
    }
    large.extend(server::found(3, 0, None));
    let script = Script::holding(&[("uid", &[ONE_JANE]), ("memberUid", &[Found::Bytes(large)])]);
    let (told, _) = ask(script, "jane", None).await;
    assert!(matches!(told, Err(NoAnswer::Many)), "{told:?}");
}

#[tokio::test]
async fn what_came_before_tls_is_not_taken_for_encrypted() {
    for (sent, fits) in [
        (server::extended(1, 0), true),
        (server::extended(1, 2), false),
        (
            [server::extended(1, 0), server::bound(1, 0)].concat(),
            false,
        ),
        (server::bound(1, 0), false),
    ] {
        let (near, mut far) = duplex(1024);
        far.write_all(&sent).await.unwrap();
        let started = Session::new(near).start_tls().await;
        assert_eq!(started.is_ok(), fits, "{sent:?}");
    }
}

#[tokio::test]
async fn no_password_is_no_proof_and_no_name_is_nobody() {
    let ldap = Ldap::new(
        config("ldaps://127.0.0.1:1"),
        Clock::simulated(std::time::SystemTime::UNIX_EPOCH),
    );
    let verified = ldap.verify("jane", &SecretString::from("")).await;
    assert_eq!(verified, Err(NotMember::Wrong));
    let unnamed = ldap.verify("jane\n", &SecretString::from("p")).await;
    assert_eq!(unnamed, Err(NotMember::Unknown));
    assert_eq!(ldap.member("").await, Err(NotMember::Unknown));
    // Nobody is there.
    assert_eq!(ldap.member("jane").await, Err(NotMember::NotReady));
}

#[tokio::test]
async fn a_directory_that_hangs_is_not_waited_for_and_never_by_more_than_may() {
    // On a busy host the time may be over before anything is connected.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unanswered = format!("ldaps://{}", silent.local_addr().unwrap());
    let clock = Clock::simulated(std::time::SystemTime::UNIX_EPOCH);
    let ldap = Ldap::within(
        config(&unanswered),
        clock.clone(),
        Duration::from_millis(50),
    );
    assert_eq!(ldap.member("jane").await, Err(NotMember::NotReady));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldaps://{}", listener.local_addr().unwrap());
    let patient = Ldap::within(config(&url), clock, Duration::from_hours(1));
    let waiting: Vec<_> = (0..OPEN)
        .map(|_| {
            let patient = patient.clone();
            tokio::spawn(async move { patient.member("jane").await })
        })
        .collect();
    let mut connections = Vec::new();
    for _turn in 0..AT_ONCE {
        connections.push(listener.accept().await.unwrap());
    }
    assert_eq!(patient.0.open.available_permits(), 0);
    assert_eq!(patient.member("jane").await, Err(NotMember::NotReady));
    for one in waiting {
        one.abort();
    }
}
