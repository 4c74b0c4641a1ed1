//! One STS call with its parameters, exactly as they are sent.

use std::sync::Arc;
use std::time::Duration;

use super::failure::Attempt;
use super::plans::tags_of;
use crate::config::{BaseCredentials, Dialect, Role, RoleKind};
use crate::secret::ExposeSecret as _;
use crate::sessions::{KeyDigest, ProvidedContext, Wish};
use crate::types::{ExternalId, RoleArn, SessionName};

/// Sessions of a role that was assumed with another role's session last an hour at most.
pub(super) const CHAINED_LIFE: Duration = Duration::from_hours(1);

/// The STS operations that issue sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    AssumeRole,
    AssumeRoleWithWebIdentity,
    GetFederationToken,
    GetSessionToken,
}

impl Action {
    /// What this role needs, with these base credentials: a web identity token can sign nothing,
    /// so a role is assumed with the token itself.
    pub(super) const fn of(kind: RoleKind, base: &BaseCredentials) -> Self {
        match kind {
            RoleKind::AssumeRole => match base {
                BaseCredentials::WebIdentity { .. } | BaseCredentials::CallerToken => {
                    Self::AssumeRoleWithWebIdentity
                }
                BaseCredentials::Environment
                | BaseCredentials::Profile(_)
                | BaseCredentials::Key { .. }
                | BaseCredentials::Process(_)
                | BaseCredentials::Endpoint { .. }
                | BaseCredentials::Imds
                | BaseCredentials::Role(_)
                | BaseCredentials::Local => Self::AssumeRole,
            },
            RoleKind::WebIdentity => Self::AssumeRoleWithWebIdentity,
            RoleKind::FederationToken => Self::GetFederationToken,
            RoleKind::SessionToken => Self::GetSessionToken,
        }
    }

    /// As the wire and the logs spell it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetFederationToken => "GetFederationToken",
            Self::GetSessionToken => "GetSessionToken",
        }
    }

    /// How long the name may be that upstream sees; a session token has none.
    const fn longest_name(self) -> Option<usize> {
        match self {
            Self::AssumeRole | Self::AssumeRoleWithWebIdentity => Some(SessionName::MAX),
            Self::GetFederationToken => Some(SessionName::MAX_FEDERATED),
            Self::GetSessionToken => None,
        }
    }

    /// Whether upstream takes only long-term keys for it.
    pub(super) const fn wants_long_term_keys(self) -> bool {
        matches!(self, Self::GetFederationToken | Self::GetSessionToken)
    }
}

/// A call with its parameters. What a dialect or an operation does not take is not in it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) action: Action,
    pub(super) role_arn: Option<RoleArn>,
    pub(super) session_name: Option<SessionName>,
    pub(super) duration: Duration,
    pub(super) policy: Option<Arc<str>>,
    pub(super) policy_arns: Vec<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) external_id: Option<ExternalId>,
    pub(super) source_identity: Option<SessionName>,
    pub(super) provided_contexts: Vec<ProvidedContext>,
    /// What upstream takes for the life where none is said, where that is surely known.
    pub(super) default_life: Option<Duration>,
}

impl Call {
    /// The call of this role for one caller.
    pub(super) fn new(role: &Role, dialect: Dialect, base: &BaseCredentials, wish: &Wish) -> Self {
        let names = &wish.names;
        let action = Action::of(role.kind, base);
        let takes = |parameter| takes(action, dialect, parameter);
        let source_identity = role.source_identity.as_ref();
        let policy_arns = role
            .policy_arns
            .iter()
            .filter(|_| takes(Parameter::PolicyArns));
        let asked = wish.assumption.iter();
        let contexts = asked
            .flat_map(|asked| &asked.provided_contexts)
            .filter(|_| takes(Parameter::ProvidedContexts));
        let tags = if takes(Parameter::Tags) {
            tags_of(role, wish)
        } else {
            Vec::new()
        };
        let is_known = action == Action::AssumeRole && dialect == Dialect::Aws;
        Self {
            action,
            default_life: is_known.then_some(CHAINED_LIFE),
            role_arn: (!action.wants_long_term_keys()).then(|| role.arn.clone()),
            session_name: action
                .longest_name()
                .map(|longest| SessionName::from_any(&role.session_name_of(names), longest)),
            duration: duration(role.duration, dialect, base),
            policy: role.policy.clone().filter(|_| takes(Parameter::Policy)),
            policy_arns: policy_arns.cloned().collect(),
            transitive_tags: if takes(Parameter::TransitiveTags) {
                role.transitive_of(&tags)
            } else {
                Vec::new()
            },
            tags,
            external_id: role
                .external_id
                .clone()
                .filter(|_| takes(Parameter::ExternalId)),
            source_identity: source_identity
                .filter(|_| takes(Parameter::SourceIdentity))
                .and_then(|identity| identity.fill_known(names))
                .map(|identity| SessionName::from_any(&identity, SessionName::MAX)),
            provided_contexts: contexts.cloned().collect(),
        }
    }

    /// Whether it would mean something else without its duration.
    pub(super) fn duration_must_be_said(&self) -> bool {
        self.default_life != Some(self.duration)
    }

