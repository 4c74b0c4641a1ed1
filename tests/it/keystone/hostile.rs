//! What callers of Keystone try who mean harm, and what ends a token.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, UNIX_EPOCH};

use rolecall::authority::{Authority, IssueRequest, KeyRing, SessionOf};
use rolecall::clock::Clock;
use rolecall::listener::Passed;
use rolecall::people::token_hash;
use rolecall::store::TokenDraft;
use rolecall::types::{AccessKeyId, AccountAlias, RoleRef, SessionName};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::signed::{ec2, now, signed, token_of};
use super::{ANN, CONFIG, SERVICE, Served, UNAUTHORIZED, by_password, refused, with_service};
use crate::support::client::Answer;
use crate::support::daemon::{TestDaemon, later, noon};

const NOT_FOUND: &str = "EC2 access key not found.";
const NOT_VALID: &str = "User not valid for tenant.";

/// What is asked of `ec2tokens` for a session of the built-in authority.
struct Session {
    access: String,
    secret: String,
    token: String,
}

fn session(served: &Served, principal: Option<&str>, of: SessionOf) -> Session {
    let name = SessionName::new("it").unwrap();
    let request = IssueRequest {
        principal: principal.map(str::to_owned),
        ..IssueRequest::plain(of, name, Duration::from_hours(1))
    };
    let state = served.daemon.directory.path().join("state");
    let ring = KeyRing::open(&state, "authority", None).unwrap();
    let authority = Authority::new(ring, None, Clock::System).unwrap();
    let issued = authority.issue(&request).unwrap();
    Session {
        access: issued.access_key_id.to_string(),
        secret: issued.secret_access_key.expose_secret().to_owned(),
        token: issued.session_token.expose_secret().to_owned(),
    }
}

fn of_demo() -> SessionOf {
    SessionOf::Role(RoleRef::parse("local/demo").unwrap())
}

async fn ec2_of(served: &Served, session: &Session) -> Answer {
    let with = [("SecurityToken", &*session.token)];
    let credentials = signed(&session.access, &session.secret, now(), &with);
    ec2(served, "/v3/ec2tokens", &credentials).await
}

/// What a token says, as services are told.
async fn about(served: &Served, token: &str) -> Answer {
    let headers = [("X-Auth-Token", SERVICE), ("X-Subject-Token", token)];
    served.send("GET", "/v3/auth/tokens", &headers, "").await
}

