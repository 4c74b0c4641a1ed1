//! What is asked: the operations with their parameters, each of the form that AWS asks for.

use std::sync::Arc;
use std::time::Duration;

use super::check::{self, Violations};
use super::fault::Fault;
use super::parameters::Parameters;
use crate::config::compact_policy;
use crate::secret::SecretString;
use crate::sessions::ProvidedContext;
use crate::types::{ExternalId, RoleArn, SessionName, folded_tag};

/// The version of the API.
const VERSION: &str = "2011-06-15";

/// The longest life of a role's session, in seconds.
pub(super) const LONGEST_OF_ROLES: usize = 43_200;
/// The longest life of a user's.
pub(super) const LONGEST_OF_USERS: usize = 129_600;
/// The shortest life.
pub(super) const SHORTEST: usize = 900;
/// How many session tags there may be.
pub(super) const MOST_TAGS: usize = 50;
/// How many managed policies.
pub(super) const MOST_POLICIES: usize = 10;
/// How many contexts.
pub(super) const MOST_CONTEXTS: usize = 5;

/// What is not there, as it is told.
const NULL: &str = "null";

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    AssumeRole,
    AssumeRoleWithWebIdentity,
    GetCallerIdentity,
    GetFederationToken,
    GetSessionToken,
}

impl Action {
    pub(super) const ALL: [Self; 5] = [
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
        Self::GetCallerIdentity,
        Self::GetFederationToken,
        Self::GetSessionToken,
    ];

    /// The one that is named, of the version that is served. Clients that name no version mean it.
    pub(super) fn named(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let action = parameters.get("Action").unwrap_or_default();
        if action.is_empty() {
            return Err(Fault::MissingAction);
        }
        let version = parameters.get("Version");
        let served = version.is_none_or(|version| version == VERSION);
        let mut all = Self::ALL.into_iter();
        let known = all.find(|known| known.as_str() == action);
        known
            .filter(|_| served)
            .ok_or_else(|| Fault::InvalidAction {
                action: action.to_owned(),
                version: version.map(str::to_owned),
            })
    }

    /// As the wire spells it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::GetFederationToken => "GetFederationToken",
            Self::GetSessionToken => "GetSessionToken",
        }
    }
}

/// What narrows a session.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// A session policy, compact JSON.
    pub(super) policy: Option<String>,
    /// Managed policies.
    pub(super) arns: Vec<String>,
}

/// A second factor that is shown.
#[derive(Debug)]
pub(super) struct SecondFactor {
    /// The device.
    pub(super) serial: String,
    /// The code.
    pub(super) code: String,
}

/// `AssumeRole`.
#[derive(Debug)]
pub(super) struct AssumeRole {
    pub(super) role: RoleArn,
    pub(super) session_name: SessionName,
    pub(super) policies: Policies,
    pub(super) duration: Option<Duration>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) external_id: Option<ExternalId>,
    pub(super) second_factor: Option<SecondFactor>,
    pub(super) source_identity: Option<SessionName>,
    pub(super) contexts: Vec<ProvidedContext>,
}

/// `AssumeRoleWithWebIdentity`.
#[derive(Debug)]
pub(super) struct AssumeRoleWithWebIdentity {
    pub(super) role: RoleArn,
    pub(super) session_name: SessionName,
    pub(super) token: SecretString,
    /// Whose OAuth 2.0 access token it is; an OpenID Connect token says it by itself.
    pub(super) provider: Option<String>,
    pub(super) policies: Policies,
    pub(super) duration: Option<Duration>,
}

/// `GetSessionToken`.
#[derive(Debug)]
pub(super) struct GetSessionToken {
    pub(super) duration: Option<Duration>,
    pub(super) second_factor: Option<SecondFactor>,
}

/// `GetFederationToken`.
#[derive(Debug)]
pub(super) struct GetFederationToken {
    pub(super) name: SessionName,
    pub(super) policies: Policies,
    pub(super) duration: Option<Duration>,
    pub(super) tags: Vec<(String, String)>,
}

