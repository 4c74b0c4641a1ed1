//! Which role is meant by an ARN: callers of STS know roles by nothing else.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::{Policy, Vending};
use crate::config::Account;
use crate::grants::Wanted;
use crate::types::{AccountAlias, AccountId, Partition, RoleArn, RoleName, RoleRef};

/// The ARNs of the configuration's roles.
#[derive(Clone, Debug, Default)]
pub(super) struct Arns {
    /// The declared roles of each.
    roles: HashMap<RoleArn, BTreeSet<RoleRef>, RandomState>,
    /// That of each declared role.
    of: HashMap<RoleRef, RoleArn, RandomState>,
    /// The accounts whose roles need not be declared, by what the ARNs of those begin with.
    accounts: HashMap<String, BTreeSet<AccountAlias>, RandomState>,
    /// What the ARNs of undeclared roles begin with, by account.
    prefixes: HashMap<AccountAlias, String>,
}

impl Arns {
    /// A role that is declared.
    pub(super) fn declare(&mut self, arn: &RoleArn, role: &RoleRef) {
        self.of.insert(role.clone(), arn.clone());
        let roles = self.roles.entry(arn.clone()).or_default();
        roles.insert(role.clone());
    }

    /// An account whose other roles have derived ARNs.
    pub(super) fn derive(&mut self, account: &Account) {
        let prefix = prefix(&account.partition, account.id.as_ref());
        let accounts = self.accounts.entry(prefix.clone()).or_default();
        accounts.insert(account.alias.clone());
        self.prefixes.insert(account.alias.clone(), prefix);
    }

    /// The declared roles that this may be.
    fn declared(&self, arn: &RoleArn) -> impl Iterator<Item = &RoleRef> {
        self.roles.get(arn).into_iter().flatten()
    }

    /// The undeclared roles that this may be.
    fn derived(&self, arn: &RoleArn) -> impl Iterator<Item = RoleRef> {
        let (prefix, last) = arn.as_str().rsplit_once('/').unwrap_or_default();
        let accounts = self.accounts.get(prefix);
        let within = accounts.and_then(|all| Some((all, RoleName::new(last).ok()?)));
        let derived = within.into_iter().flat_map(|(all, name)| {
            all.iter().map(move |account| RoleRef {
                account: account.clone(),
                role: name.clone(),
            })
        });
        // A declared role has the ARN that it declares, and no other.
        derived.filter(|role| !self.of.contains_key(role))
    }

    /// That of a role, declared or not.
    fn of(&self, role: &RoleRef) -> Option<RoleArn> {
        if let Some(arn) = self.of.get(role) {
            return Some(arn.clone());
        }
        let prefix = self.prefixes.get(&role.account)?;
        RoleArn::new(&format!("{prefix}/{}", role.role)).ok()
    }
}

/// What derived ARNs begin with, up to the last slash.
fn prefix(partition: &Partition, id: Option<&AccountId>) -> String {
    let id = id.map_or("", AccountId::as_str);
    format!("arn:{partition}:iam::{id}:role")
}

impl Policy {
    /// The ARN of a role, where it has one.
    pub fn arn_of(&self, role: &RoleRef) -> Option<RoleArn> {
        let stored = self.stored.connector(role);
        let stored = stored.and_then(|connector| connector.role_arn());
        stored.cloned().or_else(|| self.declared.arns().of(role))
    }

    /// The role of this ARN. Where several accounts have one, it is that of `tenant`.
    fn role_of_arn(&self, arn: &RoleArn, tenant: Option<&AccountAlias>) -> Option<RoleRef> {
        let named = self.declared.arns().declared(arn);
        let mut all: Vec<RoleRef> = named.chain(self.stored.of_arn(arn)).cloned().collect();
        // What an account has under this ARN by name is meant before what it could have.
        let derived = self.declared.arns().derived(arn).filter(|derived| {
            self.stored.connector(derived).is_none()
                && !all.iter().any(|role| role.account == derived.account)
        });
        let derived: Vec<RoleRef> = derived.collect();
        all.extend(derived);
        all.sort_unstable();
        all.dedup();
        let one = all.first()?;
        if all.iter().any(|role| role.account != one.account) {
            all.retain(|role| Some(&role.account) == tenant);
        }
        if all.len() > 1 {
            let name = arn.as_str().rsplit('/').next();
            all.retain(|role| Some(role.role.as_str()) == name);
        }
        all.into_iter().next()
    }
}

impl Vending {
    /// What is wanted by whoever names this ARN, and has a key of the account `tenant`. A role that
    /// there is not is decided as any other.
    pub fn role_of_arn(&self, arn: &RoleArn, tenant: Option<&AccountAlias>) -> Wanted {
        let policy = self.policy.load();
        match policy.role_of_arn(arn, tenant) {
            Some(role) => Wanted::Chosen(role),
            None => Wanted::NoSuch(arn.as_str().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(text: &str) -> AccountAlias {
        AccountAlias::new(text).unwrap()
    }

    fn arn(text: &str) -> RoleArn {
        RoleArn::new(text).unwrap()
    }

    fn arns() -> Arns {
        let mut arns = Arns::default();
        for (of, role) in [
            ("arn:aws:iam::123456789012:role/team/web", "prod/web"),
            ("arn:aws:iam:::role/x", "ceph/x1"),
            ("arn:aws:iam:::role/x", "minio/x1"),
        ] {
            arns.declare(&arn(of), &RoleRef::parse(role).unwrap());
        }
        for account in ["prod", "again"] {
            let prefix = "arn:aws:iam::123456789012:role".to_owned();
            let accounts = arns.accounts.entry(prefix.clone()).or_default();
            accounts.insert(alias(account));
            arns.prefixes.insert(alias(account), prefix);
        }
        arns
    }

    #[test]
    fn an_arn_is_that_of_declared_roles_or_derived_from_the_accounts() {
        let all = |text: &str| {
            let (arns, arn) = (arns(), arn(text));
            let mut all: Vec<RoleRef> = arns.declared(&arn).cloned().collect();
            all.extend(arns.derived(&arn));
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(all("arn:aws:iam::123456789012:role/team/web"), ["prod/web"]);
        assert_eq!(all("arn:aws:iam:::role/x"), ["ceph/x1", "minio/x1"]);
        // `prod/web` has another ARN than the derived one.
        assert_eq!(all("arn:aws:iam::123456789012:role/web"), ["again/web"]);
        let both = all("arn:aws:iam::123456789012:role/ci");
        assert_eq!(both, ["again/ci", "prod/ci"]);
        for none in [
            "arn:aws:iam::123456789012:role/c",
            "arn:aws:iam::123456789012:role/team/ci",
            "arn:aws-cn:iam::123456789012:role/ci",
            "arn:aws:iam::123456789013:role/ci",
            "arn:aws:iam:::role/other",
        ] {
            assert!(all(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_role_has_the_arn_that_it_declares_or_the_derived_one() {
        let of = |role: &str| {
            let arn = arns().of(&RoleRef::parse(role).unwrap());
            arn.map(|arn| arn.to_string())
        };
        let web = Some("arn:aws:iam::123456789012:role/team/web".to_owned());
        assert_eq!(of("prod/web"), web);
        let ci = Some("arn:aws:iam::123456789012:role/ci".to_owned());
        assert_eq!(of("prod/ci"), ci);
        assert_eq!(of("ceph/other"), None);
    }
}
