//! Access keys through OS-KSEC2 and OS-EC2: the same objects under two descriptions, the one that
//! clients know, and the one of the document.

use std::sync::Arc;

use hyper::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::Call;
use super::answer::{Fault, Reply};
use super::bearer::Shown;
use super::body::{Body, object, text};
use super::route::Version;
use super::subject::{hex, id_of};
use crate::secret::{ExposeSecret as _, random};
use crate::store::{AccessKey, AccessKeyDraft, StoreError};
use crate::types::{AccessKeyId, AccountAlias};

/// The document's own object.
const DOCUMENTED: &str = "OS-KSEC2-ec2Credentials";

/// The longest label.
const LONGEST_LABEL: usize = 255;

/// What is said of a new key.
#[derive(Default)]
pub(super) struct Draft {
    tenant: Option<String>,
    access: Option<String>,
    secret: Option<String>,
    label: String,
}

impl Call<'_> {
    pub(super) async fn make_key(&self, body: &Body) -> Result<Reply, Fault> {
        let user = self.owner().await?;
        let draft = Draft::read(body, &user)?;
        let account = self.account(draft.tenant.as_deref(), &user).await?;
        let id = match &draft.access {
            Some(text) => chosen_id(text)?,
            None => AccessKeyId::new(&fresh()?).map_err(|_never| Fault::unavailable())?,
        };
        let secret = match draft.secret {
            Some(text) => SecretString::from(text),
            None => SecretString::from(fresh()?),
        };
        let made = self.prover.deps.store.create_key(AccessKeyDraft {
            id: id.clone(),
            secret,
            user: Arc::clone(&user),
            account,
            label: Arc::from(draft.label),
        });
        let key = made.await.map_err(|error| match &error {
            StoreError::NameTaken => Fault::new(
                StatusCode::CONFLICT,
                format!("There is a credential of this access key: {id}."),
            ),
            StoreError::NoAccount(alias) => Fault::no_such("project", alias.as_str()),
            StoreError::TooMany { most } => Fault::new(
                StatusCode::FORBIDDEN,
                format!("Unable to create additional credentials, maximum of {most} already exceeded for user."),
            ),
            StoreError::Unknown
            | StoreError::Changed
            | StoreError::InUse { .. }
            | StoreError::Used
            | StoreError::Unavailable(_) => Fault::from(error),
        })?;
        let by = self.shown.bearer().map(|own| &*own.subject.name);
        tracing::info!(key = %id, user = &*user, by, "an access key was made");
        let document = self.document_of(&key);
        Ok(Reply::json(&document).with_status(StatusCode::CREATED))
    }

    pub(super) async fn keys(&self) -> Result<Reply, Fault> {
        let user = self.owner().await?;
        let objects = self.prover.deps.store.objects()?;
        let ids = objects.keys_of.get(&user);
        let ids = ids.map(|ids| ids.as_slice()).unwrap_or_default();
        let keys = ids.iter().filter_map(|id| objects.keys.get(id));
        let keys: Vec<Value> = keys
            .map(|key| {
                let mut entry = self.credential(key);
                // Beside the rest: clients take their columns by name.
                entry.insert(DOCUMENTED.to_owned(), documented(key));
                Value::Object(entry)
            })
            .collect();
        Ok(self.list("credentials", &keys))
    }

    pub(super) async fn show_key(&self) -> Result<Reply, Fault> {
        let key = self.key_of_path().await?;
        Ok(Reply::json(&self.document_of(&key)))
    }

    pub(super) async fn delete_key(&self) -> Result<Reply, Fault> {
        let id = self.key_of_path().await?.draft.id.clone();
        let deleted = self.prover.deps.store.delete_key(id.clone()).await;
        deleted.map_err(|error| {
            if error == StoreError::Unknown {
                Fault::no_such("credential", id.as_str())
            } else {
                Fault::from(error)
            }
        })?;
        let by = self.shown.bearer().map(|own| &*own.subject.name);
        tracing::info!(key = %id, by, "an access key was deleted");
        Ok(Reply::done())
    }

    /// Whose keys the path names.
    async fn owner(&self) -> Result<Arc<str>, Fault> {
        let [asked, _] = self.route.names;
        let own = self.own()?;
        if !own.subject.is(asked) && !self.shown.is_administrator() {
            return Err(Fault::forbidden_as("Token belongs to another user"));
        }
        self.someone(asked).await
    }

    /// The key that the path names, of the user that it names.
    async fn key_of_path(&self) -> Result<Arc<AccessKey>, Fault> {
        let [user, asked] = self.route.names;
        let owner = match self.shown {
            // A service knows ids from the tokens that it was told.
            Shown::Service => None,
            Shown::Nothing | Shown::Bearer(_) => Some(self.owner().await?),
        };
        let missing = || Fault::no_such("credential", asked);
        let id = AccessKeyId::new(asked).map_err(|_invalid| missing())?;
        let objects = self.prover.deps.store.objects()?;
        let key = objects.keys.get(&id).ok_or_else(missing)?;
        let is_owners = match &owner {
            Some(owner) => key.draft.user == *owner,
            None => id_of(&key.draft.user) == user,
        };
        if is_owners {
            return Ok(Arc::clone(key));
        }
        if owner.is_some() && !self.shown.is_administrator() {
            return Err(Fault::forbidden_as("Credential belongs to another user"));
        }
        Err(missing())
    }

    /// The account that a key is made for. One's own must be one of one's projects; that others
    /// exist is not told.
    async fn account(&self, tenant: Option<&str>, user: &Arc<str>) -> Result<AccountAlias, Fault> {
        let own = self.own()?;
        let is_own = own.subject.name == *user;
        let Some(tenant) = tenant else {
            let scoped = own.claims.project.clone().filter(|_| is_own);
            if let Some(alias) = scoped {
                return Ok(alias);
            }
            let subject = self.subject_of(user).await?;
            let only = subject.only().map(|only| only.project.alias.clone());
            return only.ok_or_else(|| Fault::expected("tenant_id", "request body"));
        };
        let alias = AccountAlias::new(tenant).ok();
        let may = match &alias {
            Some(alias) if self.shown.is_administrator() => self.exists(Some(alias))?,
            Some(alias) => own.subject.membership(alias).is_some(),
            None => false,
        };
        let missing = || Fault::no_such("project", tenant);
        alias.filter(|_| may).ok_or_else(missing)
    }

    /// As clients know it, and as the document has it.
    fn document_of(&self, key: &AccessKey) -> Value {
        json!({ "credential": self.credential(key), DOCUMENTED: documented(key) })
    }

    fn credential(&self, key: &AccessKey) -> Map<String, Value> {
        let draft = &key.draft;
        let user = id_of(&draft.user);
        let id = draft.id.as_str();
        let mut members = Map::new();
        let links = json!({ "self": self.link(&["users", &user, "credentials", "OS-EC2", id]) });
        for (name, value) in [
            ("user_id", Value::from(user)),
            ("tenant_id", draft.account.as_str().into()),
            ("access", id.into()),
            ("secret", draft.secret.expose_secret().into()),
            ("trust_id", Value::Null),
        ] {
            members.insert(name.to_owned(), value);
        }
        if self.route.row.version == Version::V3 {
            members.insert("links".to_owned(), links);
        }
        members
    }
}

