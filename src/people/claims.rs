//! What a token says: who it is for, whose it is, from when to when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::Refused;
use crate::config::Issuer;
use crate::grants::Pod;

/// How far this machine's clock may be off its issuer's.
pub(super) const LEEWAY: Duration = Duration::from_mins(1);

/// How deep objects in objects are read.
const DEPTH: usize = 4;

/// Where Kubernetes writes whose token it is: an object, in projected tokens.
const KUBERNETES: &str = "kubernetes.io";
/// The same in the tokens of before, one claim each.
const FLAT_NAMESPACE: &str = "kubernetes.io/serviceaccount/namespace";
const FLAT_ACCOUNT: &str = "kubernetes.io/serviceaccount/service-account.name";

/// Where STS finds the session tags that a token asks for.
const TAGS: &str = "https://aws.amazon.com/tags";

/// The claims that every token must have, found and in order.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) subject: Arc<str>,
    pub(super) audiences: Vec<Arc<str>>,
    pub(super) expires_at: SystemTime,
}

/// Whether a token is meant for this daemon, now. `iss` has been compared.
pub(super) fn check(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: SystemTime,
) -> Result<Checked, Refused> {
    let audiences = audiences(claims).ok_or(Refused::Claims)?;
    let meant = |audience: &Arc<str>| issuer.audiences.contains(audience);
    if !audiences.iter().any(meant) {
        return Err(Refused::Audience);
    }
    let expires_at = moment(claims, "exp")?.ok_or(Refused::Claims)?;
    if now >= expires_at + LEEWAY {
        return Err(Refused::Expired);
    }
    if moment(claims, "nbf")?.is_some_and(|begins| begins > now + LEEWAY) {
        return Err(Refused::NotYetValid);
    }
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| !subject.is_empty());
    Ok(Checked {
        subject: Arc::from(subject.ok_or(Refused::Claims)?),
        audiences,
        expires_at,
    })
}

/// One text or a list of them, in order so that two tokens for the same are the same.
fn audiences(claims: &Map<String, Value>) -> Option<Vec<Arc<str>>> {
    let mut audiences = match claims.get("aud")? {
        Value::String(one) => vec![Arc::from(one.as_str())],
        Value::Array(list) => {
            let texts = list.iter().map(|one| one.as_str().map(Arc::from));
            texts.collect::<Option<Vec<Arc<str>>>>()?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    audiences.sort_unstable();
    audiences.dedup();
    Some(audiences)
}

/// A moment in seconds since 1970; fractions are cut off.
fn moment(claims: &Map<String, Value>, claim: &str) -> Result<Option<SystemTime>, Refused> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let whole = value.as_u64().map(Duration::from_secs);
    let since = whole.or_else(|| Duration::try_from_secs_f64(value.as_f64()?).ok());
    let moment = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    // A day is left for what is added to it later.
    let far = moment.and_then(|moment| moment.checked_add(Duration::from_hours(24)));
    if far.is_none() {
        return Err(Refused::Claims);
    }
    Ok(moment)
}

/// All claims that are texts, numbers, flags or lists of them; those in objects under
/// `outer/inner`.
pub(super) fn flat(claims: &Map<String, Value>) -> BTreeMap<String, Vec<Arc<str>>> {
    let mut flat = BTreeMap::new();
    flatten(claims, "", DEPTH, &mut flat);
    flat
}

/// What stands there by a name of its own goes before what the same name is put together to.
fn flatten(
    claims: &Map<String, Value>,
    above: &str,
    depth: usize,
    flat: &mut BTreeMap<String, Vec<Arc<str>>>,
) {
    for (name, value) in claims {
        let one = || text(value).map(|text| vec![text]);
        let texts = value
            .as_array()
            .map_or_else(one, |list| list.iter().map(text).collect());
        if let Some(texts) = texts {
            flat.entry(format!("{above}{name}")).or_insert(texts);
        }
    }
    let objects = claims.iter().filter(|_| depth > 0);
    for (name, inner) in objects.filter_map(|(name, value)| Some((name, value.as_object()?))) {
        flatten(inner, &format!("{above}{name}/"), depth - 1, flat);
    }
}

fn text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) => Some(Arc::from(text.as_str())),
        Value::Number(number) => Some(Arc::from(number.to_string())),
        Value::Bool(flag) => Some(Arc::from(flag.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The pod that a service account's token was issued for. Only where the subject says the same: at
/// other issuers a user may have a say in further claims.
pub(super) fn pod(claims: &Map<String, Value>, subject: &str) -> Option<Pod> {
    let text = |claim: &str| claims.get(claim)?.as_str();
    let (namespace, account, name) = match claims.get(KUBERNETES) {
        Some(of) => (
            of.get("namespace")?.as_str()?,
            of.get("serviceaccount")?.get("name")?.as_str()?,
            of.get("pod").and_then(|pod| pod.get("name")?.as_str()),
        ),
        None => (text(FLAT_NAMESPACE)?, text(FLAT_ACCOUNT)?, None),
    };
    let same = subject.strip_prefix("system:serviceaccount:")?;
    if same.split_once(':') != Some((namespace, account)) {
        return None;
    }
    Some(Pod {
        namespace: Arc::from(namespace),
        name: name.map(Arc::from),
        service_account: Some(Arc::from(account)),
    })
}

/// The session tags that a token asks for, as STS reads them: one value each.
pub(super) fn tags(claims: &Map<String, Value>) -> Vec<(String, String)> {
    let tags = claims.get(TAGS).and_then(|tags| tags.get("principal_tags"));
    let Some(tags) = tags.and_then(Value::as_object) else {
        return Vec::new();
    };
    let tag = |(key, values): (&String, &Value)| {
        let value = values.as_array().map_or(Some(values), |list| list.first());
        let value = value?.as_str()?;
        // One that STS does not take would cost the caller its role.
        let fit = is_tag_text(key, 1..=128) && is_tag_text(value, 0..=256);
        let reserved = key.to_ascii_lowercase().starts_with("aws:");
        (fit && !reserved).then(|| (key.clone(), value.to_owned()))
    };
    tags.iter().filter_map(tag).collect()
}

fn is_tag_text(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    let valid = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    lengths.contains(&text.chars().count()) && text.chars().all(valid)
}
