//! STS as its callers see it: who they are, and what they are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rolecall::clock::Clock;
use rolecall::store::AccessKeyDraft;
use rolecall::types::{AccessKeyId, AccountAlias};

use crate::support::client::Answer;
use crate::support::daemon::TestDaemon;
use crate::support::signed::{
    Keys, Signing, bytes, element, form, get, post, post_as, post_unsigned, send, signed,
};

/// STS, and accounts of the built-in authority; what the tests need besides is added to it.
pub(crate) const STS: &str = r#"
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["sts", "metrics"]

[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]
[account.local.role.secret]

[[grant]]
role = "local/demo"
when = { principal = "ann" }

[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

/// A daemon with keys.
pub(crate) struct Scene {
    pub(crate) daemon: TestDaemon,
    pub(crate) api: SocketAddr,
}

impl Scene {
    /// This configuration beside [`STS`].
    pub(crate) fn start(besides: &str) -> Self {
        Self::of(TestDaemon::start(&format!("{STS}{besides}")))
    }

    pub(crate) fn of(daemon: TestDaemon) -> Self {
        let api = daemon.address("api");
        Self { daemon, api }
    }

    /// A key of this user's, of the account `local`.
    pub(crate) async fn key(&self, user: &str) -> Keys {
        self.key_of(user, "local").await
    }

    pub(crate) async fn key_of(&self, user: &str, account: &str) -> Keys {
        let id = format!("AK{}0{}", user.to_uppercase(), account.to_uppercase());
        let secret = format!("canary-secret-of-{user}-in-{account}");
        let draft = AccessKeyDraft {
            id: AccessKeyId::new(&id).unwrap(),
            secret: secret.clone().into(),
            user: Arc::from(user),
            account: AccountAlias::new(account).unwrap(),
            label: Arc::from(""),
        };
        self.daemon.daemon.store.create_key(draft).await.unwrap();
        Keys::new(&id, &secret)
    }

    /// What is answered to this operation.
    pub(crate) async fn ask(&self, keys: &Keys, pairs: &[(&str, &str)]) -> Answer {
        post(self.api, keys, pairs).await
    }

    /// A session of this role of the account `local`, or what is told.
    pub(crate) async fn assume(&self, keys: &Keys, role: &str) -> Answer {
        self.assume_with(keys, role, &[]).await
    }

    pub(crate) async fn assume_with(
        &self,
        keys: &Keys,
        role: &str,
        besides: &[(&str, &str)],
    ) -> Answer {
        let arn = format!("arn:aws:iam::000000000000:role/{role}");
        self.assume_arn(keys, &arn, besides).await
    }

    pub(crate) async fn assume_arn(
        &self,
        keys: &Keys,
        arn: &str,
        besides: &[(&str, &str)],
    ) -> Answer {
        let mut pairs = vec![
            ("Action", "AssumeRole"),
            ("RoleArn", arn),
            ("RoleSessionName", "it"),
        ];
        pairs.retain(|(name, _)| !besides.iter().any(|(besides, _)| besides == name));
        pairs.extend(besides);
        self.ask(keys, &pairs).await
    }
}

impl Answer {
    /// Holds it against a whole error.
    #[track_caller]
    pub(crate) fn assert_fault(&self, status: u16, code: &str, message: &str) {
        let body = &self.body;
        let told = (
            self.status,
            element(body, "Code"),
            unescaped(element(body, "Message")),
        );
        assert_eq!(told, (status, code, message.to_owned()), "{body}");
        let whose = if status >= 500 { "Receiver" } else { "Sender" };
        let id = self.header("x-amzn-requestid");
        assert!(id.len() == 36, "{id}");
        assert_eq!(self.header("content-type"), "text/xml");
        let message = element(body, "Message");
        assert_eq!(
            *body,
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>{whose}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>{id}</RequestId></ErrorResponse>"
            )
        );
    }

    #[track_caller]
    pub(crate) fn assert_element(&self, name: &str, text: &str) {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(element(&self.body, name), text, "{name} in {}", self.body);
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&apos;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What is told of a role that is not the caller's.
pub(crate) fn not_authorized(caller: &str, what: &str, arn: &str) -> String {
    format!("User: {caller} is not authorized to perform: {what} on resource: {arn}")
}

const WHO: &[(&str, &str)] = &[("Action", "GetCallerIdentity")];
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const MISMATCH: &str = "The request signature we calculated does not match the signature you \
                        provided. Check your AWS Secret Access Key and signing method. Consult \
                        the service documentation for details.";

#[tokio::test]
async fn a_session_is_answered_as_aws_does() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let before = Clock::System.now();
    let answer = scene.assume(&ann, "demo").await;
    let body = &answer.body;
    let text = |name| element(body, name);
    assert_eq!(answer.status, 200, "{body}");
    assert_eq!(answer.header("content-type"), "text/xml");
    assert_eq!(answer.header("cache-control"), "no-store");
    let id = answer.header("x-amzn-requestid");
    assert_eq!(
        *body,
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleResult><Credentials><AccessKeyId>{}</AccessKeyId>\
             <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>{}\
             </AssumedRoleId><Arn>arn:aws:sts::000000000000:assumed-role/demo/it</Arn>\
             </AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>{id}</RequestId>\
             </ResponseMetadata></AssumeRoleResponse>",
            text("AccessKeyId"),
            text("SecretAccessKey"),
            text("SessionToken"),
            text("Expiration"),
            text("AssumedRoleId"),
        )
    );
    let role_id = text("AssumedRoleId");
    assert!(
        role_id.starts_with("AROA") && role_id.ends_with(":it") && role_id.len() == 24,
        "{role_id}"
    );
    let expires = text("Expiration");
    let expires: chrono::DateTime<chrono::Utc> = expires.parse().unwrap();
    let life = SystemTime::from(expires).duration_since(before).unwrap();
    assert!(
        life <= Duration::from_hours(1) && life > Duration::from_secs(3500),
        "{life:?}"
    );
    assert!(text("Expiration").len() == 20, "whole seconds");
    let claims = scene.daemon.daemon.vending.sessions().report();
    assert_eq!(claims.len(), 1);
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let scene = Scene::start("");
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    let answer = scene.ask(&eve, WHO).await;
    answer.assert_element("Account", "000000000000");
    answer.assert_element("Arn", "arn:aws:iam::000000000000:user/eve");
    let id = element(&answer.body, "UserId");
    assert!(id.starts_with("AIDA") && id.len() == 21, "{id}");
    let again = scene.ask(&eve, WHO).await;
    again.assert_element("UserId", id);
    let others = scene.ask(&ann, WHO).await;
    assert_ne!(element(&others.body, "UserId"), id);
    let assumed = scene.assume(&ann, "demo").await;
    let session = Keys::of(&assumed);
    let answer = scene.ask(&session, WHO).await;
    answer.assert_element("Account", "000000000000");
    answer.assert_element("Arn", "arn:aws:sts::000000000000:assumed-role/demo/it");
    answer.assert_element("UserId", element(&assumed.body, "AssumedRoleId"));
}

