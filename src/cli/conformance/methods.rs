//! Methods other than GET.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene, TOKEN_PATH, TOKEN_TTL};

pub(super) const OTHERS: Check = Check {
    name: "methods",
    asks: "POST, PUT, DELETE, PATCH and TRACE read nothing; GET and POST issue no token",
    why: "forms and links make browsers and servers POST and GET, where they could not PUT; TRACE \
          gives back a token that a script must not see",
    mend: "answer 405 with Allow",
    source: "EC2 answers 405; aws-vault's proxy and aws-runas had routes that change state",
    look: others,
};

pub(super) const HEAD: Check = Check {
    name: "HEAD",
    asks: "HEAD is answered without a body, or refused, and the connection stays in step",
    why: "a body where none may be is taken for the next answer on the same connection",
    mend: "answer as GET does, without the body",
    source: "RFC 9110",
    look: head,
};

fn others(scene: &Scene) -> Found {
    let target = scene.document_path().unwrap_or_else(|_| LIST.to_owned());
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let request = scene.request(method, &target).with("Content-Length", "0");
        // What is not answered at all is refused.
        let Ok(answer) = scene.ask(&request) else {
            continue;
        };
        if answer.is_success() {
            let what = format!("{method} is answered {}", answer.status);
            return Err(Finding::fault(what));
        }
        let shown = scene.token().ok();
        if shown.is_some_and(|token| answer.text().contains(token)) {
            return Err(Finding::fault(format!(
                "the answer to {method} repeats the token"
            )));
        }
    }
    for method in ["GET", "POST"] {
        let request = scene.bare(method, TOKEN_PATH).with(TOKEN_TTL, "60");
        let answer = scene.ask(&request.with("Content-Length", "0"));
        if answer.is_ok_and(|answer| answer.is_success()) {
            return Err(Finding::fault(format!("{method} issues a token")));
        }
    }
    Ok("they do nothing".to_owned())
}

fn head(scene: &Scene) -> Found {
    let get = scene.ask(&scene.get(LIST))?;
    let mut connection = scene.open()?;
    let head = connection.ask(&scene.request("HEAD", LIST))?;
    if head.is_success() {
        let told = head.header("content-length");
        if told.is_some_and(|told| told.parse() != Ok(get.body.len()) && told != "0") {
            return Err(Finding::fault("it tells another length than GET"));
        }
    }
    if head.announces_close() {
        return match connection.answer(false) {
            Err(super::wire::Trouble::Closed) => Ok(format!("it is answered {}", head.status)),
            Ok(_) | Err(_) => Err(Finding::fault("a body follows the head")),
        };
    }
    if !head.is_success() {
        return Ok(format!("it is refused with {}", head.status));
    }
    match connection.ask(&scene.get(LIST)) {
        Ok(next) if next.status == get.status && next.body == get.body => {
            Ok("it is answered without a body".to_owned())
        }
        Ok(_) | Err(super::wire::Trouble::Malformed(_)) => Err(Finding::fault(
            "what follows it on the connection is out of step",
        )),
        Err(trouble) => Err(trouble.into()),
    }
}
