//! A source that is a service: it gets the name in the URL of a GET.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ANSWER, DEADLINE};
use crate::config::RoleService;
use crate::secret::SecretString;
use crate::transport::{Ask, AskError, Client};

/// What stands for the name in the URL.
const NAME: &str = "{name}";
/// All that could mean something in a URL, the dot of a step up among it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A service and how it is asked.
#[derive(Debug)]
pub(super) struct Service {
    url: String,
    token: Option<SecretString>,
    client: Client,
}

/// The service gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("{url}: {error}")]
    Get { url: String, error: AskError },
    #[error("{url}: it answered {status}")]
    Status { url: String, status: u16 },
}

impl Service {
    pub(super) fn new(service: &RoleService, client: &Client) -> Self {
        let client = match &service.ca_file {
            Some(file) => client.trusting("grant-source.ca-file", file.clone()),
            None => client.clone(),
        };
        Self {
            url: service.url.clone(),
            token: service.token.clone(),
            client,
        }
    }

    /// Asks the service about this name.
    pub(super) async fn ask(&self, name: &str) -> Result<Vec<u8>, ServiceError> {
        let get = Ask::new(about(&self.url, name), DEADLINE, ANSWER);
        let get = match &self.token {
            Some(token) => get.bearer(token),
            None => get,
        };
        let failed = |error| ServiceError::Get {
            url: self.url.clone(),
            error,
        };
        let answer = self.client.ask(get).await.map_err(failed)?;
        if answer.status != 200 {
            return Err(ServiceError::Status {
                url: self.url.clone(),
                status: answer.status,
            });
        }
        Ok(answer.body.into())
    }
}

/// The URL about this name: in the place of `{name}`, or else as the query's `name`.
fn about(url: &str, name: &str) -> String {
    let name = utf8_percent_encode(name, ENCODED).to_string();
    if url.contains(NAME) {
        return url.replace(NAME, &name);
    }
    let before = if url.contains('?') { '&' } else { '?' };
    format!("{url}{before}name={name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_in_its_place_or_in_the_query() {
        for (url, asked) in [
            (
                "https://h/roles/{name}",
                "https://h/roles/ann%40example%2Eorg",
            ),
            (
                "https://h/r?a=b&user={name}",
                "https://h/r?a=b&user=ann%40example%2Eorg",
            ),
            (
                "https://h/roles",
                "https://h/roles?name=ann%40example%2Eorg",
            ),
            (
                "https://h/r?a=b",
                "https://h/r?a=b&name=ann%40example%2Eorg",
            ),
        ] {
            assert_eq!(about(url, "ann@example.org"), asked);
        }
    }

    #[test]
    fn a_name_is_never_more_than_a_value() {
        for name in [
            "a/../b", "a?b=c&d", "a#b", "a b", "%2f", "{name}", "ä", "a+b", "a\\b;c",
        ] {
            let asked = about("https://h/roles/{name}", name);
            let value = asked.strip_prefix("https://h/roles/").unwrap();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'%';
            assert!(value.bytes().all(plain), "{asked}");
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
            assert_eq!(decoded.unwrap(), name);
        }
    }
}
