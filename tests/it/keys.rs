//! Access keys and MFA devices, made by the command line of a running daemon.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rolecall::authority::totp::{Seed, step_at};
use rolecall::clock::Clock;
use rolecall::secret::SecretString;
use serde_json::Value;

use crate::support::process::{Daemon, rolecall};

/// A daemon without a store's directory: what is made ends with it.
const CONFIGURATION: &str = r#"
    [[listener]]
    name = "api"
    bind = ["127.0.0.1:0"]
    apis = ["sts"]

    [account.local]
    id = "000000000000"
    credentials = { from = "local" }
    [account.local.role.demo]
    policy-arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]

    [[grant]]
    role = "local/demo"
    when = { anyone = true }
    "#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The exit code, and what is told.
fn refused(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
    let output = daemon.run(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), told)
}

/// A request that is signed now.
fn signed(access: &str, secret: &str, token: Option<&str>) -> String {
    let identity = Credentials::new(access, secret, token.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("sts")
        .time(Clock::System.now())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let uri = "https://sts.local/?Action=GetCallerIdentity";
    let body = SignableBody::Bytes(b"");
    let request = SignableRequest::new("GET", uri, [("host", "sts.local")].into_iter(), body);
    let (instructions, _) = sign(request.unwrap(), &params.into()).unwrap().into_parts();
    let mut text = "GET /?Action=GetCallerIdentity HTTP/1.1\r\nHost: sts.local\r\n".to_owned();
    for (name, value) in instructions.headers() {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "\r\n"
}

fn verify(daemon: &Daemon, request: &str, arguments: &[&str]) -> Output {
    told_by(
        &mut daemon.command(&[&["verify"], arguments].concat()),
        request,
    )
}

/// Runs a command with this as its standard input.
fn told_by(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    written.unwrap();
    child.wait_with_output().unwrap()
}

fn verdict(daemon: &Daemon, request: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = verify(daemon, request, &[&["--json"], arguments].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), json(&told))
}

#[test]
fn access_keys_are_made_listed_and_deleted() {
    let daemon = Daemon::start(CONFIGURATION);
    assert_eq!(
        daemon.says(&["key", "list"]),
        "there are no access keys and no tokens\n"
    );
    let made = json(&daemon.says(&["key", "create", "--user", "ann", "--json"]));
    let fields: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["access", "account", "secret", "user"]);
    assert_eq!(
        (text(&made, "user"), text(&made, "account")),
        ("ann", "local")
    );
    let (access, secret) = (text(&made, "access"), text(&made, "secret"));
    for one in [access, secret] {
        assert!(
            one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{one}"
        );
    }
    let plain = daemon.says(&["key", "create", "--user", "bob", "--account", "local"]);
    assert!(plain.starts_with("access key id      "), "{plain}");
    assert!(plain.contains("\nsecret access key  "), "{plain}");
    daemon.says(&["key", "token", "--user", "ann", "--expires", "1d"]);

    let listed = daemon.says(&["key", "list"]);
    assert!(listed.contains(access) && listed.contains("access key") && !listed.contains(secret));
    let known = json(&daemon.says(&["key", "list", "--user", "ann", "--json"]));
    let [key] = known["keys"].as_array().unwrap().as_slice() else {
        panic!("{known}");
    };
    assert_eq!(
        (text(key, "access"), text(key, "account")),
        (access, "local")
    );
    assert!(key["made"].as_u64().unwrap() > 1_700_000_000 && key.get("secret").is_none());
    let token = text(&known["tokens"][0], "id").to_owned();

    for id in [access, &token] {
        assert_eq!(
            daemon.says(&["key", "delete", id]),
            format!("{id} deleted\n")
        );
        assert_eq!(refused(&daemon, &["key", "delete", id]).0, Some(1));
    }
    let left = json(&daemon.says(&["key", "list", "--json"]));
    assert_eq!(text(&left["keys"][0], "user"), "bob");
    assert_eq!(left["tokens"], Value::Array(Vec::new()));
    assert!(!daemon.log().contains(secret), "the log holds a secret");
}

