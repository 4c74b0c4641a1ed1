//! Which role a caller gets, by which grant, on which evidence; and why no other grant gives it one.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::timeout;

use super::answer::Failure;
use super::view::Viewer;
use super::wire::{Answer, Explained, Fact, Given, Refused, Tried};
use super::{API, Admin, Door, OPENING};
use crate::api::Guest;
use crate::caller::{Caller, Evidence};
use crate::grants::{Facts, Grant, Key, Known, Place, Verdict, Wanted};
use crate::vending::{Explanation, Proof, Refusal, Subject, Vending, Visit, Want};

/// How long grant sources are waited for: longer than they may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// About whom; `None`: about the process that asks.
    pub subject: Option<Subject>,
    /// Which role.
    pub role: Wanted,
    /// On which listener; `None`: on all that hand out credentials.
    pub listener: Option<String>,
}

/// There is no such listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no listener {asked:?} that hands out credentials; there are {known}")]
pub struct NoDoor {
    asked: String,
    known: String,
}

impl Admin {
    pub(super) async fn explain(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        question: &Question,
    ) -> Result<Explained, Failure> {
        // Whether a connector gives somebody a role is only known then.
        drop(timeout(OPENING, self.store.settled()).await);
        let caller = match &question.subject {
            Some(subject) => self.subject(guest, viewer, subject).await?,
            None => self.own_process(guest).await,
        };
        let all = *viewer == Viewer::Administrator;
        let doors = self.control.doors();
        let told = explained(&self.vending, &doors, &caller, question, all).await;
        told.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))
    }

    /// Somebody else, where this viewer may ask.
    async fn subject(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        subject: &Subject,
    ) -> Result<Arc<Caller>, Failure> {
        let found = self.vending.caller_of(subject).await;
        if *viewer == Viewer::Administrator {
            return found.map_err(|error| Failure::new(StatusCode::NOT_FOUND, error.to_string()));
        }
        let own = guest.visit.caller().facts();
        match found {
            Ok(caller) if may_ask(&own, subject, &caller.facts()) => Ok(caller),
            // Whether there is such a process is not told either.
            Ok(_) | Err(_) => {
                let message = "you may ask about your own processes only, while they run";
                let remedy = "run the command with sudo, on the host itself";
                Err(Failure::new(StatusCode::FORBIDDEN, message).remedy(remedy))
            }
        }
    }

    /// The process that asks, as if it had connected over TCP as SDKs do.
    async fn own_process(&self, guest: &Guest) -> Arc<Caller> {
        let connected = &guest.connection.caller;
        if let Evidence::PeerCredentials { uid, pid, .. } = connected.evidence()
            && let Ok(pid) = u32::try_from(*pid)
            && let Ok(caller) = self.vending.caller_of(&Subject::Process(pid)).await
            // Else it has ended, and the number is another's.
            && caller.evidence().uid() == Some(*uid)
        {
            return caller;
        }
        Arc::clone(connected)
    }
}

/// Whether somebody of whom this is known may ask about this subject: it is the same user in the
/// same place, or below the same user's manager.
fn may_ask(own: &Facts, subject: &Subject, theirs: &Facts) -> bool {
    let same_user = own.uid.yes().is_some() && own.uid == theirs.uid;
    let (Some(here), Some(there)) = (own.place.yes(), theirs.place.yes()) else {
        return false;
    };
    let same_place = match (subject, here.as_ref(), there.as_ref()) {
        (_, here, there) if here == there => true,
        (Subject::User(_), Place::Host(_), _) => true,
        (Subject::Process(_), Place::Host(here), Place::Host(there)) => {
            here.user_slice.is_some() && here.user_slice == there.user_slice
        }
        (
            Subject::User(_) | Subject::Process(_) | Subject::Container(_) | Subject::Principal(_),
            _,
            _,
        ) => false,
    };
    same_user && same_place
}

/// What this caller gets on each listener. `all`: with what grants ask for that do not match.
pub async fn explained(
    vending: &Vending,
    doors: &[Door],
    caller: &Arc<Caller>,
    question: &Question,
    all: bool,
) -> Result<Explained, NoDoor> {
    let want = Want {
        role: question.role.clone(),
        proof: Proof::Shown,
        identity: None,
        assumption: None,
        patience: PATIENCE,
        api: API,
    };
    let mut told: Option<Explained> = None;
    for door in wanted_doors(doors, question.listener.as_deref())? {
        let visit = Visit::new(Arc::clone(&door.listener), Arc::clone(caller), door.select);
        let explanation = vending.explain(&visit, &want).await;
        let answer = answer(&door.listener, &explanation, all);
        match &mut told {
            None => told = Some(about(&explanation, answer)),
            Some(told) => add(&mut told.answers, answer),
        }
    }
    told.ok_or_else(|| no_door(doors, ""))
}

fn wanted_doors<'a>(doors: &'a [Door], asked: Option<&str>) -> Result<Vec<&'a Door>, NoDoor> {
    if let Some(asked) = asked {
        let named = doors.iter().find(|door| *door.listener == *asked);
        return Ok(vec![named.ok_or_else(|| no_door(doors, asked))?]);
    }
    let vending: Vec<&Door> = doors.iter().filter(|door| door.vends).collect();
    // A daemon without any is asked through its admin socket.
    Ok(if vending.is_empty() {
        doors.iter().collect()
    } else {
        vending
    })
}

fn no_door(doors: &[Door], asked: &str) -> NoDoor {
    let known: Vec<&str> = doors.iter().map(|door| &*door.listener).collect();
    NoDoor {
        asked: asked.to_owned(),
        known: known.join(", "),
    }
}

