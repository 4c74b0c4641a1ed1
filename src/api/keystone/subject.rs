//! Who a token is of, as Keystone tells services: an id, projects, and the roles in each.
//!
//! It is prepared once for each person and each state of what decides, and the greater part of a
//! token's document with it: services ask about the same people again and again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use serde::Serialize;
use serde_json::json;

use super::answer::Fault;
use super::{API, DOMAIN, DOMAIN_NAME};
use crate::api::Prover;
use crate::clock::BootTime;
use crate::grants::{Person, Select, Wanted, Way};
use crate::store::Objects;
use crate::types::AccountAlias;
use crate::vending::{Policy, Proof, Visit, Want};

/// The role of everybody who has any.
const MEMBER: &str = "member";

/// How long a person is remembered: what grant sources said of it counts no longer either.
const AGE: Duration = Duration::from_mins(1);

/// How many people are remembered.
const REMEMBERED: usize = 8192;

/// A role with its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Role {
    pub(super) id: String,
    pub(super) name: String,
}

/// A project: an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) alias: AccountAlias,
    pub(super) description: Arc<str>,
}

/// What somebody is in a project.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) project: Project,
    pub(super) roles: Vec<Role>,
    written: OnceLock<Written>,
}

/// What documents of tokens tell of a membership, as it is written.
#[derive(Debug)]
pub(super) struct Written {
    /// `,"tenant":{…}` of version 2.0, where there is one.
    pub(super) tenant: String,
    /// `"user":{…}` of version 2.0.
    pub(super) user: String,
    /// `"metadata":{…}` of version 2.0.
    pub(super) metadata: String,
    /// `"user":{…}` of version 3, and where there is a project that, and the roles.
    pub(super) v3: String,
}

/// Somebody with projects.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: Arc<str>,
    pub(super) id: String,
    pub(super) administrator: bool,
    projects: BTreeMap<AccountAlias, Membership>,
    /// Without any project.
    written: OnceLock<Written>,
}

/// The accounts that there are, as projects.
pub(super) struct Accounts {
    policy: Arc<Policy>,
    objects: Arc<Objects>,
}

/// The people who were asked about lately.
#[derive(Debug, Default)]
pub(super) struct Subjects(Mutex<HashMap<(Way, Arc<str>), Prepared>>);

#[derive(Debug)]
struct Prepared {
    person: Arc<Person>,
    policy: Arc<Policy>,
    until: BootTime,
    subject: Arc<Subject>,
}

/// The id of a user or role of this name: it is the same wherever and whenever it is asked for.
pub(super) fn id_of(name: &str) -> String {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    hex(digest.as_ref().get(..16).unwrap_or_default())
}

/// Bytes in lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    digits.collect()
}

impl Role {
    pub(super) fn of(name: &str) -> Self {
        Self {
            id: id_of(name),
            name: name.to_owned(),
        }
    }
}

impl Accounts {
    /// Those that there are now.
    pub(super) fn now(prover: Prover<'_>) -> Result<Self, Fault> {
        Ok(Self {
            policy: prover.deps.vending.policy(),
            objects: prover.deps.store.objects()?,
        })
    }

    /// The project of this name.
    pub(super) fn project(&self, alias: &AccountAlias) -> Option<Project> {
        let declared = self.policy.accounts.get(alias);
        let description = match declared {
            Some(account) => account.description.clone().unwrap_or_default(),
            None => Arc::clone(&self.objects.aliases.get(alias)?.draft.name),
        };
        Some(Project {
            alias: alias.clone(),
            description,
        })
    }

    /// All projects, in order.
    pub(super) fn all(&self) -> Vec<Project> {
        let declared = self.policy.accounts.keys();
        let mut aliases: Vec<_> = declared.chain(self.objects.aliases.keys()).collect();
        aliases.sort_unstable();
        aliases.dedup();
        let projects = aliases.into_iter().filter_map(|alias| self.project(alias));
        projects.collect()
    }

    /// What services are told of whoever has these roles there: what the operator says of everybody
    /// who has any, else those.
    fn called(&self, alias: &AccountAlias, names: Vec<Arc<str>>) -> Vec<Role> {
        let account = self.policy.accounts.get(alias);
        match account.and_then(|account| account.keystone_roles.as_deref()) {
            Some(said) => said.iter().map(|name| Role::of(name)).collect(),
            None => with_member(names),
        }
    }

