//! What `check --live` asks: who each account is, and whether each of its roles can be obtained.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::account::StsAccount;
use super::base::Base;
use super::plans::{AccountPlan, Plans};
use super::sts::{Signer, identity};
use crate::config::Dialect;
use crate::grants::Names;
use crate::sessions::{
    Catalogue, FailureKind, FetchError, NoRequest, Request, Session, SessionKey, Wish,
};
use crate::types::RoleRef;

/// Clocks that differ by more than this are worth a word.
const SKEW: Duration = Duration::from_mins(1);

/// One thing that was tried.
#[derive(Debug)]
pub struct Finding {
    /// What was tried: an account's alias, or a role.
    pub subject: String,
    /// What came of it, in a sentence.
    pub outcome: Result<String, FetchError>,
}

/// A session that was obtained to see whether it can be.
struct Obtained {
    session: Session,
    /// How far upstream's clock is from ours.
    skew: Duration,
}

/// Asks each account's STS who signs with its base credentials, and obtains each role once, for a
/// caller of these names; tells each finding as it comes. Nothing is kept.
pub async fn probe(plans: &Plans, names: &Names, mut tell: impl FnMut(Finding)) {
    for (alias, plan) in plans.accounts() {
        if let AccountPlan::Sts(account) = plan
            && let Signer::Base(base) = account.own_signer()
        {
            tell(Finding {
                subject: alias.to_string(),
                outcome: who(plans, account, Arc::clone(base)).await,
            });
        }
    }
    let mut tried = HashMap::new();
    for role in plans.roles() {
        tell(Finding {
            subject: role.to_string(),
            outcome: obtain(plans, role, names, &mut tried).await,
        });
    }
}

/// Who signs with these base credentials. Ceph and MinIO do not tell, others may not know the
/// question.
async fn who(plans: &Plans, account: &StsAccount, base: Arc<Base>) -> Result<String, FetchError> {
    let dialect = account.account.dialect;
    let engine = plans.engine().clone();
    let endpoint = Arc::clone(&account.endpoint);
    let asked = plans.engine().run(async move {
        let keys = base.load(&engine).await?;
        match dialect {
            Dialect::Ceph | Dialect::Minio => Ok(None),
            Dialect::Aws | Dialect::Generic => identity(&engine, &endpoint, &keys)
                .await
                .map(|who| Some(who.arn)),
        }
    });
    match asked.await {
        Ok(Some(arn)) if !arn.is_empty() => Ok(format!("the base credentials are those of {arn}")),
        Err(error) if dialect == Dialect::Aws || error.kind != FailureKind::Misconfigured => {
            Err(error)
        }
        Ok(_) | Err(_) => {
            Ok("the base credentials were found; this STS does not tell whose they are".to_owned())
        }
    }
}

/// Obtains the role, its base roles first; what was obtained serves further roles.
async fn obtain(
    plans: &Plans,
    role: &RoleRef,
    names: &Names,
    tried: &mut HashMap<SessionKey, Result<Arc<Obtained>, FetchError>>,
) -> Result<String, FetchError> {
    let request = match plans.request(&Wish::declared(role.clone(), names.clone())) {
        Ok(request) => request,
        Err(NoRequest::NoIdentity) => {
            return Ok("not tried: it takes its caller's own token".to_owned());
        }
        Err(
            error @ (NoRequest::NoRole
            | NoRequest::NoAccount
            | NoRequest::NotYet
            | NoRequest::TwoPolicies
            | NoRequest::Excess(_)),
        ) => {
            let message = error.to_string();
            return Err(FetchError::new(FailureKind::Misconfigured, message));
        }
    };
    let mut chain = vec![&request];
    while let Some(base) = chain.last().and_then(|link| link.base.as_ref()) {
        chain.push(base);
    }
    let mut held: Option<Arc<Obtained>> = None;
    for link in chain.into_iter().rev() {
        let obtained = if let Some(known) = tried.get(&link.key) {
            known.clone()
        } else {
            let base = held.as_ref().map(|base| &base.session);
            fetch(plans, link, base).await.map(Arc::new)
        };
        tried.insert(link.key, obtained.clone());
        held = Some(obtained?);
    }
    Ok(held.map_or_else(String::new, |obtained| obtained.sentence(&request)))
}

async fn fetch(
    plans: &Plans,
    request: &Request,
    base: Option<&Session>,
) -> Result<Obtained, FetchError> {
    let clock = plans.engine().clock();
    let fetched = request.source.fetch(base).await?;
    let now = clock.now();
    let upstream = fetched.upstream_now.unwrap_or(now);
    let ahead = upstream.duration_since(now);
    Ok(Obtained {
        skew: ahead.unwrap_or_else(|behind| behind.duration()),
        session: Session::obtained(fetched, request.duration, clock),
    })
}

impl Obtained {
    fn sentence(&self, request: &Request) -> String {
        let key = &self.session.credentials.access_key_id;
        let minutes = |life: Duration| life.as_secs().div_ceil(60);
        let (life, asked) = (minutes(self.session.life), minutes(request.duration));
        let mut words = vec![format!("obtained for {life} minutes, access key {key}")];
        if life < asked {
            words.push(format!("{asked} minutes were asked for"));
        }
        if self.skew > SKEW {
            let seconds = self.skew.as_secs();
            words.push(format!("the clocks differ by {seconds} s, set this host's"));
        }
        words.join("; ")
    }
}