impl AssumeRole {
    pub(super) fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let mut read = Reader::new(parameters);
        let (role, name) = read.role();
        let session = read.policies()?;
        let duration = read.duration(LONGEST_OF_ROLES);
        let tags = read.tags()?;
        let transitive_tags = read.transitive_tags()?;
        let external_id = read.text("ExternalId", "externalId", check::EXTERNAL_ID);
        let second_factor = read.second_factor();
        let source_identity = read.text("SourceIdentity", "sourceIdentity", check::SESSION_NAME);
        let contexts = read.contexts()?;
        read.violations.end()?;
        check_tags(&tags, &transitive_tags)?;
        Ok(Self {
            role: role_arn(role)?,
            session_name: session_name(name)?,
            policies: session.checked()?,
            duration,
            tags: owned(&tags),
            transitive_tags: transitive_tags
                .iter()
                .map(|key| (*key).to_owned())
                .collect(),
            external_id: external_id
                .map(ExternalId::new)
                .transpose()
                .map_err(|invalid| Fault::Validation(invalid.to_string()))?,
            second_factor: second_factor.checked()?,
            source_identity: source_identity
                .map(|identity| session_name(Some(identity)))
                .transpose()?,
            contexts: provided(&contexts)?,
        })
    }
}

impl AssumeRoleWithWebIdentity {
    pub(super) fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let mut read = Reader::new(parameters);
        let (role, name) = read.role();
        let token = parameters.get("WebIdentityToken");
        read.violations
            .needed(token, "webIdentityToken", check::IDENTITY_TOKEN);
        let provider = read.text("ProviderId", "providerId", check::PROVIDER_ID);
        let session = read.policies()?;
        let duration = read.duration(LONGEST_OF_ROLES);
        read.violations.end()?;
        Ok(Self {
            role: role_arn(role)?,
            session_name: session_name(name)?,
            token: SecretString::from(token.unwrap_or_default()),
            provider: provider.map(str::to_owned),
            policies: session.checked()?,
            duration,
        })
    }
}

impl GetSessionToken {
    pub(super) fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let mut read = Reader::new(parameters);
        let duration = read.duration(LONGEST_OF_USERS);
        let second_factor = read.second_factor();
        read.violations.end()?;
        Ok(Self {
            duration,
            second_factor: second_factor.checked()?,
        })
    }
}

impl GetFederationToken {
    pub(super) fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let mut read = Reader::new(parameters);
        let name = parameters.get("Name");
        read.violations.needed(name, "name", check::USER_NAME);
        let session = read.policies()?;
        let duration = read.duration(LONGEST_OF_USERS);
        let tags = read.tags()?;
        read.violations.end()?;
        check_tags(&tags, &[])?;
        Ok(Self {
            name: session_name(name)?,
            policies: session.checked()?,
            duration,
            tags: owned(&tags),
        })
    }
}

/// What stands in the request in pairs: tags, and contexts.
type Pairs<'p> = Vec<(&'p str, &'p str)>;

/// What narrows a session, its form not looked into yet.
struct Told<'p> {
    policy: Option<&'p str>,
    arns: Vec<&'p str>,
}

/// A second factor of which each half may be missing.
struct Halves<'p> {
    serial: Option<&'p str>,
    code: Option<&'p str>,
}

/// Reads the parameters, and notes all that is wrong with them.
struct Reader<'p> {
    parameters: &'p Parameters<'p>,
    violations: Violations,
}

impl<'p> Reader<'p> {
    fn new(parameters: &'p Parameters<'p>) -> Self {
        Self {
            parameters,
            violations: Violations::default(),
        }
    }

