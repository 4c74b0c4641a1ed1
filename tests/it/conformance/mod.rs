//! `rolecall conformance`: our own daemon passes, and each fault that others have is found, by the
//! check whose matter it is and by no other.
//!
//! `docs/conformance.md` is what these tests see. `CONFORMANCE=write` in the environment writes it
//! anew.

pub(crate) mod faults;
mod http;
pub(crate) mod server;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Output;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use crate::support::process::{Daemon, rolecall};
use crate::support::written;
use faults::{FAULTS, Fault, Wrong};
use server::Server;

const DOCUMENT: &str = "docs/conformance.md";
const COMMAND: &str = "CONFORMANCE=write cargo test --test it conformance";

/// The kernel counts dropped packets for all: where the hop limit is at stake, nobody else asks.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask(address: &str, arguments: &[&str]) -> Output {
    let url = format!("http://{address}");
    let mut command = rolecall(&["conformance", &url]);
    command.args(arguments).output().unwrap()
}

/// What one check told.
#[derive(Clone, Debug)]
struct Told {
    check: String,
    verdict: String,
    what: String,
    asks: String,
    why: String,
    source: String,
}

/// What all checks told, which is nothing secret.
fn told(address: &str, arguments: &[&str]) -> Vec<Told> {
    let output = ask(address, &[&["--json"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    for secret in ["canary", "ASIA"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let faults = report["faults"].as_u64().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(faults > 0)));
    let checks = report["checks"].as_array().unwrap().iter();
    let told = checks.map(|check| {
        let of = |key: &str| check[key].as_str().unwrap().to_owned();
        Told {
            check: of("check"),
            verdict: of("verdict"),
            what: of("what"),
            asks: of("asks"),
            why: of("why"),
            source: of("source"),
        }
    });
    told.collect()
}

/// The checks that ended so.
fn ended<'a>(told: &'a [Told], verdict: &str) -> Vec<&'a str> {
    let ended = told.iter().filter(|told| told.verdict == verdict);
    ended.map(|told| told.check.as_str()).collect()
}

fn arguments(wrong: Wrong) -> &'static [&'static str] {
    // Who knows no tokens answers without.
    if wrong == Wrong::NoTokens {
        &["--allow-v1"]
    } else {
        &[]
    }
}

/// Runs the suite against a service with this fault: what is not as it must be.
fn complaint(fault: &Fault) -> Option<String> {
    let server = Server::start(fault.wrong);
    let told = told(&server.address.to_string(), arguments(fault.wrong));
    let other = if fault.verdict == "fault" {
        "remark"
    } else {
        "fault"
    };
    let found = ended(&told, fault.verdict);
    let right = found == fault.found_by && ended(&told, other).is_empty();
    (!right).then(|| {
        let ill = told.iter().filter(|told| told.verdict != "passed");
        let ill: Vec<_> = ill
            .map(|told| format!("  {} {}: {}", told.verdict, told.check, told.what))
            .collect();
        format!("{:?}\n{}", fault.wrong, ill.join("\n"))
    })
}

#[test]
fn a_service_without_a_fault_passes_and_each_check_has_a_fault_to_find() {
    let _alone = alone();
    let server = Server::start(Wrong::Nothing);
    let told = told(&server.address.to_string(), &[]);
    for told in &told {
        let check = told.check.as_str();
        let found = FAULTS.iter().any(|fault| fault.found_by.contains(&check));
        assert!(found, "no service has the fault that {check} is about");
    }
    let ill: Vec<_> = told
        .iter()
        .filter(|told| told.verdict != "passed")
        .collect();
    assert!(ill.is_empty(), "{ill:#?}");
}

