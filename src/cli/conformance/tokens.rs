//! Session tokens: that they are issued, what they look like, how long they live, whether they
//! count.

use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use tokio::time::Instant;

use super::finding::{Check, Finding, Found, quoted};
use super::scene::{LIST, Scene, TOKEN, TOKEN_TTL};

/// Shorter tokens could be tried out.
const SHORTEST: usize = 16;

/// Tokens that differ in fewer places are counted up, not drawn.
const LEAST_DIFFERENCE: usize = 4;

/// How many lives Java's first SDK needs for one job farm: it takes a token for every request.
const MANY_TOKENS: usize = 300;

/// How long all of them may take.
const PATIENCE_WITH_MANY: Duration = Duration::from_secs(30);

/// How long after its issue a token of one second has surely ended.
const ENDED: Duration = Duration::from_secs(2);

pub(super) const ISSUED: Check = Check {
    name: "token",
    asks: "a PUT of a token for 1, 60 or 21600 seconds is answered 200",
    why: "the SDKs for Rust, Kotlin and .NET 4, object_store and minio's have no version 1 to fall \
          back to",
    mend: "serve PUT /latest/api/token, whatever state the upstream is in",
    source: "aws-vault #690, kube2iam #241, kiam #359",
    look: issued,
};

pub(super) const TEXT: Check = Check {
    name: "token text",
    asks: "a token is printable ASCII without a newline or a space",
    why: "SDKs send it back in a header as it is: a newline makes thirteen clients fail, and \
          object_store panic",
    mend: "write the token and nothing after it",
    source: "botocore, Go, JS, Rust, CRT, minio",
    look: text,
};

pub(super) const LIFE: Check = Check {
    name: "token life",
    asks: "a life that is missing, 0, negative, over 21600 or no number is answered 400",
    why: "a token that never ends is worth stealing, and 400 is what SDKs know as final",
    mend: "accept whole seconds from 1 to 21600 and nothing else",
    source: "rolesanywhere-credential-helper takes 21600 where none is given, weep anything",
    look: life,
};

pub(super) const LIFE_TOLD: Check = Check {
    name: "token life told",
    asks: "the answer to the PUT has the life in a header, that to a GET what is left of it",
    why: "without it Go's SDKs go over to version 1 without a word, and Rust's fails",
    mend: "send X-aws-ec2-metadata-token-ttl-seconds, before the body",
    source: "aws-sdk-go-v2, smithy-rs; rolesanywhere-credential-helper, weep",
    look: life_told,
};

pub(super) const UNGUESSABLE: Check = Check {
    name: "token random",
    asks: "tokens differ from one another in many places, and have at least 16 characters",
    why: "who knows or guesses the token needs no PUT, which is all that version 2 protects",
    mend: "draw at least 16 random bytes for each, or seal its end under a random key",
    source: "aws-runas, hologram: one constant for all",
    look: unguessable,
};

pub(super) const CHECKED: Check = Check {
    name: "token checked",
    asks: "an altered, a made-up and a foreign token are answered 401, with version 1 on or off",
    why: "unchecked tokens protect from nothing; and only 401 makes SDKs take a new one",
    mend: "check the token of every GET, and answer 401 where it is not good",
    source: "kube2iam, kiam, aws-runas never look; weep answers 403; Fluent Bit's probe",
    look: checked,
};

pub(super) const MANY: Check = Check {
    name: "many tokens",
    asks: "a token is still good after 300 others were issued",
    why: "Java's first SDK takes a token for every request: a small table of them turns away callers \
          whose token has not ended",
    mend: "seal what must be known into the token, and keep no table",
    source: "rolesanywhere-credential-helper keeps 256",
    look: many,
};

pub(super) const ENDS: Check = Check {
    name: "token ends",
    asks: "a token of one second is refused two seconds later",
    why: "a token that was stolen once is good for ever, and clients that were promised an end do not \
          take a new one",
    mend: "keep the end with the token, or sealed into it, and look at it",
    source: "aws-runas, hologram: tokens without an end",
    look: ends,
};

fn issued(scene: &Scene) -> Found {
    for life in ["1", "60", "21600"] {
        let asked = format!("a PUT of a token for {life} s");
        match scene.ask(&scene.put_token(life)) {
            Err(trouble) => return Err(Finding::fault(format!("{asked}: {trouble}"))),
            Ok(answer) if answer.status != 200 => {
                let what = format!("{asked} is answered {}", answer.status);
                return Err(Finding::fault(what));
            }
            Ok(answer) if answer.body.is_empty() => {
                return Err(Finding::fault(format!("{asked} is answered with nothing")));
            }
            Ok(_) => {}
        }
    }
    Ok("tokens are issued".to_owned())
}

/// The text of a new token of this life.
fn new_token(scene: &Scene, life: &str) -> Result<String, Finding> {
    let answer = scene.ask(&scene.put_token(life))?;
    if answer.is_success() && !answer.body.is_empty() {
        Ok(answer.text())
    } else {
        Err(Finding::untold("no token is issued"))
    }
}