    fn text(&mut self, name: &str, at: &str, rule: check::Rule) -> Option<&'p str> {
        let value = self.parameters.get(name);
        self.violations.text(value, at, rule);
        value
    }

    /// The role's ARN, and the session's name.
    fn role(&mut self) -> (Option<&'p str>, Option<&'p str>) {
        let role = self.parameters.get("RoleArn");
        self.violations.needed(role, "roleArn", check::ARN);
        let name = self.parameters.get("RoleSessionName");
        self.violations
            .needed(name, "roleSessionName", check::SESSION_NAME);
        (role, name)
    }

    fn policies(&mut self) -> Result<Told<'p>, Fault> {
        let policy = self.text("Policy", "policy", check::POLICY);
        let members = self.parameters.members("PolicyArns")?;
        let arns: Vec<_> = members
            .iter()
            .map(|member| {
                self.parameters
                    .get(&format!("PolicyArns.member.{member}.arn"))
            })
            .collect();
        let told: Vec<&str> = arns.iter().copied().flatten().collect();
        if self.violations.list(&told, "policyArns", MOST_POLICIES) {
            for (number, arn) in (1..).zip(&arns) {
                let at = format!("policyArns.{number}.member.arn");
                self.violations.text(*arn, at, check::ARN);
            }
        }
        Ok(Told { policy, arns: told })
    }

    fn duration(&mut self, longest: usize) -> Option<Duration> {
        let text = self.parameters.get("DurationSeconds");
        let seconds = self
            .violations
            .number(text, "durationSeconds", SHORTEST, longest);
        seconds.map(Duration::from_secs)
    }

    fn tags(&mut self) -> Result<Pairs<'p>, Fault> {
        let mut tags = Vec::new();
        let parameters = self.parameters;
        for member in parameters.members("Tags")? {
            let part = |part| parameters.get(&format!("Tags.member.{member}.{part}"));
            tags.push((part("Key"), part("Value")));
        }
        let keys: Vec<&str> = tags.iter().map(|(key, _)| key.unwrap_or(NULL)).collect();
        if !self.violations.list(&keys, "tags", MOST_TAGS) {
            return Ok(Vec::new());
        }
        for (number, (key, value)) in (1..).zip(&tags) {
            let at = format!("tags.{number}.member");
            self.violations
                .needed(*key, format_args!("{at}.key"), check::TAG_KEY);
            self.violations
                .needed(*value, format_args!("{at}.value"), check::TAG_VALUE);
        }
        let whole = tags
            .into_iter()
            .filter_map(|(key, value)| Some((key?, value?)));
        Ok(whole.collect())
    }

    fn transitive_tags(&mut self) -> Result<Vec<&'p str>, Fault> {
        let members = self.parameters.members("TransitiveTagKeys")?;
        let names = members
            .iter()
            .map(|member| format!("TransitiveTagKeys.member.{member}"));
        let keys: Vec<&str> = names
            .filter_map(|name| self.parameters.get(&name))
            .collect();
        if self.violations.list(&keys, "transitiveTagKeys", MOST_TAGS) {
            self.violations
                .texts(&keys, "transitiveTagKeys", check::TAG_KEY);
        }
        Ok(keys)
    }

    fn second_factor(&mut self) -> Halves<'p> {
        Halves {
            serial: self.text("SerialNumber", "serialNumber", check::SERIAL_NUMBER),
            code: self.text("TokenCode", "tokenCode", check::TOKEN_CODE),
        }
    }

    /// What others vouch for of the caller: who, and what they say.
    fn contexts(&mut self) -> Result<Pairs<'p>, Fault> {
        let parameters = self.parameters;
        let members = parameters.members("ProvidedContexts")?;
        let part = |member: &u32, part| {
            parameters.get(&format!("ProvidedContexts.member.{member}.{part}"))
        };
        let providers: Vec<_> = members.iter().map(|it| part(it, "ProviderArn")).collect();
        let told: Vec<&str> = providers.iter().map(|arn| arn.unwrap_or(NULL)).collect();
        if !self
            .violations
            .list(&told, "providedContexts", MOST_CONTEXTS)
        {
            return Ok(Vec::new());
        }
        let mut contexts = Vec::new();
        for (number, (member, provider)) in (1..).zip(members.iter().zip(providers)) {
            let at = format!("providedContexts.{number}.member");
            let assertion = part(member, "ContextAssertion");
            self.violations
                .needed(provider, format_args!("{at}.providerArn"), check::ARN);
            self.violations.needed(
                assertion,
                format_args!("{at}.contextAssertion"),
                check::CONTEXT,
            );
            contexts.extend(provider.zip(assertion));
        }
        Ok(contexts)
    }
}

