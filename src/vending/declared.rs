//! What people are shown of the configuration's roles and accounts: ids that stay, names, and
//! whether programs may use them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use super::Proof;
use super::arns::Arns;
use super::stored::ADMINISTRATOR;
use crate::config::{Account, BaseCredentials, Config, RoleKind, id_of_role};
use crate::grants::{Grant, GrantId, GrantedRole, Template, Wanted, When};
use crate::types::{AccessKeyId, AccountAlias, Partition, RoleRef};

/// What is shown of one configuration: made when it is first asked for, which on most hosts it never
/// is.
#[derive(Debug)]
pub struct Declared {
    config: Arc<Config>,
    shown: OnceLock<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    roles: HashMap<RoleRef, Arc<DeclaredRole>>,
    ids: HashMap<Uuid, Arc<DeclaredRole>>,
    accounts: BTreeMap<Uuid, Arc<DeclaredAccount>>,
    /// What roles are that only a grant names, by account.
    undeclared: HashMap<AccountAlias, RoleKind>,
    /// What they all are called by others.
    arns: Arns,
    /// Grants to programs that name their roles by a template.
    templates: Vec<Arc<Grant>>,
}

/// What is shown of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredRole {
    /// Its id.
    pub id: Uuid,
    /// The role.
    pub role: RoleRef,
    /// What people call it.
    pub name: Arc<str>,
    /// The STS call behind it.
    pub kind: RoleKind,
    /// Whether a grant that is not for people names it.
    pub system: bool,
}

/// What is shown of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAccount {
    /// Its id.
    pub id: Uuid,
    /// Its alias.
    pub alias: AccountAlias,
    /// The id of its key, where the configuration says one.
    pub access_key_id: Option<AccessKeyId>,
    /// Its partition.
    pub partition: Partition,
    /// Whether its sessions are made here, by no cloud.
    pub is_local: bool,
}

impl Declared {
    /// What this configuration shows.
    pub const fn of(config: Arc<Config>) -> Self {
        Self {
            config,
            shown: OnceLock::new(),
        }
    }

    /// Makes it, where nobody who is served waits for it.
    pub fn prepare(&self) {
        self.shown();
    }

    fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| Shown::of(&self.config))
    }

    /// The declared role of this id.
    pub fn by_id(&self, id: &Uuid) -> Option<&Arc<DeclaredRole>> {
        self.shown().ids.get(id)
    }

    /// What is shown of a role, declared or not.
    pub fn role(&self, role: &RoleRef) -> Arc<DeclaredRole> {
        self.shown().role(role)
    }

    /// Whether it is declared.
    pub fn has(&self, role: &RoleRef) -> bool {
        self.config.role(role).is_some()
    }

    /// What gives an administrator the role that it asks for, where no grant does.
    pub(super) fn grant(&self, proof: Proof, wanted: &Wanted) -> Option<Arc<Grant>> {
        let (Proof::Administrator, Wanted::Chosen(role)) = (proof, wanted) else {
            return None;
        };
        let (_, declared) = self.config.role(role)?;
        let id = GrantId::Connector(declared.id());
        let reason = Template::text(ADMINISTRATOR);
        Some(Arc::new(Grant::of(id, role.clone(), of_anyone(), reason)))
    }

    /// What the roles are called by others.
    pub(super) fn arns(&self) -> &Arns {
        &self.shown().arns
    }

    /// The declared roles.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<DeclaredRole>> {
        self.shown().roles.values()
    }

    /// The accounts, by id.
    pub fn accounts(&self) -> &BTreeMap<Uuid, Arc<DeclaredAccount>> {
        &self.shown().accounts
    }
}

impl Shown {
    fn of(config: &Config) -> Self {
        let for_programs = || {
            let grants = config.grants.iter();
            grants.filter(|grant| !grant.when.is_for_people())
        };
        let named: HashSet<&RoleRef> = for_programs()
            .filter_map(|grant| grant.role.fixed())
            .collect();
        let templates = for_programs()
            .filter(|grant| matches!(grant.role, GrantedRole::Template { .. }))
            .cloned()
            .collect();
        let mut shown = Self {
            templates,
            ..Self::default()
        };
        for (alias, account) in &config.accounts {
            shown.add_account(alias, account);
            for role in account.roles.values() {
                let reference = &role.reference;
                let name = role.display_name.as_deref();
                let declared = Arc::new(DeclaredRole {
                    id: role.id(),
                    role: reference.clone(),
                    name: Arc::from(name.unwrap_or(reference.role.as_str())),
                    kind: role.kind,
                    system: named.contains(reference) || shown.by_template(reference),
                });
                shown.arns.declare(&role.arn, reference);
                shown.ids.insert(declared.id, Arc::clone(&declared));
                shown.roles.insert(reference.clone(), declared);
            }
        }
        shown
    }

