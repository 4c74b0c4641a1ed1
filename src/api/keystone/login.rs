//! Proofs of a name in a body, and the project that a token is asked for.

use std::sync::Arc;
use std::time::SystemTime;

use hyper::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answer::{Fault, Reply};
use super::bearer::{Bearer, Refused};
use super::body::{Body, object, text};
use super::route::{Needs, Version, What};
use super::signed;
use super::subject::Subject;
use super::token::{New, WithCatalog};
use super::{Call, DOMAIN, DOMAIN_NAME};
use crate::authority::{KeystoneClaims, TokenProof};
use crate::grants::{Person, Way};
use crate::people::{Standing, token_hash};
use crate::types::AccountAlias;

/// What a token of version 3 can be for, of which a body names one.
const SCOPES: [&str; 5] = ["system", "project", "domain", "OS-TRUST:trust", "unscoped"];

/// A proof that a body brings.
pub(super) enum Proof<'a> {
    Password {
        user: User<'a>,
        password: &'a str,
    },
    Token(&'a str),
    /// A bearer token of a build server, by its id and by itself.
    Application {
        id: &'a str,
        secret: &'a str,
    },
}

/// Somebody whom a body names.
pub(super) enum User<'a> {
    Id(&'a str),
    Name(&'a str),
    /// One of another domain.
    Foreign,
}

/// What a token is asked for.
pub(super) enum Scope {
    /// Nothing is said.
    Unsaid,
    /// Nothing.
    Unscoped,
    Project(AccountAlias),
    /// What nobody has here.
    Nowhere,
}

/// Somebody who proved a name.
struct Proven {
    subject: Arc<Subject>,
    proof: TokenProof,
    /// The token that was shown, where it was one.
    of: Option<KeystoneClaims>,
    /// When the proof ends, where it does.
    until: Option<SystemTime>,
}

impl Call<'_> {
    /// A token for a proof.
    pub(super) async fn login(&self, body: &Body) -> Result<Reply, Fault> {
        let version = self.route.row.version;
        if version == Version::V2
            && let Some(credentials) = signed::in_auth(body)
        {
            let rules = &self.prover.deps.rules;
            let open = rules.ec2tokens_without_token && self.shown.is_nothing();
            if !open {
                self.shown.check(Needs::Service, What::Ec2Tokens)?;
            }
            return self.ec2(credentials).await;
        }
        let (proof, scope) = read(body, version)?;
        let proven = self.prove(proof).await?;
        let project = proven.scoped(scope)?;
        let new = New {
            name: Arc::clone(&proven.subject.name),
            proof: proven.proof,
            project,
            of: proven.of,
            until: proven.until,
        };
        let bearer = Bearer {
            claims: new.claims(self)?,
            subject: proven.subject,
        };
        let (status, catalog) = match version {
            Version::V2 => (StatusCode::OK, WithCatalog::Yes),
            Version::V3 => (StatusCode::CREATED, self.catalog()),
        };
        Ok(self.made(&bearer, catalog)?.with_status(status))
    }

    async fn prove(&self, proof: Proof<'_>) -> Result<Proven, Fault> {
        match proof {
            Proof::Password { user, password } => self.by_password(user, password).await,
            Proof::Token(token) => self.by_token(token).await,
            Proof::Application { id, secret } => self.by_application(id, secret).await,
        }
    }

    async fn by_password(&self, user: User<'_>, password: &str) -> Result<Proven, Fault> {
        let name = match user {
            // Whether there is such an id is not to be told by how long the answer takes.
            User::Id(id) => match self.keystone.names.of_id(self.prover, id).await? {
                Some(name) => name,
                None => Arc::from(id),
            },
            User::Name(name) => Arc::from(name),
            User::Foreign => return Err(Fault::unauthorized()),
        };
        let password = SecretString::from(password);
        let login = self.prover.login(self.request, &name, &password).await;
        let (person, standing) = login?;
        let proof = TokenProof::Password {
            way: Arc::from(standing.way.as_str()),
            fingerprint: standing.hash,
        };
        self.proven(&person, proof, None).await
    }

    async fn by_token(&self, token: &str) -> Result<Proven, Fault> {
        let told = self.keystone.bearer(self.prover, token).await;
        let bearer = told.map_err(|refused| match (refused, self.route.row.version) {
            (Refused::Ended, Version::V2) => Fault::unauthorized(),
            (Refused::Ended, Version::V3) => Fault::no_token(),
            (Refused::Unsaid(fault), _) => fault,
        })?;
        if bearer.is_of_signature() {
            return Err(Fault::forbidden(What::Login));
        }
        Ok(Proven {
            subject: bearer.subject,
            proof: bearer.claims.proof.clone(),
            of: Some(bearer.claims),
            until: None,
        })
    }

    async fn by_application(&self, id: &str, secret: &str) -> Result<Proven, Fault> {
        let deps = self.prover.deps;
        if !self.prover.mount.authenticate.contains(&Way::Token) {
            return Err(Fault::unauthorized());
        }
        let objects = deps.store.objects()?;
        let hash = token_hash(secret);
        let known = objects.tokens.get(&hash);
        let known = known.filter(|known| {
            Uuid::parse_str(id).is_ok_and(|id| id == known.id)
                && deps.clock.now() < known.draft.expires
        });
        let known = known.ok_or_else(Fault::unauthorized)?;
        let standing = Standing {
            way: Way::Token,
            name: Arc::clone(&known.draft.user),
            hash: None,
        };
        let person = self.prover.of_standing(&standing).await?;
        let until = Some(known.draft.expires);
        self.proven(&person, TokenProof::Bearer(hash), until).await
    }

    async fn proven(
        &self,
        person: &Arc<Person>,
        proof: TokenProof,
        until: Option<SystemTime>,
    ) -> Result<Proven, Fault> {
        let subject = self.keystone.subjects.of(self.prover, person).await?;
        self.keystone.names.see(&subject.id, &subject.name);
        Ok(Proven {
            subject,
            proof,
            of: None,
            until,
        })
    }
}