/// Runs a command that is told a secret.
fn with_secret(daemon: &Daemon, arguments: &[&str], secret: &str) -> Output {
    told_by(&mut daemon.command(arguments), secret)
}

#[test]
fn a_key_that_was_made_elsewhere_is_taken_over() {
    const SECRET: &str = "canary/of+another/Keystone0123456789abcd";
    let daemon = Daemon::start(CONFIGURATION);
    let taken = [
        "key",
        "create",
        "--user",
        "ann",
        "--access",
        "0555b35654ad1656d804",
    ];
    let made = with_secret(&daemon, &taken, &format!("{SECRET}\n"));
    let said = String::from_utf8(made.stdout).unwrap();
    assert_eq!(
        said, "access key id      0555b35654ad1656d804\n",
        "{:?}",
        made.stderr
    );
    let (code, told) = verdict(&daemon, &signed("0555b35654ad1656d804", SECRET, None), &[]);
    assert_eq!((code, text(&told["holder"], "user")), (Some(0), "ann"));
    // What is there is not touched, whoever asks.
    for user in ["ann", "bob"] {
        let again = [
            "key",
            "create",
            "--user",
            user,
            "--access",
            "0555b35654ad1656d804",
        ];
        let refused = with_secret(&daemon, &again, "another-secret-of-it");
        assert_eq!(refused.status.code(), Some(78));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("there is an access key of this id"), "{said}");
    }
    let (code, told) = verdict(&daemon, &signed("0555b35654ad1656d804", SECRET, None), &[]);
    assert_eq!((code, text(&told["holder"], "user")), (Some(0), "ann"));
    for (access, secret, why) in [
        ("a/b", SECRET, "3 to 128 letters"),
        ("AKID", "fifteen-letters", "16 to 128 printable"),
        ("AKID", "with spaces in between", "16 to 128 printable"),
        ("AKID", "", "16 to 128 printable"),
    ] {
        let asked = [
            "key", "create", "--user", "ann", "--access", access, "--json",
        ];
        let refused = with_secret(&daemon, &asked, secret);
        assert_eq!(refused.status.code(), Some(64), "{access} {secret}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(why), "{said}");
        assert!(secret.is_empty() || !said.contains(secret), "{said}");
    }
    let asked = [
        "key", "create", "--user", "ann", "--access", "AKID-2", "--json",
    ];
    let made = with_secret(&daemon, &asked, SECRET);
    let made = json(&String::from_utf8(made.stdout).unwrap());
    assert_eq!(
        (text(&made, "access"), text(&made, "secret")),
        ("AKID-2", SECRET)
    );
    let listed = daemon.says(&["key", "list"]);
    assert!(
        listed.contains("AKID-2") && !listed.contains(SECRET),
        "{listed}"
    );
}

