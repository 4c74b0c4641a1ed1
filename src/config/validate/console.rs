//! What an account tells of its console and its container registry.

use super::account::endpoint;
use super::reader::{Reader, Spot};
use super::url::Url;
use crate::config::{Console, Dialect, WebOrigin};
use crate::types::{Partition, Region};

/// The keys that are about the console.
const CONSOLE: [&str; 5] = [
    "signin-endpoint",
    "console-endpoint",
    "callback-origins",
    "console-destination",
    "console-region",
];

/// What the account is, beside these keys.
#[derive(Debug)]
pub(super) struct Upstream<'a> {
    pub(super) partition: &'a Partition,
    pub(super) dialect: Dialect,
    pub(super) local: bool,
}

impl Upstream<'_> {
    /// Whether its partition says where these are.
    const fn is_aws(&self) -> bool {
        !self.local && matches!(self.dialect, Dialect::Aws)
    }
}

/// The console's keys.
pub(super) fn console(reader: &Reader<'_>, upstream: &Upstream<'_>) -> Console {
    if upstream.local {
        refuse(reader, &CONSOLE, "the built-in authority has no console");
    }
    let signin = secure(reader, "signin-endpoint");
    let console = secure(reader, "console-endpoint");
    let public = upstream.partition.console_host();
    let public = public.filter(|_| upstream.is_aws());
    if public.is_none() && signin.is_some() != console.is_some() {
        let (said, other) = match signin {
            Some(_) => ("signin-endpoint", "console-endpoint"),
            None => ("console-endpoint", "signin-endpoint"),
        };
        reader.problems().error(
            &reader.place(said),
            format!("`{said}` needs `{other}` beside it: this account has no public console"),
        );
    }
    let host = console
        .as_ref()
        .map(|url| url.host.clone())
        .or_else(|| public.map(str::to_owned));
    Console {
        signin_endpoint: signin.map(|url| url.text),
        endpoint: console.map(|url| url.text),
        callback_origins: origins(reader),
        destination: destination(reader, host.as_deref()),
        region: region(reader, "console-region", upstream),
    }
}

/// The container registry's keys.
pub(super) fn registry(
    reader: &Reader<'_>,
    upstream: &Upstream<'_>,
) -> (Option<String>, Option<Region>) {
    if upstream.local {
        let keys = ["ecr-endpoint", "ecr-region"];
        refuse(reader, &keys, "the built-in authority has no registry");
    }
    (
        endpoint(reader, "ecr-endpoint").map(|url| url.text),
        region(reader, "ecr-region", upstream),
    )
}

fn refuse(reader: &Reader<'_>, keys: &[&str], why: &str) {
    for at in keys.iter().filter_map(|key| reader.own(key)) {
        reader.problems().error(&at, why);
    }
}

/// A URL that sessions are sent to in plain sight: not over a network without TLS.
fn secure(reader: &Reader<'_>, key: &str) -> Option<Url> {
    let url = reader.parsed_unseen(key, Url::parse)?;
    if url.is_plain && !url.is_loopback() {
        reader
            .problems()
            .error(
                &reader.place(key),
                format!("whoever listens on the way to {} could sign in", url.host),
            )
            .hint("use https; http is for this host's loopback");
        return None;
    }
    Some(url)
}

fn origins(reader: &Reader<'_>) -> Vec<WebOrigin> {
    let key = "callback-origins";
    if reader.is_empty_list(key) {
        reader
            .problems()
            .error(&reader.place(key), "this list is empty")
            .hint("leave it out: then any site over http or https may be named");
    }
    let texts = reader.texts(key);
    texts
        .iter()
        .filter_map(|spot| origin(reader, spot))
        .collect()
}

fn origin(reader: &Reader<'_>, spot: &Spot<&str>) -> Option<WebOrigin> {
    let bare = spot.value.splitn(4, '/').nth(3).is_none_or(str::is_empty);
    let origin = WebOrigin::of(spot.value).filter(|_| bare && !spot.value.contains(['?', '#']));
    if origin.is_none() {
        let message = format!("`{}` is no origin of a site", spot.value);
        reader
            .problems()
            .error(&spot.at, message)
            .hint("write scheme, host and port, as `https://wiki.example.org`");
    }
    origin
}

/// A path, or a URL of this account's console.
fn destination(reader: &Reader<'_>, console: Option<&str>) -> Option<String> {
    let spot = reader.text("console-destination")?;
    let said = spot.value;
    let printable = said.bytes().all(|byte| byte.is_ascii_graphic());
    let path = said.starts_with('/') && !said.starts_with("//");
    let below = |host: &str| {
        let Ok(url) = Url::with_query(said.split('#').next().unwrap_or_default()) else {
            return false;
        };
        let below = url.host.strip_suffix(host);
        !url.is_plain && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if printable && !said.contains('\\') && (path || console.is_some_and(below)) {
        return Some(said.to_owned());
    }
    let message = format!("`{said}` is no place in this account's console");
    reader
        .problems()
        .error(&spot.at, message)
        .hint("write a path, as `/s3/home`, or an https URL of the console");
    None
}

fn region(reader: &Reader<'_>, key: &str, upstream: &Upstream<'_>) -> Option<Region> {
    let region = reader.parsed(key, Region::new)?;
    let of_region = Partition::of_region(&region);
    let partition = upstream.partition;
    if upstream.is_aws() && partition.is_known() && of_region != partition.as_str() {
        reader.problems().error(
            &reader.place(key),
            format!("region `{region}` is of partition `{of_region}`, not of `{partition}`"),
        );
    }
    Some(region)
}
