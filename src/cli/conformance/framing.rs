//! How requests and answers end, and connections go on.

use std::time::Duration;

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene, TOKEN};
use super::wire::{Answer, Connection, Framing, Request, Rest, Trouble};

/// How long a connection is listened to after an answer: what is wrong comes with the answer.
const AFTER: Duration = Duration::from_millis(25);

pub(super) const LENGTH: Check = Check {
    name: "length",
    asks: "every answer has the Content-Length of its body, refusals too",
    why: "clients wait for what does not come, or take the rest of one answer for the next; clients \
          made by hand know no chunks",
    mend: "send Content-Length with every answer",
    source: "s3cmd, s3fs, boto 2",
    look: length,
};

pub(super) const TWO_LENGTHS: Check = Check {
    name: "two lengths",
    asks: "a request with two Content-Lengths is refused; one with chunks and a length too is read by \
           its chunks or refused",
    why: "a proxy in front and this server see the end of a request in different places (request \
          smuggling)",
    mend: "refuse requests whose length is told twice",
    source: "RFC 9112, section 6.3",
    look: two_lengths,
};

pub(super) const OLD: Check = Check {
    name: "HTTP/1.0",
    asks: "a request of HTTP/1.0, which may have no Host, is answered without chunks",
    why: "small tools of the boot speak it",
    mend: "answer it, and close the connection",
    source: "ec2metadata, busybox wget",
    look: old,
};

pub(super) const KEPT: Check = Check {
    name: "keep-alive",
    asks: "a connection serves token, list and document, or says that it closes",
    why: "s3cmd uses one connection for all three, JS v3 keeps a pool: a silent close is an error",
    mend: "keep connections open, or send Connection: close",
    source: "s3cmd, aws-sdk-js-v3",
    look: kept,
};

pub(super) const TOKEN_FORMS: Check = Check {
    name: "token requests",
    asks: "a PUT without Content-Length, with 0, or with an empty chunked body that waits for 100 gets \
           a token, and the connection stays in step",
    why: "Rust and CRT send no length, s3fs an empty chunk",
    mend: "ask for no length (411), and read the body to its end",
    source: "smithy-rs, aws-c-auth, s3fs 1.90",
    look: token_forms,
};

pub(super) const SEGMENTS: Check = Check {
    name: "segments",
    asks: "a request that comes byte by byte is answered as a whole one",
    why: "a server that parses what one read gives fails now and then, under load only",
    mend: "read until the head ends",
    source: "daemons with an HTTP parser of their own",
    look: segments,
};

/// What an answer's framing has to say.
fn framed(of: &str, answer: Result<Answer, Trouble>) -> Result<Answer, Finding> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(trouble @ (Trouble::Malformed(_) | Trouble::Short | Trouble::Silent)) => {
            return Err(Finding::fault(format!("{of}: {trouble}")));
        }
        Err(trouble) => return Err(trouble.into()),
    };
    match answer.framing {
        Framing::Bodiless | Framing::Length(_) => Ok(answer),
        Framing::Chunked => Err(Finding::remark(format!("{of} comes in chunks"))),
        Framing::Close if answer.announces_close() => {
            Err(Finding::remark(format!("{of} ends with the connection")))
        }
        Framing::Close => Err(Finding::fault(format!("{of} tells no length, and goes on"))),
    }
}

fn length(scene: &Scene) -> Found {
    let mut asked = vec![
        ("the token", scene.put_token("60")),
        ("the list", scene.get(LIST)),
        ("a refusal", scene.bare("GET", LIST).with(TOKEN, "INVALID")),
        (
            "an unknown path",
            scene.get("/latest/meta-data/rolecall-no-such-leaf"),
        ),
    ];
    if let Ok(path) = scene.document_path() {
        asked.push(("the document", scene.get(&path)));
    }
    for (of, request) in asked {
        let mut connection = scene.open()?;
        framed(of, connection.ask(&request))?;
        if connection.rest(AFTER) == Rest::Bytes {
            return Err(Finding::fault(format!("{of} is longer than it says")));
        }
    }
    Ok("each is as long as it says".to_owned())
}

