//! What a connector gives: credentials, who they are of, and what they are exchanged for.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION, REFERRER_POLICY};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::problem::Problem;
use super::reply::Reply;
use super::shown::{Shown, find};
use super::{Call, SIGNIN};
use crate::config::RoleKind;
use crate::grants::Wanted;
use crate::http::Query;
use crate::sessions::{RegistryAsk, RegistryLogin, SigninAsk};
use crate::types::{AccountId, Region};
use crate::vending::{Handout, Unexchanged};

/// How many registries ECR takes in one request.
const MOST_REGISTRIES: usize = 10;

#[derive(Serialize)]
struct Credentials<'a> {
    expiration: u64,
    #[serde(rename = "sessionToken")]
    session_token: &'a str,
    #[serde(rename = "accessKeyId")]
    access_key_id: &'a str,
    #[serde(rename = "secretAccessKey")]
    secret_access_key: &'a str,
}

#[derive(Serialize)]
struct Identity<'a> {
    account: &'a str,
    arn: &'a str,
    #[serde(rename = "userId")]
    user_id: &'a str,
}

#[derive(Serialize)]
struct Registry<'a> {
    #[serde(rename = "authorizationToken")]
    token: &'a str,
    #[serde(rename = "expirationDate")]
    expires: String,
    #[serde(rename = "proxyEndpoint")]
    endpoint: &'a str,
    #[serde(rename = "proxyEndpointDomain")]
    domain: &'a str,
    username: &'a str,
    password: &'a str,
}

/// A session of the connector that a path names, with most of its life before it.
async fn session(call: &Call<'_>, shown: &Shown) -> Result<Handout, Problem> {
    let wanted = Wanted::Chosen(shown.role().clone());
    let want = call.want(wanted.clone());
    let asked = call.deps.vending.ask_fresh(call.visit(), &want).await;
    asked.map_err(|refusal| call.refused(refusal, wanted))
}

pub(super) async fn credentials(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    let handout = session(call, &shown).await?;
    let session = &handout.session;
    let keys = &session.credentials;
    Ok(Reply::json(&Credentials {
        expiration: milliseconds(session.expires_at),
        session_token: keys.session_token.expose_secret(),
        access_key_id: keys.access_key_id.as_str(),
        secret_access_key: keys.secret_access_key.expose_secret(),
    }))
}

pub(super) async fn identity(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    let handout = session(call, &shown).await?;
    let identity = handout.identity().await;
    let identity = identity.map_err(unexchanged)?;
    Ok(Reply::json(&Identity {
        account: &identity.account,
        arn: &identity.arn,
        user_id: &identity.user_id,
    }))
}

/// Where a browser is signed in: nothing is asked upstream yet.
pub(super) async fn console_url(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    has_console(call, &shown).await?;
    let url = format!("{}{SIGNIN}{}", call.base_url(), shown.id());
    Ok(Reply::json(&serde_json::json!({ "url": url })))
}

