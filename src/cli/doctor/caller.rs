//! Who the caller of this very shell is, to the daemon.

use super::finding::{Finding, Level};
use super::scene::Scene;
use crate::api::admin::wire::{Answer, Explained};
use crate::cli::daemon::AT_ONCE;

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    if scene.status.is_err() {
        let unseen = Finding::unseen("only a running daemon says who you are");
        return vec![
            unseen.mend("`rolecall explain --config FILE` tells what a file would decide"),
        ];
    }
    match scene.daemon.get::<Explained>("/v1/explain", AT_ONCE) {
        Ok(explained) => {
            let answers = explained.answers.iter();
            answers.map(|answer| told(&explained, answer)).collect()
        }
        Err(failure) => vec![Finding::of_failure(Level::Fault, &failure)],
    }
}

fn told(explained: &Explained, answer: &Answer) -> Finding {
    let (caller, listeners) = (&explained.caller, answer.listeners.join(", "));
    match (&answer.role, &answer.refusal) {
        (Some(given), _) => Finding::ok(format!(
            "you are {caller} and get {} on {listeners}, by {}",
            given.role, given.grant
        )),
        (None, refusal) => {
            let why = refusal.as_ref().map(|refusal| refusal.message.clone());
            let nothing = format!("you are {caller} and get no role on {listeners}");
            let found = Finding::warning(nothing).means(why.unwrap_or_default());
            found.mend("`rolecall explain` tells why no grant is for you")
        }
    }
}
