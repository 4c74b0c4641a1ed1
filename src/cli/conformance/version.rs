//! Version 1 of the protocol: answers without a token.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};

pub(super) const ONE: Check = Check {
    name: "token needed",
    asks: "a GET without a token is answered 401 (with --allow-v1, 200 too)",
    why: "one GET that a program can be talked into (SSRF) is all that it takes to have its role; and \
          another status than 401 tells SDKs that there are no credentials at all",
    mend: "switch version 1 off; keep it on for those callers only who cannot do without",
    source: "kube2iam #359, kiam #359 undo an instance's version-2-only; boto 2, rusoto need it on",
    look: one,
};

fn one(scene: &Scene) -> Found {
    let mut answered = false;
    for target in std::iter::once(LIST.to_owned()).chain(scene.document_path()) {
        let status = scene.ask(&scene.bare("GET", &target))?.status;
        match status {
            401 => {}
            200 if scene.allow_v1 => answered = true,
            200 => return Err(Finding::fault("credentials are to be had without a token")),
            _ => {
                let what = format!("without a token the answer is {status}, and not 401");
                return Err(Finding::fault(what));
            }
        }
    }
    Ok(if answered {
        "version 1 is on, as you allow".to_owned()
    } else {
        "without a token there is nothing".to_owned()
    })
}
