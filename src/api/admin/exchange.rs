//! What a caller's session is exchanged for on the command line: a console sign-in, and a login to
//! a container registry.

use hyper::StatusCode;

use super::answer::Failure;
use super::view::Viewer;
use super::wire::{Console, RegistryLogin, Secret};
use super::{Admin, Guest, PATIENCE, want};
use crate::api::yield_often;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::sessions::{self, RegistryAsk, SigninAsk};
use crate::types::{AccountId, Region, RoleRef};
use crate::vending::{AccountFacts, Handout, Refusal, Registry};

/// How many roles are tried for a registry: each may be a call upstream.
const MOST_TRIED: usize = 4;

impl Admin {
    /// A URL that signs in to the console of a role's account.
    pub(super) async fn console(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        role: Option<RoleRef>,
    ) -> Result<Console, Failure> {
        let want = want(role, PATIENCE);
        let caller = guest.visit.caller();
        let refused = |refusal| self.refused(caller, viewer, &want, refusal);
        let handout = self.vending.ask_fresh(&guest.visit, &want).await;
        let handout = handout.map_err(refused)?;
        let name = handout.role().to_string();
        let url = handout.signin(&SigninAsk::default()).await;
        let url = url.map_err(|failed| not_exchanged(failed.into(), &name, "console sign-in"))?;
        Ok(Console {
            url: Secret::new(url.0),
            role: name,
        })
    }

    /// A login to the registry at this host, if there is one: by the role that is named, else by the caller's first
    /// role that has one: of the registry's own account if there is one.
    pub(super) async fn registry(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        server: &Server,
        named: Option<RoleRef>,
    ) -> Result<Option<RegistryLogin>, Failure> {
        let mut refused = None;
        for role in self.candidates(guest, viewer, server, named).await? {
            let want = want(Some(role.clone()), PATIENCE);
            let tried = match self.vending.ask_fresh(&guest.visit, &want).await {
                Ok(handout) => login(&handout, server).await,
                Err(refusal) => Err(refusal),
            };
            match tried {
                Ok(Some(login)) => return Ok(Some(login)),
                Ok(None) => {}
                Err(refusal) => {
                    let told = not_exchanged(refusal, &role.to_string(), "registry login");
                    refused = refused.or(Some(told));
                }
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The roles to try, in order.
    async fn candidates(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        server: &Server,
        named: Option<RoleRef>,
    ) -> Result<Vec<RoleRef>, Failure> {
        let policy = self.vending.policy();
        let may = |role: &RoleRef| server.may_be_of(&policy.account(&role.account));
        let mut known = policy.accounts.values();
        if !known.any(|account| server.may_be_of(account)) {
            return Ok(Vec::new());
        }
        if let Some(role) = named {
            return Ok(Some(role).filter(may).into_iter().collect());
        }
        let want = want(None, PATIENCE);
        let roles = self.vending.roles(&guest.visit, &want).await;
        let roles =
            roles.map_err(|refusal| self.refused(guest.visit.caller(), viewer, &want, refusal))?;
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for (done, role) in roles.iter().enumerate() {
            yield_often(done).await;
            if may(role) {
                let is_in = server.is_in(&policy.account(&role.account));
                let some = if is_in { &mut first } else { &mut others };
                if some.len() < MOST_TRIED {
                    some.push(role.clone());
                }
            }
        }
        first.append(&mut others);
        first.truncate(MOST_TRIED);
        Ok(first)
    }
}

/// A registry's host, as a container engine names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    host: String,
    /// What ECR's names tell.
    ecr: Option<EcrHost>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct EcrHost {
    account: String,
    region: Region,
    suffix: String,
}

impl Server {
    /// The host of a URL, or of what begins with one.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://").unwrap_or(("", text));
        let host = rest.split('/').next().unwrap_or_default();
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.is_empty() || host.len() > 255 || !host.bytes().all(valid) {
            return None;
        }
        let host = host.to_ascii_lowercase();
        Some(Self {
            ecr: EcrHost::parse(&host),
            host,
        })
    }

    /// Whether this account's logins may be for it: no other host is ever told a password.
    fn may_be_of(&self, account: &AccountFacts) -> bool {
        match (account.registry, &self.ecr) {
            (Registry::None, _) | (Registry::Regional, None) => false,
            // Whose registry it is turns out when it is asked.
            (Registry::Named, _) => true,
            (Registry::Regional, Some(ecr)) => {
                let partition = account.partition.as_ref();
                partition.is_some_and(|partition| {
                    let dual_stack = partition.as_str() == "aws" && ecr.suffix == "on.aws";
                    let own = partition.dns_suffix() == Some(ecr.suffix.as_str());
                    dual_stack || own
                })
            }
        }
    }

    /// Whether it is this account's own.
    fn is_in(&self, account: &AccountFacts) -> bool {
        let id = account.id.as_ref().map(AccountId::as_str);
        let owner = self.ecr.as_ref().map(|ecr| ecr.account.as_str());
        owner.is_some() && owner == id
    }
}

impl EcrHost {
    /// `ID.dkr.ecr[-fips].REGION.SUFFIX`, or `ID.dkr-ecr[-fips].REGION.on.aws`.
    fn parse(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let services = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."];
        let rest = services
            .iter()
            .find_map(|service| rest.strip_prefix(service))?;
        let (region, suffix) = rest.split_once('.')?;
        let is_id = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            account: is_id.then(|| account.to_owned())?,
            region: Region::new(region).ok()?,
            suffix: suffix.to_owned(),
        })
    }
}

