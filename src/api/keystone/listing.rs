//! Users, projects, roles and domains, as far as clients look names up: one's own, and all for
//! administrators.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{Fault, Reply};
use super::bearer::Bearer;
use super::route::{Version, What};
use super::subject::{Accounts, Membership, Project, Role, Subject, domain, id_of, tenant};
use super::{Call, DOMAIN, DOMAIN_NAME};
use crate::api::yield_often;
use crate::grants::Way;
use crate::http::Query;
use crate::types::AccountAlias;

impl Call<'_> {
    /// The users that the asker may see.
    pub(super) async fn users(&self) -> Result<Reply, Fault> {
        let own = self.own()?;
        let asked = self.query_of("name");
        let shown = if !self.shown.is_administrator() {
            vec![Arc::clone(&own.subject.name)]
        } else if let Some(name) = asked.as_deref() {
            let found = self.keystone.names.named(self.prover, name).await?;
            found.into_iter().collect()
        } else {
            let mut all = self.keystone.names.all(self.prover).await?;
            all.insert(Arc::clone(&own.subject.name));
            all.into_iter().collect()
        };
        let shown = shown.iter().filter(|name| is_asked(asked.as_deref(), name));
        let users: Vec<Value> = shown.map(|name| self.user_document(name)).collect();
        Ok(self.list("users", &users))
    }

    pub(super) async fn user(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        let name = self.someone(asked).await?;
        Ok(Reply::json(&json!({ "user": self.user_document(&name) })))
    }

    /// All projects.
    pub(super) fn projects(&self) -> Result<Reply, Fault> {
        let all = Accounts::now(self.prover)?.all();
        Ok(self.project_list(all.iter()))
    }

    /// The projects that the asker's user has; all for administrators.
    pub(super) fn own_projects(&self) -> Result<Reply, Fault> {
        Ok(self.projects_of(&self.own()?.subject))
    }

    pub(super) async fn user_projects(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        let name = self.someone(asked).await?;
        Ok(self.projects_of(&*self.subject_of(&name).await?))
    }

    /// One project: one of the asker's, or an administrator's any.
    pub(super) fn project(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        let own = self.own()?;
        let alias = AccountAlias::new(asked).ok();
        let project = alias.and_then(|alias| {
            let membership = own.subject.membership(&alias)?;
            Some(self.project_document(&membership.project))
        });
        let name = match self.route.row.version {
            Version::V2 => "tenant",
            Version::V3 => "project",
        };
        match project {
            Some(project) => Ok(Reply::json(&json!({ name: project }))),
            None if self.shown.is_administrator() => Err(Fault::no_such("project", asked)),
            None => Err(Fault::forbidden(What::Project)),
        }
    }

    /// The roles of a user in a project.
    pub(super) async fn user_roles(&self) -> Result<Reply, Fault> {
        let [project, user] = self.route.names;
        let name = self.someone(user).await?;
        let subject = self.subject_of(&name).await?;
        let alias = AccountAlias::new(project).ok();
        let membership = alias.as_ref().and_then(|alias| subject.membership(alias));
        let all = match membership {
            Some(membership) => membership.roles.as_slice(),
            None if self.exists(alias.as_ref())? || !self.shown.is_administrator() => &[],
            None => return Err(Fault::no_such("project", project)),
        };
        let roles: Vec<Value> = all.iter().map(|role| self.role_document(role)).collect();
        Ok(self.list("roles", &roles))
    }

    pub(super) fn roles(&self) -> Result<Reply, Fault> {
        let asked = self.query_of("name");
        let known = Accounts::now(self.prover)?.roles();
        let shown = known.iter();
        let shown = shown.filter(|role| is_asked(asked.as_deref(), &role.name));
        let roles: Vec<Value> = shown.map(|role| self.role_document(role)).collect();
        Ok(self.list("roles", &roles))
    }

    pub(super) fn role(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        let known = Accounts::now(self.prover)?.roles();
        let mut known = known.iter();
        let role = known.find(|role| *role.id == *asked || *role.name == *asked);
        let role = role.ok_or_else(|| Fault::no_such("role", asked))?;
        Ok(Reply::json(&json!({ "role": self.role_document(role) })))
    }

    /// Who has which role where: one's own, and for administrators anybody's.
    pub(super) async fn role_assignments(&self) -> Result<Reply, Fault> {
        let own = self.own()?;
        let domain = self.query_of("scope.domain.id");
        if domain.is_some() && self.query_of("scope.project.id").is_some() {
            let both = "Specify a domain or project, not both";
            return Err(Fault::new(StatusCode::BAD_REQUEST, both));
        }
        let names = match self.query_of("user.id") {
            Some(asked) => vec![self.someone(&asked).await?],
            None if self.shown.is_administrator() => {
                let all = self.keystone.names.all(self.prover).await?;
                all.into_iter().collect()
            }
            None => vec![Arc::clone(&own.subject.name)],
        };
        let system = self.query_of("scope.system");
        let elsewhere = system.or(domain).or_else(|| self.query_of("group.id"));
        let mut assignments = Vec::new();
        // There are no roles in domains, in the system or of groups.
        for (done, name) in names.iter().filter(|_| elsewhere.is_none()).enumerate() {
            yield_often(done).await;
            let subject = self.subject_of(name).await?;
            assignments.extend(self.assignments_of(&subject));
        }
        Ok(self.list("role_assignments", &assignments))
    }

    /// What the query asks for of one user's.
    fn assignments_of(&self, subject: &Subject) -> Vec<Value> {
        let (project, of_role) = (self.query_of("scope.project.id"), self.query_of("role.id"));
        let with_names = self.query_of("include_names");
        let with_names =
            with_names.is_some_and(|value| !matches!(&*value, "0" | "false" | "False"));
        let mut assignments = Vec::new();
        for membership in subject.memberships() {
            let alias = membership.project.alias.as_str();
            if !is_asked(project.as_deref(), alias) {
                continue;
            }
            let roles = membership.roles.iter();
            let roles = roles.filter(|role| is_asked(of_role.as_deref(), &role.id));
            assignments
                .extend(roles.map(|role| self.assignment(subject, membership, role, with_names)));
        }
        assignments
    }

    pub(super) fn domains(&self) -> Reply {
        let named = self.query_of("name");
        let asked = is_asked(named.as_deref(), DOMAIN_NAME);
        let documents = asked.then(|| self.domain_document());
        self.list("domains", documents.as_slice())
    }

    pub(super) fn domain(&self) -> Result<Reply, Fault> {
        let [asked, _] = self.route.names;
        if asked != DOMAIN {
            return Err(Fault::no_such("domain", asked));
        }
        Ok(Reply::json(&json!({ "domain": self.domain_document() })))
    }

    /// Nobody has a token for a domain.
    pub(super) fn own_domains(&self) -> Reply {
        self.list("domains", &[])
    }

    /// Whose id or name this is: one's own, or for administrators anybody's.
    pub(super) async fn someone(&self, asked: &str) -> Result<Arc<str>, Fault> {
        let own = self.own()?;
        if own.subject.is(asked) {
            return Ok(Arc::clone(&own.subject.name));
        }
        // Whether there is such a user is not to be told.
        if !self.shown.is_administrator() {
            return Err(Fault::forbidden(self.route.row.what));
        }
        let found = self.keystone.names.find(self.prover, asked).await?;
        found.ok_or_else(|| Fault::no_such("user", asked))
    }

    /// What somebody of this name is here: the asker itself, or whoever proves it with a key.
    pub(super) async fn subject_of(&self, name: &Arc<str>) -> Result<Arc<Subject>, Fault> {
        if let Some(Bearer { subject, .. }) = self.shown.bearer()
            && subject.name == *name
        {
            return Ok(Arc::clone(subject));
        }
        let person = self.prover.person(Way::AccessKey, name).await?;
        self.keystone.subjects.of(self.prover, &person).await
    }

    /// Whether there is such a project.
    pub(super) fn exists(&self, alias: Option<&AccountAlias>) -> Result<bool, Fault> {
        let accounts = Accounts::now(self.prover)?;
        Ok(alias.is_some_and(|alias| accounts.project(alias).is_some()))
    }

    fn projects_of(&self, subject: &Subject) -> Reply {
        self.project_list(subject.memberships().map(|membership| &membership.project))
    }

    fn project_list<'p>(&self, projects: impl Iterator<Item = &'p Project>) -> Reply {
        let asked = self.query_of("name");
        let shown = projects.filter(|it| is_asked(asked.as_deref(), it.alias.as_str()));
        let documents: Vec<Value> = shown.map(|it| self.project_document(it)).collect();
        match self.route.row.version {
            Version::V2 => self.list("tenants", &documents),
            Version::V3 => self.list("projects", &documents),
        }
    }

    fn project_document(&self, project: &Project) -> Value {
        let alias = project.alias.as_str();
        match self.route.row.version {
            Version::V2 => tenant(project),
            Version::V3 => json!({
                "id": alias,
                "name": alias,
                "description": &*project.description,
                "domain_id": DOMAIN,
                "parent_id": DOMAIN,
                "enabled": true,
                "is_domain": false,
                "tags": [],
                "options": {},
                "links": { "self": self.link(&["projects", alias]) },
            }),
        }
    }

    fn user_document(&self, name: &Arc<str>) -> Value {
        let id = id_of(name);
        match self.route.row.version {
            Version::V2 => json!({
                "id": id,
                "name": &**name,
                "username": &**name,
                "enabled": true,
            }),
            Version::V3 => json!({
                "id": id,
                "name": &**name,
                "domain_id": DOMAIN,
                "enabled": true,
                "password_expires_at": null,
                "options": {},
                "links": { "self": self.link(&["users", &id]) },
            }),
        }
    }

    pub(super) fn role_document(&self, role: &Role) -> Value {
        match self.route.row.version {
            Version::V2 => json!(role),
            Version::V3 => json!({
                "id": role.id,
                "name": role.name,
                "domain_id": null,
                "description": null,
                "options": {},
                "links": { "self": self.link(&["roles", &role.id]) },
            }),
        }
    }

    fn domain_document(&self) -> Value {
        json!({
            "id": DOMAIN,
            "name": DOMAIN_NAME,
            "description": "The default domain",
            "enabled": true,
            "tags": [],
            "options": {},
            "links": { "self": self.link(&["domains", DOMAIN]) },
        })
    }

    fn assignment(
        &self,
        subject: &Subject,
        membership: &Membership,
        role: &Role,
        with_names: bool,
    ) -> Value {
        let alias = membership.project.alias.as_str();
        let link = self.link(&["projects", alias, "users", &subject.id, "roles", &role.id]);
        let (role, user, project) = if with_names {
            (
                json!(role),
                json!({ "id": subject.id, "name": &*subject.name, "domain": domain() }),
                json!({ "id": alias, "name": alias, "domain": domain() }),
            )
        } else {
            (
                json!({ "id": role.id }),
                json!({ "id": subject.id }),
                json!({ "id": alias }),
            )
        };
        json!({
            "role": role,
            "user": user,
            "scope": { "project": project },
            "links": { "assignment": link },
        })
    }

    /// Where version 3 has an object.
    pub(super) fn link(&self, path: &[&str]) -> String {
        let mut url = self.url();
        url.push_str("/v3");
        for part in path {
            url.extend(["/", part]);
        }
        url
    }

    /// The parameter of the query.
    pub(super) fn query_of(&self, name: &str) -> Option<String> {
        let query = Query::parse(self.request.uri().query());
        query.first(name).map(str::to_owned)
    }
}

/// Whether this is what the query asks for, where it asks for any.
fn is_asked(asked: Option<&str>, this: &str) -> bool {
    asked.is_none_or(|asked| asked == this)
}
