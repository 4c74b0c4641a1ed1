//! What is known of SDKs by their `User-Agent`: the one table of it.
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

/// For people: longer than any call upstream with its retries.
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Its product may stand beside one of those that wait a second.
const WAITS_HALF_A_SECOND: &str = "aws-sdk-go-v2/";

/// Products that wait a second at least, as they stand anywhere in a `User-Agent`.
const WAIT_A_SECOND: [&str; 22] = [
    "Boto3/",
    "Botocore/",
    "Boto/",
    "aiobotocore/",
    "aws-cli/",
    "aws-sdk-cpp/",
    CRT,
    "aws-sdk-go/",
    "aws-sdk-java/",
    "aws-sdk-js/",
    "aws-sdk-nodejs/",
    "aws-sdk-php/",
    "aws-sdk-ruby3/",
    "aws-sdk-rust/",
    "curl/",
    "Go-http-client/",
    "MinIO (",
    "object_store/",
    "python-urllib3/",
    "Python-urllib/",
    "s3fs/",
    "Symfony HttpClient",
];

/// aws-c-auth: any status but 200 and 401 on the role document aborts the calling process
/// (0.38.1).
const CRT: &str = "aws-sdk-crt/";

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
    /// How long people and build servers are let wait: their clients have no deadline of their own.
    pub const fn of_people(self) -> Duration {
        match self {
            Self::Known => TEN_SECONDS,
            Self::Fixed(patience) => patience,
        }
    }
}

/// Which answer a client takes where credentials are refused or not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// The status that says why.
    Plain,
    /// Nothing but 401: any other refusal of the document kills the calling process.
    Aborts,
}

/// What is known of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// How long it waits for an answer, less a margin.
    pub patience: Duration,
    /// How it takes refusals.
    pub temper: Temper,
}

impl Client {
    /// The client that sent these headers. The JS SDKs send no `User-Agent` and wait a second.
    pub fn of(headers: &HeaderMap, patience: Patience) -> Self {
        let agent = headers
            .get(USER_AGENT)
            .map(|agent| agent.to_str().unwrap_or_default());
        let temper = match agent {
            Some(agent) if agent.contains(CRT) => Temper::Aborts,
            Some(_) | None => Temper::Plain,
        };
        let patience = match (patience, agent) {
            (Patience::Fixed(patience), _) => patience,
            (Patience::Known, Some(agent)) => known(agent),
            (Patience::Known, None) => A_SECOND,
        };
        Self { patience, temper }
    }
}

fn known(agent: &str) -> Duration {
    let waits = !agent.contains(WAITS_HALF_A_SECOND)
        && WAIT_A_SECOND.iter().any(|product| agent.contains(product));
    if waits { A_SECOND } else { HALF_A_SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(agent: Option<&str>) -> Client {
        let mut headers = HeaderMap::new();
        if let Some(agent) = agent {
            headers.insert(USER_AGENT, agent.parse().unwrap());
        }
        Client::of(&headers, Patience::default())
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
            "aws-sdk-crt/aws-imds-client",
            "Go-http-client/1.1",
        ] {
            assert_eq!(client(Some(agent)).patience, A_SECOND, "{agent}");
        }
        assert_eq!(client(None).patience, A_SECOND);
        for agent in [
            "aws-sdk-go-v2/1.17.1 os/linux",
            "rclone/1 aws-sdk-go-v2/1 s3fs/2",
            "Else/1",
            "",
        ] {
            assert_eq!(client(Some(agent)).patience, HALF_A_SECOND, "{agent}");
        }
        let fixed = Patience::Fixed(Duration::from_secs(20));
        assert_eq!(
            Client::of(&HeaderMap::new(), fixed).patience,
            Duration::from_secs(20)
        );
    }

    #[test]
    fn crt_is_known_to_abort() {
        assert_eq!(
            client(Some("aws-sdk-crt/aws-imds-client")).temper,
            Temper::Aborts
        );
        assert_eq!(client(Some("Boto3/1.44.5")).temper, Temper::Plain);
        assert_eq!(client(None).temper, Temper::Plain);
    }
}
