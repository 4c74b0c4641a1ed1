//! The configuration of a daemon that was given none: one role of the built-in authority, for the
//! daemon's own user, on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::{
    Account, Api, BaseCredentials, Bind, Config, Dialect, Instance, Limits, Listener, Log, Origin,
    RateLimit, Role, RoleKind, State,
};
use crate::grants::{Grant, GrantId, Select, Template, UserIds, When};
use crate::types::{AccountAlias, AccountId, InvalidText, Partition, RoleArn, RoleName, RoleRef};

/// The port where the embedded default serves metadata and container credentials.
const PORT: u16 = 1338;

/// The embedded default, for the user `uid`, with its admin socket at `admin_socket`.
pub fn embedded(uid: u32, admin_socket: PathBuf) -> Result<Config, InvalidText> {
    let account = local_account()?;
    let role = RoleRef {
        account: account.alias.clone(),
        role: RoleName::new("demo")?,
    };
    let when = When {
        users: Some(UserIds::new(vec![uid])),
        ..When::default()
    };
    let reason = Template::text("the daemon's own user");
    let grant = Grant::of(GrantId::Grant(1), role, when, reason);
    Ok(Config {
        origin: Origin::Embedded,
        listeners: vec![Listener {
            name: Arc::from("default"),
            binds: vec![Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))],
            apis: vec![Api::Imds, Api::Container],
            imdsv1: false,
            hosts: Vec::new(),
            instance: Instance::default(),
            minio_js_alias: false,
            tokenless: false,
            tokens: Vec::new(),
            select: Select::First,
        }],
        accounts: BTreeMap::from([(account.alias.clone(), account)]),
        grants: vec![Arc::new(grant)],
        issuers: Vec::new(),
        sources: Vec::new(),
        state: State::default(),
        log: Log::default(),
        limits: Limits::default(),
        runtime: None,
        admin_socket,
    })
}

fn local_account() -> Result<Account, InvalidText> {
    let alias = AccountAlias::new("local")?;
    let partition = Partition::new("aws")?;
    let id = AccountId::new("000000000000")?;
    let name = RoleName::new("demo")?;
    let reference = RoleRef {
        account: alias.clone(),
        role: name.clone(),
    };
    let arn = RoleArn::derived(&partition, Some(&id), &name);
    let role = Role::plain(reference, arn, RoleKind::AssumeRole);
    Ok(Account {
        alias,
        id: Some(id),
        partition,
        region: None,
        dialect: Dialect::Aws,
        endpoint: None,
        base: BaseCredentials::Local,
        rate_limit: RateLimit::default(),
        defaults: Some(Box::new(role.clone())),
        roles: BTreeMap::from([(name, role)]),
    })
}