    /// Adds every parameter to a session's key.
    pub(super) fn digest(&self, key: KeyDigest) -> KeyDigest {
        let mut key = key
            .field("action", self.action.as_str().as_bytes())
            .optional(
                "role-arn",
                self.role_arn.as_ref().map(|arn| arn.as_str().as_bytes()),
            )
            .optional(
                "session-name",
                self.session_name
                    .as_ref()
                    .map(|name| name.as_str().as_bytes()),
            )
            .field("duration", &self.duration.as_secs().to_be_bytes())
            .optional("policy", self.policy.as_deref().map(str::as_bytes))
            .optional(
                "external-id",
                self.external_id.as_ref().map(|id| id.as_str().as_bytes()),
            )
            .optional(
                "source-identity",
                self.source_identity
                    .as_ref()
                    .map(|name| name.as_str().as_bytes()),
            );
        for arn in &self.policy_arns {
            key = key.field("policy-arn", arn.as_bytes());
        }
        for (name, value) in &self.tags {
            key = key
                .field("tag", name.as_bytes())
                .field("value", value.as_bytes());
        }
        for name in &self.transitive_tags {
            key = key.field("transitive-tag", name.as_bytes());
        }
        for context in &self.provided_contexts {
            let assertion = context.assertion.expose_secret();
            key = key
                .field("context-provider", context.provider.as_bytes())
                .field("assertion", assertion.as_bytes());
        }
        key
    }

    /// What this call is, for messages.
    pub(super) fn attempt(&self) -> Attempt<'_> {
        Attempt {
            operation: self.action.as_str(),
            role_arn: self.role_arn.as_ref().map(RoleArn::as_str),
            with_external_id: self.external_id.is_some(),
            by_token: self.action == Action::AssumeRoleWithWebIdentity,
        }
    }
}

/// A parameter that not every operation and dialect takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Policy,
    PolicyArns,
    Tags,
    TransitiveTags,
    ExternalId,
    SourceIdentity,
    ProvidedContexts,
}

/// Whether this parameter is sent. Web identities bring tags and source identity in their token;
/// Ceph reads neither tags nor policy ARNs, MinIO only the policy.
const fn takes(action: Action, dialect: Dialect, parameter: Parameter) -> bool {
    let by_action = match parameter {
        Parameter::Policy | Parameter::PolicyArns => !matches!(action, Action::GetSessionToken),
        Parameter::Tags => matches!(action, Action::AssumeRole | Action::GetFederationToken),
        Parameter::TransitiveTags
        | Parameter::ExternalId
        | Parameter::SourceIdentity
        | Parameter::ProvidedContexts => matches!(action, Action::AssumeRole),
    };
    by_action
        && match dialect {
            Dialect::Aws | Dialect::Generic => true,
            Dialect::Ceph => matches!(parameter, Parameter::Policy | Parameter::ExternalId),
            Dialect::Minio => matches!(parameter, Parameter::Policy),
        }
}

/// The life to ask for. AWS refuses more than an hour to a chained role instead of shortening it.
fn duration(asked: Duration, dialect: Dialect, base: &BaseCredentials) -> Duration {
    let chained = match base {
        BaseCredentials::Role(_) | BaseCredentials::Imds | BaseCredentials::Endpoint { .. } => true,
        BaseCredentials::Environment
        | BaseCredentials::Profile(_)
        | BaseCredentials::Key { .. }
        | BaseCredentials::WebIdentity { .. }
        | BaseCredentials::CallerToken
        | BaseCredentials::Process(_)
        | BaseCredentials::Local => false,
    };
    match dialect {
        Dialect::Aws | Dialect::Generic if chained => asked.min(CHAINED_LIFE),
        Dialect::Aws | Dialect::Generic | Dialect::Ceph | Dialect::Minio => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RoleRef;

    const HALF_A_DAY: Duration = Duration::from_hours(12);

    #[test]
    fn what_is_surely_a_chain_asks_for_an_hour_at_most_where_aws_counts() {
        let chained = [
            BaseCredentials::Role(RoleRef::parse("hub/base").unwrap()),
            BaseCredentials::Imds,
            BaseCredentials::Endpoint {
                url: "http://127.0.0.1:1338/creds".to_owned(),
                token: None,
            },
        ];
        for base in &chained {
            let asked = |dialect| duration(HALF_A_DAY, dialect, base);
            assert_eq!(asked(Dialect::Aws), CHAINED_LIFE, "{base:?}");
            assert_eq!(asked(Dialect::Generic), CHAINED_LIFE, "{base:?}");
            assert_eq!(asked(Dialect::Ceph), HALF_A_DAY, "{base:?}");
            assert_eq!(asked(Dialect::Minio), HALF_A_DAY, "{base:?}");
            let short = Duration::from_mins(15);
            assert_eq!(duration(short, Dialect::Aws, base), short);
        }
    }

    #[test]
    fn other_base_credentials_get_what_is_asked() {
        for base in [
            BaseCredentials::Environment,
            BaseCredentials::Profile("x".to_owned()),
            BaseCredentials::Process(vec!["x".to_owned()]),
            BaseCredentials::WebIdentity {
                token_file: "/token".into(),
            },
        ] {
            assert_eq!(
                duration(HALF_A_DAY, Dialect::Aws, &base),
                HALF_A_DAY,
                "{base:?}"
            );
        }
    }

    #[test]
    fn a_web_identity_token_assumes_roles_by_itself() {
        let token = BaseCredentials::WebIdentity {
            token_file: "/token".into(),
        };
        let action = |kind| Action::of(kind, &token);
        assert_eq!(
            action(RoleKind::AssumeRole),
            Action::AssumeRoleWithWebIdentity
        );
        assert_eq!(
            action(RoleKind::WebIdentity),
            Action::AssumeRoleWithWebIdentity
        );
        let environment = BaseCredentials::Environment;
        assert_eq!(
            Action::of(RoleKind::AssumeRole, &environment),
            Action::AssumeRole
        );
    }
}
