//! Access tokens that only their issuer can read, asked about over HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Introspection;
use crate::secret::SecretString;
use crate::transport::{OwnAddresses, Thread, Transport};

const LONG: Duration = Duration::from_mins(1);
const ISSUER: &str = "https://login.example.org/realm";

/// An endpoint that answers every question with what `said` says, and keeps the questions.
struct Endpoint {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<(u16, String)>>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/introspect", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let said = Arc::<Mutex<(u16, String)>>::default();
        let (keep, say) = (Arc::clone(&asked), Arc::clone(&said));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = Vec::new();
                while !whole(&question) {
                    question.push(stream.read_u8().await.unwrap());
                }
                keep.lock()
                    .unwrap()
                    .push(String::from_utf8(question).unwrap());
                let (status, body) = say.lock().unwrap().clone();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .await
                    .unwrap();
            }
        });
        Self { url, asked, said }
    }

    fn says(&self, status: u16, body: &serde_json::Value) {
        *self.said.lock().unwrap() = (status, body.to_string());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn issuers(&self) -> (Issuers, Clock) {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH + Duration::from_secs(NOON));
        let transport = Transport::new(OwnAddresses::default(), Arc::from("mark"), None);
        let client = Client::new(Thread::default(), transport);
        let issuer = config::Issuer {
            url: Arc::from(ISSUER),
            audiences: vec![Arc::from("us")],
            introspection: Some(Introspection {
                url: self.url.clone(),
                client_id: "roll call".to_owned(),
                client_secret: SecretString::from("p%ss"),
            }),
            ..config()
        };
        (Issuers::new(&[issuer], client, clock.clone()), clock)
    }
}

fn whole(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() == length.parse::<usize>().unwrap())
}

fn active() -> serde_json::Value {
    serde_json::json!({
        "active": true, "sub": "jane", "client_id": "us", "exp": NOON + 600, "scope": "openid",
    })
}

#[tokio::test]
async fn the_issuer_says_whose_token_it_is_once_a_minute() {
    let endpoint = Endpoint::start().await;
    endpoint.says(200, &active());
    let (issuers, clock) = endpoint.issuers();
    for provider in [
        "login.example.org/realm",
        ISSUER,
        "login.example.org/realm/",
    ] {
        let identity = issuers.access_token(provider, "opaque/+=", LONG).await;
        let identity = identity.unwrap();
        assert_eq!((&*identity.subject, &*identity.issuer), ("jane", ISSUER));
        assert_eq!(identity.claims["scope"], [Arc::from("openid")]);
    }
    let [question] = &*endpoint.asked() else {
        panic!("it is asked once: {:?}", endpoint.asked());
    };
    assert!(
        question.starts_with("POST /introspect HTTP/1.1\r\n"),
        "{question}"
    );
    // base64 of `roll%20call:p%25ss`
    assert!(
        question.contains("authorization: Basic cm9sbCUyMGNhbGw6cCUyNXNz\r\n"),
        "{question}"
    );
    let form = "\r\n\r\ntoken=opaque%2F%2B%3D&token_type_hint=access_token";
    assert!(question.ends_with(form), "{question}");
    let Clock::Simulated(simulation) = &clock else {
        panic!("the clock is simulated");
    };
    simulation.suspend(Duration::from_secs(61));
    endpoint.says(200, &serde_json::json!({ "active": false }));
    let refused = issuers.access_token(ISSUER, "opaque/+=", LONG).await;
    assert_eq!(refused.unwrap_err(), Refused::Inactive.into());
}

#[tokio::test]
async fn what_is_not_said_for_us_does_not_count() {
    let endpoint = Endpoint::start().await;
    let (issuers, _) = endpoint.issuers();
    let with = |key: &str, value: serde_json::Value| {
        let mut said = active();
        said[key] = value;
        said
    };
    for (index, (said, why)) in [
        (with("active", "true".into()), Refused::Inactive),
        (with("active", false.into()), Refused::Inactive),
        (with("iss", "https://other".into()), Refused::Issuer),
        (with("aud", "others".into()), Refused::Audience),
        (with("client_id", "others".into()), Refused::Audience),
        (with("sub", "".into()), Refused::Claims),
        (with("exp", serde_json::Value::Null), Refused::Claims),
        (with("exp", (NOON - 61).into()), Refused::Expired),
        (with("nbf", (NOON + 61).into()), Refused::NotYetValid),
    ]
    .into_iter()
    .enumerate()
    {
        endpoint.says(200, &said);
        let told = issuers
            .access_token(ISSUER, &format!("t{index}"), LONG)
            .await;
        assert_eq!(told.unwrap_err(), why.into(), "{said}");
    }
    endpoint.says(200, &with("aud", serde_json::json!(["x", "us"])));
    issuers.access_token(ISSUER, "fit", LONG).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_fails_proves_nothing_and_refuses_nobody() {
    let endpoint = Endpoint::start().await;
    let (issuers, _) = endpoint.issuers();
    for (status, said) in [
        (500, serde_json::json!({})),
        (401, active()),
        (302, active()),
        (200, serde_json::json!([])),
    ] {
        endpoint.says(status, &said);
        let told = issuers
            .access_token(ISSUER, &format!("t{status}"), LONG)
            .await;
        assert_eq!(told.unwrap_err(), NotProven::NotReady, "{status}");
    }
    // An answer is as long as it likes.
    endpoint.says(
        200,
        &serde_json::json!({ "active": true, "sub": "x".repeat(70_000) }),
    );
    let told = issuers.access_token(ISSUER, "long", LONG).await;
    assert_eq!(told.unwrap_err(), NotProven::NotReady);
}

#[tokio::test]
async fn others_than_the_issuer_are_not_asked() {
    let endpoint = Endpoint::start().await;
    endpoint.says(200, &active());
    let (issuers, _) = endpoint.issuers();
    for provider in [
        "login.example.org",
        "graph.facebook.com",
        "",
        "https://login.example.org",
    ] {
        let told = issuers.access_token(provider, "opaque", LONG).await;
        assert_eq!(told.unwrap_err(), Refused::Issuer.into(), "{provider}");
    }
    // A token that says who issued it is read here.
    let stranger = Signer::p256("1").token(&claims());
    let told = issuers.access_token(ISSUER, &stranger, LONG).await;
    assert_eq!(told.unwrap_err(), Refused::Issuer.into());
    assert_eq!(endpoint.asked(), [""; 0]);
}
