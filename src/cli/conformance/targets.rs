//! Request targets that programs can be talked into, and that fool filters.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};

/// Longer than any target that an SDK sends.
const LONG: usize = 16 << 10;

pub(super) const ODD: Check = Check {
    name: "odd targets",
    asks: "absolute targets of other hosts, dot segments, encoded slashes, backslashes, encoded line \
           ends and endless paths lead to no credentials",
    why: "who can choose a part of a URL (SSRF) reaches by them what a filter in front does not see, \
          or writes headers into the answer",
    mend: "refuse what is no plain path before it is routed, and decode nothing twice",
    source: "kiam's path patterns; RFC 9112 on absolute targets",
    look: odd,
};

fn odd(scene: &Scene) -> Found {
    let authority = scene.endpoint.authority();
    let below = LIST.trim_start_matches("/latest/meta-data/");
    let targets = [
        (
            "another host's absolute target",
            format!("http://attacker.example{LIST}"),
        ),
        (
            "another host after a user's name",
            format!("http://{authority}@attacker.example{LIST}"),
        ),
        (
            "a host at the path's begin",
            format!("//attacker.example{LIST}"),
        ),
        (
            "dot segments",
            format!("/latest/../latest/meta-data/{below}"),
        ),
        (
            "encoded dot segments",
            format!("/latest/%2e%2e/latest/meta-data/{below}"),
        ),
        ("a path that leaves the root", format!("/../..{LIST}")),
        ("backslashes", LIST.replace('/', "\\")),
        ("a backslash", format!("/latest/meta-data\\{below}")),
        ("encoded slashes", LIST.replace("iam/", "iam%2f")),
        ("an encoded NUL", format!("{LIST}%00")),
        (
            "an encoded line end",
            format!("{LIST}%0d%0aX-Injected:%20yes"),
        ),
        ("a space", format!("{LIST} x")),
        ("an asterisk", "*".to_owned()),
        ("an endless path", format!("{LIST}{}", "a".repeat(LONG))),
    ];
    let mut broken = Vec::new();
    for (shape, target) in targets {
        // What is not answered at all is refused.
        let Ok(answer) = scene.ask(&scene.get(&target)) else {
            continue;
        };
        if answer.header("x-injected").is_some() {
            return Err(Finding::fault(format!(
                "{shape} writes a header into the answer"
            )));
        }
        if answer.is_success() {
            return Err(Finding::fault(format!(
                "a request for {shape} is answered {}",
                answer.status
            )));
        }
        if answer.status >= 500 {
            broken.push(format!("{shape} with {}", answer.status));
        }
    }
    if broken.is_empty() {
        Ok("they lead nowhere".to_owned())
    } else {
        Err(Finding::remark(format!(
            "refused as if by accident: {}",
            broken.join(", ")
        )))
    }
}
