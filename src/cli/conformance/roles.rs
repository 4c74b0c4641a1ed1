//! The role list.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};
use crate::types::RoleName;

pub(super) const ONE_ROLE: Check = Check {
    name: "role list",
    asks: "the list is one role's name and not a byte more",
    why: "SDKs append the body to the path as it is: a newline makes Rust's panic and CRT and s3cmd \
          fail, a second name eight clients",
    mend: "write the name of the caller's one role, without a newline",
    source: "smithy-rs, object_store, aws-c-auth, s3cmd; afp-alppaca lists all roles",
    look: one_role,
};

fn one_role(scene: &Scene) -> Found {
    let list = scene.ask(&scene.get(LIST))?;
    if list.status == 404 {
        return Err(Finding::untold("this caller has no role here (404)"));
    }
    if list.status != 200 {
        let what = format!("the list is answered {}", list.status);
        return Err(Finding::fault(what));
    }
    let text = list.text();
    if text.trim().is_empty() {
        return Err(Finding::fault("the list is 200 and empty"));
    }
    if text.trim_end() != text {
        return Err(Finding::fault("a newline or a space follows the name"));
    }
    if text.contains(['\n', '\r', '<']) {
        return Err(Finding::fault("more than one line is listed"));
    }
    if RoleName::new(&text).is_err() {
        return Err(Finding::fault("what is listed is no role's name"));
    }
    Ok("it is one name".to_owned())
}