#[test]
fn what_cannot_be_made_is_told_with_a_way_out() {
    let two = format!("{CONFIGURATION}\n[account.other]\nid = 1\n");
    let daemon = Daemon::start(&two);
    for (arguments, code, said) in [
        (
            &["key", "create", "--user", "ann"][..],
            64,
            "try: name one by --account",
        ),
        (
            &["key", "create", "--user", "ann", "--account", "nowhere"],
            64,
            "no such account",
        ),
        (
            &[
                "key",
                "create",
                "--user",
                "an\u{202e}n",
                "--account",
                "local",
            ],
            64,
            "is printable",
        ),
        (
            &["key", "mfa", "enrol", "--user", "ann"],
            64,
            "a serial number by --serial",
        ),
        (
            &["key", "mfa", "enrol", "--user", "ann", "--serial", "short"],
            64,
            "9 to 256",
        ),
        (
            &[
                "key",
                "mfa",
                "enrol",
                "--user",
                "ann lee",
                "--account",
                "local",
            ],
            64,
            "--serial",
        ),
        (
            &["key", "mfa", "remove", "--user", "ann"],
            1,
            "there is no such device",
        ),
        (&["key", "delete", "x"], 64, "3 to 128"),
        (
            &["key", "delete", "nobodys"],
            1,
            "there is no such key or token",
        ),
    ] {
        let (exit, told) = refused(&daemon, arguments);
        assert_eq!(exit, Some(code), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
    let made = json(&daemon.says(&[
        "key",
        "create",
        "--user",
        "ann",
        "--account",
        "other",
        "--json",
    ]));
    assert_eq!(text(&made, "account"), "other");
}

#[test]
fn devices_are_enrolled_listed_and_removed() {
    let daemon = Daemon::start(CONFIGURATION);
    assert_eq!(
        daemon.says(&["key", "mfa", "list"]),
        "there are no MFA devices\n"
    );
    let enrol = |arguments: &[&str]| {
        let arguments = [&["key", "mfa", "enrol", "--json"], arguments].concat();
        json(&daemon.says(&arguments))
    };
    let made = enrol(&["--user", "ann@example"]);
    let serial = "arn:aws:iam::000000000000:mfa/ann@example";
    assert_eq!(text(&made, "serial"), serial);
    let (secret, uri) = (text(&made, "secret"), text(&made, "uri"));
    assert_eq!(
        uri,
        format!(
            "otpauth://totp/rolecall:ann%40example?secret={secret}&issuer=rolecall\
             &algorithm=SHA1&digits=6&period=30"
        )
    );
    let seed = Seed::parse(&SecretString::from(secret)).unwrap();
    assert_eq!(seed.code(step_at(Clock::System.now())).len(), 6);
    let (taken, told) = refused(&daemon, &["key", "mfa", "enrol", "--user", "ann@example"]);
    assert_eq!(taken, Some(78), "{told}");
    assert!(told.contains("another by --serial"), "{told}");
    let second = enrol(&["--user", "ann@example", "--serial", "phone-of-ann"]);
    assert_ne!(text(&second, "secret"), secret);
    let plain = daemon.says(&["key", "mfa", "enrol", "--user", "bob"]);
    assert!(plain.starts_with("serial  arn:aws:iam::000000000000:mfa/bob\nuri     otpauth://"));

    let listed = daemon.says(&["key", "mfa", "list"]);
    assert!(
        listed.contains(serial) && !listed.contains(secret),
        "{listed}"
    );
    let known = json(&daemon.says(&["key", "mfa", "list", "--user", "ann@example", "--json"]));
    assert_eq!(known["devices"].as_array().unwrap().len(), 2);
    let remove = |arguments: &[&str]| {
        daemon
            .run(&[&["key", "mfa", "remove", "--user"], arguments].concat())
            .status
            .code()
    };
    assert_eq!(
        remove(&["ann@example"]),
        Some(64),
        "which of the two is not said"
    );
    assert_eq!(
        remove(&["bob", "--serial", serial]),
        Some(1),
        "it is another's"
    );
    assert_eq!(remove(&["ann@example", "--serial", serial]), Some(0));
    assert_eq!(remove(&["ann@example"]), Some(0), "it is the only one now");
    assert_eq!(remove(&["ann@example"]), Some(1));
    assert!(!daemon.log().contains(secret), "the log holds a seed");
}

#[test]
fn who_is_no_administrator_makes_no_keys() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let daemon = Daemon::start(CONFIGURATION);
    for arguments in [
        &["key", "create", "--user", "root"][..],
        &["key", "list"],
        &["key", "delete", "some-key"],
        &["key", "mfa", "enrol", "--user", "root"],
        &["key", "mfa", "list"],
        &["key", "mfa", "remove", "--user", "root"],
    ] {
        let output = daemon
            .command(arguments)
            .uid(65_534)
            .gid(65_534)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(77), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_request_is_verified_with_the_key_that_the_daemon_knows() {
    let daemon = Daemon::start(CONFIGURATION);
    let made = json(&daemon.says(&["key", "create", "--user", "ann", "--json"]));
    let (access, secret) = (text(&made, "access"), text(&made, "secret"));
    let request = signed(access, secret, None);
    let output = verify(&daemon, &request, &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in [
        &format!("  access key id  {access}\n"),
        "  of             ann in local\n",
        "  signature      right\n",
        "canonical request:\nGET\n/\nAction=GetCallerIdentity\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains(secret), "{told}");

    let (code, other) = verdict(&daemon, &signed(access, "another", None), &[]);
    assert_eq!(
        (code, text(&other, "wrong")),
        (Some(1), "the signature is not this secret's")
    );
    assert_eq!(text(&other["holder"], "user"), "ann");
    let (code, unknown) = verdict(&daemon, &signed("AKIDNOBODY", secret, None), &[]);
    assert_eq!(
        (code, text(&unknown, "wrong")),
        (Some(1), "there is no such access key")
    );
    assert!(text(&unknown, "string_to_sign").starts_with("AWS4-HMAC-SHA256\n"));
    let (code, late) = verdict(&daemon, &request, &["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!(code, Some(1));
    assert!(
        text(&late, "wrong").ends_with("one of the clocks is wrong"),
        "{late}"
    );
    let at_any_time = ["--at", "2001-01-01T00:00:00Z", "--age", "0s"];
    assert_eq!(verdict(&daemon, &request, &at_any_time).0, Some(0));
    let wide = format!("{request}{}", "x".repeat(70_000));
    let output = verify(&daemon, &wide, &[]);
    assert_eq!(output.status.code(), Some(64));
    let none = verify(&daemon, "GET / HTTP/1.1\nHost: h\n\n", &[]);
    assert_eq!(none.status.code(), Some(1));

    daemon.says(&["key", "delete", access]);
    assert_eq!(verdict(&daemon, &request, &[]).0, Some(1));
}

#[test]
fn a_request_of_a_session_is_verified_with_what_its_token_says() {
    let daemon = Daemon::start(CONFIGURATION);
    let session = json(&daemon.says(&["credentials"]));
    let (access, secret) = (
        text(&session, "AccessKeyId"),
        text(&session, "SecretAccessKey"),
    );
    let token = text(&session, "SessionToken");
    let (code, told) = verdict(&daemon, &signed(access, secret, Some(token)), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(text(&told["holder"], "account"), "local");
    assert!(
        text(&told["holder"], "session").starts_with("demo/"),
        "{told}"
    );
    assert!(told["holder"].get("user").is_none(), "nobody proved a name");
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    assert_eq!(told["holder"]["policy_arns"], serde_json::json!([arn]));
    let request = signed(access, secret, Some(token));
    let readable = verify(&daemon, &request, &[]);
    let readable = String::from_utf8(readable.stdout).unwrap();
    assert!(
        readable.contains(&format!("policy ARNs    {arn}")),
        "{readable}"
    );
    let (code, other) = verdict(&daemon, &signed("AKIDNOBODY", secret, Some(token)), &[]);
    assert_eq!(
        (code, text(&other, "wrong")),
        (Some(1), "its session token is another key's")
    );
    let (code, forged) = verdict(&daemon, &signed(access, secret, Some("forged")), &[]);
    assert_eq!(
        (code, text(&forged, "wrong")),
        (Some(1), "the session token is malformed")
    );
    let (_, known) = verdict(&daemon, &signed(access, secret, None), &[]);
    assert_eq!(text(&known, "wrong"), "there is no such access key");
}

#[test]
fn without_a_daemon_the_secret_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let request = folder.path().join("request");
    fs::write(&request, signed("AKIDEXAMPLE", "secret", None)).unwrap();
    let socket = folder.path().join("socket");
    let mut command = rolecall(&["--socket", socket.to_str().unwrap(), "verify"]);
    let output = command.arg(&request).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret\n").unwrap();
    let mut command = rolecall(&["verify", "--secret-file", secret.to_str().unwrap()]);
    let output = command.arg(&request).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