#[tokio::test]
async fn a_key_that_is_gone_or_has_another_secret_signs_nothing_any_more() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    for _ in 0..2 {
        assert_eq!(scene.ask(&ann, WHO).await.status, 200);
    }
    let store = &scene.daemon.daemon.store;
    let id = AccessKeyId::new(&ann.id).unwrap();
    let old = store.objects().unwrap().keys[&id].draft.clone();
    store.delete_key(id).await.unwrap();
    let gone = scene.ask(&ann, WHO).await;
    gone.assert_fault(403, "InvalidClientTokenId", INVALID_TOKEN);
    let secret = "canary-of-another-time";
    let again = AccessKeyDraft {
        secret: secret.into(),
        ..old
    };
    store.create_key(again).await.unwrap();
    let answer = scene.ask(&ann, WHO).await;
    answer.assert_fault(403, "SignatureDoesNotMatch", MISMATCH);
    let new = Keys::new(&ann.id, secret);
    for region in ["eu-central-1", "us-east-1", "eu-central-1"] {
        let signing = Signing {
            region,
            ..Signing::default()
        };
        let answer = post_as(scene.api, &new, WHO, signing).await;
        answer.assert_element("Arn", "arn:aws:iam::000000000000:user/ann");
        let answer = post_as(scene.api, &ann, WHO, signing).await;
        answer.assert_fault(403, "SignatureDoesNotMatch", MISMATCH);
    }
}

#[tokio::test]
async fn a_presigned_query_counts_as_long_as_it_says() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let minute = Duration::from_mins(1);
    let presigned = Signing {
        in_query: Some(minute),
        ..Signing::default()
    };
    let answer = get(scene.api, &ann, WHO, presigned).await;
    answer.assert_element("Arn", "arn:aws:iam::000000000000:user/ann");
    // Without a version, as many presign it by hand.
    let request = signed(
        scene.api,
        &ann,
        "GET",
        "Action=GetCallerIdentity",
        "",
        presigned,
    );
    assert_eq!(send(scene.api, &request).await.status, 200);
    let ended = Signing {
        at: Clock::System.now() - minute * 2,
        ..presigned
    };
    let answer = get(scene.api, &ann, WHO, ended).await;
    assert_eq!(answer.status, 400);
    assert_eq!(element(&answer.body, "Code"), "RequestExpired");
    let headers = Signing::default();
    assert_eq!(get(scene.api, &ann, WHO, headers).await.status, 200);
}

