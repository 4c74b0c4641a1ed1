//! Connectors as they are shown.

use std::iter::Peekable;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Call;
use super::problem::Problem;
use super::reply::{Reply, Tag};
use crate::api::yield_often;
use crate::config::{RoleKind, id_of_role};
use crate::grants::Wanted;
use crate::http::Query;
use crate::store::{Connector, ConnectorKind, Objects};
use crate::types::RoleRef;
use crate::vending::{DeclaredRole, Refusal, Roles};

/// One connector.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// Of the configuration.
    Declared(Arc<DeclaredRole>),
    /// Of the store.
    Stored(Arc<Connector>),
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
            Self::Stored(connector) => connector.id,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Declared(role) => &role.name,
            Self::Stored(connector) => &connector.draft.name,
        }
    }

    /// What lists are sorted by.
    fn order(&self) -> (&str, Uuid) {
        (self.name(), self.id())
    }

    pub(super) fn role(&self) -> &RoleRef {
        match self {
            Self::Declared(role) => &role.role,
            Self::Stored(connector) => &connector.role,
        }
    }

    pub(super) fn kind(&self) -> RoleKind {
        match self {
            Self::Declared(role) => role.kind,
            Self::Stored(connector) => match connector.draft.kind {
                ConnectorKind::AssumeRole { .. } => RoleKind::AssumeRole,
                ConnectorKind::FederationToken => RoleKind::FederationToken,
                ConnectorKind::SessionToken => RoleKind::SessionToken,
            },
        }
    }

    fn is_of_system(&self) -> bool {
        match self {
            Self::Declared(role) => role.system,
            Self::Stored(connector) => connector.draft.system,
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
    let roles = roles(call).await?;
    let objects = call.objects()?;
    let stored: Box<dyn Iterator<Item = &Arc<Connector>> + Send> = if call.asker.administrator {
        Box::new(objects.names.iter().map(|named| &named.0))
    } else {
        Box::new(roles.connectors())
    };
    let mut shown = ByName {
        others: others(call, &roles, &objects).into_iter().peekable(),
        stored: stored.peekable(),
    };
    let mut body = b"{\"values\":[".to_vec();
    let mut size = 0;
    for place in 0..start.saturating_add(limit) {
        let Some(connector) = shown.next() else {
            break;
        };
        if place >= start {
            if size > 0 {
                body.push(b',');
            }
            // Nothing fails that writes plain texts to memory.
            drop(serde_json::to_writer(&mut body, &connector.document()));
            size += 1;
        }
        yield_often(place).await;
    }
    body.extend_from_slice(format!("],\"size\":{size}}}").as_bytes());
    Ok(Reply::text(body))
}

/// Connectors in the order of lists.
struct ByName<O: Iterator<Item = Shown>, S: Iterator> {
    others: Peekable<O>,
    stored: Peekable<S>,
}

impl<'s, O, S> Iterator for ByName<O, S>
where
    O: Iterator<Item = Shown>,
    S: Iterator<Item = &'s Arc<Connector>>,
{
    type Item = Shown;

    fn next(&mut self) -> Option<Shown> {
        let is_next = |stored: &&Arc<Connector>, other: &Shown| {
            (&*stored.draft.name, stored.id) < other.order()
        };
        match (self.stored.peek(), self.others.peek()) {
            (Some(stored), Some(other)) if !is_next(stored, other) => self.others.next(),
            (Some(_), _) => self.stored.next().map(Arc::clone).map(Shown::Stored),
            (None, _) => self.others.next(),
        }
    }
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

/// The roles that the caller may use.
async fn roles(call: &Call<'_>) -> Result<Roles, Problem> {
    let vending = &call.deps.vending;
    let roles = vending.roles(call.visit(), &call.want(Wanted::First)).await;
    roles.map_err(|refusal| call.refused(refusal, Wanted::First))
}

/// What the caller may use beside the connectors that are its own, in the order of lists.
/// Administrators may use all that is declared.
fn others(call: &Call<'_>, roles: &Roles, objects: &Objects) -> Vec<Shown> {
    let policy = call.deps.vending.policy();
    let declared = &policy.declared;
    let administrator = call.asker.administrator;
    let given = roles
        .given
        .iter()
        .filter_map(|role| match objects.roles.get(role) {
            Some(_) if administrator => None,
            Some(stored) => Some(Shown::Stored(Arc::clone(stored))),
            None if administrator && declared.has(role) => None,
            None => Some(Shown::Declared(declared.role(role))),
        });
    let mut others: Vec<Shown> = given.collect();
    if administrator {
        others.extend(declared.roles().cloned().map(Shown::Declared));
    }
    others.sort_by(|one, other| one.order().cmp(&other.order()));
    others
}

/// The connector that a path names, if the caller may use it.
pub(super) async fn find(call: &Call<'_>) -> Result<Shown, Problem> {
    let missing = || Problem::no_such("connector", call.route.id);
    let id = id(call.route.id).ok_or_else(missing)?;
    let stored = call.objects()?.connectors.get(&id).cloned();
    let declared = || call.deps.vending.policy().declared.by_id(&id).cloned();
    let shown = stored
        .map(Shown::Stored)
        .or_else(|| declared().map(Shown::Declared));
    let Some(shown) = shown else {
        return find_own(call, id).await?.ok_or_else(missing);
    };
    if call.asker.administrator {
        return Ok(shown);
    }
    let wanted = Wanted::Chosen(shown.role().clone());
    let may = call
        .deps
        .vending
        .own_role(call.visit(), &call.want(wanted.clone()))
        .await;
    match may {
        // What does not work is shown all the same.
        Ok(_) | Err(Refusal::Misconfigured | Refusal::ProofMissing) => Ok(shown),
        Err(refusal) => Err(call.refused(refusal, wanted)),
    }
}

/// The connector of this id that only grants name.
pub(super) async fn find_own(call: &Call<'_>, id: Uuid) -> Result<Option<Shown>, Problem> {
    let roles = roles(call).await?;
    let role = roles.given.iter().find(|role| id_of_role(role) == id);
    let policy = call.deps.vending.policy();
    Ok(role.map(|role| Shown::Declared(policy.declared.role(role))))
}

/// An id as it is written in answers.
pub(super) fn id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    // Other forms are no ids of this API.
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then_some(id)
}

/// A connector as it is written.
pub(super) fn rendered(shown: &Shown) -> Reply {
    Reply::json(&shown.document())
}

/// One connector.
pub(super) async fn show(call: &Call<'_>) -> Result<Reply, Problem> {
    let shown = find(call).await?;
    let reply = rendered(&shown);
    let tag = match &shown {
        Shown::Declared(_) => Tag::of(&reply.body),
        Shown::Stored(connector) => Tag::from(connector.version),
    };
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
