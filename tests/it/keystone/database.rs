//! Tokens and signatures are verified by what is in memory, whatever the database does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall::store::AccessKeyDraft;
use rolecall::types::{AccessKeyId, AccountAlias};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use super::signed::{now, s3_v4, signed, token_of};
use super::{CONFIG, SERVICE, Served, with_service};
use crate::support::signed::{Keys, Signing, get, post};

const WHO: &[(&str, &str)] = &[("Action", "GetCallerIdentity")];
const ASSUME: &[(&str, &str)] = &[
    ("Action", "AssumeRole"),
    ("RoleArn", "arn:aws:iam::000000000000:role/demo"),
    ("RoleSessionName", "it"),
];

/// Moves the database away, and back.
struct Away(Vec<[PathBuf; 2]>);

impl Away {
    fn of(served: &Served) -> Self {
        let state = served.daemon.directory.path().join("state");
        let files = ["store.db", "store.db-wal", "store.db-shm"];
        let moved =
            Self(Vec::from(files.map(|name| {
                [state.join(name), state.join(format!("{name}.away"))]
            })));
        for [file, away] in &moved.0 {
            std::fs::rename(file, away).unwrap();
        }
        moved
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        for [file, away] in &self.0 {
            std::fs::rename(away, file).unwrap();
        }
    }
}

/// All that shows a signature or a token is answered.
async fn all_is_verified(served: &Served, key: &Keys, sessions: &[Keys], tokens: &[String]) {
    let api = served.daemon.address("api");
    for keys in std::iter::once(key).chain(sessions) {
        assert_eq!(post(api, keys, WHO).await.status, 200, "{keys:?}");
        let in_query = Signing {
            in_query: Some(Duration::from_mins(1)),
            ..Signing::default()
        };
        assert_eq!(get(api, keys, WHO, in_query).await.status, 200, "{keys:?}");
        assert_eq!(post(api, keys, ASSUME).await.status, 200, "{keys:?}");
        let token = keys.token.as_deref();
        let token: Vec<_> = token
            .iter()
            .map(|token| ("SecurityToken", *token))
            .collect();
        let told = json!({ "credentials": signed(&keys.id, &keys.secret, now(), &token) });
        for path in ["/v2.0/ec2tokens", "/v3/ec2tokens"] {
            let answer = served.post(SERVICE, path, &told).await;
            assert_eq!(answer.status, 200, "{keys:?}: {}", answer.body);
        }
    }
    let (text, signature) = s3_v4(&key.secret);
    let s3 = json!({ "access": key.id, "token": STANDARD.encode(text), "signature": signature });
    let s3 = json!({ "credentials": s3 });
    assert_eq!(served.post(SERVICE, "/v3/s3tokens", &s3).await.status, 200);
    for token in tokens {
        let about = [("X-Auth-Token", SERVICE), ("X-Subject-Token", token)];
        let answer = served.send("GET", "/v3/auth/tokens", &about, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let own = served.get(&tokens[0], "/v3/users/ann/credentials/OS-EC2");
    assert_eq!(own.await.status, 200);
}

#[tokio::test]
async fn keystone_and_sts_verify_without_the_database() {
    let text = CONFIG.replace(r#"["keystone"]"#, r#"["keystone", "sts"]"#);
    let served = Served::start_with(&text, with_service);
    let api = served.daemon.address("api");
    let (access, secret) = served.key("ann", "local").await;
    let key = Keys::new(&access, &secret);
    let sessions = [
        Keys::of(&post(api, &key, ASSUME).await),
        Keys::of(&post(api, &key, &[("Action", "GetSessionToken")]).await),
    ];
    let tokens = [
        served.token("ann", "local").await,
        token_of(&served, &access, &secret).await,
    ];

    // A write takes all the time of the only thread that knows the database.
    let store = served.daemon.daemon.store.clone();
    let (release, released) = mpsc::channel::<()>();
    let (tell, mut told) = unbounded_channel();
    let released = Mutex::new(released);
    store.when_changed(move || {
        tell.send(()).unwrap();
        released.lock().unwrap().recv().unwrap_err();
    });
    let draft = AccessKeyDraft {
        id: AccessKeyId::new("AKIAOTHER").unwrap(),
        secret: "canary-other".into(),
        user: Arc::from("bob"),
        account: AccountAlias::new("local").unwrap(),
        label: Arc::from(""),
    };
    let write = tokio::spawn(async move { store.create_key(draft).await });
    told.recv().await.unwrap();
    let away = Away::of(&served);
    all_is_verified(&served, &key, &sessions, &tokens).await;
    assert!(!write.is_finished());

    drop((away, release));
    write.await.unwrap().unwrap();
    served.end().await;
}