    fn role(&self, role: &RoleRef) -> Arc<DeclaredRole> {
        if let Some(declared) = self.roles.get(role) {
            return Arc::clone(declared);
        }
        let kind = self.undeclared.get(&role.account).copied();
        Arc::new(DeclaredRole {
            id: id_of_role(role),
            role: role.clone(),
            name: Arc::from(role.role.as_str()),
            kind: kind.unwrap_or_default(),
            system: self.by_template(role),
        })
    }

    fn add_account(&mut self, alias: &AccountAlias, account: &Account) {
        let access_key_id = match &account.base {
            BaseCredentials::Key { id, .. } => Some(id.clone()),
            BaseCredentials::Environment
            | BaseCredentials::Profile(_)
            | BaseCredentials::WebIdentity { .. }
            | BaseCredentials::Process(_)
            | BaseCredentials::Endpoint { .. }
            | BaseCredentials::Imds
            | BaseCredentials::Role(_)
            | BaseCredentials::CallerToken
            | BaseCredentials::Local => None,
        };
        if let Some(defaults) = &account.defaults {
            self.undeclared.insert(alias.clone(), defaults.kind);
            self.arns.derive(account);
        }
        let id = account.connectors_id();
        let shown = DeclaredAccount {
            id,
            alias: alias.clone(),
            access_key_id,
            partition: account.partition.clone(),
            is_local: matches!(account.base, BaseCredentials::Local),
        };
        self.accounts.insert(id, Arc::new(shown));
    }

    fn by_template(&self, role: &RoleRef) -> bool {
        let mut templates = self.templates.iter();
        templates.any(|grant| grant.role.may_be(role))
    }
}

/// Whose proof it is that counts is told beside it.
fn of_anyone() -> When {
    When {
        anyone: true,
        ..When::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::embedded;
    use crate::grants::{GroupWhen, Patterns};

    fn config() -> Config {
        embedded(1000, "/nowhere".into()).unwrap()
    }

    fn demo(config: &Config) -> Arc<DeclaredRole> {
        let role = RoleRef::parse("local/demo").unwrap();
        Declared::of(Arc::new(config.clone())).role(&role)
    }

    #[test]
    fn connectors_ids_are_those_of_their_names() {
        let shown = demo(&config());
        // uuidgen --sha1 --namespace @url --name local/demo
        assert_eq!(shown.id.to_string(), "18e9efa7-5638-54ff-a213-3202591f7f21");
        assert_eq!((&*shown.name, shown.kind), ("demo", RoleKind::AssumeRole));
        let other = RoleRef::parse("local/other").unwrap();
        let declared = Declared::of(Arc::new(config()));
        assert_ne!(declared.role(&other).id, shown.id);
        assert_eq!(declared.by_id(&shown.id), Some(&shown));
        assert_eq!(declared.by_id(&declared.role(&other).id), None);
    }

    #[test]
    fn connectors_are_of_the_system_where_a_program_has_them() {
        let role = RoleRef::parse("local/demo").unwrap();
        let grant = |when| Grant::of(GrantId::Grant(1), role.clone(), when, Template::text("x"));
        let system = |grants: Vec<Grant>| {
            let mut config = config();
            config.grants = grants.into_iter().map(Arc::new).collect();
            demo(&config).system
        };
        assert!(demo(&config()).system, "a user's programs");
        assert!(!system(vec![]));
        let anyone = When {
            anyone: true,
            ..When::default()
        };
        assert!(system(vec![grant(anyone)]));
        let principal = When {
            principal: Some(Patterns::default()),
            ..When::default()
        };
        let group = When {
            groups: Some(GroupWhen::default()),
            ..When::default()
        };
        assert!(!system(vec![
            grant(principal.clone()),
            grant(group.clone())
        ]));
        let unit = When {
            unit: Some(Patterns::default()),
            ..group
        };
        assert!(system(vec![grant(principal), grant(unit)]));
    }
}
