//! What is not there.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};

pub(super) const ROLE: Check = Check {
    name: "unknown role",
    asks: "the document of a role that is not the caller's is answered 404",
    why: "200 makes SDKs take what stands in it for credentials, 5xx makes them ask again and again",
    mend: "answer 404 with an empty body",
    source: "afp-alppaca answers 200 with nothing",
    look: role,
};

pub(super) const LEAF: Check = Check {
    name: "unknown paths",
    asks: "leaves that are not served are answered 404, with a token",
    why: "SDKs ask for newer paths first: on 404 they take the older one, on all else they give up",
    mend: "answer 404 to what is not there, with a good token and quickly",
    source: "security-credentials-extended in seven SDKs; cloud-init's tags",
    look: leaf,
};

fn role(scene: &Scene) -> Found {
    let target = format!("{LIST}rolecall-no-such-role");
    match scene.ask(&scene.get(&target))?.status {
        404 => Ok("it is answered 404".to_owned()),
        403 => Err(Finding::remark(
            "it is answered 403, where the real service says 404",
        )),
        status => Err(Finding::fault(format!("it is answered {status}"))),
    }
}

fn leaf(scene: &Scene) -> Found {
    for target in [
        "/latest/meta-data/rolecall-no-such-leaf",
        "/latest/meta-data/iam/security-credentials-extended/",
    ] {
        let status = scene.ask(&scene.get(target))?.status;
        if status != 404 {
            return Err(Finding::fault(format!("{target} is answered {status}")));
        }
    }
    Ok("they are answered 404".to_owned())
}