/// The account's login to this host, if it has one.
async fn login(handout: &Handout, server: &Server) -> Result<Option<RegistryLogin>, Refusal> {
    let ask = RegistryAsk {
        region: server.ecr.as_ref().map(|ecr| ecr.region.clone()),
        registries: Vec::new(),
    };
    let logins = handout.registry(&ask).await?;
    let named = handout.account().registry == Registry::Named;
    // A login to ECR is good for whatever registry of its region the role may use.
    let fits = |domain: &str| !named || domain.eq_ignore_ascii_case(&server.host);
    let login = logins.iter().find(|login| fits(login.domain()));
    let login = login.and_then(sessions::RegistryLogin::user_and_password);
    Ok(login.map(|(user, password)| RegistryLogin {
        user,
        password: Secret::new(SecretString::from(password.expose_secret())),
        role: handout.role().to_string(),
    }))
}

fn not_exchanged(refusal: Refusal, role: &str, what: &str) -> Failure {
    let log = "the log, as an administrator, says what upstream answered";
    match refusal {
        Refusal::NotOffered => {
            let message = format!("the account of {role} has no {what}");
            Failure::new(StatusCode::CONFLICT, message).remedy("name another role with --role")
        }
        Refusal::NotReady => {
            let message = format!("there is no {what} for {role}: upstream does not answer");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, message).remedy(log)
        }
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::ProofMissing
        | Refusal::Excess(_)
        | Refusal::DeniedUpstream
        | Refusal::Misconfigured => {
            let message = format!("there is no {what} for {role}: {refusal}");
            Failure::new(StatusCode::BAD_GATEWAY, message).remedy(log)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Partition;

    fn account(registry: Registry, partition: &str) -> AccountFacts {
        AccountFacts {
            id: Some(AccountId::new("123456789012").unwrap()),
            partition: Some(Partition::new(partition).unwrap()),
            region: None,
            registry,
            ..AccountFacts::default()
        }
    }

    #[test]
    fn a_registry_is_found_by_its_host() {
        let server = Server::parse("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/");
        let server = server.unwrap();
        assert_eq!(server.host, "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        assert_eq!(
            server.ecr.as_ref().map(|ecr| ecr.region.as_str()),
            Some("eu-west-1")
        );
        assert!(server.is_in(&account(Registry::Regional, "aws")));
        let other = Server::parse("210987654321.dkr-ecr-fips.us-east-1.on.aws").unwrap();
        assert!(other.may_be_of(&account(Registry::Regional, "aws")));
        assert!(!other.is_in(&account(Registry::Regional, "aws")));
        for text in ["", "https://", "a b", "me@host", "x/../y\n"] {
            let host = Server::parse(text).map(|parsed| parsed.host);
            assert!(host.is_none() || host.as_deref() == Some("x"), "{text}");
        }
    }

    #[test]
    fn no_other_host_is_told_a_password() {
        let regional = account(Registry::Regional, "aws");
        for host in [
            "index.docker.io",
            "evil.example",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8080",
            "123456789012.ecr.eu-west-1.amazonaws.com",
            "localhost:5000",
        ] {
            let server = Server::parse(host).unwrap();
            assert!(!server.may_be_of(&regional), "{host}");
        }
        let china = Server::parse("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn").unwrap();
        assert!(china.may_be_of(&account(Registry::Regional, "aws-cn")));
        assert!(!china.may_be_of(&account(Registry::None, "aws-cn")));
    }
}
