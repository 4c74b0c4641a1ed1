//! `ec2tokens` and `s3tokens`: whose a signature is.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::{
    ANN, CONFIG, DEMO, MEMBER, SERVICE, Served, UNAUTHORIZED, at_any_date, refused, with_service,
    without_service_token,
};
use crate::support::client::{Answer, ask};
use crate::support::signed::{Keys, post};

const PATHS: [&str; 2] = ["/v2.0/ec2tokens", "/v3/ec2tokens"];

/// The key of the document's example, which was signed in 2007.
const ACCESS: &str = "8cff51dc66594df4a2ae121f796df36c";
const SECRET: &str = "df8daeaa981b40cea1217fead123bc64";

fn document() -> Value {
    json!({
        "access": ACCESS,
        "host": "localhost",
        "params": {
            "Action": "Test",
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": "2007-01-31T23:59:59Z",
        },
        "path": "/",
        "secret": SECRET,
        "signature": "Fra2UBKKtqy3GQ0mj+JqzR8GTGsbWQW+yN5Nih9ThfI=",
        "verb": "GET",
    })
}

/// Imports the document's key for `ann`.
async fn import(served: &Served) {
    let token = served.token("ann", "local").await;
    let said = json!({ "username": "ann", "access": ACCESS, "secret": SECRET });
    let path = format!("/v2.0/users/{ANN}/credentials/OS-EC2");
    let made = served
        .post(&token, &path, &json!({ "OS-KSEC2-ec2Credentials": said }))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
}

fn date(at: SystemTime) -> String {
    rolecall::api::date(at)
}

/// A request of version 2, signed at this time.
pub(super) fn signed(access: &str, secret: &str, at: SystemTime, more: &[(&str, &str)]) -> Value {
    let timestamp = date(at);
    let mut params = vec![
        ("Action", "Test"),
        ("SignatureMethod", "HmacSHA256"),
        ("SignatureVersion", "2"),
        ("Timestamp", timestamp.as_str()),
    ];
    params.extend_from_slice(more);
    signed_with(access, secret, &params)
}