impl Proven {
    /// The project that the token is for. Whether there is one that is not one's own is not told.
    fn scoped(&self, scope: Scope) -> Result<Option<AccountAlias>, Fault> {
        match scope {
            Scope::Nowhere => Err(Fault::unauthorized()),
            // An application credential is of one project, and its user need not say which.
            Scope::Unsaid if matches!(self.proof, TokenProof::Bearer(_)) => {
                let only = self.subject.only();
                Ok(only.map(|membership| membership.project.alias.clone()))
            }
            Scope::Unsaid | Scope::Unscoped => Ok(None),
            Scope::Project(alias) => match self.subject.membership(&alias) {
                Some(_) => Ok(Some(alias)),
                None => Err(Fault::unauthorized()),
            },
        }
    }
}

/// What a body brings, and what it asks for.
pub(super) fn read(body: &Body, version: Version) -> Result<(Proof<'_>, Scope), Fault> {
    let auth = body.object("auth")?;
    Ok(match version {
        Version::V2 => (proof_v2(auth)?, scope_v2(auth)?),
        Version::V3 => (proof_v3(auth)?, scope_v3(auth)?),
    })
}

fn proof_v2(auth: &Map<String, Value>) -> Result<Proof<'_>, Fault> {
    const WITHIN: &str = "passwordCredentials";
    if auth.contains_key("token") {
        let token = object(auth.get("token"), "token", "auth")?;
        let id = text(token, "id")?;
        return Ok(Proof::Token(
            id.ok_or_else(|| Fault::expected("id", "token"))?,
        ));
    }
    let credentials = object(auth.get(WITHIN), WITHIN, "auth")?;
    let user = match (text(credentials, "userId")?, text(credentials, "username")?) {
        (Some(id), None) => User::Id(id),
        (None, Some(name)) => User::Name(name),
        (None, None) => return Err(Fault::expected("username or userId", WITHIN)),
        (Some(_), Some(_)) => {
            return Err(Fault::bad("Only one of username and userId may be given."));
        }
    };
    let password = text(credentials, "password")?;
    Ok(Proof::Password {
        user,
        password: password.ok_or_else(|| Fault::expected("password", WITHIN))?,
    })
}

fn scope_v2(auth: &Map<String, Value>) -> Result<Scope, Fault> {
    let named = match (text(auth, "tenantId")?, text(auth, "tenantName")?) {
        (Some(id), Some(name)) if id != name => return Ok(Scope::Nowhere),
        (id, name) => id.or(name),
    };
    Ok(match named {
        None | Some("") => Scope::Unsaid,
        Some(named) => project(named),
    })
}

