//! Connectors as they are shown.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::problem::Problem;
use super::reply::{Reply, Tag};
use super::{Call, yield_often};
use crate::config::RoleKind;
use crate::grants::Wanted;
use crate::http::Query;
use crate::types::RoleRef;
use crate::vending::{DeclaredRole, Refusal};

/// One connector.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// Of the configuration.
    Declared(Arc<DeclaredRole>),
}

/// As it is written; `id` comes first, where the vendor's scripts look for it.
#[derive(Serialize)]
struct Document<'a> {
    id: Uuid,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

impl Shown {
    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::Declared(role) => role.id,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Declared(role) => &role.name,
        }
    }

    pub(super) fn role(&self) -> &RoleRef {
        match self {
            Self::Declared(role) => &role.role,
        }
    }

    pub(super) fn kind(&self) -> RoleKind {
        match self {
            Self::Declared(role) => role.kind,
        }
    }

    fn is_of_system(&self) -> bool {
        match self {
            Self::Declared(role) => role.system,
        }
    }

    fn document(&self) -> Document<'_> {
        Document {
            id: self.id(),
            name: self.name(),
            kind: match self.kind() {
                // The API has no word for the other way to assume a role.
                RoleKind::AssumeRole | RoleKind::WebIdentity => "ASSUME_ROLE",
                RoleKind::FederationToken => "FEDERATION_TOKEN",
                RoleKind::SessionToken => "SESSION_TOKEN",
            },
            scope: self.is_of_system().then_some("SYSTEM"),
        }
    }
}

/// All that the caller may use, by name.
pub(super) async fn list(call: &Call<'_>) -> Result<Reply, Problem> {
    let query = call.query();
    let start = number(&query, "start")?.unwrap_or_default();
    let limit = number(&query, "limit")?.unwrap_or(usize::MAX);
    let mut shown = own(call).await?;
    shown.sort_by(|one, other| (one.name(), one.id()).cmp(&(other.name(), other.id())));
    let mut body = b"{\"values\":[".to_vec();
    let mut size = 0;
    for connector in shown.iter().skip(start).take(limit) {
        if size > 0 {
            body.push(b',');
        }
        // Nothing fails that writes plain texts to memory.
        drop(serde_json::to_writer(&mut body, &connector.document()));
        size += 1;
        yield_often(size).await;
    }
    body.extend_from_slice(format!("],\"size\":{size}}}").as_bytes());
    Ok(Reply::text(body))
}

fn number(query: &Query<'_>, name: &str) -> Result<Option<usize>, Problem> {
    let Some(text) = query.first(name) else {
        return Ok(None);
    };
    let number = text.parse().map_err(|_no_number| {
        Problem::fields([(name.to_owned(), "is no whole number".to_owned())].into())
    })?;
    Ok(Some(number))
}

/// The connectors that the caller may use.
async fn own(call: &Call<'_>) -> Result<Vec<Shown>, Problem> {
    let vending = &call.deps.vending;
    let roles = vending.roles(call.visit(), &call.want(Wanted::First)).await;
    let roles = roles.map_err(|refusal| call.refused(refusal, Wanted::First))?;
    let policy = vending.policy();
    let shown = roles
        .iter()
        .map(|offered| Shown::Declared(policy.declared.role(&offered.role)));
    Ok(shown.collect())
}

/// The connector that a path names, if the caller may use it.
pub(super) async fn find(call: &Call<'_>) -> Result<Shown, Problem> {
    let id = id(call.route.id).ok_or_else(|| Problem::no_such("connector", call.route.id))?;
    let declared = call.deps.vending.policy().declared.by_id(&id).cloned();
    let Some(declared) = declared else {
        // Roles that only grants name are found among the caller's own.
        let own = own(call).await?;
        return own
            .into_iter()
            .find(|shown| shown.id() == id)
            .ok_or_else(|| Problem::no_such("connector", call.route.id));
    };
    let wanted = Wanted::Chosen(declared.role.clone());
    let may = call
        .deps
        .vending
        .own_role(call.visit(), &call.want(wanted.clone()))
        .await;
    match may {
        // What does not work is shown all the same.
        Ok(_) | Err(Refusal::Misconfigured | Refusal::ProofMissing) => {
            Ok(Shown::Declared(declared))
        }
        Err(refusal) => Err(call.refused(refusal, wanted)),
    }
}

/// An id as it is written in answers.
pub(super) fn id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    // Other forms are no ids of this API.
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then_some(id)
}

/// One connector.
pub(super) async fn show(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    let reply = Reply::json(&shown.document());
    let tag = Tag::of(&reply.body);
    Ok(reply.tagged(&tag, call.request.headers()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_ids_have_one_form() {
        let text = "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3";
        assert_eq!(id(text).unwrap().to_string(), text);
        assert_eq!(id(&text.to_uppercase()), id(text));
        for other in [
            "",
            "1",
            "1521fbf0fa974c4a98779f0c5e9982d3",
            "{1521fbf0-fa97-4c4a-9877-9f0c5e9982d3}",
            "urn:uuid:1521fbf0-fa97-4c4a-9877-9f0c5e9982d3",
            "1521fbf0-fa97-4c4a-9877-9f0c5e9982dg",
        ] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