fn two_lengths(scene: &Scene) -> Found {
    let put = || scene.put_token("60").without("Content-Length");
    if !scene.ask(&scene.put_token("60"))?.is_success() {
        return Err(Finding::untold("no token is issued"));
    }
    let doubled = put()
        .with("Content-Length", "0")
        .with("Content-Length", "5");
    // What is not answered at all is refused.
    let doubled = scene.ask(&doubled.with_body("hello"));
    if doubled.is_ok_and(|answer| answer.is_success()) {
        return Err(Finding::fault(
            "a request with two Content-Lengths is answered",
        ));
    }
    let both = put()
        .with("Content-Length", "0")
        .with("Transfer-Encoding", "chunked")
        .with_body("5\r\nhello\r\n0\r\n\r\n");
    let usual = scene.ask(&scene.get(LIST))?.status;
    let mut connection = scene.open()?;
    let answer = connection.ask(&both);
    if answer.is_ok_and(|answer| answer.is_success()) {
        let next = connection.ask(&scene.get(LIST));
        // A connection that ends here is as it should be.
        if next.is_ok_and(|next| next.status != usual) {
            let what = "a chunked body is taken for a further request";
            return Err(Finding::fault(what));
        }
    }
    Ok("such requests are refused, or read by their chunks".to_owned())
}

fn old(scene: &Scene) -> Found {
    let usual = scene.ask(&scene.get(LIST))?;
    for request in [scene.get(LIST), scene.get(LIST).without("Host")] {
        let answer = match scene.ask(&request.in_version("HTTP/1.0")) {
            Ok(answer) => answer,
            Err(trouble) => return Err(Finding::fault(format!("{trouble}"))),
        };
        if answer.framing == Framing::Chunked {
            return Err(Finding::fault("it is answered in chunks"));
        }
        if answer.status != usual.status {
            let what = format!("it is answered {}", answer.status);
            return Err(Finding::fault(what));
        }
    }
    Ok("it is answered".to_owned())
}

fn kept(scene: &Scene) -> Found {
    let mut requests = vec![scene.put_token("60"), scene.get(LIST)];
    requests.extend(scene.document_path().map(|path| scene.get(&path)));
    let mut connection = scene.open()?;
    let mut closing = false;
    for (place, request) in requests.iter().enumerate() {
        if closing {
            return Ok("it says when it closes".to_owned());
        }
        match connection.ask(request) {
            Ok(answer) => closing = answer.announces_close(),
            Err(Trouble::Closed | Trouble::Broken(_)) if place > 0 => {
                let what = format!("it is closed after {place} answers without a word");
                return Err(Finding::fault(what));
            }
            Err(trouble) => return Err(trouble.into()),
        }
    }
    if !closing && connection.rest(AFTER) == Rest::Closed {
        return Err(Finding::fault(
            "it is closed after the last answer without a word",
        ));
    }
    Ok("one serves all".to_owned())
}

fn token_forms(scene: &Scene) -> Found {
    scene.token()?;
    let put = || scene.put_token("60").without("Content-Length");
    let forms = [
        ("without a length", put()),
        ("of no length", scene.put_token("60")),
    ];
    for (form, request) in forms {
        let mut connection = scene.open()?;
        let answer = connection.ask(&request)?;
        in_step(scene, connection, &answer, form)?;
    }
    let form = "with an empty chunked body";
    let mut connection = scene.open()?;
    let waiting = put()
        .with("Transfer-Encoding", "chunked")
        .with("Expect", "100-continue");
    let mut answer = connection.ask(&waiting)?;
    match answer.status {
        100 => {
            connection.send(b"0\r\n\r\n")?;
            answer = connection.final_answer()?;
        }
        // The client gives its body up, as EC2 wants it.
        417 => return Ok("each gets a token; waiting for 100 is refused".to_owned()),
        _ => connection.send(b"0\r\n\r\n")?,
    }
    in_step(scene, connection, &answer, form)?;
    Ok("each gets a token".to_owned())
}

/// Whether this answer is a token and the next request on its connection gets its own answer.
fn in_step(
    scene: &Scene,
    mut connection: Connection,
    answer: &Answer,
    form: &str,
) -> Result<(), Finding> {
    if answer.status != 200 {
        let what = format!("a PUT {form} is answered {}", answer.status);
        return Err(Finding::fault(what));
    }
    if answer.announces_close() {
        return Ok(());
    }
    match connection.ask(&scene.get(LIST)) {
        Ok(next) if next.status == 400 => Err(Finding::fault(format!(
            "after a PUT {form} the connection is out of step"
        ))),
        // Whether it is kept is another check's matter.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn segments(scene: &Scene) -> Found {
    let request: Request = scene.get(LIST);
    let whole = scene.ask(&request)?;
    let mut connection = scene.open()?;
    for byte in request.bytes() {
        if connection.send(&[byte]).is_err() {
            return Err(Finding::fault(
                "the connection is closed before the request ends",
            ));
        }
    }
    match connection.answer(false) {
        Ok(answer) if answer.status == whole.status => {
            Ok("it is answered as a whole one".to_owned())
        }
        Ok(answer) => Err(Finding::fault(format!("it is answered {}", answer.status))),
        Err(trouble) => Err(Finding::fault(trouble.to_string())),
    }
}
