//! The forms in which SDKs write the same path.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};

pub(super) const SLASHES: Check = Check {
    name: "slash forms",
    asks: "the role list is the same 200 with and without a slash at its end, and with doubled ones",
    why: "C++, .NET, aws-creds and cloud-init ask without, minio and boto 2 double them; redirects \
          break Java, .NET and s3cmd",
    mend: "collapse slashes and ignore the last one before routing; redirect nowhere",
    source: "imds-credential-server PR 7, titus-executor #633; kiam and aws-vault answer 301",
    look: slashes,
};

pub(super) const VERSIONS: Check = Check {
    name: "dated versions",
    asks: "the role list is the same below /1.0, /2009-04-04 and /2021-07-15",
    why: "cloud-init and older tools ask below a date, never below latest",
    mend: "take any date for latest",
    source: "cloud-init, ec2metadata",
    look: versions,
};

/// Holds what these targets answer against what SDKs' usual one does.
fn alike(scene: &Scene, targets: &[String], passed: &str) -> Found {
    let usual = scene.ask(&scene.get(LIST))?;
    if usual.status != 200 {
        return Err(Finding::untold("there is no role list"));
    }
    for target in targets {
        let answer = scene.ask(&scene.get(target))?;
        if answer.status != 200 {
            let what = format!("{target} is answered {}", answer.status);
            return Err(Finding::fault(what));
        }
        if answer.body != usual.body {
            return Err(Finding::fault(format!("{target} is another list")));
        }
    }
    Ok(passed.to_owned())
}

fn slashes(scene: &Scene) -> Found {
    let targets = [
        LIST.trim_end_matches('/').to_owned(),
        format!("/{LIST}"),
        LIST.replacen("/meta-data/", "//meta-data/", 1),
        format!("{LIST}/"),
    ];
    let told = alike(scene, &targets, "all are answered alike")?;
    let role = scene.role()?;
    let doubled = scene.ask(&scene.get(&format!("{LIST}/{role}")))?.status;
    let document = scene.document_status();
    if document.is_some_and(|status| status != doubled) {
        let what = format!("the document after a doubled slash is answered {doubled}");
        return Err(Finding::fault(what));
    }
    Ok(told)
}

fn versions(scene: &Scene) -> Found {
    let below = LIST.trim_start_matches("/latest");
    let targets = ["1.0", "2009-04-04", "2021-07-15"].map(|date| format!("/{date}{below}"));
    alike(scene, &targets, "all are answered alike")
}
