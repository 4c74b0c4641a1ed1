//! What is said of objects in the bodies of requests. All that is wrong is told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use uuid::Uuid;

use super::problem::Problem;
use super::shown::id;
use crate::config::compact_policy;
use crate::http::Request;
use crate::store::{AccountDraft, AccountEdit, ConnectorDraft, ConnectorKind};
use crate::types::{AccessKeyId, AccountAlias, ExternalId, Partition, RoleArn};

/// The longest name of an object.
const LONGEST_NAME: usize = 255;

/// The longest session policy that STS takes for certain.
const LONGEST_POLICY: usize = 2048;

const MOST_POLICY_ARNS: usize = 10;
const MOST_GROUPS: usize = 1000;

const SHORTEST: Duration = Duration::from_mins(15);
const LONGEST_ROLE: Duration = Duration::from_hours(12);
const LONGEST_TOKEN: Duration = Duration::from_hours(36);

/// An account that a connector may name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) alias: AccountAlias,
    pub(super) partition: Partition,
    /// Whether its base credentials are known to be a long-term key.
    pub(super) has_key: bool,
    /// Whether its sessions are made here: there is no cloud that a connector could ask.
    pub(super) is_local: bool,
}

/// The members of a JSON object, in order, and whether one is there twice. It may hold secrets, and
/// cannot be printed.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(OfObject)
    }
}

/// The fields of a body, taken one by one.
struct Fields {
    left: BTreeMap<String, Value>,
    errors: BTreeMap<String, String>,
}

impl Fields {
    fn of(request: &Request) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send application/json",
            ));
        }
        // What the parser says of a wrong text may repeat it.
        let members: Members = serde_json::from_slice(request.body()).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Problem::bad(format!(
                "the body is no JSON object: line {line}, column {column}"
            ))
        })?;
        let mut fields = Self {
            left: BTreeMap::new(),
            errors: BTreeMap::new(),
        };
        for (field, value) in members.0 {
            if fields.left.contains_key(&field) {
                fields.wrong(&field, "is there twice");
            }
            fields.left.insert(field, value);
        }
        Ok(fields)
    }

    fn wrong(&mut self, field: &str, why: impl Into<String>) {
        self.errors
            .entry(field.to_owned())
            .or_insert_with(|| why.into());
    }

    /// The text of a field; empty ones mean that it is not set.
    fn text(&mut self, field: &str) -> Option<String> {
        match self.left.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
            Some(_) => {
                self.wrong(field, "is no text");
                None
            }
        }
    }

    fn texts(&mut self, field: &str) -> Vec<String> {
        let list = match self.left.remove(field) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::String(text)) if text.is_empty() => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.wrong(field, "is no list of texts");
                return Vec::new();
            }
        };
        let mut texts = Vec::new();
        for one in list {
            if let Value::String(text) = one
                && !text.is_empty()
            {
                texts.push(text);
            } else {
                self.wrong(field, "is no list of texts");
            }
        }
        texts
    }

    fn required(&mut self, field: &str) -> Option<String> {
        let text = self.text(field);
        if text.is_none() {
            self.wrong(field, "is missing");
        }
        text
    }

    fn parsed<T, E: fmt::Display>(
        &mut self,
        field: &str,
        text: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&text?) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(field, why.to_string());
                None
            }
        }
    }

    fn name(&mut self) -> Option<Arc<str>> {
        let text = self.required("name");
        self.parsed("name", text, |text| {
            let valid = !text.trim().is_empty() && !text.contains(char::is_control);
            if valid && text.chars().count() <= LONGEST_NAME {
                Ok(Arc::from(text))
            } else {
                Err("must have 1 to 255 characters, and no control characters")
            }
        })
    }

    /// An object that is sent back may name its id.
    fn check_id(&mut self, own: Option<Uuid>) {
        let text = self.text("id");
        if text.is_some() && text.as_deref().and_then(id) != own {
            self.wrong("id", "cannot be chosen");
        }
    }

    fn end<T>(mut self, made: Option<T>) -> Result<T, Problem> {
        let unknown = std::mem::take(&mut self.left);
        for field in unknown.keys() {
            self.wrong(field, "is no field of this object");
        }
        match made {
            Some(made) if self.errors.is_empty() => Ok(made),
            Some(_) | None => Err(Problem::fields(self.errors)),
        }
    }
}