#[tokio::test]
async fn keystone_takes_no_session_for_who_has_its_keys_id_later() {
    let served = Served::start();
    let (access, _) = served.key("ann", "local").await;
    let of = SessionOf::User {
        account: AccountAlias::new("local").unwrap(),
        key: AccessKeyId::new(&access).unwrap(),
    };
    let anns = session(&served, Some("ann"), of);
    let made = ec2_of(&served, &anns).await;
    assert_eq!(made.json()["token"]["user"]["id"], ANN, "{}", made.body);
    let token = served.token("ann", "local").await;
    let path = format!("/v3/users/{ANN}/credentials/OS-EC2/{access}");
    served.delete(&token, &path).await.assert_is(204, "");
    let bob = served.token("bob", "local").await;
    let said = json!({ "username": "bob", "access": access, "tenant_id": "local" });
    let made = served
        .post(
            &bob,
            "/v3/users/bob/credentials/OS-EC2",
            &json!({ "OS-KSEC2-ec2Credentials": said }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    refused(&ec2_of(&served, &anns).await, 401, NOT_FOUND);
    served.end().await;
}

#[tokio::test]
async fn keystone_knows_a_session_whose_id_somebody_gave_a_key() {
    let served = Served::start();
    let session = session(&served, Some("ann"), of_demo());
    let bob = served.token("bob", "local").await;
    let secret = "bob knows this one";
    let said = json!({ "username": "bob", "access": session.access, "secret": secret, "tenant_id": "local" });
    let said = json!({ "OS-KSEC2-ec2Credentials": said });
    let made = served
        .post(&bob, "/v3/users/bob/credentials/OS-EC2", &said)
        .await;
    assert_eq!(made.status, 400, "a secret has no spaces: {}", made.body);
    let mut said = said;
    said["OS-KSEC2-ec2Credentials"]["secret"] = Value::from("bobknowsthisone-1");
    let made = served
        .post(&bob, "/v3/users/bob/credentials/OS-EC2", &said)
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let answer = ec2_of(&served, &session).await;
    assert_eq!(answer.json()["token"]["user"]["id"], ANN, "{}", answer.body);
    // Bob's key is none of the session's.
    let with = [("SecurityToken", &*session.token)];
    let bobs = signed(&session.access, "bobknowsthisone-1", now(), &with);
    refused(
        &ec2(&served, "/v3/ec2tokens", &bobs).await,
        401,
        "Invalid EC2 signature.",
    );
    served.end().await;
}

#[tokio::test]
async fn keystone_calls_roles_of_sessions_as_the_operator_says_too() {
    let text = CONFIG.replace(
        "[account.local.role.demo]",
        "keystone-roles = [\"reader\"]\n[account.local.role.demo]\n[account.local.role.admin]",
    );
    let served = Served::start_with(&text, with_service);
    let of = SessionOf::Role(RoleRef::parse("local/admin").unwrap());
    for principal in [None, Some("ann")] {
        let session = session(&served, principal, of.clone());
        let answer = ec2_of(&served, &session).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.header("x-subject-token").to_owned();
        for told in [answer, about(&served, &token).await] {
            let roles = told.json()["token"]["roles"].clone();
            let names: Vec<_> = roles
                .as_array()
                .unwrap()
                .iter()
                .map(|role| &role["name"])
                .collect();
            assert_eq!(names, ["reader"]);
        }
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_tokens_of_sessions_end_with_their_roles_not_before() {
    let served = Served::start();
    let answer = ec2_of(&served, &session(&served, None, of_demo())).await;
    let token = answer.header("x-subject-token").to_owned();
    assert_eq!(about(&served, &token).await.status, 200);
    served.daemon.write(&CONFIG.replace(
        "[account.local.role.demo]",
        "[account.local.role.demo]\nnot-before = 2099-01-01T00:00:00Z",
    ));
    served.daemon.reload.reload().await.unwrap();
    refused(&about(&served, &token).await, 404, "Could not find token.");
    served.end().await;
}

/// A token for an application credential of somebody's.
async fn of_application(served: &Served, user: &str) -> String {
    let secret = format!("canary-bearer-of-{user}");
    let draft = TokenDraft {
        user: user.into(),
        hash: token_hash(&secret),
        expires: UNIX_EPOCH + Duration::from_secs(4_000_000_000),
    };
    let known = served.daemon.daemon.store.create_token(draft).await;
    let shown = json!({ "id": known.unwrap().id.simple().to_string(), "secret": secret });
    let identity =
        json!({ "methods": ["application_credential"], "application_credential": shown });
    let made = served
        .login(&json!({ "auth": { "identity": identity } }))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.header("x-subject-token").to_owned()
}

/// An application credential ends: what is made with it would not, and a key's secret opens as much.
#[tokio::test]
async fn keystone_gives_application_credentials_no_keys() {
    let served = Served::start();
    let (access, _) = served.key("ann", "local").await;
    let first = of_application(&served, "ann").await;
    let identity = json!({ "methods": ["token"], "token": { "id": first } });
    let second = served
        .login(&json!({ "auth": { "identity": identity } }))
        .await;
    let second = second.header("x-subject-token").to_owned();
    let keys = "/v3/users/ann/credentials/OS-EC2";
    let one = format!("{keys}/{access}");
    let forbidden = |answer: &Answer, action: &str| {
        let why = format!("You are not authorized to perform the requested action: {action}.");
        refused(answer, 403, &why);
    };
    for token in [&first, &second] {
        let answer = served
            .post(token, keys, &json!({ "tenant_id": "local" }))
            .await;
        forbidden(&answer, "identity:ec2_create_credential");
        forbidden(
            &served.get(token, keys).await,
            "identity:ec2_list_credentials",
        );
        forbidden(
            &served.get(token, &one).await,
            "identity:ec2_get_credential",
        );
        forbidden(
            &served.delete(token, &one).await,
            "identity:ec2_delete_credential",
        );
        assert_eq!(served.get(token, "/v3/auth/projects").await.status, 200);
    }
    // A service may sign in with one of an administrator's, and then reads one key as a service does.
    let admin = of_application(&served, "admin").await;
    assert_eq!(served.get(&admin, &one).await.status, 200);
    forbidden(
        &served.get(&admin, keys).await,
        "identity:ec2_list_credentials",
    );
    served.end().await;
}

#[tokio::test]
async fn keystone_lets_signatures_in_of_the_mounts_groups_alone() {
    let text = CONFIG.replace(
        "apis = [\"keystone\"]",
        "apis = [\"keystone\"]\n[[listener.mount]]\nprefix = \"/\"\nauthenticate = [\"basic\"]\n\
         require-group = [\"members\"]",
    );
    let clock = Clock::simulated(noon());
    let served = at(&clock, &text);
    let (access, secret) = served.key("ann", "local").await;
    let credentials = || signed(&access, &secret, clock.now(), &[]);
    let made = ec2(&served, "/v3/ec2tokens", &credentials()).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let token = made.header("x-subject-token").to_owned();
    let groups = served.daemon.directory.path().join("groups");
    fs::write(&groups, "others: ann\n").unwrap();
    later(&clock, MINUTE);
    let answer = ec2(&served, "/v3/ec2tokens", &credentials()).await;
    refused(&answer, 401, NOT_VALID);
    refused(&about(&served, &token).await, 404, "Could not find token.");
    served.end().await;
}

/// After this time it is looked up again whose name a token or a key proves, and who is in a group.
const MINUTE: Duration = Duration::from_secs(61);

/// Ann alone, at a time that the test sets.
fn at(clock: &Clock, text: &str) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    write_password(&users, "annpw");
    fs::write(directory.path().join("groups"), "members: ann\n").unwrap();
    let passed = Passed::default();
    let daemon = TestDaemon::start_altered(directory, text, clock.clone(), passed, with_service);
    Served { daemon }
}

fn write_password(users: &std::path::Path, password: &str) {
    let hash = bcrypt::hash(password, 4).unwrap();
    fs::write(users, format!("ann:{hash}\n")).unwrap();
    fs::set_permissions(users, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn keystone_tokens_of_a_password_end_when_it_is_changed() {
    let clock = Clock::simulated(noon());
    let served = at(&clock, CONFIG);
    let token = served.token("ann", "local").await;
    let identity = json!({ "methods": ["token"], "token": { "id": token } });
    let scope = json!({ "project": { "id": "local" } });
    let scoped = json!({ "auth": { "identity": identity, "scope": scope } });
    let second = served
        .login(&scoped)
        .await
        .header("x-subject-token")
        .to_owned();
    for token in [&token, &second] {
        assert_eq!(about(&served, token).await.status, 200);
    }
    write_password(&served.daemon.directory.path().join("users"), "another");
    later(&clock, MINUTE);
    for token in [&token, &second] {
        refused(&about(&served, token).await, 404, "Could not find token.");
        let answer = served.get(token, "/v3/auth/projects").await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    refused(&served.login(&scoped).await, 404, "Could not find token.");
    let before = served
        .login(&by_password("ann", "annpw", Some("local")))
        .await;
    refused(&before, 401, UNAUTHORIZED);
    let after = served
        .login(&by_password("ann", "another", Some("local")))
        .await;
    assert_eq!(after.status, 201, "{}", after.body);
    served.end().await;
}

#[tokio::test]
async fn keystone_tokens_end_when_they_say_so() {
    let clock = Clock::simulated(noon());
    let served = at(&clock, CONFIG);
    let made = served
        .login(&by_password("ann", "annpw", Some("local")))
        .await;
    let token = made.header("x-subject-token").to_owned();
    let ends = rolecall::api::date(noon() + Duration::from_hours(1));
    let ends = ends.trim_end_matches('Z').to_owned() + ".000000Z";
    assert_eq!(made.json()["token"]["expires_at"], Value::from(ends));
    later(&clock, Duration::from_mins(30));
    // What is made of a token does not outlive it.
    let identity = json!({ "methods": ["token"], "token": { "id": token } });
    let again = json!({ "auth": { "identity": identity } });
    let second = served
        .login(&again)
        .await
        .header("x-subject-token")
        .to_owned();
    later(&clock, Duration::from_mins(29));
    for token in [&token, &second] {
        assert_eq!(about(&served, token).await.status, 200);
    }
    later(&clock, Duration::from_mins(1));
    for token in [&token, &second] {
        refused(&about(&served, token).await, 404, "Could not find token.");
        let answer = served.get(token, "/v3/auth/projects").await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    refused(&served.login(&again).await, 404, "Could not find token.");
    served.end().await;
}

#[tokio::test]
async fn keystone_verifies_for_services_whatever_others_guess() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    for number in 0..200 {
        let guess = signed(&format!("guess{number}"), "x", now(), &[]);
        let answer = ec2(&served, "/v3/ec2tokens", &guess).await;
        refused(&answer, 401, NOT_FOUND);
        let guess = signed(&access, "x", now(), &[]);
        let answer = ec2(&served, "/v3/ec2tokens", &guess).await;
        refused(&answer, 401, "Invalid EC2 signature.");
    }
    let _token = token_of(&served, &access, &secret).await;
    served.end().await;
}

#[tokio::test]
async fn keystone_reads_no_bomb() {
    let served = Served::start();
    let token = served.token("ann", "local").await;
    let path = "/v3/users/ann/credentials/OS-EC2";
    let shown = [
        ("Content-Type", "application/json"),
        ("X-Auth-Token", &*token),
    ];
    let deep = format!("{}1{}", "{\"a\":".repeat(9000), "}".repeat(9000));
    let wide = format!("[{}0]", "0,".repeat(30_000));
    for text in [
        deep.as_str(),
        &wide,
        "{\"tenant_id\": 1e400}",
        "{\"tenant_id\": \"\\ud800\"}",
        "{\"tenant_id\": \"local\", \"tenant_id\": \"other\"}",
        "{\"x\": {\"tenant_id\": 1, \"tenant_id\": 2}}",
    ] {
        let answer = served.send("POST", path, &shown, text).await;
        refused(&answer, 400, super::NO_JSON);
    }
    for (tenant, told) in [
        (json!("lo\u{0}cal"), "lo\u{0}cal"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        (json!("ｌｏｃａｌ"), "ｌｏｃａｌ"),
        (json!("local\r\nX-Evil: 1"), "local\r\nX-Evil: 1"),
    ] {
        let answer = served
            .post(&token, path, &json!({ "tenant_id": tenant }))
            .await;
        assert_eq!(answer.header("x-evil"), "");
        refused(&answer, 404, &format!("Could not find project: {told}."));
    }
    served.end().await;
}
