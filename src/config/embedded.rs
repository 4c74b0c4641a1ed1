//! The configuration of a daemon that was given none: one role of the built-in authority, for the
//! daemon's own user, on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::{
    Account, Administrator, Api, Authority, BaseCredentials, Bind, Config, Console, Dialect,
    Instance, Limits, Listener, Log, Mount, Origin, People, RateLimit, Role, RoleKind, State,
};
use crate::grants::{Grant, GrantId, Select, Template, UserIds, Way, When};
use crate::types::{AccountAlias, AccountId, InvalidText, Partition, RoleArn, RoleName, RoleRef};

/// The port where the embedded default serves metadata and container credentials.
const PORT: u16 = 1338;

/// The port where it serves people's APIs.
const PEOPLES_PORT: u16 = 1339;

const PEOPLES: [Api; 4] = [Api::Accounts, Api::Connectors, Api::Keystone, Api::Sts];

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
        listeners: vec![
            listener("default", PORT, vec![Api::Imds, Api::Container]),
            Listener {
                mounts: Mount::defaults(&PEOPLES, &[Way::Peer]),
                ..listener("api", PEOPLES_PORT, PEOPLES.to_vec())
            },
        ],
        accounts: BTreeMap::from([(account.alias.clone(), account)]),
        grants: vec![Arc::new(grant)],
        issuers: Vec::new(),
        authority: Authority::default(),
        people: People {
            administrators: vec![Administrator::Uid(uid)],
            ..People::default()
        },
        sources: Vec::new(),
        state: State::default(),
        log: Log::default(),
        limits: Limits::default(),
        runtime: None,
        admin_socket,
    })
}

/// A listener of this host at this port.
fn listener(name: &str, port: u16, apis: Vec<Api>) -> Listener {
    Listener {
        name: Arc::from(name),
        binds: vec![Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))],
        apis,
        imdsv1: false,
        hosts: Vec::new(),
        instance: Instance::default(),
        minio_js_alias: false,
        tokenless: false,
        tokens: Vec::new(),
        select: Select::First,
        mounts: Vec::new(),
        peers: Vec::new(),
        public_url: None,
        tls: None,
    }
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
        description: None,
        console: Console::default(),
        ecr_endpoint: None,
        ecr_region: None,
        keystone_roles: None,
        defaults: Some(Box::new(role.clone())),
        roles: BTreeMap::from([(name, role)]),
    })
}
