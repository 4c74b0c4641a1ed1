//! The configuration of a daemon that was given none: one role of the built-in authority, for the
//! daemon's own user, on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Account, Api, BaseCredentials, Bind, Config, Dialect, Instance, Limits, Listener, Log, Origin,
    RateLimit, Role, RoleKind, State,
};
use crate::grants::{Grant, Template, UserIds, When};
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
    let grant = Grant {
        number: 1,
        role,
        when: When {
            users: Some(UserIds::new(vec![uid])),
            ..When::default()
        },
        priority: 0,
        reason: Arc::from("the daemon's own user"),
        imdsv1: None,
    };
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
        }],
        accounts: BTreeMap::from([(account.alias.clone(), account)]),
        grants: vec![Arc::new(grant)],
        state: State::default(),
        log: Log::default(),
        limits: Limits::default(),
        admin_socket,
    })
}

fn local_account() -> Result<Account, InvalidText> {
    let alias = AccountAlias::new("local")?;
    let partition = Partition::new("aws")?;
    let id = AccountId::new("000000000000")?;
    let name = RoleName::new("demo")?;
    let role = Role {
        reference: RoleRef {
            account: alias.clone(),
            role: name.clone(),
        },
        arn: RoleArn::derived(&partition, Some(&id), &name),
        kind: RoleKind::AssumeRole,
        duration: Duration::from_hours(1),
        prefetch: false,
        session_name: Template::caller(),
        source_identity: None,
        external_id: None,
        policy: None,
        policy_arns: Vec::new(),
        tags: Vec::new(),
        transitive_tags: Vec::new(),
        idle: Duration::from_hours(6),
        not_before: None,
    };
    Ok(Account {
        alias,
        id: Some(id),
        partition,
        region: None,
        dialect: Dialect::Aws,
        endpoint: None,
        base: BaseCredentials::Local,
        rate_limit: RateLimit::default(),
        roles: BTreeMap::from([(name, role)]),
    })
}
