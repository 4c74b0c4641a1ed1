//! `[[issuer]]`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::{Read, Reader, Wrong};
use super::url::Url;
use crate::config::problem::At;
use crate::config::{Algorithm, BaseCredentials, Config, Introspection, Issuer, IssuerKeys};

/// For whom EKS has service accounts' tokens issued.
const PODS: &str = "pods.eks.amazonaws.com";

/// What issuers sign with where nobody says otherwise.
const USUAL: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// An issuer's keys are somewhere else than where they can be.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error("keys are at `discovery`, or in a file whose path begins with `/`")]
    Unknown,
}

/// All issuers; no two may have one URL.
pub(super) fn issuers(root: &Reader<'_>) -> Vec<Issuer> {
    let mut seen = BTreeSet::new();
    let mut issuers = Vec::new();
    for table in root.tables("issuer") {
        if let Some(url) = table.text("url")
            && !seen.insert(url.value)
        {
            let message = format!("`{}` is an issuer already", url.value);
            root.problems().error(&url.at, message);
        }
        issuers.extend(issuer(&table));
    }
    issuers
}

/// Callers' tokens that nobody verifies are none.
pub(super) fn check(root: &Reader<'_>, config: &Config) {
    if !root.tables("issuer").is_empty() {
        return;
    }
    for account in config.accounts.values() {
        let table = root.named_one("account", account.alias.as_str());
        let credentials = table.and_then(|table| table.table("credentials"));
        if let (BaseCredentials::CallerToken, Some(credentials)) = (&account.base, credentials) {
            root.problems()
                .error(
                    &credentials.place("from"),
                    "no caller's token can be verified: there is no issuer",
                )
                .hint("name the issuer of these tokens by `[[issuer]]`");
        }
    }
}

fn issuer(reader: &Reader<'_>) -> Option<Issuer> {
    let keys = keys(reader);
    let url = url(reader, keys.as_ref());
    let audiences = audiences(reader);
    let algorithms = algorithms(reader);
    Some(Issuer {
        url: url?,
        audiences: audiences?,
        keys: keys?,
        algorithms: algorithms?,
        tags: reader.flag("tags").unwrap_or_default(),
        introspection: introspection(reader).ok()?,
    })
}

fn introspection(reader: &Reader<'_>) -> Read<Introspection> {
    let Some(table) = reader.table("introspection") else {
        return Ok(None);
    };
    let url = table.text("url").and_then(|spot| {
        let url = spot.parse(table.problems(), Url::parse)?;
        if is_safe(&url) {
            return Some(url.text);
        }
        table
            .problems()
            .error(&spot.at, "tokens are asked about over https only");
        None
    });
    let client_id = table.text("client-id").map(|spot| spot.value.to_owned());
    let client_secret = table.secret("client-secret");
    match (url, client_id, client_secret) {
        (Some(url), Some(client_id), Some(client_secret)) => Ok(Some(Introspection {
            url,
            client_id,
            client_secret,
        })),
        _ => Err(Wrong),
    }
}

/// Whether nobody on the way can read or forge what is said there.
fn is_safe(url: &Url) -> bool {
    !url.is_plain || url.address().is_some_and(|ip| ip.is_loopback())
}

fn keys(reader: &Reader<'_>) -> Option<IssuerKeys> {
    let ca_file = reader.path("ca-file");
    let file = match reader.text("keys").filter(|keys| keys.value != "discovery") {
        None => None,
        Some(spot) => {
            let file = spot.parse(reader.problems(), |text| {
                let path = PathBuf::from(text);
                path.is_absolute().then_some(path).ok_or(KeysError::Unknown)
            })?;
            warn_if_missing(reader, &file, &spot.at);
            Some(file)
        }
    };
    if let Some(ca_file) = &ca_file {
        warn_if_missing(reader, &ca_file.value, &ca_file.at);
    }
    match (file, ca_file) {
        (Some(_), Some(ca_file)) => {
            reader
                .problems()
                .error(&ca_file.at, "`ca-file` goes with `keys = \"discovery\"`");
            None
        }
        (Some(file), None) => Some(IssuerKeys::File(file)),
        (None, ca_file) => Some(IssuerKeys::Discovery {
            ca_file: ca_file.map(|spot| spot.value),
        }),
    }
}

/// It may come later; until then no token of the issuer counts.
fn warn_if_missing(reader: &Reader<'_>, file: &Path, at: &At) {
    let found = std::fs::metadata(reader.context().surroundings.path(file));
    if let Err(error) = found {
        let message = format!("{} cannot be read: {error}", file.display());
        reader.problems().warning(at, message);
    }
}

/// The URL, to the letter. Where keys are asked for there, the way must be safe.
fn url(reader: &Reader<'_>, keys: Option<&IssuerKeys>) -> Option<Arc<str>> {
    let spot = reader.text("url")?;
    if matches!(keys, Some(IssuerKeys::Discovery { .. })) {
        let url = spot.parse(reader.problems(), Url::parse)?;
        if !is_safe(&url) {
            reader
                .problems()
                .error(&spot.at, "an issuer's keys are asked for over https only")
                .hint("or name a file of them by `keys = \"/path\"`");
            return None;
        }
    }
    Some(Arc::from(spot.value))
}

fn audiences(reader: &Reader<'_>) -> Option<Vec<Arc<str>>> {
    let Some(at) = reader.own("audiences") else {
        return Some(vec![Arc::from(PODS)]);
    };
    let spots = reader.texts("audiences");
    if spots.is_empty() {
        reader
            .problems()
            .error(
                &at,
                "a token that is meant for nobody in particular proves nothing",
            )
            .hint("name the audience that the tokens are issued for");
        return None;
    }
    Some(spots.iter().map(|spot| Arc::from(spot.value)).collect())
}

fn algorithms(reader: &Reader<'_>) -> Option<Vec<Algorithm>> {
    let Some(at) = reader.own("algorithms") else {
        return Some(USUAL.to_vec());
    };
    let spots = reader.texts("algorithms");
    let known: Vec<Algorithm> = spots
        .iter()
        .filter_map(|spot| Algorithm::parse(spot.value))
        .collect();
    if spots.is_empty() {
        reader.problems().error(&at, "`algorithms` names none");
    }
    (!known.is_empty() && known.len() == spots.len()).then_some(known)
}
