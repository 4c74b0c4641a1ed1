//! Tests of issuing, opening and keeping keys.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::secret::{ExposeSecret, SecretString};
use crate::types::{AccessKeyId, AccountAlias, RoleRef, SessionName};

fn authority() -> (Authority, Clock) {
    let clock = Clock::simulated(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000));
    let ring = KeyRing::in_memory().unwrap();
    (Authority::new(ring, None, clock.clone()).unwrap(), clock)
}

fn plain_request() -> IssueRequest {
    IssueRequest {
        principal: Some("uid 1000".to_owned()),
        ..IssueRequest::plain(
            SessionOf::Role(RoleRef::parse("local/demo").unwrap()),
            SessionName::new("somebody").unwrap(),
            Duration::from_hours(1),
        )
    }
}

fn token(issued: &Issued) -> &str {
    issued.session_token.expose_secret()
}

#[tokio::test(start_paused = true)]
async fn an_issued_session_looks_as_the_sdks_expect_it() {
    let (authority, clock) = authority();
    let issued = authority.issue(&plain_request()).unwrap();
    let id = issued.access_key_id.as_str();
    assert!(id.starts_with("ASIA") && id.len() == 20, "{id}");
    assert!(
        id.bytes()
            .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
    );
    assert_eq!(issued.secret_access_key.expose_secret().len(), 40);
    let token = token(&issued);
    assert!(token.len() < 400, "{}", token.len());
    assert!(
        token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    );
    assert_eq!(issued.expires_at, clock.now() + Duration::from_hours(1));
    let again = authority.issue(&plain_request()).unwrap();
    assert_ne!(again.access_key_id, issued.access_key_id);
    assert_ne!(
        again.secret_access_key.expose_secret(),
        issued.secret_access_key.expose_secret()
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_gives_back_what_was_issued() {
    let (authority, clock) = authority();
    let request = IssueRequest {
        chain_depth: 2,
        tags: vec![("team".to_owned(), "build, \"quoted\"\n".to_owned())],
        transitive_keys: vec!["team".to_owned()],
        source_identity: Some("somebody".to_owned()),
        policy: Some("{\"Version\":\"2012-10-17\"}".to_owned()),
        policy_arns: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
        mfa: true,
        ..plain_request()
    };
    let issued = authority.issue(&request).unwrap();
    let claims = authority.open(token(&issued)).unwrap();
    assert_eq!(claims.access_key_id, issued.access_key_id);
    assert_eq!(
        claims.secret_access_key.expose_secret(),
        issued.secret_access_key.expose_secret()
    );
    assert_eq!(claims.issued_at, clock.now());
    assert_eq!(claims.expires_at, issued.expires_at);
    assert_eq!(claims.principal, request.principal);
    assert_eq!(claims.of, request.of);
    assert_eq!(claims.session_name, request.session_name);
    assert_eq!(claims.chain_depth, 2);
    assert_eq!(claims.tags, request.tags);
    assert_eq!(claims.transitive_keys, request.transitive_keys);
    assert_eq!(claims.source_identity, request.source_identity);
    assert_eq!(claims.policy, request.policy);
    assert_eq!(claims.policy_arns, request.policy_arns);
    assert!(claims.mfa);
}

#[test]
fn what_a_session_is_of_stands_in_its_token() {
    let (authority, _) = authority();
    let account = AccountAlias::new("local").unwrap();
    let key = AccessKeyId::new("0123456789abcdef0123456789abcdef").unwrap();
    for of in [
        SessionOf::Role(RoleRef::parse("local/demo").unwrap()),
        SessionOf::User {
            account: account.clone(),
            key: key.clone(),
        },
        SessionOf::Federated {
            account: account.clone(),
            key,
        },
    ] {
        let request = IssueRequest {
            of: of.clone(),
            ..plain_request()
        };
        let issued = authority.issue(&request).unwrap();
        let claims = authority.open(token(&issued)).unwrap();
        assert_eq!(claims.of.account(), &account);
        assert_eq!(claims.of.role().is_some(), matches!(of, SessionOf::Role(_)));
        assert_eq!(claims.of, of);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_with_any_changed_character_is_refused() {
    let (authority, _) = authority();
    let issued = authority.issue(&plain_request()).unwrap();
    let token = token(&issued);
    for place in 0..token.len() {
        for other in ["A", "_", "9"] {
            let mut changed = token.to_owned();
            changed.replace_range(place..=place, other);
            if changed != token {
                assert!(authority.open(&changed).is_err(), "character {place}");
            }
        }
        assert!(
            authority.open(token.get(..place).unwrap()).is_err(),
            "cut at {place}"
        );
    }
    assert!(authority.open(&format!("{token}A")).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_life() {
    let (authority, _) = authority();
    let issued = authority.issue(&plain_request()).unwrap();
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert!(authority.open(token(&issued)).is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    let error = authority.open(token(&issued)).unwrap_err();
    assert_eq!(error, TokenError::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_roles_not_before_ends_its_earlier_sessions_only() {
    let (authority, clock) = authority();
    let other_role = IssueRequest {
        of: SessionOf::Role(RoleRef::parse("local/other").unwrap()),
        ..plain_request()
    };
    let before = authority.issue(&plain_request()).unwrap();
    let other = authority.issue(&other_role).unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    let role = plain_request().of.role().unwrap().clone();
    authority.set_not_before(BTreeMap::from([(role, clock.now())]));
    let error = authority.open(token(&before)).unwrap_err();
    assert_eq!(error, TokenError::Revoked);
    assert!(authority.open(token(&other)).is_ok());
    let after = authority.issue(&plain_request()).unwrap();
    assert!(authority.open(token(&after)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_current_key_and_the_one_before_it_are_accepted() {
    let (authority, _) = authority();
    let first = authority.issue(&plain_request()).unwrap();
    authority.rotate().unwrap();
    let second = authority.issue(&plain_request()).unwrap();
    let opened = authority.open(token(&first)).unwrap();
    assert_eq!(
        opened.secret_access_key.expose_secret(),
        first.secret_access_key.expose_secret()
    );
    assert!(authority.open(token(&second)).is_ok());
    authority.rotate().unwrap();
    let error = authority.open(token(&first)).unwrap_err();
    assert_eq!(error, TokenError::UnknownKey);
    assert!(authority.open(token(&second)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn another_authority_does_not_accept_it() {
    let (one, _) = authority();
    let (other, _) = authority();
    let issued = one.issue(&plain_request()).unwrap();
    let error = other.open(token(&issued)).unwrap_err();
    assert_eq!(error, TokenError::UnknownKey);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_version_is_told_apart() {
    let (authority, _) = authority();
    let issued = authority.issue(&plain_request()).unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(token(&issued)).unwrap();
    for version in [1, 3] {
        bytes[0] = version;
        let other = URL_SAFE_NO_PAD.encode(&bytes);
        let error = authority.open(&other).unwrap_err();
        assert_eq!(error, TokenError::OtherVersion);
    }
}

#[test]
fn keys_survive_a_restart_and_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let ring = KeyRing::open(directory.path(), "authority", None).unwrap();
        Authority::new(ring, None, Clock::System).unwrap()
    };
    let first = open();
    let issued = first.issue(&plain_request()).unwrap();
    assert!(open().open(token(&issued)).is_ok());
    first.rotate().unwrap();
    assert!(open().open(token(&issued)).is_ok());
    let file = directory.path().join("authority.keys");
    assert_eq!(first.kept(), Kept::File(file.clone()));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_state_key_seals_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let key = |digit: &str| StateKey::parse(&SecretString::from(digit.repeat(64))).unwrap();
    let ring = KeyRing::open(directory.path(), "authority", Some(&key("a"))).unwrap();
    let clear = fs::read_to_string(directory.path().join("authority.keys")).unwrap();
    assert!(clear.starts_with("rolecall sealed keys 1\n"), "{clear}");
    let again = KeyRing::open(directory.path(), "authority", Some(&key("a"))).unwrap();
    assert_eq!(ring.current.id, again.current.id);
    for wrong in [Some(&key("b")), None] {
        let error = KeyRing::open(directory.path(), "authority", wrong).unwrap_err();
        assert!(matches!(error, KeyRingError::OtherStateKey(_)), "{error:?}");
    }
}

#[test]
fn state_keys_are_32_bytes_in_hex_or_base64() {
    let parse = |text: &str| StateKey::parse(&SecretString::from(text.to_owned()));
    assert!(parse(&"0f".repeat(32)).is_ok());
    assert!(parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").is_ok());
    for wrong in ["", "0f", &"0f".repeat(33), &"0g".repeat(32), "AAEC"] {
        assert_eq!(parse(wrong).unwrap_err(), StateKeyError, "{wrong}");
    }
}

fn refusal(directory: &Path) -> String {
    let error = KeyRing::open(directory, "authority", None).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.replace(&directory.display().to_string(), "DIR")
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    KeyRing::open(directory.path(), "authority", None).unwrap();
    let file = directory.path().join("authority.keys");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        refusal(directory.path()),
        "DIR/authority.keys has mode 0640; it must be 0600, for its owner only"
    );
}

#[test]
fn a_state_directory_that_others_can_write_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(
        refusal(directory.path()),
        "DIR has mode 0777; it must be writable by its owner only"
    );
}

#[test]
fn a_damaged_key_file_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.keys");
    for damage in [
        "".as_bytes(),
        b"\xff\xfe",
        b"keys\n",
        b"rolecall keys 1\n",
        b"rolecall keys 1\n01020304 00\n",
        b"rolecall sealed keys 1\n!\n",
    ] {
        fs::write(&file, damage).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let text = refusal(directory.path());
        assert!(
            text.starts_with("DIR/authority.keys is damaged")
                || text.starts_with("DIR/authority.keys is sealed"),
            "{text}"
        );
        assert_eq!(fs::read(&file).unwrap(), damage);
    }
}

#[test]
fn a_key_file_of_another_version_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.keys");
    for newer in ["rolecall keys 2\n", "rolecall sealed keys 2\nsealed\n"] {
        fs::write(&file, newer).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let text = refusal(directory.path());
        let told = "DIR/authority.keys is of another version of rolecall";
        assert!(text.starts_with(told), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), newer);
    }
}

#[test]
fn a_key_file_that_is_a_link_or_a_folder_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authority.keys");
    symlink("/etc/passwd", &file).unwrap();
    assert!(refusal(directory.path()).starts_with("cannot open DIR/authority.keys: "));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(
        refusal(directory.path()),
        "DIR/authority.keys is no file; it must be a regular file"
    );
}

#[test]
fn a_state_directory_that_cannot_be_made_or_written_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(
        refusal(&file.join("state")),
        "cannot make DIR: Not a directory (os error 20)"
    );
    // The kernel's own read-only file system: nobody writes there, not even root.
    assert!(
        refusal(Path::new("/proc/self")).starts_with("cannot write DIR/authority.keys: "),
        "{}",
        refusal(Path::new("/proc/self"))
    );
}

/// The file system is this thread's own, and ends with it.
#[test]
fn a_full_state_directory_is_told_and_left_as_it_was() {
    if !Uid::effective().is_root() {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs root, and CI must run it"
        );
        eprintln!("nothing is tested: this test needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).unwrap();
    let small = Some("size=8192,mode=0700");
    let plain = MsFlags::empty();
    mount(Some("tmpfs"), directory.path(), Some("tmpfs"), plain, small).unwrap();
    let ring = KeyRing::open(directory.path(), "authority", None).unwrap();
    fs::write(directory.path().join("ballast"), [0; 4096]).unwrap();
    let authority = Authority::new(ring, None, Clock::System).unwrap();
    let issued = authority.issue(&plain_request()).unwrap();
    let error = authority.rotate().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "No space left on device (os error 28)");
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert!(authority.open(token(&issued)).is_ok());
    let kept = KeyRing::open(directory.path(), "authority", None).unwrap();
    let again = Authority::new(kept, None, Clock::System).unwrap();
    assert!(again.open(token(&issued)).is_ok());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

fn text(limit: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..limit).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_survives_the_round_trip(
        principal in proptest::option::of(text(40)),
        session_name in "[A-Za-z0-9_=,.@-]{2,64}",
        seconds in 1_u32..129_600,
        chain_depth: u8,
        tags in proptest::collection::vec((text(20), text(20)), 0..8),
        source_identity in proptest::option::of(text(20)),
        policy in proptest::option::of(text(300)),
        policy_arns in proptest::collection::vec(text(20), 0..10),
        mfa: bool,
    ) {
        let ring = KeyRing::in_memory().unwrap();
        let authority = Authority::new(ring, None, Clock::System).unwrap();
        let request = IssueRequest {
            principal,
            of: SessionOf::Role(RoleRef::parse("local/demo").unwrap()),
            session_name: SessionName::new(&session_name).unwrap(),
            duration: Duration::from_secs(u64::from(seconds)),
            chain_depth,
            transitive_keys: tags.iter().map(|(key, _)| key.clone()).collect(),
            tags,
            source_identity,
            policy,
            policy_arns,
            mfa,
        };
        let issued = authority.issue(&request).unwrap();
        let claims = authority.open(token(&issued)).unwrap();
        prop_assert_eq!(&claims.principal, &request.principal);
        prop_assert_eq!(&claims.session_name, &request.session_name);
        prop_assert_eq!(&claims.tags, &request.tags);
        prop_assert_eq!(&claims.transitive_keys, &request.transitive_keys);
        prop_assert_eq!(&claims.source_identity, &request.source_identity);
        prop_assert_eq!(&claims.policy, &request.policy);
        prop_assert_eq!(&claims.policy_arns, &request.policy_arns);
        prop_assert_eq!(claims.chain_depth, request.chain_depth);
        prop_assert_eq!(claims.mfa, request.mfa);
        prop_assert_eq!(
            claims.expires_at.duration_since(claims.issued_at).unwrap(),
            request.duration
        );
    }

    #[test]
    fn no_text_upsets_the_opener(text in text(600)) {
        let ring = KeyRing::in_memory().unwrap();
        let authority = Authority::new(ring, None, Clock::System).unwrap();
        prop_assert!(authority.open(&text).is_err());
    }
}