/// What a request says of an account; its key may be left out where it has one (`own`).
pub(super) fn account(request: &Request, own: Option<Uuid>) -> Result<AccountEdit, Problem> {
    let mut fields = Fields::of(request)?;
    fields.check_id(own);
    let name = fields.name();
    let key = fields.required("awsAccessKeyId");
    let key = fields.parsed("awsAccessKeyId", key, AccessKeyId::new);
    let secret = match own {
        None => fields.required("awsSecretKey"),
        Some(_) => fields.text("awsSecretKey"),
    };
    let provider = fields.text("cloudProviderKey");
    let provider = Some(provider.unwrap_or_else(|| "aws".to_owned()));
    let partition = fields.parsed("cloudProviderKey", provider, partition);
    let edit = match (name, key, partition) {
        (Some(name), Some(access_key_id), Some(partition)) => Some(AccountEdit {
            name,
            access_key_id,
            secret_access_key: secret.map(SecretString::from),
            partition,
        }),
        _ => None,
    };
    fields.end(edit)
}

/// The same of an account that is made: it has a key.
pub(super) fn new_account(request: &Request) -> Result<AccountDraft, Problem> {
    let edit = account(request, None)?;
    let missing = || Problem::fields([("awsSecretKey".into(), "is missing".into())].into());
    Ok(AccountDraft {
        name: edit.name,
        access_key_id: edit.access_key_id,
        secret_access_key: edit.secret_access_key.ok_or_else(missing)?,
        partition: edit.partition,
    })
}

fn partition(text: &str) -> Result<Partition, &'static str> {
    let known = text == "aws" || text.starts_with("aws-");
    let partition = Partition::new(text).ok().filter(|_| known);
    partition.ok_or("must be aws, or another partition of AWS such as aws-cn")
}

/// What a request says of a connector. `named` knows the accounts by their ids.
pub(super) fn connector(
    request: &Request,
    own: Option<Uuid>,
    named: impl FnOnce(&Uuid) -> Option<Named>,
) -> Result<ConnectorDraft, Problem> {
    let mut fields = Fields::of(request)?;
    fields.check_id(own);
    let name = fields.name();
    let account = fields.required("accountId");
    let account = fields.parsed("accountId", account, |text| {
        let found = id(text).and_then(|id| named(&id));
        found.ok_or("is the id of no account")
    });
    if account.as_ref().is_some_and(|account| account.is_local) {
        let why = "is the account of sessions that are made here: connectors need a cloud's";
        fields.wrong("accountId", why);
    }
    let expected = fields.text("partition");
    let expected = fields.parsed("partition", expected, partition);
    if let (Some(expected), Some(account)) = (&expected, &account)
        && *expected != account.partition
    {
        let why = format!("is not its account's: {}", account.partition);
        fields.wrong("partition", why);
    }
    let kind = kind(&mut fields, account.as_ref());
    let system = match fields.text("scope").as_deref() {
        None => false,
        Some("SYSTEM") => true,
        Some(_) => {
            fields.wrong("scope", "must be SYSTEM, or empty");
            false
        }
    };
    let policy = fields.text("iamPolicy");
    let policy = fields.parsed("iamPolicy", policy, policy_of);
    let policy_arns = policy_arns(&mut fields);
    if kind == Some(ConnectorKind::SessionToken) {
        for (field, said) in [
            ("iamPolicy", policy.is_some()),
            ("policyArns", !policy_arns.is_empty()),
        ] {
            if said {
                fields.wrong(field, "must be empty: GetSessionToken takes no policy");
            }
        }
    }
    let max_duration = max_duration(&mut fields, kind.as_ref());
    let groups = groups(&mut fields);
    let draft = match (name, account, kind) {
        (Some(name), Some(account), Some(kind)) => Some(ConnectorDraft {
            name,
            account: account.alias,
            kind,
            system,
            groups,
            policy,
            policy_arns,
            max_duration,
        }),
        _ => None,
    };
    fields.end(draft)
}

