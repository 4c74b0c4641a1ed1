//! Whether SDKs that are started here, with these variables, would ask the daemon.

use std::fs;
use std::net::IpAddr;

use hyper::Uri;

use super::finding::Finding;
use super::scene::Scene;
use crate::cli::elsewhere::WELL_KNOWN;
use crate::config::{Purpose, Surroundings};

/// What a variable says, if it says anything.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn look(_scene: &Scene) -> Vec<Finding> {
    let surroundings = Surroundings::process(Purpose::Check);
    judge(&|name| {
        surroundings
            .variable(name)
            .filter(|value| !value.is_empty())
    })
}

fn judge(variable: Variables<'_>) -> Vec<Finding> {
    let looks: [fn(Variables<'_>) -> Option<Finding>; 5] =
        [keys, disabled, host, token_file, proxy];
    let found: Vec<Finding> = looks.iter().filter_map(|look| look(variable)).collect();
    if found.is_empty() {
        return vec![Finding::ok(
            "no variable of this shell keeps SDKs from asking",
        )];
    }
    found
}

fn keys(variable: Variables<'_>) -> Option<Finding> {
    variable("AWS_ACCESS_KEY_ID")?;
    let set = Finding::warning("AWS_ACCESS_KEY_ID is set");
    let means = "SDKs that are started here use that key, and never ask";
    Some(
        set.means(means)
            .mend("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"),
    )
}

fn disabled(variable: Variables<'_>) -> Option<Finding> {
    let value = variable("AWS_EC2_METADATA_DISABLED")?;
    value.eq_ignore_ascii_case("true").then(|| {
        Finding::warning("AWS_EC2_METADATA_DISABLED is true")
            .means("SDKs that are started here never ask for instance metadata")
            .mend("unset AWS_EC2_METADATA_DISABLED")
    })
}

/// SDKs send a token over plain HTTP to these hosts only.
fn host(variable: Variables<'_>) -> Option<Finding> {
    let value = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")?;
    let uri: Option<Uri> = value.parse().ok();
    let is_taken = uri.as_ref().is_some_and(|uri| {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let ip: Option<IpAddr> = host.parse().ok();
        uri.scheme_str() == Some("https")
            || host == "localhost"
            || ip.is_some_and(|ip| ip.is_loopback() || WELL_KNOWN.contains(&ip))
    });
    (!is_taken).then(|| {
        let other = format!("AWS_CONTAINER_CREDENTIALS_FULL_URI is {value}");
        let means = "SDKs refuse other hosts than loopback, 169.254.170.2, 169.254.170.23 and \
                     fd00:ec2::23 over http";
        let mend = "serve one of those addresses in the container, or let it ask for instance \
                    metadata: AWS_EC2_METADATA_SERVICE_ENDPOINT may be any host";
        Finding::fault(other).means(means).mend(mend)
    })
}

fn token_file(variable: Variables<'_>) -> Option<Finding> {
    let path = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")?;
    let (what, mend) = match fs::read(&path) {
        Ok(token) if token.is_empty() => ("is empty".to_owned(), "let the daemon write it"),
        Ok(token) if token.contains(&b'\n') || token.contains(&b'\r') => (
            "has a line break".to_owned(),
            "write it without one: printf instead of echo",
        ),
        Ok(_token) => return None,
        Err(error) => (
            format!("cannot be read: {error}"),
            "let its owner start the program, or name another in [[listener.token]]",
        ),
    };
    let wrong = Finding::fault(format!("the token file {path} {what}"));
    let means = "SDKs that are started here get no container credentials";
    Some(wrong.means(means).mend(mend))
}

fn proxy(variable: Variables<'_>) -> Option<Finding> {
    let either = |lower: &str| variable(lower).or_else(|| variable(&lower.to_ascii_uppercase()));
    let proxy = either("http_proxy")?;
    let past = either("no_proxy").unwrap_or_default();
    let mut past = past.split(',').map(str::trim);
    if past.any(|it| it == "*" || it == "169.254.169.254" || it == "169.254.0.0/16") {
        return None;
    }
    let shown = proxy
        .rsplit_once('@')
        .map_or(proxy.as_str(), |(_, host)| host);
    let sent = Finding::warning(format!("what is asked over http goes to the proxy {shown}"));
    let means = "SDKs that obey it ask there; what a proxy sends is refused here";
    Some(sent.means(means).mend(
        "export no_proxy=\"$no_proxy,localhost,127.0.0.1,169.254.169.254,169.254.170.2,169.254.170.23\"",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Vec<Finding> {
        judge(&|name| {
            let mut variables = variables.iter();
            let found = variables.find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn what_keeps_sdks_from_asking_is_found() {
        let uri = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        for (variables, level) in [
            (&[][..], Level::Ok),
            (&[("AWS_ACCESS_KEY_ID", "AKIA")], Level::Warning),
            (&[("AWS_EC2_METADATA_DISABLED", "TRUE")], Level::Warning),
            (&[("AWS_EC2_METADATA_DISABLED", "false")], Level::Ok),
            (&[(uri, "http://host.docker.internal/x")], Level::Fault),
            (&[(uri, "https://host.docker.internal/x")], Level::Ok),
            (&[(uri, "http://127.0.0.1:8/x")], Level::Ok),
            (&[(uri, "http://[fd00:ec2::23]/x")], Level::Ok),
            (&[(uri, "no address")], Level::Fault),
            (
                &[("HTTP_PROXY", "http://u:secret@proxy:3128")],
                Level::Warning,
            ),
            (
                &[
                    ("http_proxy", "http://proxy"),
                    ("NO_PROXY", "a, 169.254.169.254"),
                ],
                Level::Ok,
            ),
            (
                &[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/absent")],
                Level::Fault,
            ),
        ] {
            let [found] = with(variables).try_into().unwrap();
            assert_eq!(found.level, level, "{variables:?}");
            assert!(!found.what.contains("secret"), "{}", found.what);
        }
    }
}