    /// The names of all roles that anybody may have here.
    pub(super) fn roles(&self) -> Vec<Role> {
        let declared = self.policy.declared.roles();
        let declared = declared.map(|shown| shown.role.role.as_str());
        let stored = self.objects.roles.keys().map(|role| role.role.as_str());
        let said = self.policy.accounts.values();
        let said = said.filter_map(|account| account.keystone_roles.as_deref());
        let said = said.flatten().map(AsRef::as_ref);
        let mut names: Vec<&str> = declared.chain(stored).chain(said).chain([MEMBER]).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(Role::of).collect()
    }
}

impl Membership {
    fn new(project: Project, roles: Vec<Role>) -> Self {
        Self {
            project,
            roles,
            written: OnceLock::new(),
        }
    }
}

impl Written {
    fn of(subject: &Subject, membership: Option<&Membership>) -> Self {
        let roles = membership.map_or(&[][..], |membership| &membership.roles);
        let names = roles.iter().map(|role| json!({ "name": role.name }));
        let ids = roles.iter().map(|role| role.id.as_str());
        let user = json!({
            "id": subject.id,
            "name": &*subject.name,
            "username": &*subject.name,
            "roles": names.collect::<Vec<_>>(),
            "roles_links": [],
        });
        let metadata = json!({
            "is_admin": u8::from(subject.administrator),
            "roles": ids.collect::<Vec<_>>(),
        });
        let mut tenant_member = String::new();
        let user_v3 = json!({
            "id": subject.id,
            "name": &*subject.name,
            "domain": domain(),
            "password_expires_at": null,
        });
        let mut v3 = member("user", &user_v3);
        if let Some(Membership { project, .. }) = membership {
            let alias = project.alias.as_str();
            let project_v3 = json!({ "id": alias, "name": alias, "domain": domain() });
            tenant_member = format!(",{}", member("tenant", &tenant(project)));
            v3.extend([
                ",",
                &member("project", &project_v3),
                ",\"is_domain\":false,",
                &member("roles", &json!(roles)),
            ]);
        }
        Self {
            tenant: tenant_member,
            user: member("user", &user),
            metadata: member("metadata", &metadata),
            v3,
        }
    }
}

impl Subject {
    /// A session that stands for nobody else, or for somebody with nothing but its role; none where
    /// its account is gone.
    pub(super) fn of_session(
        name: Arc<str>,
        (account, role): (&AccountAlias, &str),
        accounts: &Accounts,
    ) -> Option<Self> {
        let project = accounts.project(account)?;
        let called = accounts.called(account, vec![Arc::from(role)]);
        let membership = Membership::new(project, called);
        Some(Self {
            id: id_of(&name),
            name,
            administrator: false,
            projects: BTreeMap::from([(account.clone(), membership)]),
            written: OnceLock::new(),
        })
    }

    /// Somebody for whom this one vouches: of all that it is in the project there is what everybody is.
    pub(super) fn vouches_for(&self, name: Arc<str>, project: &AccountAlias) -> Option<Self> {
        let own = self.membership(project)?;
        own.roles.iter().find(|role| role.name == MEMBER)?;
        let membership = Membership::new(own.project.clone(), with_member(Vec::new()));
        Some(Self {
            id: id_of(&name),
            name,
            administrator: false,
            projects: BTreeMap::from([(project.clone(), membership)]),
            written: OnceLock::new(),
        })
    }

    /// A person with these roles, as accounts and names.
    fn of_person(person: &Person, given: &[(AccountAlias, Arc<str>)], accounts: &Accounts) -> Self {
        let mut roles: BTreeMap<&AccountAlias, Vec<Arc<str>>> = BTreeMap::new();
        for (account, role) in given {
            roles.entry(account).or_default().push(Arc::clone(role));
        }
        let mut projects = BTreeMap::new();
        for (alias, names) in roles {
            let Some(project) = accounts.project(alias) else {
                continue;
            };
            let called = accounts.called(alias, names);
            projects.insert(alias.clone(), Membership::new(project, called));
        }
        if person.administrator {
            for project in accounts.all() {
                let alias = project.alias.clone();
                let membership = || Membership::new(project, with_member(Vec::new()));
                projects.entry(alias).or_insert_with(membership);
            }
        }
        Self {
            name: Arc::clone(&person.name),
            id: id_of(&person.name),
            administrator: person.administrator,
            projects,
            written: OnceLock::new(),
        }
    }

    /// What it is in this project, if anything.
    pub(super) fn membership(&self, project: &AccountAlias) -> Option<&Membership> {
        self.projects.get(project)
    }

    /// All its projects, in order.
    pub(super) fn memberships(&self) -> impl Iterator<Item = &Membership> {
        self.projects.values()
    }