/// A request of version 2 with these parameters.
fn signed_with(access: &str, secret: &str, params: &[(&str, &str)]) -> Value {
    let mut params = params.to_vec();
    params.sort_unstable();
    let encoded = |text: &str| {
        let bytes = text.bytes().map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        });
        bytes.collect::<String>()
    };
    let query: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    let text = format!("GET\nlocalhost\n/\n{}", query.join("&"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let params: serde_json::Map<String, Value> = params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({ "access": access, "host": "localhost", "verb": "GET", "path": "/", "params": params, "signature": signature })
}

pub(super) async fn ec2(served: &Served, path: &str, credentials: &Value) -> Answer {
    served
        .post(SERVICE, path, &json!({ "credentials": credentials }))
        .await
}

/// The token that a service is given for a signature of this key.
pub(super) async fn token_of(served: &Served, access: &str, secret: &str) -> String {
    let credentials = signed(access, secret, now(), &[]);
    let answer = ec2(served, "/v3/ec2tokens", &credentials).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("x-subject-token").to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the daemon of this test has the system's clock"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn keystone_answers_the_documents_example() {
    let served = Served::start_with(CONFIG, at_any_date);
    import(&served).await;
    for name in ["credentials", "credential", "ec2Credentials"] {
        let answer = served
            .post(SERVICE, PATHS[0], &json!({ name: document() }))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let access = &answer.json()["access"];
        assert_eq!(answer.header("x-subject-token"), access["token"]["id"]);
        assert_eq!(access["serviceCatalog"], json!([]));
        assert_eq!(
            access["metadata"],
            json!({ "is_admin": 0, "roles": [DEMO, MEMBER] })
        );
        assert_eq!(
            access["user"],
            json!({ "id": ANN, "name": "ann", "username": "ann", "roles": [{ "name": "demo" }, { "name": "member" }], "roles_links": [] })
        );
        let tenant = &access["token"]["tenant"];
        assert_eq!(
            (&tenant["id"], &tenant["enabled"]),
            (&json!("local"), &json!(true))
        );
    }
    for (path, name) in [
        (PATHS[0], "OS-KSEC2:ec2Credentials"),
        (PATHS[0], "OS-KSEC2-ec2Credentials"),
        ("/v2.0/tokens", "OS-KSEC2:ec2Credentials"),
        ("/v2.0/tokens", "OS-KSEC2-ec2Credentials"),
    ] {
        let answer = served
            .post(SERVICE, path, &json!({ "auth": { name: document() } }))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["access"]["user"]["id"], ANN);
    }
    let answer = ec2(&served, PATHS[1], &document()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = &answer.json()["token"];
    assert_eq!(token["methods"], json!(["ec2credential"]));
    assert_eq!(
        (&token["user"]["id"], &token["project"]["id"]),
        (&json!(ANN), &json!("local"))
    );
    assert_eq!(token["roles"][0], json!({ "id": DEMO, "name": "demo" }));
    assert!(!token["catalog"].as_array().unwrap().is_empty());
    served.end().await;
}

#[tokio::test]
async fn keystone_refuses_signatures_that_do_not_count() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    let good = signed(&access, &secret, now(), &[]);
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let at = |at: SystemTime| signed(&access, &secret, at, &[]);
    let undated = signed_with(
        &access,
        &secret,
        &[
            ("Action", "Test"),
            ("SignatureMethod", "HmacSHA256"),
            ("SignatureVersion", "2"),
        ],
    );
    let mut unsaid = good.clone();
    unsaid["params"]["SignatureVersion"] = "9".into();
    let mut odd = good.clone();
    odd["params"]["Timestamp"] = "yesterday".into();
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    for path in PATHS {
        assert_eq!(ec2(&served, path, &good).await.status, 200);
        let other_secret = with("secret", "an attacker's own".into());
        assert_eq!(
            ec2(&served, path, &other_secret).await.status,
            200,
            "it is ignored"
        );
        let unknown = with("unknown", json!({ "a": [1] }));
        assert_eq!(
            ec2(&served, path, &unknown).await.status,
            200,
            "it is ignored"
        );
        for (credentials, message) in [
            (without("access"), "EC2 signature not supplied."),
            (without("signature"), "EC2 signature not supplied."),
            (with("signature", "".into()), "EC2 signature not supplied."),
            (json!({}), "EC2 signature not supplied."),
            (
                json!({ "access": "x", "signature": "y" }),
                "EC2 access key not found.",
            ),
            (with("access", "x".into()), "EC2 access key not found."),
            (with("access", "é".into()), "EC2 access key not found."),
            (with("signature", "x".into()), "Invalid EC2 signature."),
            (with("path", "/x".into()), "Invalid EC2 signature."),
            (with("host", "elsewhere".into()), "Invalid EC2 signature."),
            (at(now() - Duration::from_mins(16)), "Credential is expired"),
            (
                at(now() + Duration::from_mins(16)),
                "Credential timestamp is invalid: it lies in the future",
            ),
            (
                odd.clone(),
                "Credential timestamp is invalid: it is no date",
            ),
            (
                undated.clone(),
                "Credential timestamp is invalid: it has none",
            ),
        ] {
            refused(&ec2(&served, path, &credentials).await, 401, message);
        }
        let answer = ec2(&served, path, &unsaid).await;
        refused(&answer, 400, &format!("Unknown signature version. {fault}"));
        let answer = ec2(&served, path, &with("params", json!([1]))).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        for body in ["", "{}"] {
            let headers = [("X-Auth-Token", SERVICE)];
            let answer = served.send("POST", path, &headers, body).await;
            refused(&answer, 400, "request must include a request body");
        }
        let answer = served.post(SERVICE, path, &json!({ "x": 1 })).await;
        refused(&answer, 401, "EC2 signature not supplied.");
        let answer = served.get(SERVICE, path).await;
        answer.assert_is(
            405,
            r#"{"message": "The method is not allowed for the requested URL."}"#,
        );
        assert_eq!(answer.header("allow"), "POST");
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_verifies_signatures_for_services_and_administrators() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    let body = json!({ "credentials": signed(&access, &secret, now(), &[]) });
    let ann = served.token("ann", "local").await;
    let admin = served.token("admin", "local").await;
    for path in PATHS {
        assert_eq!(served.post(&admin, path, &body).await.status, 200);
        let answer = served.post(&ann, path, &body).await;
        let message =
            "You are not authorized to perform the requested action: identity:ec2tokens_validate.";
        refused(&answer, 403, message);
        let json = [("Content-Type", "application/json")];
        let answer = served.send("POST", path, &json, &body.to_string()).await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    let in_auth = json!({ "auth": { "OS-KSEC2:ec2Credentials": body["credentials"] } });
    let json = [("Content-Type", "application/json")];
    let answer = served
        .send("POST", "/v2.0/tokens", &json, &in_auth.to_string())
        .await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
    let served = Served::start_with(CONFIG, without_service_token);
    let (access, secret) = served.key("ann", "local").await;
    let body = json!({ "credentials": signed(&access, &secret, now(), &[]) });
    for path in PATHS {
        let answer = served.send("POST", path, &json, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = served.post("wrong", path, &body).await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    let answer = served
        .send("POST", "/v3/s3tokens", &json, &body.to_string())
        .await;
    refused(&answer, 401, UNAUTHORIZED);
    let in_auth = json!({ "auth": { "OS-KSEC2:ec2Credentials": body["credentials"] } });
    let answer = served
        .send("POST", "/v2.0/tokens", &json, &in_auth.to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    served.end().await;
}

#[tokio::test]
async fn keystone_tells_nobody_of_a_key_whose_user_has_no_roles_any_more() {
    let served = Served::start();
    let (access, secret) = served.key("bob", "other").await;
    let token = token_of(&served, &access, &secret).await;
    served
        .daemon
        .write(&CONFIG.replace("group = \"web\"", "group = \"others\""));
    served.daemon.reload.reload().await.unwrap();
    for path in PATHS {
        let answer = ec2(&served, path, &signed(&access, &secret, now(), &[])).await;
        refused(&answer, 401, "User not valid for tenant.");
    }
    let about = [
        ("X-Auth-Token", SERVICE),
        ("X-Subject-Token", token.as_str()),
    ];
    let answer = served.send("GET", "/v3/auth/tokens", &about, "").await;
    refused(&answer, 404, "Could not find token.");
    served.end().await;
}

#[tokio::test]
async fn keystone_tokens_of_a_key_end_with_it() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    let token = token_of(&served, &access, &secret).await;
    let about = [
        ("X-Auth-Token", SERVICE),
        ("X-Subject-Token", token.as_str()),
    ];
    assert_eq!(
        served
            .send("GET", "/v3/auth/tokens", &about, "")
            .await
            .status,
        200
    );
    let ann = served.token("ann", "local").await;
    let path = format!("/v3/users/{ANN}/credentials/OS-EC2/{access}");
    served.delete(&ann, &path).await.assert_is(204, "");
    let answer = served.send("GET", "/v3/auth/tokens", &about, "").await;
    refused(&answer, 404, "Could not find token.");
    let answer = ec2(&served, PATHS[0], &signed(&access, &secret, now(), &[])).await;
    refused(&answer, 401, "EC2 access key not found.");
    served.end().await;
}

/// What S3's clients sign: the text of version 4, and its signature.
pub(super) fn s3_v4(secret: &str) -> (String, String) {
    let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/s3/aws4_request\n\
                f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in ["20150830", "us-east-1", "s3", "aws4_request", text] {
        let derived = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&derived, part.as_bytes()).as_ref().to_vec();
    }
    let digits = key.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    (text.to_owned(), digits.collect())
}

#[tokio::test]
async fn keystone_verifies_what_s3_clients_sign() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    let (v4, hex) = s3_v4(&secret);
    let v2 = "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/bucket/\u{fffd}?>";
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let base64 = STANDARD.encode(hmac::sign(&key, v2.as_bytes()));
    let body = |token: &str, signature: &str| json!({ "credentials": { "access": access, "token": token, "signature": signature } });
    for (text, signature) in [(v4.as_str(), hex.as_str()), (v2, &base64)] {
        for token in [STANDARD.encode(text), URL_SAFE.encode(text)] {
            let answer = served
                .post(SERVICE, "/v2.0/s3tokens", &body(&token, signature))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.header("x-subject-token"), "");
            assert_eq!(answer.json()["access"]["user"]["id"], ANN);
            let answer = served
                .post(SERVICE, "/v3/s3tokens", &body(&token, signature))
                .await;
            assert_eq!(answer.json()["token"]["project"]["id"], "local");
        }
    }
    let token = STANDARD.encode(&v4);
    let other = |from: &str, to: &str| STANDARD.encode(v4.replace(from, to));
    for path in ["/v2.0/s3tokens", "/v3/s3tokens"] {
        for (body, message) in [
            (body(&token, "wrong"), "Invalid EC2 signature."),
            (
                body(&other("/s3/", "/ec2/"), &hex),
                "Invalid EC2 signature.",
            ),
            (
                body(&other("aws4_request\n", "aws4_request\n\n"), &hex),
                "Invalid EC2 signature.",
            ),
            (body("!", &hex), "Invalid EC2 signature."),
            (
                json!({ "credentials": { "access": access } }),
                "EC2 signature not supplied.",
            ),
        ] {
            refused(&served.post(SERVICE, path, &body).await, 401, message);
        }
        // What object stores take for: look among your own keys.
        let unknown = json!({ "credentials": { "access": "x", "signature": "y" } });
        let answer = served.post(SERVICE, path, &unknown).await;
        refused(&answer, 404, "EC2 access key not found.");
        let answer = served
            .post(
                SERVICE,
                path,
                &json!({ "credentials": { "access": access, "signature": "y" } }),
            )
            .await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        let headers = [("X-Auth-Token", SERVICE)];
        let answer = served.send("POST", path, &headers, "{}").await;
        refused(&answer, 400, "request must include a request body");
        let ann = served.token("ann", "local").await;
        let message =
            "You are not authorized to perform the requested action: identity:s3tokens_validate.";
        refused(
            &served.post(&ann, path, &body(&token, &hex)).await,
            403,
            message,
        );
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_a_signature_once_where_that_is_asked_for() {
    let served = Served::start_with(CONFIG, |config| {
        with_service(config);
        config.authority.replay_cache = 16;
    });
    let (access, secret) = served.key("ann", "local").await;
    let credentials = signed(&access, &secret, now(), &[]);
    assert_eq!(ec2(&served, PATHS[0], &credentials).await.status, 200);
    let again = ec2(&served, PATHS[1], &credentials).await;
    refused(&again, 401, "Invalid EC2 signature.");
    served.end().await;
}

/// The keys of a session: of somebody who proved a name to AFP's API, or of a program.
async fn session(served: &Served, name: Option<&str>) -> [String; 3] {
    let answer = match name {
        Some(name) => {
            let basic = STANDARD.encode(format!("{name}:{name}pw"));
            let basic = format!("Basic {basic}");
            let headers = [("Authorization", basic.as_str())];
            let at = served.daemon.address("api");
            ask(at, "GET", "/account/local/demo/credentials", &headers).await
        }
        None => ask(served.daemon.address("container"), "GET", "/creds", &[]).await,
    };
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    ["AccessKeyId", "SecretAccessKey", "Token"].map(|name| body[name].as_str().unwrap().to_owned())
}

/// A session's requests to S3: in the old form the token is among what was signed, in version 4 the
/// service says it beside.
async fn s3_of_session(
    served: &Served,
    [access, secret, token]: [&str; 3],
    called: &str,
    expected: &[&str],
) {
    let (v4, hex) = s3_v4(secret);
    let old = |token: &str| {
        let text = format!("GET\n\n\n\nx-amz-date:today\nx-amz-security-token:{token}\n/bucket/");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        json!({ "access": access, "token": STANDARD.encode(&text), "signature": signature })
    };
    let with = |name: &str, value: Value| {
        let mut credentials =
            json!({ "access": access, "token": STANDARD.encode(&v4), "signature": hex });
        credentials[name] = value;
        credentials
    };
    let header = |token: &str| with("headers", json!({ "x-amz-security-token": token }));
    let parameter = with("params", json!({ "X-Amz-Security-Token": token }));
    let wrong = with("secret", json!("ignored"));
    for path in ["/v2.0/s3tokens", "/v3/s3tokens"] {
        for credentials in [&old(token), &header(token), &parameter] {
            let body = json!({ "credentials": credentials });
            let answer = served.post(SERVICE, path, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let told = answer.json();
            let (user, roles) = match told.get("access") {
                Some(access) => (&access["user"], &access["user"]["roles"]),
                None => (&told["token"]["user"], &told["token"]["roles"]),
            };
            assert_eq!(user["name"], called);
            let roles: Vec<&str> = (roles.as_array().unwrap().iter())
                .map(|role| role["name"].as_str().unwrap())
                .collect();
            assert_eq!(roles, expected);
        }
        // Without its token a session's key is none that is known here.
        for credentials in [&old("x"), &header(""), &wrong] {
            let body = json!({ "credentials": credentials });
            let answer = served.post(SERVICE, path, &body).await;
            refused(&answer, 404, "EC2 access key not found.");
        }
        let mut forged = header(token);
        forged["signature"] = json!(hex.replace(char::is_numeric, "x"));
        let answer = served
            .post(SERVICE, path, &json!({ "credentials": forged }))
            .await;
        refused(&answer, 401, "Invalid EC2 signature.");
    }
}

#[tokio::test]
async fn keystone_takes_signatures_of_sessions_for_their_role_alone() {
    let more = r#"
        [[listener]]
        name = "container"
        bind = ["127.0.0.1:0"]
        apis = ["container"]
        tokenless = true
        [[grant]]
        role = "local/demo"
        when = { uid = {uid} }
        [[grant]]
        role = "local/demo"
        when = { principal = "admin" }
    "#;
    let text = CONFIG.replace(r#"["keystone"]"#, r#"["keystone", "accounts"]"#) + more;
    let served = Served::start_with(&text, with_service);
    let roles = json!([{ "id": DEMO, "name": "demo" }, { "id": MEMBER, "name": "member" }]);
    let foreign = session(&served, None).await;
    for name in [None, Some("admin")] {
        let [access, secret, token] = session(&served, name).await;
        let with = |token: &str| signed(&access, &secret, now(), &[("SecurityToken", token)]);
        let answer = ec2(&served, PATHS[0], &with(&token)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told = &answer.json()["access"];
        let called = told["user"]["name"].as_str().unwrap();
        match name {
            Some(name) => assert_eq!(called, name),
            None => assert!(called.starts_with("demo/"), "{called}"),
        }
        let metadata = json!({ "is_admin": 0, "roles": [DEMO, MEMBER] });
        assert_eq!(told["metadata"], metadata);
        let answer = ec2(&served, PATHS[1], &with(&token)).await;
        let made = answer.header("x-subject-token").to_owned();
        let told = &answer.json()["token"];
        assert_eq!(
            (&told["roles"], &told["project"]["id"]),
            (&roles, &json!("local"))
        );
        let about = [
            ("X-Auth-Token", SERVICE),
            ("X-Subject-Token", made.as_str()),
        ];
        let again = served.send("GET", "/v3/auth/tokens", &about, "").await;
        assert_eq!(again.json()["token"]["roles"], roles);
        // Whoever its principal is, it is good for nothing here.
        let answer = served.get(&made, "/v3/users").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        for wrong in ["", "x", &made, &foreign[2]] {
            if wrong != token {
                let answer = ec2(&served, PATHS[0], &with(wrong)).await;
                refused(&answer, 401, "EC2 access key not found.");
            }
        }
        let answer = ec2(&served, PATHS[0], &signed(&access, &secret, now(), &[])).await;
        refused(&answer, 401, "EC2 access key not found.");
        s3_of_session(
            &served,
            [&access, &secret, &token],
            called,
            &["demo", "member"],
        )
        .await;
        let other = signed(&access, "x", now(), &[("SecurityToken", &token)]);
        refused(
            &ec2(&served, PATHS[0], &other).await,
            401,
            "Invalid EC2 signature.",
        );
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_signatures_of_whom_a_user_vouches_for_as_a_members() {
    let more = r#"
        [account.strict]
        id = "000000000002"
        credentials = { from = "local" }
        keystone-roles = ["reader"]
        [account.strict.role.web]
        [[grant]]
        role = "strict/web"
        when = { principal = "ann" }
    "#;
    let text = CONFIG.replace(r#"["keystone"]"#, r#"["keystone", "sts"]"#) + more;
    let served = Served::start_with(&text, with_service);
    let (access, secret) = served.key("ann", "local").await;
    let session = vouched(&served, &Keys::new(&access, &secret)).await;
    let token = session.token.clone().unwrap();
    let sign = |session: &Keys| {
        let token = session.token.as_deref().unwrap();
        signed(
            &session.id,
            &session.secret,
            now(),
            &[("SecurityToken", token)],
        )
    };
    let answer = ec2(&served, PATHS[0], &sign(&session)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = &answer.json()["access"];
    // Its own name, its maker's account, and less than its maker has there.
    assert_eq!(told["user"]["name"], "ann:visitor");
    assert_ne!(told["user"]["id"], ANN);
    assert_eq!(told["token"]["tenant"]["id"], "local");
    let metadata = json!({ "is_admin": 0, "roles": [MEMBER] });
    assert_eq!(told["metadata"], metadata);
    s3_of_session(
        &served,
        [&session.id, &session.secret, &token],
        "ann:visitor",
        &["member"],
    )
    .await;
    let answer = ec2(&served, PATHS[1], &sign(&session)).await;
    let made = answer.header("x-subject-token").to_owned();
    assert_eq!(answer.json()["token"]["methods"], json!(["ec2credential"]));
    let about = [
        ("X-Auth-Token", SERVICE),
        ("X-Subject-Token", made.as_str()),
    ];
    let again = served.send("GET", "/v3/auth/tokens", &about, "").await;
    let member = json!([{ "id": MEMBER, "name": "member" }]);
    assert_eq!(again.json()["token"]["roles"], member);
    assert_eq!(served.get(&made, "/v3/users").await.status, 403);
    // An administrator vouches for no administrator.
    let (admins, secret) = served.key("admin", "local").await;
    let admins = vouched(&served, &Keys::new(&admins, &secret)).await;
    let answer = ec2(&served, PATHS[0], &sign(&admins)).await;
    assert_eq!(answer.json()["access"]["metadata"], metadata);
    // Nobody is more than its maker: where that is no member, neither is this.
    let (strict, secret) = served.key("ann", "strict").await;
    let strict = vouched(&served, &Keys::new(&strict, &secret)).await;
    let answer = ec2(&served, PATHS[0], &sign(&strict)).await;
    refused(&answer, 401, "User not valid for tenant.");
    // It ends with its maker's key, and the token with it.
    let ann = served.token("ann", "local").await;
    let path = format!("/v3/users/{ANN}/credentials/OS-EC2/{access}");
    served.delete(&ann, &path).await.assert_is(204, "");
    let answer = ec2(&served, PATHS[0], &sign(&session)).await;
    refused(&answer, 401, "EC2 access key not found.");
    let answer = served.send("GET", "/v3/auth/tokens", &about, "").await;
    refused(&answer, 404, "Could not find token.");
    served.end().await;
}

/// The keys of a session of somebody for whom the holder of these vouches.
async fn vouched(served: &Served, keys: &Keys) -> Keys {
    let asked = [("Action", "GetFederationToken"), ("Name", "visitor")];
    let at = served.daemon.address("api");
    Keys::of(&post(at, keys, &asked).await)
}
