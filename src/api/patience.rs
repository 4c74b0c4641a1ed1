//! How long each SDK waits for an answer, told by its `User-Agent`: the one table of them.
//!
//! Many SDKs ask once and wait a second (botocore, the JS SDKs, CRT, Go v1, Ruby, Java, PHP); Go v2
//! waits half a second for the first byte. What cannot be told apart from the impatient gets the
//! shorter time.

use std::time::Duration;

use hyper::header::{HeaderMap, USER_AGENT};

/// For clients that wait a second.
const A_SECOND: Duration = Duration::from_millis(850);
/// For clients that wait half a second, and for the unknown.
const HALF_A_SECOND: Duration = Duration::from_millis(400);

/// Beginnings of products' names, as they stand anywhere in a `User-Agent`.
const WAIT_A_SECOND: [&str; 16] = [
    "Boto3/",
    "Botocore/",
    "Boto/",
    "aws-cli/",
    "aws-sdk-rust/",
    "aws-sdk-go/",
    "aws-sdk-java/",
    "aws-sdk-ruby3/",
    "aws-sdk-php/",
    "aws-sdk-cpp/",
    "aws-sdk-nodejs/",
    "aws-sdk-js/",
    "aiobotocore/",
    "MinIO (",
    "python-urllib3/",
    "curl/",
];

/// How long callers are let wait for a flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// What the client is known to bear.
    #[default]
    Known,
    /// The same for everybody: the configuration says so.
    Fixed(Duration),
}

impl Patience {
    /// How long this client waits. The JS SDKs send no `User-Agent` and wait a second.
    pub fn of(self, headers: &HeaderMap) -> Duration {
        if let Self::Fixed(patience) = self {
            return patience;
        }
        match headers
            .get(USER_AGENT)
            .map(|agent| agent.to_str().unwrap_or_default())
        {
            None => A_SECOND,
            Some(agent) if WAIT_A_SECOND.iter().any(|known| agent.contains(known)) => A_SECOND,
            Some(_) => HALF_A_SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(agent: Option<&str>) -> Duration {
        let mut headers = HeaderMap::new();
        if let Some(agent) = agent {
            headers.insert(USER_AGENT, agent.parse().unwrap());
        }
        Patience::default().of(&headers)
    }

    #[test]
    fn known_clients_get_what_they_bear() {
        for agent in [
            "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
            "Botocore/1.12.253 Python/3.7",
            "aws-cli/2.9.19 Python/3.11",
            "aws-sdk-rust/1.4.3 os/linux lang/rust/1.95.0",
            "aws-sdk-go/1.55.8 (go1.26; linux; amd64)",
            "aws-sdk-java/1.12.797 Linux/6.18",
        ] {
            assert_eq!(patience(Some(agent)), A_SECOND, "{agent}");
        }
        assert_eq!(patience(None), A_SECOND);
        for agent in ["aws-sdk-go-v2/1.17.1 os/linux", "SomethingElse/1", ""] {
            assert_eq!(patience(Some(agent)), HALF_A_SECOND, "{agent}");
        }
        let fixed = Patience::Fixed(Duration::from_secs(20));
        assert_eq!(fixed.of(&HeaderMap::new()), Duration::from_secs(20));
    }
}
