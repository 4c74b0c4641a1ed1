//! How quickly it answers, and how many at once.

use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::finding::{Check, Finding, Found};
use super::scene::Scene;
use super::wire::{Answer, Trouble};

/// How often the document is asked for, and how often that may take long.
const TIMES: usize = 100;
const SLOW_TIMES: usize = 1;

/// What most SDKs bear: one second, one attempt.
const SLOW: Duration = Duration::from_secs(1);

/// How many ask at once.
const CALLERS: usize = 64;

pub(super) const LATENCY: Check = Check {
    name: "latency",
    asks: "99 of 100 documents come within a second, each on a connection of its own",
    why: "most SDKs wait one second, once, and then tell that there are no credentials; Go's half as \
          long",
    mend: "never ask upstream while a request waits and a valid session is held",
    source: "kiam #191, kube2iam #30, eks-pod-identity-agent #90",
    look: latency,
};

pub(super) const FAN_IN: Check = Check {
    name: "fan-in",
    asks: "64 callers at once all get the document, and the same one",
    why: "a host's programs begin together; each that fails, or that costs a session of its own, does \
          so at boot",
    mend: "let all wait for one fetch, and bound connections well above the number of programs",
    source: "weep's first load, rolesanywhere-credential-helper's refresh, amazon-ecs-agent #1231 (429)",
    look: fan_in,
};

fn latency(scene: &Scene) -> Found {
    scene.document()?;
    let request = scene.get(&scene.document_path()?);
    let mut slow = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        scene.ask(&request)?;
        let took = begun.elapsed();
        if took >= SLOW {
            slow.push(took);
        }
        if slow.len() > SLOW_TIMES {
            let slowest = slow.iter().max().map_or(0, Duration::as_millis);
            return Err(Finding::fault(format!("some take {slowest} ms")));
        }
    }
    Ok("they come within a second".to_owned())
}

fn fan_in(scene: &Scene) -> Found {
    let usual = scene.document()?;
    let request = scene.get(&scene.document_path()?);
    let answers: Vec<Result<Answer, Trouble>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| scene.ask(&request)))
            .collect();
        let joined = callers.into_iter().filter_map(|caller| caller.join().ok());
        joined.collect()
    });
    let got: Vec<&Answer> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().ok())
        .filter(|answer| answer.status == 200)
        .collect();
    let failed = CALLERS.saturating_sub(got.len());
    if failed > 0 {
        return Err(Finding::fault(format!("{failed} of {CALLERS} fail")));
    }
    let mut bodies: Vec<&[u8]> = got.iter().map(|answer| answer.body.as_slice()).collect();
    bodies.push(&usual.body);
    bodies.sort_unstable();
    bodies.dedup();
    // It may have been renewed just then.
    if bodies.len() > 2 {
        return Err(Finding::fault(format!(
            "{CALLERS} get {} documents",
            bodies.len()
        )));
    }
    Ok(format!("all {CALLERS} get the same"))
}