fn proof_v3(auth: &Map<String, Value>) -> Result<Proof<'_>, Fault> {
    let identity = object(auth.get("identity"), "identity", "auth")?;
    let methods = identity.get("methods").and_then(Value::as_array);
    let methods = methods.ok_or_else(|| Fault::expected("methods", "identity"))?;
    let mut names = Vec::new();
    for method in methods {
        let name = method.as_str();
        names.push(name.ok_or_else(|| Fault::expected("methods", "identity"))?);
    }
    // Several at once are several factors, of which only one could be held against anything.
    let [method] = names.as_slice() else {
        return Err(Fault::unauthorized());
    };
    let proof = object(identity.get(*method), method, "identity")?;
    match *method {
        "password" => {
            let user = object(proof.get("user"), "user", "password")?;
            let password = text(user, "password")?;
            Ok(Proof::Password {
                user: named_user(user)?,
                password: password.ok_or_else(|| Fault::expected("password", "user"))?,
            })
        }
        "token" => {
            let id = text(proof, "id")?;
            Ok(Proof::Token(
                id.ok_or_else(|| Fault::expected("id", "token"))?,
            ))
        }
        "application_credential" => {
            let within = "application_credential";
            let secret = text(proof, "secret")?;
            let id = text(proof, "id")?;
            Ok(Proof::Application {
                id: id.ok_or_else(|| Fault::expected("id", within))?,
                secret: secret.ok_or_else(|| Fault::expected("secret", within))?,
            })
        }
        _ => Err(Fault::unauthorized()),
    }
}

fn scope_v3(auth: &Map<String, Value>) -> Result<Scope, Fault> {
    let scope = match auth.get("scope") {
        None | Some(Value::Null) => return Ok(Scope::Unsaid),
        Some(Value::String(word)) if word == "unscoped" => return Ok(Scope::Unscoped),
        Some(Value::String(_)) => return Err(no_scope()),
        Some(other) => object(Some(other), "scope", "auth")?,
    };
    let mut named = SCOPES.iter().filter(|name| scope.contains_key(**name));
    let (Some(kind), None) = (named.next(), named.next()) else {
        return Err(no_scope());
    };
    match *kind {
        "unscoped" => return Ok(Scope::Unscoped),
        "project" | "domain" => {}
        // Nobody has a role in the system, and nobody is trusted with another's.
        _ => return Ok(Scope::Nowhere),
    }
    let asked = object(scope.get(*kind), kind, "scope")?;
    match (text(asked, "id")?, text(asked, "name")?) {
        (None, None) => {
            let why = format!("Invalid input for field scope/{kind}: id or name must be present.");
            Err(Fault::new(StatusCode::BAD_REQUEST, why))
        }
        // Nobody has a role in a domain.
        _ if *kind == "domain" => Ok(Scope::Nowhere),
        (Some(id), _) => Ok(project(id)),
        (None, Some(name)) if is_domain(asked, "project")? => Ok(project(name)),
        (None, Some(_)) => Ok(Scope::Nowhere),
    }
}

fn no_scope() -> Fault {
    Fault::expected(
        "system, project, domain, OS-TRUST:trust or unscoped",
        "scope",
    )
}

/// A name that no project can have is that of none.
fn project(text: &str) -> Scope {
    AccountAlias::new(text).map_or(Scope::Nowhere, Scope::Project)
}

fn named_user(user: &Map<String, Value>) -> Result<User<'_>, Fault> {
    match (text(user, "id")?, text(user, "name")?) {
        (Some(id), _) => Ok(User::Id(id)),
        (None, Some(name)) if is_domain(user, "user")? => Ok(User::Name(name)),
        (None, Some(_)) => Ok(User::Foreign),
        (None, None) => Err(Fault::expected("id or name", "user")),
    }
}

/// Whether the domain that is named beside a name is the one that there is.
fn is_domain(members: &Map<String, Value>, within: &str) -> Result<bool, Fault> {
    let domain = object(members.get("domain"), "domain", within)?;
    match (text(domain, "id")?, text(domain, "name")?) {
        (Some(id), _) => Ok(id == DOMAIN),
        (None, Some(name)) => Ok(name == DOMAIN_NAME),
        (None, None) => Err(Fault::expected("id or name", "domain")),
    }
}
