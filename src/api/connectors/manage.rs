//! What administrators make, replace and delete. What the configuration says is not theirs.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, IF_MATCH, LOCATION};
use serde::Serialize;
use uuid::Uuid;

use super::Call;
use super::draft::{self, Named};
use super::problem::Problem;
use super::reply::{Reply, Tag};
use super::shown::{Shown, find_own, id, rendered};
use crate::secret::{ExposeSecret as _, same_secret};
use crate::sessions::FailureKind;
use crate::store::{Account, AccountDraft, AccountEdit, Objects, StoreError, Version};
use crate::vending::{DeclaredAccount, Delay, Refusal};

/// An account as it is written: its secret never is.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: Uuid,
    name: &'a str,
    #[serde(rename = "awsAccessKeyId")]
    access_key_id: &'a str,
    #[serde(rename = "cloudProviderKey")]
    partition: &'a str,
}

#[derive(Serialize)]
struct Documents<'a> {
    values: Vec<Document<'a>>,
    size: usize,
}

impl<'a> From<&'a Arc<Account>> for Document<'a> {
    fn from(account: &'a Arc<Account>) -> Self {
        Self {
            id: account.id,
            name: &account.draft.name,
            access_key_id: account.draft.access_key_id.as_str(),
            partition: account.draft.partition.as_str(),
        }
    }
}

impl<'a> From<&'a Arc<DeclaredAccount>> for Document<'a> {
    fn from(account: &'a Arc<DeclaredAccount>) -> Self {
        let key = account.access_key_id.as_ref();
        Self {
            id: account.id,
            name: account.alias.as_str(),
            access_key_id: key.map_or("", |key| key.as_str()),
            partition: account.partition.as_str(),
        }
    }
}

pub(super) fn accounts(call: &Call<'_>) -> Result<Reply, Problem> {
    let objects = call.objects()?;
    let policy = call.deps.vending.policy();
    let stored = objects.accounts.values().map(Document::from);
    let declared = policy.declared.accounts().values().map(Document::from);
    let mut values: Vec<Document<'_>> = stored.chain(declared).collect();
    values.sort_by(|one, other| (one.name, one.id).cmp(&(other.name, other.id)));
    let size = values.len();
    Ok(Reply::json(&Documents { values, size }))
}

pub(super) fn account(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = account_id(call)?;
    let request = call.request.headers();
    if let Some(account) = call.objects()?.accounts.get(&id) {
        let reply = Reply::json(&Document::from(account));
        return Ok(reply.tagged(&Tag::from(account.version), request));
    }
    let policy = call.deps.vending.policy();
    let declared = policy.declared.accounts().get(&id);
    let declared = declared.ok_or_else(|| no_account(call))?;
    let reply = Reply::json(&Document::from(declared));
    let tag = Tag::of(&reply.body);
    Ok(reply.tagged(&tag, request))
}

pub(super) async fn make_account(call: &Call<'_>) -> Result<Reply, Problem> {
    let draft = draft::new_account(call.request)?;
    check_key(call, &draft).await?;
    let made = call.deps.store.create_account(draft).await;
    let account = made.map_err(|error| call.unwritten("account", error))?;
    let reply = Reply::json(&Document::from(&account));
    Ok(call.made(reply, account.id, account.version))
}

/// A key that upstream does not know is no use: it is told at once, unless that is not wanted.
async fn check_key(call: &Call<'_>, draft: &AccountDraft) -> Result<(), Problem> {
    if call.query().first("skipValidation") == Some("true") {
        return Ok(());
    }
    let Err(failed) = call.deps.vending.whose(draft).await else {
        return Ok(());
    };
    let refused = Delay::Failed(FailureKind::BaseCredentials);
    if failed.delay == refused || failed.refusal == Refusal::DeniedUpstream {
        let why = "is not accepted by AWS, with this awsSecretKey";
        return Err(Problem::fields(
            [("awsAccessKeyId".to_owned(), why.to_owned())].into(),
        ));
    }
    if failed.refusal == Refusal::NotReady {
        return Err(Problem::of(failed.refusal, || failed.delay));
    }
    Err(Problem::new(
        StatusCode::BAD_GATEWAY,
        "the key could not be checked: send ?skipValidation=true to keep it unchecked",
    ))
}

