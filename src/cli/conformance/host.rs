//! The `Host` of a request.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};
use super::wire::Request;

pub(super) const FOREIGN: Check = Check {
    name: "foreign host",
    asks: "no token and no role list for a Host that is not the endpoint's, for two, or for none",
    why: "a web page whose name is made to point to this address (DNS rebinding) may ask everything, \
          and read the answers",
    mend: "compare the name in Host, without its port, with the addresses that are served",
    source: "aws-vault #578, weep's dead filter; rolesanywhere, imds-broker, aws-runas have none",
    look: foreign,
};

pub(super) const OWN: Check = Check {
    name: "own host",
    asks: "the endpoint's Host is good with and without its port",
    why: "CRT leaves the port out, whatever it is",
    mend: "do not compare the port",
    source: "aws-c-auth",
    look: own,
};

fn foreign(scene: &Scene) -> Found {
    let (right, name) = (scene.endpoint.authority(), scene.endpoint.host());
    let hosts = [
        "attacker.example".to_owned(),
        "attacker.example:80".to_owned(),
        format!("{name}.attacker.example"),
        format!("{name}@attacker.example"),
        format!("attacker.example#{name}"),
    ];
    let mut shapes: Vec<(String, Request)> = Vec::new();
    for request in [scene.put_token("60"), scene.get(LIST)] {
        let foreign = request.clone().at_host("attacker.example");
        let with = |host: &String| (format!("Host {host}"), request.clone().at_host(host));
        shapes.extend(hosts.iter().map(with));
        shapes.extend([
            (
                "a second, foreign Host".to_owned(),
                request.clone().with("Host", "attacker.example"),
            ),
            (
                "a first, foreign Host".to_owned(),
                foreign.with("Host", right),
            ),
            ("no Host".to_owned(), request.clone().without("Host")),
        ]);
    }
    // Two of them are the lesser matter.
    shapes.sort_by_key(|(shape, _)| !shape.starts_with("Host "));
    for (shape, request) in shapes {
        // What is not answered at all is refused.
        if scene.ask(&request).is_ok_and(|answer| answer.is_success()) {
            let what = format!("a request with {shape} is answered");
            return Err(Finding::fault(what));
        }
    }
    Ok("such requests are refused".to_owned())
}

fn own(scene: &Scene) -> Found {
    let host = scene.endpoint.host();
    for form in [host.to_owned(), format!("{host}:80")] {
        let answer = scene.ask(&scene.put_token("60").at_host(&form))?;
        let named = scene.ask(&scene.put_token("60"))?;
        if named.is_success() && !answer.is_success() {
            let what = format!("the Host {form} is answered {}", answer.status);
            return Err(Finding::fault(what));
        }
    }
    Ok("the port is not compared".to_owned())
}
