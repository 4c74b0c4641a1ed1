//! `[[grant-source]]`.

use super::account::command;
use super::grant::{Offer, when};
use super::reader::Reader;
use super::url::{NoUrl, Url};
use crate::config::{GrantSource, RoleService, RolesFrom};
use crate::grants::{Grant, GrantId, GrantedRole, Template, When};

/// What stands for the name in a URL.
const NAME: &str = "{name}";

/// The source of this number, and the grant that gives what it says.
pub(super) fn source(
    reader: &Reader<'_>,
    number: usize,
    offer: &Offer<'_>,
) -> Option<(GrantSource, Grant)> {
    let from = from(reader);
    let when = match reader.own("when") {
        Some(_) => when(reader, offer)?,
        None => When {
            anyone: true,
            ..When::default()
        },
    };
    let grant = Grant {
        id: GrantId::Source(number),
        role: GrantedRole::Provided(number),
        when,
        priority: reader.whole("priority").map_or(0, |spot| spot.value),
        // Each role comes with its own.
        reason: Template::text(""),
        imdsv1: None,
        narrowing: None,
    };
    let source = GrantSource {
        number,
        from: from?,
    };
    Some((source, grant))
}

fn from(reader: &Reader<'_>) -> Option<RolesFrom> {
    match (reader.own("command"), reader.own("url")) {
        (Some(at), None) => {
            for key in ["token", "ca-file"] {
                if let Some(stray) = reader.own(key) {
                    let message = format!("`{key}` goes with `url`, not with `command`");
                    reader.problems().error(&stray, message);
                }
            }
            let words = command(reader)?;
            if words.iter().any(|word| word.contains(NAME)) {
                reader
                    .problems()
                    .error(&at, "`{name}` stands in URLs only")
                    .hint("a program gets the name as its last argument");
                return None;
            }
            Some(RolesFrom::Command(words))
        }
        (None, Some(_)) => service(reader).map(RolesFrom::Service),
        (Some(_), Some(at)) => {
            reader
                .problems()
                .error(&at, "a source is either a `command` or a `url`")
                .hint("write a [[grant-source]] for each");
            None
        }
        (None, None) => {
            reader
                .problems()
                .error(&reader.at, "this source has neither `command` nor `url`");
            None
        }
    }
}

fn service(reader: &Reader<'_>) -> Option<RoleService> {
    let url = reader.text("url")?;
    let parsed = reader.parsed_unseen("url", |text| {
        let one = Url::with_query(&text.replace(NAME, "name"))?;
        // What the name stands for must not choose who is asked.
        if text.contains(NAME) && Url::with_query(&text.replace(NAME, "other"))?.host != one.host {
            return Err(NoUrl::Malformed);
        }
        Ok(one)
    })?;
    if parsed.is_plain && !parsed.is_loopback() {
        reader
            .problems()
            .error(&url.at, "anybody on the way could answer for it")
            .hint("write https://, or an address of this host's loopback");
        return None;
    }
    let token = match reader.own("token") {
        Some(_) => Some(reader.secret("token")?),
        None => None,
    };
    Some(RoleService {
        url: url.value.to_owned(),
        token,
        ca_file: reader.path("ca-file").map(|spot| spot.value),
    })
}