/// Signs a browser in: the URL is as good as credentials, and goes nowhere but into the redirect.
pub(super) async fn signin(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    has_console(call, &shown).await?;
    let handout = session(call, &shown).await?;
    let url = handout.signin(&SigninAsk::default()).await;
    let url = url.map_err(unexchanged)?;
    let location = HeaderValue::from_str(url.0.expose_secret());
    let mut location = location.map_err(|_no_url| unexchanged(Unexchanged::UNREADABLE))?;
    location.set_sensitive(true);
    Ok(Reply::empty(StatusCode::FOUND)
        .with(LOCATION, location)
        .with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

async fn has_console(call: &Call<'_>, shown: &Shown) -> Result<(), Problem> {
    if !call.mount.rules.console {
        return Err(Problem::conflict("no console URLs are made here"));
    }
    if shown.kind() == RoleKind::SessionToken {
        return Err(Problem::conflict(
            "the console takes no credentials of GetSessionToken: use a connector of another type",
        ));
    }
    let wanted = Wanted::Chosen(shown.role().clone());
    let offers = call
        .deps
        .vending
        .offers(call.visit(), &call.want(wanted.clone()))
        .await;
    let offers = offers.map_err(|refusal| call.refused(refusal, wanted))?;
    if offers.signin {
        Ok(())
    } else {
        Err(Problem::conflict("this connector's account has no console"))
    }
}

pub(super) async fn registry(call: &Call<'_>) -> Result<Reply, Problem> {
    let ask = registry_ask(&call.query())?;
    let shown = find(call).await?;
    let handout = session(call, &shown).await?;
    if !handout.offers().registry {
        return Err(Problem::conflict(
            "this connector's account has no container registry",
        ));
    }
    let logins = handout.registry(&ask).await;
    let logins = logins.map_err(unexchanged)?;
    let decoded: Option<Vec<(String, &RegistryLogin)>> = logins
        .iter()
        .map(|login| Some((decoded(login)?, login)))
        .collect();
    // Upstream's answer is none.
    let decoded = decoded.ok_or_else(|| unexchanged(Unexchanged::UNREADABLE))?;
    let values: Vec<Registry<'_>> = decoded
        .iter()
        .map(|(pair, login)| rendered(pair, login))
        .collect();
    let size = values.len();
    Ok(Reply::json(&Values { values, size }))
}

#[derive(Serialize)]
struct Values<T> {
    values: Vec<T>,
    size: usize,
}

fn registry_ask(query: &Query<'_>) -> Result<RegistryAsk, Problem> {
    let wrong =
        |field: &str, why: &str| Problem::fields([(field.to_owned(), why.to_owned())].into());
    let region = query.first("region").filter(|text| !text.is_empty());
    let region = region
        .map(Region::new)
        .transpose()
        .map_err(|_invalid| wrong("region", "is no region"))?;
    let ids = query.all("registryIds").flat_map(|ids| ids.split(','));
    let ids = ids.map(str::trim).filter(|id| !id.is_empty());
    let registries: Vec<String> = ids.map(str::to_owned).collect();
    if registries.len() > MOST_REGISTRIES {
        return Err(wrong("registryIds", "are more than ten"));
    }
    if registries.iter().any(|id| AccountId::new(id).is_err()) {
        return Err(wrong("registryIds", "are account ids of twelve digits"));
    }
    Ok(RegistryAsk { region, registries })
}

/// `user:password` of a login.
fn decoded(login: &RegistryLogin) -> Option<String> {
    let pair = STANDARD.decode(login.token.expose_secret()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.contains(':').then_some(pair)
}

fn rendered<'a>(pair: &'a str, login: &'a RegistryLogin) -> Registry<'a> {
    let (username, password) = pair.split_once(':').unwrap_or_default();
    let endpoint = login.endpoint.as_str();
    let domain = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    let domain = domain.split('/').next().unwrap_or(domain);
    Registry {
        token: login.token.expose_secret(),
        expires: DateTime::<Utc>::from(login.expires_at)
            .format("%Y%m%dT%H%M%SZ")
            .to_string(),
        endpoint,
        domain,
        username,
        password,
    }
}

/// A session could not be exchanged.
fn unexchanged(unexchanged: Unexchanged) -> Problem {
    Problem::of(unexchanged.refusal, || unexchanged.delay)
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn connectors_expirations_are_milliseconds() {
        let time = UNIX_EPOCH + Duration::from_secs(1_370_423_461);
        assert_eq!(milliseconds(time), 1_370_423_461_000);
        assert_eq!(
            milliseconds(time + Duration::from_millis(999)),
            1_370_423_461_000
        );
    }

    #[test]
    fn connectors_logins_are_split_at_the_first_colon() {
        let login = RegistryLogin {
            token: STANDARD.encode("AWS:pass:word").into(),
            expires_at: UNIX_EPOCH + Duration::from_secs(1_455_684_942),
            endpoint: "https://124816326400.dkr.ecr.us-east-1.amazonaws.com".to_owned(),
        };
        let pair = decoded(&login).unwrap();
        let text = serde_json::to_string(&rendered(&pair, &login)).unwrap();
        assert_eq!(
            text,
            r#"{"authorizationToken":"QVdTOnBhc3M6d29yZA==","expirationDate":"20160217T045542Z","proxyEndpoint":"https://124816326400.dkr.ecr.us-east-1.amazonaws.com","proxyEndpointDomain":"124816326400.dkr.ecr.us-east-1.amazonaws.com","username":"AWS","password":"pass:word"}"#
        );
        for token in ["", "?", "QVdT"] {
            let token = token.to_owned().into();
            assert_eq!(
                decoded(&RegistryLogin {
                    token,
                    ..login_at("x")
                }),
                None
            );
        }
        assert_eq!(
            rendered("a:b", &login_at("127.0.0.1:5000/v2")).domain,
            "127.0.0.1:5000"
        );
    }

    fn login_at(endpoint: &str) -> RegistryLogin {
        RegistryLogin {
            token: String::new().into(),
            expires_at: UNIX_EPOCH,
            endpoint: endpoint.to_owned(),
        }
    }

    #[test]
    fn connectors_registries_are_asked_for_by_account_ids() {
        let ask = |query| registry_ask(&Query::parse(Some(query)));
        let asked =
            ask("region=us-east-1&registryIds=123456789012,210987654321&registryIds=000000000000");
        let asked = asked.unwrap();
        assert_eq!(asked.region, Region::new("us-east-1").ok());
        assert_eq!(
            asked.registries,
            ["123456789012", "210987654321", "000000000000"]
        );
        assert_eq!(ask("").unwrap(), RegistryAsk::default());
        assert_eq!(ask("region=&registryIds=").unwrap(), RegistryAsk::default());
        for query in [
            "region=US%20East",
            "registryIds=1",
            "registryIds=1,2,3,4,5,6,7,8,9,10,11",
        ] {
            assert_eq!(ask(query).unwrap_err().into_reply().status, 400, "{query}");
        }
    }
}