fn kind(fields: &mut Fields, account: Option<&Named>) -> Option<ConnectorKind> {
    let kind = fields.required("type");
    let arn = fields.text("roleArn");
    let external_id = fields.text("externalId");
    let kind = kind?;
    let of_key = match kind.as_str() {
        "ASSUME_ROLE" => {
            if arn.is_none() {
                fields.wrong("roleArn", "is missing");
            }
            let arn = fields.parsed("roleArn", arn, RoleArn::new);
            let external_id = fields.parsed("externalId", external_id, ExternalId::new);
            return Some(ConnectorKind::AssumeRole {
                arn: arn?,
                external_id,
            });
        }
        "FEDERATION_TOKEN" => ConnectorKind::FederationToken,
        "SESSION_TOKEN" => ConnectorKind::SessionToken,
        _ => {
            let why = "must be FEDERATION_TOKEN, SESSION_TOKEN or ASSUME_ROLE";
            fields.wrong("type", why);
            return None;
        }
    };
    for (field, said) in [("roleArn", arn), ("externalId", external_id)] {
        if said.is_some() {
            fields.wrong(field, "must be empty: only ASSUME_ROLE has one");
        }
    }
    if account.is_some_and(|account| !account.has_key) {
        let why = format!("has no long-term key, which {kind} needs");
        fields.wrong("accountId", why);
    }
    Some(of_key)
}

fn policy_of(text: &str) -> Result<Arc<str>, String> {
    let compact =
        compact_policy(text).map_err(|_why| "is no policy: a JSON object with a Statement")?;
    if compact.chars().count() > LONGEST_POLICY {
        return Err(format!("has over {LONGEST_POLICY} characters"));
    }
    Ok(Arc::from(compact))
}

fn policy_arns(fields: &mut Fields) -> Vec<String> {
    let arns = fields.texts("policyArns");
    let is_arn = |text: &String| {
        let shape = text.starts_with("arn:") && text.contains(":policy/");
        shape && (20..=2048).contains(&text.len())
    };
    if arns.len() > MOST_POLICY_ARNS {
        fields.wrong("policyArns", "are more than ten");
    } else if !arns.iter().all(is_arn) {
        let why = "must be of the form arn:aws:iam::ACCOUNT:policy/NAME";
        fields.wrong("policyArns", why);
    }
    arns
}

fn groups(fields: &mut Fields) -> Vec<Arc<str>> {
    let mut groups = fields.texts("groups");
    groups.sort();
    groups.dedup();
    if groups.len() > MOST_GROUPS {
        fields.wrong("groups", "are more than a thousand");
    }
    let long = |group: &String| group.chars().count() > LONGEST_NAME;
    if groups
        .iter()
        .any(|group| long(group) || group.contains(char::is_control))
    {
        fields.wrong("groups", "must be names of groups");
    }
    groups.into_iter().map(Arc::from).collect()
}

/// In seconds, as a number or a text of digits.
fn max_duration(fields: &mut Fields, kind: Option<&ConnectorKind>) -> Option<Duration> {
    const FIELD: &str = "maxDuration";
    let seconds = match fields.left.remove(FIELD) {
        None | Some(Value::Null) => return None,
        Some(Value::String(text)) if text.is_empty() => return None,
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let Some(seconds) = seconds else {
        fields.wrong(FIELD, "is no number of seconds");
        return None;
    };
    let longest = match kind? {
        ConnectorKind::AssumeRole { .. } => LONGEST_ROLE,
        ConnectorKind::FederationToken | ConnectorKind::SessionToken => LONGEST_TOKEN,
    };
    let duration = Duration::from_secs(seconds);
    if duration < SHORTEST || duration > longest {
        let (least, most) = (SHORTEST.as_secs(), longest.as_secs());
        fields.wrong(FIELD, format!("must lie between {least} and {most}"));
        return None;
    }
    Some(duration)
}

#[cfg(test)]
mod tests;