fn about(explanation: &Explanation, answer: Answer) -> Explained {
    let names = explanation.names.iter();
    let names = names.map(|(name, value)| (name.name().to_owned(), value.to_string()));
    Explained {
        caller: explanation.caller.to_string(),
        evidence: explanation.evidence.to_string(),
        known: known(&explanation.facts),
        placeholders: names.collect(),
        answers: vec![answer],
    }
}

/// Listeners with the same outcome share an answer. What a grant for one of them alone makes of the
/// caller tells more there than that the others are not that listener.
fn add(answers: &mut Vec<Answer>, new: Answer) {
    let same = answers
        .iter_mut()
        .find(|known| known.role == new.role && known.refusal == new.refusal);
    let Some(known) = same else {
        answers.push(new);
        return;
    };
    known.listeners.extend(new.listeners);
    for (tried, here) in known.grants.iter_mut().zip(new.grants) {
        if tried.key.as_deref() == Some(Key::Listener.as_str()) {
            *tried = here;
        }
    }
}

fn answer(listener: &Arc<str>, explanation: &Explanation, all: bool) -> Answer {
    let (role, refusal) = match &explanation.outcome {
        Ok(_) => (given(explanation), None),
        Err(refusal) => (None, Some(refused(*refusal))),
    };
    let tried = explanation.verdicts.iter();
    Answer {
        listeners: vec![listener.to_string()],
        role,
        refusal,
        grants: tried
            .map(|(grant, verdict)| self::tried(grant, verdict, &explanation.facts, all))
            .collect(),
    }
}

fn given(explanation: &Explanation) -> Option<Given> {
    let (granted, request) = explanation.outcome.as_ref().ok()?;
    let attribution = request.source.attribution();
    let text = |name: &str| name.to_owned();
    Some(Given {
        role: granted.role().to_string(),
        arn: request.role_arn.as_ref().map(ToString::to_string),
        grant: granted.grant().id.to_string(),
        reason: granted.reason().to_string(),
        session_name: request.session_name.as_deref().map(text),
        source_identity: attribution.source_identity.map(text),
        tags: attribution.tags.iter().cloned().collect(),
        duration_seconds: request.duration.as_secs(),
    })
}

fn refused(refusal: Refusal) -> Refused {
    let message = match refusal {
        Refusal::NotReady => {
            "what the decision needs could not be looked up in time; a caller is let wait"
                .to_owned()
        }
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::ProofMissing
        | Refusal::Excess(_)
        | Refusal::DeniedUpstream
        | Refusal::Misconfigured
        | Refusal::NotOffered => refusal.to_string(),
    };
    Refused {
        kind: refusal.as_str().to_owned(),
        message,
    }
}

fn tried(grant: &Arc<Grant>, verdict: &Verdict, facts: &Facts, all: bool) -> Tried {
    let (word, key, why) = match verdict {
        Verdict::Gives(roles) => {
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            ("gives", None, format!("gives {}", roles.join(", ")))
        }
        Verdict::NoRole => {
            let why = "matches, but what its groups match makes no role's name";
            ("no-role", None, why.to_owned())
        }
        Verdict::Fails(key) => {
            let why = grant.when.why_not(*key, facts);
            let why = if all { why.to_string() } else { why.seen };
            ("fails", Some(key.as_str().to_owned()), why)
        }
        Verdict::Needs(fact) => {
            let why = format!("the {} could not be looked up in time", fact.as_str());
            ("unknown", None, why)
        }
    };
    let may_know = all || matches!(verdict, Verdict::Gives(_));
    Tried {
        grant: grant.id.to_string(),
        role: may_know.then(|| grant.role.to_string()),
        verdict: word.to_owned(),
        key,
        why,
    }
}

/// All that is known, in the words of `when`.
fn known(facts: &Facts) -> Vec<Fact> {
    let mut known = List::default();
    known.add("uid", facts.uid.yes());
    known.add("gid", facts.gid.yes());
    if let Some(groups) = facts.groups.yes() {
        known.add("group", Some(groups.names.join(", ")));
    }
    match &facts.place {
        Known::Yes(place) => known.place(place),
        Known::No => known.add("place", Some("it cannot be told")),
        Known::NotYet => known.add("place", Some("it could not be looked up in time")),
    }
    if let Some(told) = facts.container.yes() {
        known.add("container.runtime", Some(&told.runtime));
        known.add("container.name", told.name.as_ref());
        known.add("container.image", told.image.as_ref());
        for (label, value) in &told.labels {
            known.add(&format!("container.label.{label:?}"), Some(value));
        }
        if let Some(pod) = &told.pod {
            known.add("pod.namespace", Some(&pod.namespace));
            known.add("pod.name", pod.name.as_ref());
        }
    }
    known.add("exe", facts.exe.yes());
    known.add("address", facts.address);
    known.add("host", facts.host.yes());
    known.add("principal", facts.principal());
    known.0
}

#[derive(Default)]
struct List(Vec<Fact>);

impl List {
    fn add(&mut self, name: &str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| Fact {
            name: name.to_owned(),
            value: value.to_string(),
        }));
    }

    fn place(&mut self, place: &Place) {
        match place {
            Place::Host(host) => {
                self.add("unit", host.unit.as_ref());
                self.add("user-unit", host.user_unit.as_ref());
                self.add("slice", host.slice.as_ref());
                self.add("container", Some("none"));
            }
            Place::Container(place) => {
                self.add("container.id", Some(place.id.as_str()));
                let owner = place.owner.map(|owner| format!("uid {owner}"));
                self.add("container.owner", owner);
            }
        }
    }
}