impl Draft {
    /// Reads either form. In the document's own the user is named once more.
    pub(super) fn read(body: &Body, user: &str) -> Result<Self, Fault> {
        let tenant = match body.get("tenant_id") {
            None => None,
            Some(Value::String(tenant)) => Some(tenant.clone()),
            Some(other) => Some(other.to_string()),
        };
        let Some(documented) = body.get(DOCUMENTED) else {
            return Ok(Self {
                tenant,
                ..Self::default()
            });
        };
        let members = object(Some(documented), DOCUMENTED, "request body")?;
        let member = |name| text(members, name).map(|text| text.map(str::to_owned));
        let username = text(members, "username")?;
        let username = username.ok_or_else(|| Fault::expected("username", DOCUMENTED))?;
        if username != user && username != id_of(user) {
            return Err(Fault::bad(
                "The username is not that of the user in the path.",
            ));
        }
        let label = member("signature")?.unwrap_or_default();
        let secret = member("secret")?;
        if label.chars().count() > LONGEST_LABEL || label.contains(char::is_control) {
            return Err(Fault::bad(
                "Invalid input for field 'signature': it is too long.",
            ));
        }
        if secret
            .as_deref()
            .is_some_and(|secret| !AccessKeyDraft::takes_secret(secret))
        {
            let lengths = AccessKeyDraft::SECRETS_OF_OTHERS;
            return Err(Fault::bad(format!(
                "Invalid input for field 'secret': it must have {} to {} characters.",
                lengths.start(),
                lengths.end()
            )));
        }
        Ok(Self {
            tenant: member("tenant_id")?.or(tenant),
            access: member("access")?,
            secret,
            label,
        })
    }
}

/// As the document of OS-KSEC2 has it. Its signature is a label here, and proves nothing.
fn documented(key: &AccessKey) -> Value {
    json!({
        "username": &*key.draft.user,
        "secret": key.draft.secret.expose_secret(),
        "signature": &*key.draft.label,
    })
}

fn chosen_id(text: &str) -> Result<AccessKeyId, Fault> {
    AccessKeyDraft::takes_id(text).ok_or_else(|| {
        Fault::bad("Invalid input for field 'access': it must have 3 to 128 letters and digits.")
    })
}

/// Sixteen random bytes as Keystone writes them.
fn fresh() -> Result<String, Fault> {
    let bytes = random::<16>().map_err(|_no_entropy| Fault::unavailable())?;
    Ok(hex(&bytes))
}
