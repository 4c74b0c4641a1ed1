//! Where an issuer's keys come from: a file, or the place that its discovery document names
//! (OpenID Connect Discovery 1.0).

use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use serde::Deserialize;

use super::key_set::{KeySet, NoKeySet};
use crate::config::{Issuer, IssuerKeys};
use crate::transport::{Ask, AskError, Client};

/// What is fetched of an issuer may take this long each.
const DEADLINE: Duration = Duration::from_secs(4);

/// The largest document that is read: the largest issuers' keys have some ten thousand bytes.
const LIMIT: usize = 128 * 1024;

/// How long keys of a file are believed before the file is looked at again.
const FILE_LOOK: Duration = Duration::from_secs(5);
const FILE_PACE: Duration = Duration::from_secs(1);

/// How long published keys are believed before they are asked for again: a key that was withdrawn
/// counts no longer.
const PUBLISHED_LOOK: Duration = Duration::from_mins(30);
const PUBLISHED_PACE: Duration = Duration::from_secs(10);

/// Where discovery documents are, below the issuer's URL.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKeys {
    #[error("{0} cannot be read")]
    File(PathBuf, #[source] std::io::Error),
    #[error("{0:?} gives no answer")]
    Get(String, #[source] AskError),
    #[error("{0:?} answered {1}")]
    Status(String, u16),
    #[error("{0:?} is no discovery document")]
    Discovery(String),
    #[error("the discovery document is of another issuer, {0:?}")]
    OtherIssuer(String),
    #[error("its keys are at {0:?}, which is not https")]
    Unsafe(String),
    #[error("the keys at {0:?} cannot be used")]
    Keys(String, #[source] NoKeySet),
    #[error("they took too long")]
    Late,
}

/// What a load runs as.
pub(super) type Loading = Pin<Box<dyn Future<Output = Result<KeySet, NoKeys>> + Send>>;

/// Where keys come from.
pub(super) trait Origin: Send + Sync + Debug {
    /// Gets them. It ends by itself.
    fn load(&self) -> Loading;

    /// How long what was loaded is believed before it is looked at again.
    fn believed(&self) -> Duration;

    /// How much time must lie between two looks in the long run, whoever asks for them.
    fn pace(&self) -> Duration;
}

/// What asks this issuer: it trusts the issuer's own authorities.
pub(super) fn client_of(issuer: &Issuer, client: &Client) -> Client {
    match &issuer.keys {
        IssuerKeys::Discovery {
            ca_file: Some(file),
        } => client.trusting("issuer.ca-file", file.clone()),
        IssuerKeys::Discovery { ca_file: None } | IssuerKeys::File(_) => client.clone(),
    }
}

/// The origin of this issuer's keys, which `client` asks for.
pub(super) fn of(issuer: &Issuer, client: &Client) -> Box<dyn Origin> {
    match &issuer.keys {
        IssuerKeys::File(path) => Box::new(KeyFile(path.clone())),
        IssuerKeys::Discovery { .. } => Box::new(Published {
            issuer: issuer.url.to_string(),
            client: client.clone(),
        }),
    }
}

/// A JSON Web Key Set in a file.
#[derive(Debug)]
struct KeyFile(PathBuf);

impl Origin for KeyFile {
    fn load(&self) -> Loading {
        let path = self.0.clone();
        Box::pin(async move {
            // A file may be on a server that hangs.
            let reading = tokio::task::spawn_blocking(move || read(&path));
            let read = tokio::time::timeout(DEADLINE, reading).await;
            read.ok().and_then(Result::ok).unwrap_or(Err(NoKeys::Late))
        })
    }

    fn believed(&self) -> Duration {
        FILE_LOOK
    }

    fn pace(&self) -> Duration {
        FILE_PACE
    }
}

fn read(path: &Path) -> Result<KeySet, NoKeys> {
    let limit = u64::try_from(LIMIT).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
    read.map_err(|error| NoKeys::File(path.to_owned(), error))?;
    KeySet::parse(&text).map_err(|error| NoKeys::Keys(path.display().to_string(), error))
}

/// Keys that an issuer publishes.
#[derive(Debug)]
struct Published {
    issuer: String,
    client: Client,
}

/// What counts of a discovery document.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Origin for Published {
    fn load(&self) -> Loading {
        Box::pin(load(self.issuer.clone(), self.client.clone()))
    }

    fn believed(&self) -> Duration {
        PUBLISHED_LOOK
    }

    fn pace(&self) -> Duration {
        PUBLISHED_PACE
    }
}

async fn load(issuer: String, client: Client) -> Result<KeySet, NoKeys> {
    let place = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    let body = get(&client, &place).await?;
    let document: Document =
        serde_json::from_slice(&body).map_err(|_invalid| NoKeys::Discovery(place))?;
    if document.issuer != issuer {
        return Err(NoKeys::OtherIssuer(document.issuer));
    }
    // An issuer on this host may have its keys there; nobody else's lead to this host unencrypted.
    let plain = |url: &str| !url.starts_with("https://");
    if plain(&document.jwks_uri) && !plain(&issuer) {
        return Err(NoKeys::Unsafe(document.jwks_uri));
    }
    let keys = get(&client, &document.jwks_uri).await?;
    KeySet::parse(&keys).map_err(|error| NoKeys::Keys(document.jwks_uri, error))
}

async fn get(client: &Client, url: &str) -> Result<bytes::Bytes, NoKeys> {
    let asked = client.ask(Ask::new(url.to_owned(), DEADLINE, LIMIT)).await;
    let answer = asked.map_err(|error| NoKeys::Get(url.to_owned(), error))?;
    if answer.status == 200 {
        Ok(answer.body)
    } else {
        Err(NoKeys::Status(url.to_owned(), answer.status))
    }
}
