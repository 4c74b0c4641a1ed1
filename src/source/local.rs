//! Source `local`: the built-in authority, no upstream at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::principal;
use super::plans::{role_of, tags_of};
use crate::authority::{Authority, IssueRequest, SessionOf};
use crate::config::{Account, BaseCredentials, Config, Role};
use crate::sessions::{
    Attribution, Callback, CallerIdentity, Catalogue, Exchange, ExchangeFuture, FailureKind,
    FetchError, FetchFuture, Fetched, KeyDigest, NoRequest, Offers, RegistryAsk, RegistryLogin,
    Request, Session, SessionCredentials, SessionKey, SigninAsk, SigninUrl, Source, Upstream, Wish,
};
use crate::types::{AccountAlias, SessionName};

/// Issues the sessions of one role for one kind of caller.
#[derive(Debug)]
pub struct LocalSource {
    authority: Arc<Authority>,
    issue: IssueRequest,
    /// Who its sessions are.
    identity: CallerIdentity,
}

impl Source for LocalSource {
    fn fetch<'a>(&'a self, _base: Option<&'a Session>) -> FetchFuture<'a> {
        Box::pin(std::future::ready(self.issue()))
    }

    fn exchange(&self) -> Option<&dyn Exchange> {
        Some(self)
    }

    fn attribution(&self) -> Attribution<'_> {
        Attribution {
            source_identity: self.issue.source_identity.as_deref(),
            tags: &self.issue.tags,
        }
    }
}

/// There is no console and no registry: only what the authority itself knows.
impl Exchange for LocalSource {
    fn offers(&self) -> Offers {
        Offers::default()
    }

    fn callback(&self, _url: &str) -> Option<Callback> {
        None
    }

    fn identity<'a>(&'a self, _session: &'a Session) -> ExchangeFuture<'a, CallerIdentity> {
        Box::pin(std::future::ready(Ok(self.identity.clone())))
    }

    fn signin<'a>(
        &'a self,
        _session: &'a Session,
        _ask: &'a SigninAsk,
    ) -> ExchangeFuture<'a, SigninUrl> {
        Box::pin(std::future::ready(Err(not_there("console"))))
    }

    fn registry<'a>(
        &'a self,
        _session: &'a Session,
        _ask: &'a RegistryAsk,
    ) -> ExchangeFuture<'a, Vec<RegistryLogin>> {
        Box::pin(std::future::ready(Err(not_there("container registry"))))
    }
}

fn not_there(what: &str) -> FetchError {
    let message = format!("the built-in authority has no {what}");
    FetchError::new(FailureKind::Misconfigured, message)
}

impl LocalSource {
    fn issue(&self) -> Result<Fetched, FetchError> {
        let issued = self.authority.issue(&self.issue).map_err(|error| {
            let message = format!("the built-in authority issued nothing: {error}");
            FetchError::new(FailureKind::Unavailable, message)
        })?;
        Ok(Fetched {
            credentials: SessionCredentials {
                access_key_id: issued.access_key_id,
                secret_access_key: issued.secret_access_key,
                session_token: issued.session_token,
            },
            expires_at: issued.expires_at,
            // The issuer's clock is the daemon's own.
            upstream_now: None,
        })
    }
}

/// The request of a role of the built-in authority, its templates filled.
pub fn local_request(
    authority: &Arc<Authority>,
    account: &Account,
    role: &Role,
    upstream: &Arc<Upstream>,
    wish: &Arc<Wish>,
) -> Request {
    let names = &wish.names;
    let session_name = SessionName::from_any(&role.session_name_of(names), SessionName::MAX);
    let source_identity = role
        .source_identity
        .as_ref()
        .and_then(|template| template.fill_known(names))
        .map(|identity| SessionName::from_any(&identity, SessionName::MAX));
    let tags = tags_of(role, wish);
    let asked = wish.assumption.as_deref();
    let issue = IssueRequest {
        principal: wish.principal.as_deref().map(str::to_owned),
        of: SessionOf::Role(role.reference.clone()),
        session_name: session_name.clone(),
        duration: role.duration,
        chain_depth: asked.map_or(0, |asked| asked.chain_depth),
        transitive_keys: role.transitive_of(&tags),
        tags,
        source_identity: source_identity
            .as_ref()
            .map(|name| name.as_str().to_owned()),
        policy: role.policy.as_deref().map(str::to_owned),
        policy_arns: role.policy_arns.clone(),
        mfa: asked.is_some_and(|asked| asked.mfa),
    };
    Request {
        key: key(account, role, &issue, wish),
        role: role.reference.clone(),
        role_arn: Some(role.arn.clone()),
        session_name: Some(Arc::from(session_name.as_str())),
        source_identity: source_identity.map(|name| Arc::from(name.as_str())),
        upstream: Arc::clone(upstream),
        duration: role.duration,
        idle: role.idle,
        wish: Arc::clone(wish),
        base: None,
        source: Arc::new(LocalSource {
            authority: Arc::clone(authority),
            identity: CallerIdentity::assumed(&role.arn, &session_name),
            issue,
        }),
    }
}

