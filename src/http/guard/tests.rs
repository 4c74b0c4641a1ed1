//! Whose requests pass the guard, at routes for programs and at those for people.

use super::*;

fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), Refused> {
    let own = LoopMark::new("x-loop", Arc::from("ours"));
    let guard = Guard::new(&["IMDS.internal".to_owned()], own);
    let local = Local::Tcp {
        address: "127.0.0.1:1338".parse().unwrap(),
        original: Some("10.1.2.3:80".parse().unwrap()),
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let uri = uri.parse().unwrap();
    let parts = Parts {
        method: &Method::GET,
        version: Version::HTTP_11,
        uri: &uri,
        headers: &map,
    };
    guard.check_parts(&local, false, parts, None)
}

#[test]
fn hosts_that_lead_here_pass() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:1338",
        "127.0.0.1:9",
        "localhost",
        "LOCALHOST:1338",
        "169.254.169.254",
        "169.254.170.2:80",
        "169.254.170.23",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]:80",
        "10.1.2.3",
        "imds.Internal:80",
    ] {
        assert_eq!(check("/", &[("host", host)]), Ok(()), "{host}");
    }
}

#[test]
fn our_own_requests_are_refused_and_another_daemons_are_not() {
    let host = ("host", "127.0.0.1");
    assert_eq!(
        check("/", &[host, ("x-loop", "ours")]),
        Err(Refused::Forwarded)
    );
    assert_eq!(check("/", &[host, ("x-loop", "theirs")]), Ok(()));
}

#[test]
fn other_hosts_do_not() {
    for host in [
        "evil.example",
        "127.0.0.2",
        "10.0.0.1",
        "[::1]",
        "localhost.evil.example",
    ] {
        assert_eq!(
            check("/", &[("host", host)]),
            Err(Refused::ForeignHost),
            "{host}"
        );
    }
    for host in ["", ":80", "127.0.0.1:x", "[::1", "[::1]x", "a:b:c"] {
        assert_eq!(
            check("/", &[("host", host)]),
            Err(Refused::Malformed),
            "{host}"
        );
    }
    assert_eq!(check("/", &[]), Err(Refused::Malformed));
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(check("/", &twice), Err(Refused::Malformed));
    let absolute = check("http://evil.example/latest", &[("host", "localhost")]);
    assert_eq!(absolute, Err(Refused::ForeignHost));
    for target in ["ftp://localhost/latest", "https://localhost/latest"] {
        let foreign = check(target, &[("host", "localhost")]);
        assert_eq!(foreign, Err(Refused::Malformed), "{target}");
    }
    assert_eq!(
        check("localhost:80", &[("host", "localhost")]),
        Err(Refused::Malformed)
    );
}

#[test]
fn proxies_and_browsers_are_refused() {
    for name in [
        "X-Forwarded-For",
        "x-forwarded-host",
        "Forwarded",
        "Via",
        "X-Real-IP",
    ] {
        let got = check("/", &[("host", "localhost"), (name, "")]);
        assert_eq!(got, Err(Refused::Forwarded), "{name}");
    }
    for name in ["Origin", "Referer", "Sec-Fetch-Site", "sec-fetch-mode"] {
        let got = check("/", &[("host", "localhost"), (name, "null")]);
        assert_eq!(got, Err(Refused::Browser), "{name}");
    }
}

/// The same at a route for people, over this near end.
fn check_people(
    local: Local,
    encrypted: bool,
    headers: &[(&str, &str)],
    leave: Leave,
) -> Result<(), Refused> {
    let own = LoopMark::new("x-loop", Arc::from("ours"));
    let guard = Guard::new(&["api.internal".to_owned()], own);
    let guard = guard.with_public("https://aws.example:8443");
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let parts = Parts {
        method: &Method::POST,
        version: Version::HTTP_11,
        uri: &"/account".parse().unwrap(),
        headers: &map,
    };
    guard.check_people_parts(&local, encrypted, parts, leave)
}

#[test]
fn people_s_pages_are_those_of_the_host_that_is_asked() {
    let tcp = Local::Tcp {
        address: "127.0.0.1:8169".parse().unwrap(),
        original: None,
    };
    let ask = |encrypted, host, origin| {
        let headers = [("host", host), ("origin", origin)];
        check_people(tcp, encrypted, &headers, Leave::default())
    };
    let same = "http://localhost:8169";
    assert_eq!(ask(false, "localhost:8169", same), Ok(()));
    assert_eq!(ask(true, "localhost:8169", same), Err(Refused::Browser));
    let over_tls = "https://localhost:8169";
    assert_eq!(ask(true, "localhost:8169", over_tls), Ok(()));
    assert_eq!(
        ask(false, "localhost:8169", over_tls),
        Err(Refused::Browser)
    );
    for host in ["localhost", "api.internal", "aws.example:8443"] {
        assert_eq!(ask(false, host, "https://aws.example:8443"), Ok(()));
    }
    // A name that was made to lead here has pages of its own: it is no host of ours.
    let rebound = ask(false, "evil.example", "http://evil.example");
    assert_eq!(rebound, Err(Refused::ForeignHost));
}

#[test]
fn a_browser_behind_a_unix_socket_names_a_host_of_ours() {
    let ask =
        |headers: &[(&str, &str)]| check_people(Local::Unix, false, headers, Leave::default());
    let public = ("origin", "https://aws.example:8443");
    assert_eq!(ask(&[("host", "localhost"), public]), Ok(()));
    assert_eq!(ask(&[("host", "aws.example:8443"), public]), Ok(()));
    let site = ("sec-fetch-site", "same-origin");
    let rebound = ask(&[("host", "evil.example"), site]);
    assert_eq!(rebound, Err(Refused::ForeignHost));
    assert_eq!(ask(&[site]), Err(Refused::Malformed));
    assert_eq!(ask(&[("host", "anything")]), Ok(()), "no browser");
}

#[test]
fn a_proxy_s_headers_pass_where_it_is_trusted_and_our_own_mark_nowhere() {
    let sent = [
        ("host", "localhost"),
        ("x-forwarded-for", "192.0.2.7"),
        ("via", "1.1 proxy"),
    ];
    let trusted = Leave {
        forwarded: true,
        navigation: false,
    };
    let ask = |headers: &[(&str, &str)], leave| check_people(Local::Unix, false, headers, leave);
    assert_eq!(ask(&sent, trusted), Ok(()));
    assert_eq!(ask(&sent, Leave::default()), Err(Refused::Forwarded));
    let own = [("host", "localhost"), ("x-loop", "ours")];
    assert_eq!(ask(&own, trusted), Err(Refused::Forwarded));
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(ask(&twice, trusted), Err(Refused::Malformed));
}