pub(super) async fn replace_account(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = written_account(call)?;
    let edit = draft::account(call.request, Some(id))?;
    let expected = expected(call, |objects| Some(objects.accounts.get(&id)?.version))?;
    if let Some(draft) = with_other_key(call, id, &edit)? {
        check_key(call, &draft).await?;
    }
    let replaced = call.deps.store.replace_account(id, edit, expected).await;
    let account = replaced.map_err(|error| call.unwritten("account", error))?;
    let reply = Reply::json(&Document::from(&account));
    Ok(reply.of(&Tag::from(account.version)))
}

/// What the account will be, where its key is not the one that it has.
fn with_other_key(
    call: &Call<'_>,
    id: Uuid,
    edit: &AccountEdit,
) -> Result<Option<AccountDraft>, Problem> {
    let objects = call.objects()?;
    let Some(before) = objects.accounts.get(&id).map(|account| &account.draft) else {
        return Ok(None);
    };
    let before_secret = &before.secret_access_key;
    let secret = edit.secret_access_key.as_ref().unwrap_or(before_secret);
    let is_same_secret = same_secret(
        secret.expose_secret().as_bytes(),
        before_secret.expose_secret().as_bytes(),
    );
    let is_same = is_same_secret
        && edit.access_key_id == before.access_key_id
        && edit.partition == before.partition;
    Ok((!is_same).then(|| AccountDraft {
        name: Arc::clone(&edit.name),
        access_key_id: edit.access_key_id.clone(),
        secret_access_key: secret.clone(),
        partition: edit.partition.clone(),
    }))
}