/// The account's alias and the role's name stand in the session token, so they are part of the
/// key here, unlike elsewhere.
fn key(account: &Account, role: &Role, issue: &IssueRequest, wish: &Wish) -> SessionKey {
    let optional = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let mut digest = KeyDigest::default()
        .field("kind", b"local")
        .field("role", role.reference.to_string().as_bytes())
        .optional("principal", issue.principal.as_deref().map(str::as_bytes))
        .field("mfa", &[u8::from(issue.mfa)])
        .field("chain-depth", &[issue.chain_depth])
        .field("arn", role.arn.as_str().as_bytes())
        .field("partition", account.partition.as_str().as_bytes())
        .field("duration", &issue.duration.as_secs().to_be_bytes())
        .field("session-name", issue.session_name.as_str().as_bytes())
        .optional(
            "source-identity",
            optional(&issue.source_identity).as_deref(),
        )
        .optional("policy", optional(&issue.policy).as_deref());
    if let Some(identity) = wish.named_by_token() {
        digest = principal(digest, identity);
    }
    for (name, value) in &issue.tags {
        digest = digest
            .field("tag", name.as_bytes())
            .field("value", value.as_bytes());
    }
    for name in &issue.transitive_keys {
        digest = digest.field("transitive", name.as_bytes());
    }
    for arn in &issue.policy_arns {
        digest = digest.field("policy-arn", arn.as_bytes());
    }
    digest.finish()
}

/// The roles of all accounts of the built-in authority.
#[derive(Debug)]
pub struct LocalPlans {
    authority: Arc<Authority>,
    accounts: BTreeMap<AccountAlias, (Account, Arc<Upstream>)>,
}

impl LocalPlans {
    /// The plans of this configuration.
    pub fn new(authority: Arc<Authority>, config: &Config) -> Self {
        let local = config.accounts.values().filter(|account| is_local(account));
        let accounts = local.map(|account| {
            (
                account.alias.clone(),
                (account.clone(), Arc::new(local_upstream(account))),
            )
        });
        Self {
            authority,
            accounts: accounts.collect(),
        }
    }
}

impl Catalogue for LocalPlans {
    fn request(&self, wish: &Wish) -> Result<Arc<Request>, NoRequest> {
        let account = self.accounts.get(&wish.role.account);
        let (account, upstream) = account.ok_or(NoRequest::NoAccount)?;
        let role = role_of(account, wish)?;
        let wish = Arc::new(wish.clone());
        let request = local_request(&self.authority, account, &role, upstream, &wish);
        Ok(Arc::new(request))
    }
}

/// What paces the calls of an account of the built-in authority.
pub fn local_upstream(account: &Account) -> Upstream {
    Upstream {
        name: format!("{} (built-in authority)", account.alias),
        per_second: account.rate_limit.per_second,
        burst: account.rate_limit.burst,
    }
}

const fn is_local(account: &Account) -> bool {
    matches!(account.base, BaseCredentials::Local)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::authority::KeyRing;
    use crate::clock::Clock;
    use crate::config::embedded;
    use crate::grants::{Names, Placeholder};
    use crate::secret::ExposeSecret;
    use crate::types::RoleRef;

    fn plans() -> (Arc<Authority>, LocalPlans) {
        let ring = KeyRing::in_memory().unwrap();
        let authority = Arc::new(Authority::new(ring, None, Clock::System).unwrap());
        let config = embedded(1000, PathBuf::from("/run/rolecall/admin.sock")).unwrap();
        let plans = LocalPlans::new(Arc::clone(&authority), &config);
        (authority, plans)
    }

    fn wish(role: &RoleRef, user: &str) -> Wish {
        let names = Names::default().with(Placeholder::Uid, "1000");
        Wish::declared(role.clone(), names.with(Placeholder::User, user))
    }

    #[tokio::test]
    async fn the_embedded_role_is_issued_to_its_caller() {
        let (authority, plans) = plans();
        let role = RoleRef::parse("local/demo").unwrap();
        let request = plans.request(&wish(&role, "build")).unwrap();
        assert_eq!(request.session_name.as_deref(), Some("build"));
        let fetched = request.source.fetch(None).await.unwrap();
        let token = fetched.credentials.session_token.expose_secret();
        let claims = authority.open(token).unwrap();
        assert_eq!(claims.of, SessionOf::Role(role));
        assert_eq!(claims.session_name.as_str(), "build");
        assert_eq!(claims.expires_at, fetched.expires_at);
    }

    #[test]
    fn callers_with_other_names_have_other_sessions() {
        let (_, plans) = plans();
        let role = RoleRef::parse("local/demo").unwrap();
        let key = |name| plans.request(&wish(&role, name)).unwrap().key;
        assert_eq!(key("a1"), key("a1"));
        assert_ne!(key("a1"), key("b1"));
        let unknown = RoleRef::parse("local/other").unwrap();
        assert_eq!(
            plans.request(&wish(&unknown, "a1")).unwrap_err(),
            NoRequest::NoRole
        );
        let undeclared = Wish {
            may_be_undeclared: true,
            ..wish(&unknown, "a1")
        };
        let request = plans.request(&undeclared).unwrap();
        assert_eq!(request.role, unknown);
    }
}
