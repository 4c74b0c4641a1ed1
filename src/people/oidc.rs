//! People who show a token of the company's OpenID Connect issuer.

use std::sync::Arc;
use std::time::Duration;

use super::directory::{Member, NotMember, is_name};
use super::{Issuers, NotProven};
use crate::config;
use crate::grants::WebIdentity;

/// How long the issuer's keys are waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// The claim that an issuer sets where it only repeats what a user typed (OpenID Connect Core 1.0,
/// section 5.1).
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";

/// Whose tokens stand for people.
#[derive(Debug)]
pub struct Tokens {
    config: config::Oidc,
    issuers: Arc<Issuers>,
}

impl Tokens {
    /// The tokens of this configuration's issuer.
    pub const fn new(config: config::Oidc, issuers: Arc<Issuers>) -> Self {
        Self { config, issuers }
    }

    /// Whose token this is.
    pub async fn verify(&self, token: &str) -> Result<Member, NotMember> {
        let verified = self.issuers.verify(token, PATIENCE).await;
        let identity = verified.map_err(|error| match error {
            NotProven::Refused(_) => NotMember::Wrong,
            NotProven::NotReady => NotMember::NotReady,
        })?;
        self.member(&identity).ok_or(NotMember::Wrong)
    }

    /// Other issuers vouch for programs, not for people.
    fn member(&self, identity: &WebIdentity) -> Option<Member> {
        if *identity.issuer != *self.config.issuer {
            return None;
        }
        let claim = |name: &str| identity.claims.get(name).map(Vec::as_slice);
        let unverified = claim(EMAIL_VERIFIED).is_some_and(|flag| flag != [Arc::from("true")]);
        if self.config.name_claim == EMAIL && unverified {
            return None;
        }
        let [name] = claim(&self.config.name_claim)? else {
            return None;
        };
        let groups = self.config.groups_claim.as_deref().and_then(claim);
        let groups = groups.unwrap_or_default().iter();
        is_name(name).then(|| Member {
            name: Arc::clone(name),
            groups: groups.filter(|group| is_name(group)).cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;
    use crate::secret::{LatestToken, SecretString};
    use crate::transport::{Client, OwnAddresses, Thread, Transport};

    const ISSUER: &str = "https://login.example.org";

    fn tokens(name_claim: &str) -> Tokens {
        let transport = Transport::new(OwnAddresses::default(), Arc::from("mark"), None);
        let client = Client::new(Thread::default(), transport);
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let config = config::Oidc {
            issuer: ISSUER.to_owned(),
            name_claim: name_claim.to_owned(),
            groups_claim: Some("groups".to_owned()),
        };
        Tokens::new(config, Arc::new(Issuers::new(&[], client, clock)))
    }

    fn identity(issuer: &str, claims: &[(&str, &[&str])]) -> WebIdentity {
        let texts = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
        let claims = claims
            .iter()
            .map(|(name, of)| ((*name).to_owned(), texts(of)));
        WebIdentity {
            issuer: Arc::from(issuer),
            subject: Arc::from("248289761001"),
            audiences: vec![Arc::from("rolecall")],
            claims: claims.collect::<BTreeMap<_, _>>(),
            pod: None,
            tags: Vec::new(),
            expires_at: SystemTime::UNIX_EPOCH,
            token: Arc::new(LatestToken::new(
                SecretString::from("token"),
                SystemTime::UNIX_EPOCH,
            )),
        }
    }

    #[tokio::test]
    async fn claims_name_the_person_and_the_groups() {
        let claims: &[(&str, &[&str])] = &[
            ("preferred_username", &["jane"]),
            ("groups", &["aws-prod-web", "bad\ngroup", "ops"]),
        ];
        let member = tokens("preferred_username").member(&identity(ISSUER, claims));
        let groups = vec![Arc::from("aws-prod-web"), Arc::from("ops")];
        let name = Arc::from("jane");
        assert_eq!(member, Some(Member { name, groups }));
        let alone = tokens("sub").member(&identity(ISSUER, &[("sub", &["jane"])]));
        assert_eq!(alone.map(|alone| alone.groups), Some(Vec::new()));
    }

    #[tokio::test]
    async fn a_token_that_names_nobody_is_no_proof() {
        let unnamed: &[&[(&str, &[&str])]] = &[
            &[],
            &[("sub", &["jane"])],
            &[("name", &["jane", "john"])],
            &[("name", &[])],
            &[("name", &["jane\n"])],
            &[("name", &["ja\u{200d}ne"])],
        ];
        for claims in unnamed {
            let member = tokens("name").member(&identity(ISSUER, claims));
            assert_eq!(member, None, "{claims:?}");
        }
        let other = identity("https://pods.example.org", &[("name", &["jane"])]);
        assert_eq!(tokens("name").member(&other), None);
    }

    #[tokio::test]
    async fn an_address_that_nobody_verified_is_no_name() {
        let with = |verified: &'static [&'static str]| {
            let claims: &[(&str, &[&str])] = &[
                ("email", &["jane@example.org"]),
                ("email_verified", verified),
            ];
            tokens("email").member(&identity(ISSUER, claims)).is_some()
        };
        assert!(with(&["true"]));
        assert!(!with(&["false"]));
        assert!(!with(&[]));
        let silent = identity(ISSUER, &[("email", &["jane@example.org"])]);
        assert!(tokens("email").member(&silent).is_some());
    }

    #[tokio::test]
    async fn what_its_issuer_does_not_verify_is_wrong() {
        let verified = tokens("sub").verify("a.b.c").await;
        assert_eq!(verified, Err(NotMember::Wrong));
    }
}
