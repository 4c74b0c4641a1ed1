//! Requests that somebody passed on.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};

pub(super) const CLIENTS: Check = Check {
    name: "forwarded-for",
    asks: "a PUT with X-Forwarded-For, whatever its value, gets no token",
    why: "an open proxy or a web server's firewall on the host hands its own role to whoever asks it",
    mend: "answer 403 where X-Forwarded-For is there",
    source: "EC2's own rule; aws-vault, kube2iam, kiam, metadataproxy, aws-runas accept it",
    look: clients,
};

pub(super) const PROXIES: Check = Check {
    name: "proxies",
    asks: "a PUT with Via, Forwarded or X-Real-IP gets no token",
    why: "not every proxy says X-Forwarded-For: the request speaks for somebody else all the same",
    mend: "answer 403 where any of these headers is there",
    source: "EC2 itself looks at X-Forwarded-For only",
    look: proxies,
};

fn clients(scene: &Scene) -> Found {
    scene.token()?;
    let header = "X-Forwarded-For";
    for (value, said) in [
        ("10.0.0.1", "an address"),
        ("", "nothing"),
        ("x, y", "a list"),
    ] {
        let answer = scene.ask(&scene.put_token("60").with(header, value))?;
        if answer.is_success() {
            let what = format!("with {said} in {header} a token is issued");
            return Err(Finding::fault(what));
        }
    }
    let got = scene.ask(&scene.get(LIST).with(header, "10.0.0.1"))?;
    if got.is_success() {
        let what = "no token is issued, and one that was had otherwise is good in a GET";
        return Err(Finding::remark(what));
    }
    Ok("such requests are refused".to_owned())
}

fn proxies(scene: &Scene) -> Found {
    scene.token()?;
    let headers = [
        ("Via", "1.1 proxy"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
    ];
    let mut passed = Vec::new();
    for (name, value) in headers {
        let request = scene.put_token("60").with(name, value);
        if scene.ask(&request)?.is_success() {
            passed.push(name);
        }
    }
    if passed.is_empty() {
        Ok("such requests are refused".to_owned())
    } else {
        Err(Finding::remark(format!(
            "a token is issued to {}",
            passed.join(", ")
        )))
    }
}
