//! Where clients find a mount: what the configuration says, else the address that they reached; never
//! what a request's `Host` says.

use crate::config::{self, Mount};
use crate::http::Local;

/// Where one mount is found.
#[derive(Clone, Debug)]
pub(super) struct PublicUrl {
    said: Option<String>,
    scheme: &'static str,
    prefix: String,
}

impl PublicUrl {
    pub(super) fn new(rules: &Mount, listener: &config::Listener) -> Self {
        let said = listener.public_url.as_deref();
        Self {
            said: said.map(|url| format!("{}{}", url.trim_end_matches('/'), rules.prefix)),
            scheme: if listener.tls.is_some() {
                "https"
            } else {
                "http"
            },
            prefix: rules.prefix.clone(),
        }
    }

    /// For who came in there; without a slash at its end.
    pub(super) fn of(&self, local: Local) -> String {
        match (&self.said, local) {
            (Some(url), _) => url.clone(),
            (None, Local::Tcp { address, .. }) => {
                format!("{}://{address}{}", self.scheme, self.prefix)
            }
            (None, Local::Unix) => self.prefix.clone(),
        }
    }
}