#[test]
fn each_fault_is_found_by_its_check_and_by_no_other() {
    let _alone = alone();
    let far = |fault: &&Fault| fault.wrong == Wrong::FarReaching;
    let mut complaints: Vec<String> = FAULTS.iter().filter(far).filter_map(complaint).collect();
    let rest: Vec<&Fault> = FAULTS.iter().filter(|fault| !far(fault)).collect();
    thread::scope(|scope| {
        let shares = rest.chunks(rest.len().div_ceil(12));
        let running: Vec<_> = shares
            .map(|share| {
                scope.spawn(|| share.iter().filter_map(|fault| complaint(fault)).collect())
            })
            .collect();
        for share in running {
            let found: Vec<String> = share.join().unwrap();
            complaints.extend(found);
        }
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The configuration of a metadata service for this user.
fn configuration(besides: &str) -> String {
    let uid = nix::unistd::geteuid();
    format!(
        "[[listener]]\nname = \"metadata\"\nbind = [\"127.0.0.1:0\"]\napis = [\"imds\"]\n{besides}\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         [account.local.role.demo]\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {uid} }}\n"
    )
}

#[test]
fn our_daemon_passes_every_check_as_documented() {
    let _alone = alone();
    let daemon = Daemon::start(&configuration(""));
    let told = told(&daemon.address, &[]);
    let ill: Vec<_> = told
        .iter()
        .filter(|told| told.verdict != "passed")
        .collect();
    assert!(ill.is_empty(), "{ill:#?}");
    let document = document(&told);
    if std::env::var_os("CONFORMANCE").is_some_and(|value| value == "write") {
        std::fs::write(written::place(DOCUMENT), &document).unwrap();
    }
    written::assert_current(DOCUMENT, &document, COMMAND);
}

#[test]
fn our_daemon_with_version_1_and_facts_of_an_instance_passes_where_that_is_allowed() {
    let _alone = alone();
    let facts = "imdsv1 = true\ninstance-id = \"i-0123456789abcdef0\"\n\
                 availability-zone = \"eu-central-1a\"";
    let daemon = Daemon::start(&configuration(facts));
    let allowed = told(&daemon.address, &["--allow-v1", "--role", "demo"]);
    let ill: Vec<_> = allowed
        .iter()
        .filter(|told| told.verdict != "passed")
        .collect();
    assert!(ill.is_empty(), "{ill:#?}");
    let strict = told(&daemon.address, &[]);
    assert_eq!(ended(&strict, "fault"), ["token needed"]);
    assert_eq!(strict.len(), ended(&strict, "passed").len() + 1);
}

#[test]
fn a_caller_without_a_role_is_told_what_cannot_be_told_and_of_no_fault() {
    let _alone = alone();
    let daemon = Daemon::start(&configuration("").replace("uid = ", "uid = 99"));
    let told = told(&daemon.address, &[]);
    assert_eq!(ended(&told, "fault"), [""; 0], "{told:#?}");
    let untold = ended(&told, "untold");
    for check in ["role list", "document keys", "latency", "iam/info"] {
        assert!(untold.contains(&check), "{check} is not in {untold:?}");
    }
    let passed = ended(&told, "passed");
    for check in ["token", "foreign host", "token needed", "hop limit"] {
        assert!(passed.contains(&check), "{check} is not in {passed:?}");
    }
}

#[test]
fn what_is_found_is_told_with_its_mend() {
    let _alone = alone();
    let server = Server::start(Wrong::BlankCredentials);
    let output = ask(&server.address.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "fault   document values `AccessKeyId` is empty\n",
        "        why           ",
        "        mend          ",
        "passed  hop limit     ",
        " 0 remarks, 1 faults, 0 cannot be told\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let two = ask(&server.address.to_string(), &["--json", "--hop-limit", "2"]);
    let report: Value = serde_json::from_slice(&two.stdout).unwrap();
    assert_eq!(report["faults"], 1);
}

#[test]
fn where_nobody_answers_the_exit_code_is_69_and_64_where_the_url_is_none() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let output = ask(&address, &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(told.contains("nobody answers at http://"), "{told}");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let greets = thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = other.accept().unwrap();
            drop(stream.write_all(b"SSH-2.0-demo\r\n\r\n"));
        }
    });
    let output = ask(&address, &[]);
    greets.join().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(told.contains("the answer is no HTTP"), "{told}");
    for url in ["127.0.0.1", "https://127.0.0.1", "http://127.0.0.1/latest"] {
        let output = rolecall(&["conformance", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{url}");
    }
}

/// The document: what is asked and what our daemon answers, then which faults are found.
fn document(told: &[Told]) -> String {
    let mut text = HEAD.to_owned();
    for told in told {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            told.check, told.asks, told.why, told.source, told.verdict
        )
        .unwrap();
    }
    text.push_str(FAULTS_HEAD);
    for fault in FAULTS {
        let found = fault.found_by.join(", ");
        let (what, had_by) = (fault.what, fault.had_by);
        writeln!(text, "| {what} | {had_by} | {found} | {} |", fault.verdict).unwrap();
    }
    // What is found at others' services is seen, and written, by tests/peers.
    let page = std::fs::read_to_string(written::place(DOCUMENT)).unwrap();
    let (_, others) = page.split_once(OTHERS).unwrap();
    text + OTHERS + others
}

const OTHERS: &str = "\n## Other people's services\n";

const HEAD: &str = "\
# Conformance\n\n\
`rolecall conformance URL` asks any EC2 instance metadata service, this daemon's or another, in all\n\
the ways in which SDKs ask it and in those in which attackers do:\n\n\
```sh\n\
rolecall conformance http://169.254.169.254            # what is at the usual address\n\
rolecall conformance http://127.0.0.1:1338 --allow-v1  # version 1 is wanted there\n\
rolecall conformance http://127.0.0.1:1338 --json      # for programs\n\
```\n\n\
Run it as a caller who has a role there; `--role NAME` asks for another document than that of the\n\
listed one. It makes about a thousand requests, changes nothing, follows nothing, and prints no\n\
secrets. Each check ends in one of four ways:\n\n\
| verdict | meaning |\n\
|---|---|\n\
| passed | it is as it must be |\n\
| remark | it is as the real service or a standard has it, and could be safer |\n\
| fault | it is wrong; why that matters and how to mend it stand below it |\n\
| untold | it cannot be told, because something else is missing that another check is about |\n\n\
The exit code is 0 without a fault, 1 with one, 69 where nobody answers, 64 where the URL is none.\n\
What cannot be told changes nothing in it: look at the last line, or at `untold` of `--json`.\n\n\
The hop limit is told without privileges: this end has the kernel drop what has life left for one\n\
hop too many and sees whether the answer is dropped. `--hop-limit` allows more than one hop.\n\n\
## What is asked, and how this daemon does\n\n\
Written by `tests/it/conformance`, which runs the suite against the daemon.\n\n\
| check | what must be so | why | who depends on it or got it wrong | this daemon |\n\
|---|---|---|---|---|\n";

const FAULTS_HEAD: &str = "\n\
## Faults that are found\n\n\
Each row is a small metadata service with this one fault, which is found by the check that stands\n\
there, while no other check finds anything (`tests/it/conformance/faults.rs`).\n\n\
| fault | who has or had it | found by | verdict |\n\
|---|---|---|---|\n";
