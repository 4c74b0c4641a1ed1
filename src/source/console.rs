//! Signing a browser in to an account's console: a session is exchanged for a sign-in token, and
//! that stands in a URL.
//!
//! Both the URL that asks and the URL that comes of it let whoever sees them in: neither is logged,
//! and of a failure only the status is told.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::config::{Account, Dialect, WebOrigin};
use crate::secret::ExposeSecret;
use crate::sessions::{
    Callback, FailureKind, FetchError, SessionCredentials, SigninAsk, SigninUrl,
};
use crate::transport::{Answer, Ask, AskError};
use crate::types::Region;

/// How long a sign-in may take: keys are asked for together with the URL, and must not wait long.
const BOUND: Duration = Duration::from_secs(2);

/// The largest answer that is read. A sign-in token has some two thousand characters.
const LARGEST: usize = 64 << 10;

/// How long a console session lasts where it may outlast its credentials: AWS's maximum.
const CONSOLE_LIFE: Duration = Duration::from_hours(12);

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where an account's sessions are exchanged for a console sign-in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signin {
    /// The URL that both steps begin with.
    federation: String,
    /// Where in the console people begin.
    destination: String,
    /// Whither they may be sent when the session ends; anywhere if there is none.
    callbacks: Vec<WebOrigin>,
}

/// How long a console session may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConsoleLife {
    /// As long as its credentials: AWS refuses more where these are a federated user's or those of
    /// a chained role.
    OfCredentials,
    /// Longer than its credentials: those of a role that was assumed with long-term keys.
    Own,
}

impl Signin {
    /// The account's sign-in: what it names, else its partition's.
    pub(super) fn of(account: &Account) -> Option<Self> {
        let is_aws = account.dialect == Dialect::Aws;
        let public = |host: Option<&'static str>| {
            let host = host.filter(|_| is_aws)?;
            Some(format!("https://{host}"))
        };
        let named = &account.console;
        let endpoint = named.signin_endpoint.clone();
        let endpoint = endpoint.or_else(|| public(account.partition.signin_host()))?;
        Some(Self {
            federation: federation(&endpoint),
            destination: destination(account, public(account.partition.console_host()))?,
            callbacks: named.callback_origins.clone(),
        })
    }

    /// The callback, where people may be sent there when their session ends.
    pub(super) fn callback(&self, url: &str) -> Option<Callback> {
        let origin = WebOrigin::of(url)?;
        let allowed = self.callbacks.is_empty() || self.callbacks.contains(&origin);
        allowed.then(|| Callback::allowed(url))
    }

    /// Where the answers come from.
    pub(super) fn endpoint(&self) -> &str {
        &self.federation
    }

    /// Exchanges a session. Must be called on the engine's thread.
    pub(super) async fn exchange(
        &self,
        engine: &Engine,
        credentials: &Exchanged,
        life: impl Future<Output = ConsoleLife>,
        ask: &SigninAsk,
    ) -> Result<SigninUrl, FetchError> {
        let bound = ask.patience.map_or(BOUND, |patience| patience.min(BOUND));
        let exchanged = tokio::time::timeout(bound, async {
            let life = life.await;
            let mut answer = self.ask(engine, credentials, life).await?;
            // What signed the call may have looked like a long-term key and been none.
            if answer.status == 400 && life == ConsoleLife::Own {
                let shorter = ConsoleLife::OfCredentials;
                answer = self.ask(engine, credentials, shorter).await?;
            }
            token(&answer)
        });
        let token = exchanged.await.unwrap_or_else(|_elapsed| {
            let within = format!("no answer within {} ms", bound.as_millis());
            Err(failed(FailureKind::Unavailable, &within).late())
        })?;
        Ok(self.login(&token, ask.callback.as_ref()))
    }

    async fn ask(
        &self,
        engine: &Engine,
        credentials: &Exchanged,
        life: ConsoleLife,
    ) -> Result<Answer, FetchError> {
        let get = Ask::new(self.token_url(credentials, life), BOUND, LARGEST);
        let answer = engine.transport().ask(&get).await;
        answer.map_err(|error| match error {
            // The words of others may repeat the URL.
            AskError::Scheme | AskError::Unsendable(_) => {
                failed(FailureKind::Misconfigured, "it cannot be asked")
            }
            AskError::Failed(why) if credentials.stands_in(&why) => {
                failed(FailureKind::Unavailable, "the connection failed")
            }
            AskError::Failed(why) => failed(FailureKind::Unavailable, &why),
            late @ AskError::Late(_) => failed(FailureKind::Unavailable, &late.to_string()).late(),
            long @ AskError::Long(_) => failed(FailureKind::Unavailable, &long.to_string()),
        })
    }

    /// The URL that asks for a token. A secret: the session stands in it.
    fn token_url(&self, credentials: &Exchanged, life: ConsoleLife) -> String {
        let federation = &self.federation;
        let duration = match life {
            ConsoleLife::Own => format!("&SessionDuration={}", CONSOLE_LIFE.as_secs()),
            ConsoleLife::OfCredentials => String::new(),
        };
        let session = form(credentials.json().expose_secret());
        format!("{federation}?Action=getSigninToken{duration}&Session={session}")
    }

    /// The URL that signs in.
    fn login(&self, token: &SecretString, callback: Option<&Callback>) -> SigninUrl {
        SigninUrl(SecretString::from(format!(
            "{}?Action=login&Issuer={}&Destination={}&SigninToken={}",
            self.federation,
            form(callback.map_or("", Callback::as_str)),
            form(&self.destination),
            form(token.expose_secret()),
        )))
    }
}