    /// Its only project.
    pub(super) fn only(&self) -> Option<&Membership> {
        let mut projects = self.projects.values();
        projects.next().filter(|_| projects.next().is_none())
    }

    /// Whether this, out of a path, is its id or name.
    pub(super) fn is(&self, text: &str) -> bool {
        *self.id == *text || *self.name == *text
    }

    /// What documents tell of it in this project, or in none.
    pub(super) fn written(&self, project: Option<&AccountAlias>) -> &Written {
        let membership = project.and_then(|project| self.membership(project));
        let written = membership.map_or(&self.written, |membership| &membership.written);
        written.get_or_init(|| Written::of(self, membership))
    }
}

/// The one domain.
pub(super) fn domain() -> serde_json::Value {
    json!({ "id": DOMAIN, "name": DOMAIN_NAME })
}

/// A project as version 2.0 shows it.
pub(super) fn tenant(project: &Project) -> serde_json::Value {
    json!({
        "id": project.alias.as_str(),
        "name": project.alias.as_str(),
        "description": &*project.description,
        "enabled": true,
        "tags": [],
    })
}

/// `"name":value`
fn member(name: &str, value: &serde_json::Value) -> String {
    format!("\"{name}\":{value}")
}

/// These roles, each once, and that of everybody.
fn with_member(mut names: Vec<Arc<str>>) -> Vec<Role> {
    names.push(Arc::from(MEMBER));
    let mut roles: Vec<Role> = Vec::new();
    for name in names {
        if roles.iter().all(|role| role.name != *name) {
            roles.push(Role::of(&name));
        }
    }
    roles
}

impl Subjects {
    /// What this person is here today. Whoever asks about somebody asks from elsewhere, so grants
    /// that ask for an address or a host give nothing.
    pub(super) async fn of(
        &self,
        prover: Prover<'_>,
        person: &Arc<Person>,
    ) -> Result<Arc<Subject>, Fault> {
        let accounts = Accounts::now(prover)?;
        let now = prover.deps.clock.boot();
        let key = (person.way, Arc::clone(&person.name));
        if let Some(subject) = self.recall(&key, person, &accounts.policy, now) {
            return Ok(subject);
        }
        let given = given(prover, person).await?;
        let subject = Arc::new(Subject::of_person(person, &given, &accounts));
        let prepared = Prepared {
            person: Arc::clone(person),
            policy: accounts.policy,
            until: now.plus(AGE),
            subject: Arc::clone(&subject),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, held| now < held.until);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, prepared);
        Ok(subject)
    }

    fn recall(
        &self,
        key: &(Way, Arc<str>),
        person: &Arc<Person>,
        policy: &Arc<Policy>,
        now: BootTime,
    ) -> Option<Arc<Subject>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.get(key)?;
        let same = Arc::ptr_eq(&held.person, person) && Arc::ptr_eq(&held.policy, policy);
        (same && now < held.until).then(|| Arc::clone(&held.subject))
    }
}

/// The roles that grants and connectors give a person.
async fn given(
    prover: Prover<'_>,
    person: &Arc<Person>,
) -> Result<Vec<(AccountAlias, Arc<str>)>, Fault> {
    let deps = prover.deps;
    let caller = deps.vending.absent(person);
    let listener = Arc::clone(&prover.guest.connection.listener);
    let visit = Visit::new(listener, Arc::new(caller), Select::First);
    let want = Want {
        role: Wanted::First,
        proof: Proof::Shown,
        identity: None,
        assumption: None,
        patience: deps.patience.of_people(),
        api: API,
    };
    let roles = deps.vending.roles(&visit, &want).await?;
    let given = roles.iter().map(|role| {
        let name: Arc<str> = Arc::from(role.role.as_str());
        (role.account.clone(), name)
    });
    Ok(given.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystone_ids_are_those_of_names() {
        // printf ann | sha256sum
        assert_eq!(id_of("ann"), "49915e0d7d4b402e3017d010bc1c0e83");
        assert_eq!(id_of("зоя").len(), 32);
    }

    #[test]
    fn keystone_roles_are_there_once() {
        let names = |names: &[&str]| {
            let given = names.iter().map(|name| Arc::from(*name)).collect();
            let roles = with_member(given).into_iter();
            roles.map(|role| role.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["ops", "demo", "ops"]), ["ops", "demo", "member"]);
        assert_eq!(names(&["member"]), ["member"]);
        assert_eq!(names(&[]), ["member"]);
    }
}
