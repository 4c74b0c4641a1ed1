//! Versions 0, 1 and 2: signed parameters.

use super::canonical::{Pair, sorted_query, without_port};
use super::mac::Digest;
use super::{Payload, Text, Version};

/// The parameter that is never signed.
pub(super) const SIGNATURE: &str = "Signature";

/// A request signed by version 0, 1 or 2.
pub(super) struct QuerySigned {
    pub(super) version: Version,
    pub(super) digest: Digest,
    pub(super) verb: String,
    /// The hosts that may have been signed.
    pub(super) hosts: Vec<String>,
    pub(super) path: String,
    pub(super) params: Vec<Pair>,
    pub(super) payload: Payload,
}

impl QuerySigned {
    /// What may have been signed, in the order in which it is tried.
    pub(super) fn texts(&self) -> impl Iterator<Item = Text> {
        let hosts = match self.version {
            Version::V2 => self.hosts.as_slice(),
            Version::V0 | Version::V1 | Version::V4 | Version::S3 => {
                self.hosts.get(..1).unwrap_or_default()
            }
        };
        hosts.iter().map(|host| self.text(host))
    }

    /// What is signed of it for this host.
    pub(super) fn text(&self, host: &str) -> Text {
        let string_to_sign = match self.version {
            Version::V0 => self.version_0(),
            Version::V1 => self.version_1(),
            Version::V2 | Version::V4 | Version::S3 => self.version_2(host),
        };
        Text {
            canonical_request: None,
            string_to_sign,
        }
    }

    fn version_0(&self) -> Vec<u8> {
        let value = |name| value(&self.params, name).unwrap_or_default();
        [value("Action"), value("Timestamp")].concat().into_bytes()
    }

    fn version_1(&self) -> Vec<u8> {
        let signed = self.params.iter().filter(|(name, _)| name != SIGNATURE);
        let mut sorted: Vec<_> = signed.map(|pair| (pair.0.to_lowercase(), pair)).collect();
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let pairs = sorted.iter();
        let texts = pairs.flat_map(|(_, (name, value))| [name.as_bytes(), value.as_bytes()]);
        texts.collect::<Vec<_>>().concat()
    }

    fn version_2(&self, host: &str) -> Vec<u8> {
        let signed = self.params.iter().filter(|(name, _)| name != SIGNATURE);
        let query = sorted_query(signed.map(|(name, value)| (&**name, &**value)));
        let head = [&*self.verb, host, &self.path].join("\n");
        [head.as_bytes(), b"\n", &query].concat()
    }
}

/// The value of a parameter.
pub(super) fn value<'a>(params: &'a [Pair], name: &str) -> Option<&'a str> {
    let mut params = params.iter();
    let found = params.find(|(known, _)| known == name);
    found.map(|(_, value)| &**value)
}

/// A host as it is given, and as clients have it that sign it without its port.
pub(super) fn hosts(given: &str) -> Vec<String> {
    let mut hosts = vec![given.to_owned()];
    let bare = without_port(given.as_bytes()).and_then(|bare| std::str::from_utf8(bare).ok());
    hosts.extend(bare.map(str::to_ascii_lowercase));
    let address = bare.unwrap_or(given).strip_prefix('[');
    let address = address.and_then(|address| address.strip_suffix(']'));
    hosts.extend(address.map(str::to_ascii_lowercase));
    hosts
}