pub(super) async fn delete_account(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = written_account(call)?;
    let expected = expected(call, |objects| Some(objects.accounts.get(&id)?.version))?;
    let deleted = call.deps.store.delete_account(id, expected).await;
    deleted.map_err(|error| call.unwritten("account", error))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn make_connector(call: &Call<'_>) -> Result<Reply, Problem> {
    let objects = call.objects()?;
    let draft = draft::connector(call.request, None, |id| named(call, &objects, id))?;
    let made = call.deps.store.create_connector(draft).await;
    let connector = made.map_err(|error| call.unwritten("connector", error))?;
    let (id, version) = (connector.id, connector.version);
    Ok(call.made(rendered(&Shown::Stored(connector)), id, version))
}

pub(super) async fn replace_connector(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = written_connector(call).await?;
    let objects = call.objects()?;
    let draft = draft::connector(call.request, Some(id), |id| named(call, &objects, id))?;
    let expected = expected(call, |now| Some(now.connectors.get(&id)?.version))?;
    let replaced = call.deps.store.replace_connector(id, draft, expected).await;
    let connector = replaced.map_err(|error| call.unwritten("connector", error))?;
    let tag = Tag::from(connector.version);
    Ok(rendered(&Shown::Stored(connector)).of(&tag))
}

pub(super) async fn delete_connector(call: &Call<'_>) -> Result<Reply, Problem> {
    let id = written_connector(call).await?;
    let expected = expected(call, |objects| Some(objects.connectors.get(&id)?.version))?;
    let deleted = call.deps.store.delete_connector(id, expected).await;
    deleted.map_err(|error| call.unwritten("connector", error))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The account that a connector names.
fn named(call: &Call<'_>, objects: &Objects, id: &Uuid) -> Option<Named> {
    if let Some(account) = objects.accounts.get(id) {
        return Some(Named {
            alias: account.alias.clone(),
            partition: account.draft.partition.clone(),
            has_key: true,
            is_local: false,
        });
    }
    let policy = call.deps.vending.policy();
    let account = policy.declared.accounts().get(id)?;
    Some(Named {
        alias: account.alias.clone(),
        partition: account.partition.clone(),
        has_key: account.access_key_id.is_some(),
        is_local: account.is_local,
    })
}

fn account_id(call: &Call<'_>) -> Result<Uuid, Problem> {
    id(call.route.id).ok_or_else(|| no_account(call))
}

fn no_account(call: &Call<'_>) -> Problem {
    Problem::no_such("account", call.route.id)
}

/// The account that is written: not one of the configuration.
fn written_account(call: &Call<'_>) -> Result<Uuid, Problem> {
    let id = account_id(call)?;
    let policy = call.deps.vending.policy();
    if policy.declared.accounts().contains_key(&id) {
        return Err(read_only("account"));
    }
    Ok(id)
}

/// The connector that is written: not one of the configuration.
async fn written_connector(call: &Call<'_>) -> Result<Uuid, Problem> {
    let missing = || Problem::no_such("connector", call.route.id);
    let id = id(call.route.id).ok_or_else(missing)?;
    if call.objects()?.connectors.contains_key(&id) {
        return Ok(id);
    }
    let policy = call.deps.vending.policy();
    if policy.declared.by_id(&id).is_some() || find_own(call, id).await?.is_some() {
        return Err(read_only("connector"));
    }
    Err(missing())
}

fn read_only(what: &str) -> Problem {
    Problem::conflict(format!(
        "this {what} is of the configuration's files, and can be changed only there"
    ))
}

/// The version that a conditional request expects; `None` where it has no condition.
fn expected(
    call: &Call<'_>,
    version: impl FnOnce(&Objects) -> Option<Version>,
) -> Result<Option<Version>, Problem> {
    let headers = call.request.headers();
    if !headers.contains_key(IF_MATCH) {
        return Ok(None);
    }
    match version(&*call.objects()?) {
        Some(version) if Tag::from(version).is_in(headers, IF_MATCH) => Ok(Some(version)),
        Some(_) => Err(changed()),
        // That it is not there is said by the store.
        None => Ok(None),
    }
}

fn changed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "somebody changed it meanwhile: read it again",
    )
}

impl Call<'_> {
    /// What the store holds.
    pub(super) fn objects(&self) -> Result<Arc<Objects>, Problem> {
        let objects = self.deps.store.objects();
        objects.map_err(|fault| self.unwritten("object", StoreError::Unavailable(fault)))
    }

    /// Something was not written, or cannot be read.
    fn unwritten(&self, what: &str, error: StoreError) -> Problem {
        match error {
            StoreError::Unknown => Problem::no_such(what, self.route.id),
            StoreError::Changed => changed(),
            StoreError::NameTaken => Problem::conflict(format!("another {what} has this name")),
            StoreError::InUse { by } => {
                Problem::conflict(format!("this {what} is used by the connector '{by}'"))
            }
            StoreError::NoAccount(_) => {
                let why = "is the id of no account".to_owned();
                Problem::fields([("accountId".to_owned(), why)].into())
            }
            StoreError::TooMany { .. } | StoreError::Used => Problem::conflict(error.to_string()),
            StoreError::Unavailable(fault) => {
                tracing::error!(%fault, "the store cannot be used");
                Problem::unavailable("what is stored cannot be read or written now; try again")
            }
        }
    }

    /// Something was made.
    fn made(&self, mut reply: Reply, id: Uuid, version: Version) -> Reply {
        reply.status = StatusCode::CREATED;
        let list = self.below.trim_end_matches('/');
        let location = format!("{}{list}/{id}", self.base_url());
        let reply = reply.of(&Tag::from(version));
        match HeaderValue::from_str(&location) {
            Ok(location) => reply.with(LOCATION, location),
            Err(_no_header) => reply,
        }
    }
}
