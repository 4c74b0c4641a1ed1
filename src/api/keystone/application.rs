//! Application credentials: the bearer tokens of build servers, as Keystone shows them.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Call;
use super::answer::{Fault, Reply};
use super::subject::{Subject, id_of};
use super::token::time;
use crate::store::Token;

impl Call<'_> {
    /// Those of a user that have not ended, in the order in which they were made.
    pub(super) async fn application_credentials(&self) -> Result<Reply, Fault> {
        let (user, subject) = self.holder().await?;
        let asked = self.query_of("name");
        let mut known = self.tokens_of(&user)?;
        known.retain(|token| asked.as_deref().is_none_or(|name| *name == name_of(token)));
        known.sort_unstable_by_key(|token| (token.made, token.id));
        let documents: Vec<Value> = known
            .iter()
            .map(|token| self.application_credential_document(token, &subject))
            .collect();
        Ok(self.list("application_credentials", &documents))
    }

    /// One of them.
    pub(super) async fn application_credential(&self) -> Result<Reply, Fault> {
        let (user, subject) = self.holder().await?;
        let [_, asked] = self.route.names;
        let known = self.tokens_of(&user)?;
        let id = Uuid::parse_str(asked).ok();
        let token = known.iter().find(|token| Some(token.id) == id);
        let token = token.ok_or_else(|| Fault::no_such("Application Credential", asked))?;
        let document = self.application_credential_document(token, &subject);
        Ok(Reply::json(&json!({ "application_credential": document })))
    }

    /// Whose the path names, and what that is here.
    async fn holder(&self) -> Result<(Arc<str>, Arc<Subject>), Fault> {
        let [asked, _] = self.route.names;
        let user = self.someone(asked).await?;
        let subject = self.subject_of(&user).await?;
        Ok((user, subject))
    }

    fn tokens_of(&self, user: &str) -> Result<Vec<Arc<Token>>, Fault> {
        let deps = self.prover.deps;
        let (objects, now) = (deps.store.objects()?, deps.clock.now());
        let all = objects.tokens.values();
        let own = all.filter(|token| *token.draft.user == *user && now < token.draft.expires);
        Ok(own.cloned().collect())
    }

    /// What it is good for is what its user is: of a project, where its user has only that one.
    fn application_credential_document(&self, token: &Token, subject: &Subject) -> Value {
        let (id, user) = (name_of(token), id_of(&token.draft.user));
        let only = subject.only();
        let roles = only.map_or(&[][..], |membership| &membership.roles);
        let roles: Vec<Value> = roles.iter().map(|role| self.role_document(role)).collect();
        let expires = time(token.draft.expires);
        json!({
            "id": id,
            "name": id,
            "description": null,
            "user_id": user,
            "project_id": only.map(|membership| membership.project.alias.as_str()),
            "system": null,
            // Others have no zone here.
            "expires_at": expires.trim_end_matches('Z'),
            "unrestricted": false,
            "roles": roles,
            "links": { "self": self.link(&["users", &user, "application_credentials", &id]) },
        })
    }
}

/// Nobody calls them anything else.
fn name_of(token: &Token) -> String {
    token.id.simple().to_string()
}