impl Told<'_> {
    fn checked(self) -> Result<Policies, Fault> {
        for arn in &self.arns {
            if !is_of_iam(arn, "policy/") {
                return Err(Fault::Validation(format!("ARN {arn} is not valid.")));
            }
        }
        Ok(Policies {
            policy: self.policy.map(policy).transpose()?,
            arns: self.arns.iter().map(|arn| (*arn).to_owned()).collect(),
        })
    }
}

impl Halves<'_> {
    fn checked(self) -> Result<Option<SecondFactor>, Fault> {
        match (self.serial, self.code) {
            (None, None) => Ok(None),
            (Some(serial), Some(code)) => Ok(Some(SecondFactor {
                serial: serial.to_owned(),
                code: code.to_owned(),
            })),
            (Some(_), None) | (None, Some(_)) => Err(Fault::Validation(
                "MultiFactorAuthentication failed, must provide both MFA serial number and one \
                 time pass code."
                    .to_owned(),
            )),
        }
    }
}

fn role_arn(text: Option<&str>) -> Result<RoleArn, Fault> {
    let arn = RoleArn::new(text.unwrap_or_default());
    arn.map_err(|_invalid| Fault::Validation("Request ARN is invalid".to_owned()))
}

fn session_name(text: Option<&str>) -> Result<SessionName, Fault> {
    let name = SessionName::new(text.unwrap_or_default());
    name.map_err(|invalid| Fault::Validation(invalid.to_string()))
}

/// The policy without its spaces.
fn policy(text: &str) -> Result<String, Fault> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err(Fault::MalformedPolicy("This policy contains invalid Json"));
    }
    let compact = compact_policy(text);
    compact.map_err(|_why| Fault::SYNTAX_OF_POLICY)
}

/// `arn:{partition}:iam::{account}:{kind}{path and name}`.
fn is_of_iam(arn: &str, kind: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return false;
    };
    !partition.is_empty()
        && !account.is_empty()
        && resource
            .strip_prefix(kind)
            .is_some_and(|name| !name.is_empty())
}

/// `arn:{partition}:iam::aws:contextProvider/{name}`, each with what it says.
fn provided(contexts: &Pairs<'_>) -> Result<Vec<ProvidedContext>, Fault> {
    let checked = contexts.iter().map(|(provider, assertion)| {
        if !is_of_iam(provider, "contextProvider/") {
            return Err(Fault::Validation(format!("ARN {provider} is not valid.")));
        }
        Ok(ProvidedContext {
            provider: Arc::from(*provider),
            assertion: SecretString::from(*assertion),
        })
    });
    checked.collect()
}

/// No key twice, none of AWS's own, and none transitive that is not there.
fn check_tags(tags: &Pairs<'_>, transitive: &[&str]) -> Result<(), Fault> {
    let wrong = |why: &str| Err(Fault::Validation(why.to_owned()));
    let mut keys: Vec<String> = tags.iter().map(|(key, _)| folded_tag(key)).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair.first() == pair.last()) {
        return wrong("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
    if keys.iter().any(|key| key.starts_with("aws:")) {
        return wrong("Tag keys may not begin with aws:, which is reserved for system use.");
    }
    let is_there = |key: &&str| keys.binary_search(&folded_tag(key)).is_ok();
    if !transitive.iter().all(is_there) {
        return wrong("The specified transitive tag key must be included in the requested tags.");
    }
    Ok(())
}

fn owned(tags: &Pairs<'_>) -> Vec<(String, String)> {
    let owned = tags.iter();
    owned
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