/// The credentials that are exchanged.
#[derive(Debug)]
pub(super) struct Exchanged {
    id: String,
    secret: SecretString,
    token: SecretString,
}

impl From<&SessionCredentials> for Exchanged {
    fn from(credentials: &SessionCredentials) -> Self {
        let copy = |secret: &SecretString| SecretString::from(secret.expose_secret());
        Self {
            id: credentials.access_key_id.to_string(),
            secret: copy(&credentials.secret_access_key),
            token: copy(&credentials.session_token),
        }
    }
}

#[derive(Serialize)]
struct SessionJson<'a> {
    #[serde(rename = "sessionId")]
    id: &'a str,
    #[serde(rename = "sessionKey")]
    secret: &'a str,
    #[serde(rename = "sessionToken")]
    token: &'a str,
}

impl Exchanged {
    fn json(&self) -> SecretString {
        let json = SessionJson {
            id: &self.id,
            secret: self.secret.expose_secret(),
            token: self.token.expose_secret(),
        };
        // Three strings always serialise.
        SecretString::from(serde_json::to_string(&json).unwrap_or_default())
    }

    fn stands_in(&self, text: &str) -> bool {
        [&self.secret, &self.token].iter().any(|secret| {
            let secret = secret.expose_secret();
            text.contains(secret) || text.contains(&form(secret))
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SigninToken {
    signin_token: String,
}

fn token(answer: &Answer) -> Result<SecretString, FetchError> {
    let kind = match answer.status {
        200 => {
            let parsed: Option<SigninToken> = serde_json::from_slice(&answer.body).ok();
            let token = parsed.map(|parsed| parsed.signin_token);
            let token = token
                .filter(|token| !token.is_empty())
                .map(SecretString::from);
            return token.ok_or_else(|| {
                failed(
                    FailureKind::Unavailable,
                    "there is no sign-in token in its answer",
                )
            });
        }
        403 => FailureKind::Denied,
        429 => FailureKind::Throttled,
        _ => FailureKind::Unavailable,
    };
    let status = format!("it answered with status {}", answer.status);
    Err(failed(kind, &status))
}

fn failed(kind: FailureKind, why: &str) -> FetchError {
    let message = format!("the console's sign-in failed: {why}; see `signin-endpoint`");
    FetchError::new(kind, message)
}

/// The sign-in's one path, unless the endpoint names it.
fn federation(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with("/federation") {
        endpoint.to_owned()
    } else {
        format!("{endpoint}/federation")
    }
}

/// Where in the console people begin. Regions have hosts of their own below the public console's.
fn destination(account: &Account, public: Option<String>) -> Option<String> {
    let named = &account.console;
    let region = named.region.as_ref();
    let said = named.destination.as_deref();
    if let Some(url) = said.filter(|said| !said.starts_with('/')) {
        return Some(in_region(url, region.map(Region::as_str)));
    }
    let Some(region) = region else {
        let base = named.endpoint.clone().or(public)?;
        let base = base.trim_end_matches('/');
        return Some(format!("{base}{}", said.unwrap_or("/")));
    };
    let base = match (&named.endpoint, public) {
        (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
        (None, Some(public)) => public.replacen("https://", &format!("https://{region}."), 1),
        (None, None) => return None,
    };
    let path = said.unwrap_or("/console/home");
    Some(in_region(&format!("{base}{path}"), Some(region.as_str())))
}

/// The URL with `region` in its query.
fn in_region(url: &str, region: Option<&str>) -> String {
    let Some(region) = region else {
        return url.to_owned();
    };
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let and = if before.contains('?') { '&' } else { '?' };
    let hash = if fragment.is_empty() { "" } else { "#" };
    format!("{before}{and}region={region}{hash}{fragment}")
}

fn form(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{BaseCredentials, embedded};
    use crate::types::{AccessKeyId, Partition};

    fn account_in(partition: &str) -> Account {
        let config = embedded(1000, PathBuf::from("/run/rolecall/admin.sock")).unwrap();
        let mut account = config.accounts.into_values().next().unwrap();
        account.base = BaseCredentials::Environment;
        account.partition = Partition::new(partition).unwrap();
        account
    }

    fn login(account: &Account) -> String {
        let signin = Signin::of(account).unwrap();
        let url = signin.login(&SecretString::from("token"), None);
        url.0.expose_secret().to_owned()
    }

    #[test]
    fn each_partition_signs_in_at_home() {
        for (partition, signin, console) in [
            ("aws", "signin.aws.amazon.com", "console.aws.amazon.com"),
            ("aws-cn", "signin.amazonaws.cn", "console.amazonaws.cn"),
            (
                "aws-us-gov",
                "signin.amazonaws-us-gov.com",
                "console.amazonaws-us-gov.com",
            ),
        ] {
            let expected = format!(
                "https://{signin}/federation?Action=login&Issuer=&Destination=https%3A%2F%2F\
                 {console}%2F&SigninToken=token"
            );
            assert_eq!(login(&account_in(partition)), expected);
        }
        for partition in ["aws-iso", "aws-eusc", "elsewhere"] {
            assert_eq!(Signin::of(&account_in(partition)), None);
        }
    }

    #[test]
    fn a_region_has_a_host_of_its_own_below_the_public_console() {
        let mut account = account_in("aws");
        account.console.region = Some(Region::new("eu-west-1").unwrap());
        let at = |of: &Account| Signin::of(of).unwrap().destination;
        let home = "https://eu-west-1.console.aws.amazon.com/console/home?region=eu-west-1";
        assert_eq!(at(&account), home);
        account.console.destination = Some("/s3/home?a=b".to_owned());
        let s3 = "https://eu-west-1.console.aws.amazon.com/s3/home?a=b&region=eu-west-1";
        assert_eq!(at(&account), s3);
        account.console.destination = Some("https://console.aws.amazon.com/x".to_owned());
        assert_eq!(
            at(&account),
            "https://console.aws.amazon.com/x?region=eu-west-1"
        );
        account.console.region = None;
        assert_eq!(at(&account), "https://console.aws.amazon.com/x");
        account.console.destination = Some("/x".to_owned());
        assert_eq!(at(&account), "https://console.aws.amazon.com/x");
    }

    #[test]
    fn a_named_endpoint_may_say_the_path() {
        for endpoint in [
            "https://sso.example",
            "https://sso.example/",
            "https://sso.example/federation",
        ] {
            assert_eq!(federation(endpoint), "https://sso.example/federation");
        }
    }

    #[test]
    fn what_repeats_a_secret_is_known() {
        let exchanged = Exchanged::from(&SessionCredentials {
            access_key_id: AccessKeyId::new("ASIAEXAMPLE").unwrap(),
            secret_access_key: SecretString::from("canary/secret"),
            session_token: SecretString::from("canary-token"),
        });
        for text in ["a canary/secret", "canary%2Fsecret", "canary-token"] {
            assert!(exchanged.stands_in(text), "{text}");
        }
        assert!(!exchanged.stands_in("ASIAEXAMPLE"));
        assert!(!format!("{exchanged:?}").contains("canary"));
    }
}
