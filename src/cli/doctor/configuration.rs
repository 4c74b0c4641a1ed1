//! Whether the configuration is right.

use super::finding::{Finding, Level};
use super::scene::Scene;
use crate::cli::configuration::{count, refusal};
use crate::config::{Config, LoadError, Origin, Problem, Severity};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    match &scene.config {
        Ok((config, problems)) => {
            let told = problems.iter().filter_map(finding);
            std::iter::once(valid(config)).chain(told).collect()
        }
        Err(LoadError::Invalid(refused)) => refused.problems.iter().filter_map(finding).collect(),
        Err(error @ LoadError::Unreadable { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied && !scene.is_root =>
        {
            let hidden = Finding::unseen(error.to_string());
            vec![hidden.mend("ask again with sudo")]
        }
        Err(error @ (LoadError::Unreadable { .. } | LoadError::Untrusted { .. })) => {
            vec![Finding::of_failure(Level::Fault, &refusal(error))]
        }
    }
}

fn valid(config: &Config) -> Finding {
    let origin = match &config.origin {
        Origin::Embedded => "there is no file: the built-in configuration is used".to_owned(),
        Origin::File(path) => format!("{} can be used", path.display()),
    };
    let listeners = count(config.listeners.len(), "listener", "listeners");
    let grants = count(config.grants.len(), "grant", "grants");
    Finding::ok(format!("{origin} ({listeners}, {grants})"))
}

/// Notes are for those who write the file: `check` tells them.
fn finding(problem: &Problem) -> Option<Finding> {
    let place = problem.position.as_ref().map(|at| format!("{at}: "));
    let what = format!("{}{}", place.unwrap_or_default(), problem.message);
    let finding = match problem.severity {
        Severity::Error => Finding::fault(what).means("the daemon does not take this file"),
        Severity::Warning => Finding::warning(what),
        Severity::Note => return None,
    };
    Some(match &problem.hint {
        Some(hint) => finding.mend(hint),
        None => finding,
    })
}