#[tokio::test]
async fn version_two_signs_queries_and_forms() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let now = chrono::DateTime::<chrono::Utc>::from(Clock::System.now())
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let mut pairs = vec![
        ("AWSAccessKeyId", ann.id.as_str()),
        ("Action", "GetCallerIdentity"),
        ("SignatureMethod", "HmacSHA256"),
        ("SignatureVersion", "2"),
        ("Timestamp", &now),
        ("Version", "2011-06-15"),
    ];
    let api = scene.api;
    let ask = async |method: &str, pairs: &[(&str, &str)]| {
        let query = form(pairs);
        let text = format!("{method}\n{api}\n/\n{query}");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, ann.secret.as_bytes());
        let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        let signature = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            signature.as_ref(),
        );
        let query = format!("{query}&{}", form(&[("Signature", &signature)]));
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let request = match method {
            "GET" => bytes("GET", &format!("/?{query}"), &[], api, ""),
            _ => bytes("POST", "/", &[kind], api, &query),
        };
        send(api, &request).await
    };
    for method in ["GET", "POST"] {
        let answer = ask(method, &pairs).await;
        answer.assert_element("Arn", "arn:aws:iam::000000000000:user/ann");
    }
    pairs.retain(|(name, _)| *name != "Timestamp");
    ask("GET", &pairs).await.assert_fault(
        400,
        "MissingParameter",
        "The request must contain the parameter Timestamp.",
    );
    pairs.retain(|(name, _)| *name != "SignatureMethod");
    ask("GET", &pairs).await.assert_fault(
        400,
        "MissingParameter",
        "The request must contain the parameter SignatureMethod.",
    );
}

#[tokio::test]
async fn operations_are_named_with_their_version() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let missing = "The request is missing an Action or operation parameter.";
    for body in ["", "Version=2011-06-15", "Action=", "Action"] {
        post_unsigned(scene.api, body)
            .await
            .assert_fault(400, "MissingAction", missing);
    }
    for (body, told) in [
        (
            "Action=Nothing",
            "operation Nothing for version NO_VERSION_SPECIFIED",
        ),
        (
            "Action=Nothing&Version=2011-06-15",
            "operation Nothing for version 2011-06-15",
        ),
        (
            "Action=getCallerIdentity",
            "operation getCallerIdentity for version NO_VERSION_SPECIFIED",
        ),
        (
            "Action=GetCallerIdentity&Version=2010-05-08",
            "operation GetCallerIdentity for version 2010-05-08",
        ),
        (
            "Action=GetCallerIdentity&Version=",
            "operation GetCallerIdentity for version ",
        ),
        (
            "Action=%3Cb%3E&Version=2011-06-15",
            "operation <b> for version 2011-06-15",
        ),
        (
            "Action=%00&Version=2011-06-15",
            "operation \u{fffd} for version 2011-06-15",
        ),
    ] {
        post_unsigned(scene.api, body).await.assert_fault(
            400,
            "InvalidAction",
            &format!("Could not find {told}"),
        );
    }
    let other = scene.ask(&ann, &[("Action", "AssumeRoot")]).await;
    assert_eq!(element(&other.body, "Code"), "InvalidAction");
    post_unsigned(scene.api, "Action=A&Action=A")
        .await
        .assert_fault(
            400,
            "MalformedInput",
            "The request has the parameter Action twice.",
        );
    post_unsigned(scene.api, &"a=&".repeat(400))
        .await
        .assert_fault(
            400,
            "MalformedInput",
            "The request has more than 300 parameters.",
        );
    let put = bytes("PUT", "/?Action=GetCallerIdentity", &[], scene.api, "");
    let put = send(scene.api, &put).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD, POST"));
}

