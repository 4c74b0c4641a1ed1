//! The rules of evidence: which keys prove nothing by themselves, and which contradict each other.

use crate::config::problem::At;
use crate::config::validate::reader::Reader;

/// Keys that tell callers apart. `exe`, `container = "any"` and what a request says of itself do
/// not: they narrow what another key proves.
const TELLING: [&str; 12] = [
    "uid",
    "user",
    "gid",
    "group",
    "unit",
    "user-unit",
    "slice",
    "pod",
    "address",
    "host",
    "principal",
    "token",
];

/// Whether what this table says can prove who asks.
pub(super) fn check(keys: &Reader<'_>) -> bool {
    let said = [
        anyone_or_somebody(keys),
        second_key(keys),
        contradictions(keys),
    ];
    said.iter().all(|sound| *sound)
}

/// Facts of a container, not `"any"`.
fn container_facts(keys: &Reader<'_>) -> Option<At> {
    keys.own("container")
        .filter(|_| keys.text("container").is_none())
}

fn anyone_or_somebody(keys: &Reader<'_>) -> bool {
    let problems = keys.problems();
    let facts = container_facts(keys).map(|_| "container");
    if keys.flag("anyone").unwrap_or_default() {
        let narrower = keys
            .keys()
            .find(|key| !matches!(*key, "anyone" | "listener" | "container"))
            .or(facts);
        let Some(other) = narrower else {
            return true;
        };
        problems
            .error(
                &keys.place("anyone"),
                format!("`anyone` and `{other}` say two things"),
            )
            .hint("leave one of them out");
        return false;
    }
    let tells = |key: &&str| keys.own(key).is_some();
    if facts.is_some() || TELLING.iter().any(tells) {
        return true;
    }
    if let Some(at) = keys.own("exe") {
        problems
            .error(
                &at,
                "`exe` alone proves nothing: whoever may run a program may ask by it",
            )
            .hint("name who runs it: `user`, `uid`, `unit`, `container` …");
    } else {
        problems
            .error(&keys.at, "this says nothing about the caller")
            .hint("name `user`, `unit`, `container.image` or another key that tells who asks, or write `anyone = true`");
    }
    false
}

/// What the caller itself may choose counts only beside what it may not.
fn second_key(keys: &Reader<'_>) -> bool {
    let mut sound = true;
    let names_user = keys.own("uid").is_some() || keys.own("user").is_some();
    if let Some(at) = keys.own("user-unit").filter(|_| !names_user) {
        keys.problems()
            .error(
                &at,
                "`user-unit` alone proves nothing: any user may give its unit this name",
            )
            .hint("name the user beside it, by `user` or `uid`");
        sound = false;
    }
    let token = keys.table("token");
    let subject = token.filter(|facts| facts.own("issuer").is_none());
    if let Some(at) = subject.and_then(|facts| facts.own("subject")) {
        keys.problems()
            .error(
                &at,
                "`token.subject` alone proves nothing: two issuers may use the same name",
            )
            .hint("name the `issuer` beside it");
        sound = false;
    }
    sound
}

/// Keys that no caller can match together.
fn contradictions(keys: &Reader<'_>) -> bool {
    let mut sound = true;
    let mut refuse = |at: &At, one: &str, other: &str, why: &str| {
        keys.problems().error(
            at,
            format!("`{one}` and `{other}` can never match together: {why}"),
        );
        sound = false;
    };
    let inside = container_facts(keys).map(|_| "container");
    let inside = inside.or_else(|| keys.own("pod").map(|_| "pod"));
    let outside = ["unit", "user-unit", "slice"]
        .into_iter()
        .find_map(|key| Some((key, keys.own(key)?)));
    if let (Some((unit, at)), Some(container)) = (outside, inside) {
        let why = "who is in a container is in no unit of the host";
        refuse(&at, unit, container, why);
    }
    let network = ["address", "host"]
        .into_iter()
        .find(|key| keys.own(key).is_some());
    if let (Some(at), Some(network)) = (keys.own("exe"), network) {
        let why = "the program is known of unix sockets' peers only, and these have no address";
        refuse(&at, "exe", network, why);
    }
    sound
}