fn text(scene: &Scene) -> Found {
    let token = new_token(scene, "60")?;
    if token.ends_with(['\n', '\r']) {
        return Err(Finding::fault("a newline follows the token"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "the token has characters that no header may have, or spaces";
        return Err(Finding::fault(what));
    }
    Ok("it is printable, and nothing else".to_owned())
}

fn life(scene: &Scene) -> Found {
    scene.token()?;
    let (mut issued, mut otherwise) = (Vec::new(), Vec::new());
    let without = ("none", scene.put_token("").without(TOKEN_TTL));
    let lives = ["0", "-1", "21601", "1.5", "x", ""];
    let requests = lives.map(|life| (life, scene.put_token(life)));
    for (life, request) in std::iter::once(without).chain(requests) {
        let answer = scene.ask(&request)?;
        if answer.is_success() {
            issued.push(quoted(life));
        } else if answer.status != 400 {
            otherwise.push(format!("{} with {}", quoted(life), answer.status));
        }
    }
    if !issued.is_empty() {
        let what = format!("a token is issued for a life of {}", issued.join(", "));
        return Err(Finding::fault(what));
    }
    if !otherwise.is_empty() {
        let what = format!(
            "a life is refused with another status than 400: {}",
            otherwise.join(", ")
        );
        return Err(Finding::remark(what));
    }
    Ok("only whole seconds from 1 to 21600 are taken".to_owned())
}

fn life_told(scene: &Scene) -> Found {
    const LIFE: u32 = 60;
    let issued = scene.ask(&scene.put_token(&LIFE.to_string()))?;
    if !issued.is_success() {
        return Err(Finding::untold("no token is issued"));
    }
    let told = issued.header(TOKEN_TTL);
    let told = told.ok_or_else(|| Finding::fault("the PUT's answer does not tell it"))?;
    if told.parse() != Ok(LIFE) {
        let what = format!("asked for {LIFE} s, it tells {}", quoted(told));
        return Err(Finding::fault(what));
    }
    let token = issued.text();
    let got = scene.ask(&scene.bare("GET", LIST).with(TOKEN, token.trim()))?;
    let left = got.header(TOKEN_TTL);
    let left =
        left.ok_or_else(|| Finding::remark("the PUT's answer tells it, a GET's does not"))?;
    match left.parse::<u32>() {
        Ok(left) if left <= LIFE => Ok("both answers tell it".to_owned()),
        Ok(_) | Err(_) => {
            let what = format!("of {LIFE} s, {} are told to be left", quoted(left));
            Err(Finding::fault(what))
        }
    }
}

fn unguessable(scene: &Scene) -> Found {
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(new_token(scene, "60")?);
    }
    let pairs = || tokens.iter().zip(tokens.iter().skip(1));
    if pairs().any(|(one, next)| one == next) {
        return Err(Finding::fault("the same token is issued again"));
    }
    let shortest = tokens.iter().map(|token| token.trim().len()).min();
    let shortest = shortest.unwrap_or_default();
    if shortest < SHORTEST {
        return Err(Finding::fault(format!("a token has {shortest} characters")));
    }
    let counted = |(one, next): (&String, &String)| difference(one, next) < LEAST_DIFFERENCE;
    if pairs().all(counted) {
        return Err(Finding::fault(
            "each token can be guessed from the one before",
        ));
    }
    Ok("no two are alike".to_owned())
}

/// In how many places two texts differ.
fn difference(one: &str, other: &str) -> usize {
    let places = one.bytes().zip(other.bytes());
    places.filter(|(a, b)| a != b).count() + one.len().abs_diff(other.len())
}

fn checked(scene: &Scene) -> Found {
    let token = scene.token()?;
    let shown = [
        ("an altered token", altered(token)),
        ("a made-up token", "A".repeat(token.len())),
        ("the token INVALID", "INVALID".to_owned()),
    ];
    let targets = std::iter::once(LIST.to_owned()).chain(scene.document_path());
    for target in targets {
        for (kind, wrong) in &shown {
            let request = scene.bare("GET", &target).with(TOKEN, wrong);
            let answer = scene.ask(&request)?;
            if answer.is_success() {
                return Err(Finding::fault(format!(
                    "{kind} is as good as one that was issued"
                )));
            }
            if answer.status != 401 {
                let what = format!("{kind} is answered {}, and not 401", answer.status);
                return Err(Finding::fault(what));
            }
        }
    }
    Ok("only tokens that were issued are good".to_owned())
}

/// The same with another letter in its middle.
fn altered(token: &str) -> String {
    let middle = token.len() / 2;
    let letters = token.chars().enumerate();
    let altered = letters.map(|(place, letter)| match letter {
        letter if place != middle => letter,
        'A' => 'B',
        _ => 'A',
    });
    altered.collect()
}

fn many(scene: &Scene) -> Found {
    let first = new_token(scene, "21600")?;
    let request = scene.bare("GET", LIST).with(TOKEN, first.trim());
    if !scene.ask(&request)?.is_success() {
        return Err(Finding::untold("not even a new token opens the role list"));
    }
    let begun = Instant::now();
    for _ in 0..MANY_TOKENS {
        new_token(scene, "21600")?;
        if begun.elapsed() > PATIENCE_WITH_MANY {
            return Err(Finding::untold(
                "tokens are issued too slowly to ask for many",
            ));
        }
    }
    let status = scene.ask(&request)?.status;
    if status == 200 {
        Ok(format!("the first of {MANY_TOKENS} is still good"))
    } else {
        let what = format!("after {MANY_TOKENS} others a token is answered {status}");
        Err(Finding::fault(what))
    }
}

fn ends(scene: &Scene) -> Found {
    let (token, issued) = scene.short_token()?;
    let left = ENDED.saturating_sub(issued.elapsed());
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
    poll(&mut [], left).map_err(|error| Finding::untold(format!("cannot wait: {error}")))?;
    let request = scene.bare("GET", LIST).with(TOKEN, token);
    // With which status it is refused is another check's matter.
    if scene.ask(&request)?.is_success() {
        return Err(Finding::fault("after its life it is as good as before"));
    }
    Ok("it is refused after its life".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_token_differs_in_one_place() {
        for token in ["aaaa", "AAAA", "abc"] {
            assert_eq!(difference(token, &altered(token)), 1);
        }
    }
}