#[tokio::test]
async fn what_is_not_signed_by_a_key_is_nobodys() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let api = scene.api;
    let unsigned = post_unsigned(api, "Action=GetCallerIdentity").await;
    unsigned.assert_fault(
        403,
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
    );
    let invalid = |answer: &Answer| answer.assert_fault(403, "InvalidClientTokenId", INVALID_TOKEN);
    let session = Keys::of(&scene.assume(&ann, "demo").await);
    let other = Keys::of(
        &scene
            .assume_with(&ann, "demo", &[("RoleSessionName", "other")])
            .await,
    );
    let (token, others) = (session.token.clone(), other.token.clone());
    for nobody in [
        Keys::new("AKNOBODY", "secret"),
        Keys::new("x", "secret"),
        Keys {
            token: None,
            ..session.clone()
        },
        Keys {
            token: others,
            ..session.clone()
        },
        Keys {
            token: token.map(|token| format!("{token}A")),
            ..session.clone()
        },
        Keys {
            token: Some("foreign".to_owned()),
            ..session.clone()
        },
        Keys {
            token: session.token.clone(),
            ..ann.clone()
        },
    ] {
        invalid(&scene.ask(&nobody, WHO).await);
    }
    let mismatch = |answer: &Answer| answer.assert_fault(403, "SignatureDoesNotMatch", MISMATCH);
    let wrong = |keys: &Keys| Keys {
        secret: format!("{}x", keys.secret),
        ..keys.clone()
    };
    mismatch(&scene.ask(&wrong(&ann), WHO).await);
    mismatch(&scene.ask(&wrong(&session), WHO).await);
    let request = signed(api, &ann, "POST", "", &form(WHO), Signing::default());
    mismatch(
        &send(
            api,
            &request.replace("GetCallerIdentity", "GetSessionToken&a"),
        )
        .await,
    );
    let other_service = Signing {
        service: "iam",
        ..Signing::default()
    };
    post_as(api, &ann, WHO, other_service).await.assert_fault(
        403,
        "SignatureDoesNotMatch",
        "Credential should be scoped to correct service: 'sts'. ",
    );
    let anywhere = Signing {
        region: "nowhere-1",
        ..Signing::default()
    };
    assert_eq!(post_as(api, &ann, WHO, anywhere).await.status, 200);
    for (what, instead, told) in [
        (
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA512",
            "\"AWS4-HMAC-SHA512\" is no signature version or algorithm that is accepted here",
        ),
        (
            "SignedHeaders=",
            "Signed=",
            "the Authorization header is none of AWS4-HMAC-SHA256",
        ),
        ("host;", "hosts;", "the signed header hosts is not there"),
        (
            "/aws4_request",
            "/aws5_request",
            "the credential must be KEY/DATE/REGION/SERVICE/aws4_request",
        ),
    ] {
        let broken = request.replace(what, instead);
        assert_ne!(broken, request);
        send(api, &broken).await.assert_fault(
            400,
            "IncompleteSignature",
            &format!("The request signature does not conform to AWS standards: {told}"),
        );
    }
}

#[tokio::test]
async fn signatures_count_for_a_quarter_of_an_hour() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let now = Clock::System.now();
    let at = |at| Signing {
        at,
        ..Signing::default()
    };
    let minute = Duration::from_mins(1);
    for right in [now - minute * 14, now + minute * 14] {
        let answer = post_as(scene.api, &ann, WHO, at(right)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    for (wrong, told) in [
        (now - minute * 16, "Signature expired: it was signed at 2"),
        (
            now + minute * 16,
            "Signature not yet current: it was signed at 2",
        ),
    ] {
        let answer = post_as(scene.api, &ann, WHO, at(wrong)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(element(&answer.body, "Code"), "RequestExpired");
        let message = element(&answer.body, "Message");
        assert!(message.starts_with(told), "{message}");
    }
}

#[tokio::test]
async fn guesses_of_a_key_are_slowed_and_hold_nobody_else_up() {
    let scene = Scene::start("");
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    let guess = Keys {
        secret: "guess".to_owned(),
        ..eve.clone()
    };
    let mut codes = Vec::new();
    for _ in 0..12 {
        let answer = scene.ask(&guess, WHO).await;
        codes.push(element(&answer.body, "Code").to_owned());
    }
    assert!(
        codes[..10]
            .iter()
            .all(|code| code == "SignatureDoesNotMatch"),
        "{codes:?}"
    );
    assert_eq!(codes[10..], ["Throttling", "Throttling"]);
    let answer = scene.ask(&eve, WHO).await;
    answer.assert_fault(400, "Throttling", "Rate exceeded");
    assert_eq!(scene.ask(&ann, WHO).await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_by_operation() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    scene.ask(&ann, WHO).await;
    scene.assume(&ann, "demo").await;
    scene.assume(&ann, "secret").await;
    post_unsigned(scene.api, "").await;
    let page = scene.daemon.daemon.metrics.encode().unwrap();
    for line in [
        r#"{api="sts",route="GetCallerIdentity",code="200"} 1"#,
        r#"{api="sts",route="AssumeRole",code="200"} 1"#,
        r#"{api="sts",route="AssumeRole",code="403"} 1"#,
        r#"{api="sts",route="other",code="400"} 1"#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[tokio::test]
async fn a_page_of_the_web_is_refused() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let request = signed(scene.api, &ann, "POST", "", &form(WHO), Signing::default());
    let from_a_page = request.replacen(
        "Content-Length",
        "Origin: https://evil.example\r\nContent-Length",
        1,
    );
    let answer = send(scene.api, &from_a_page).await;
    answer.assert_fault(403, "AccessDenied", "Access denied");
}
