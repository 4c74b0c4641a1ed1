//! Keystone's Identity API on the wire.

mod database;
mod hostile;
mod keys;
mod listing;
mod refused;
mod signed;
mod tokens;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::config::Config;
use rolecall::listener::Passed;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Answer, Connection, request};
use crate::support::daemon::TestDaemon;

/// What services show.
const SERVICE: &str = "canary-service-token";
/// `printf ann | sha256sum`, the first 32 digits; the same of the others.
const ANN: &str = "49915e0d7d4b402e3017d010bc1c0e83";
const BOB: &str = "81b637d8fcd2c6da6359e6963113a117";
const ADMIN: &str = "8c6976e5b5410415bde908bd4dee15df";
/// The ids of roles, likewise.
const DEMO: &str = "2a97516c354b68848cdbd8f54a226a0a";
const MEMBER: &str = "e31ab643c44f7a0ec824b59d1194d60d";

const UNAUTHORIZED: &str = "The request you have made requires authentication.";
const NO_JSON: &str = "Expecting to find valid JSON in request body. The server could not comply with \
                       the request since it is either malformed or otherwise incorrect. The client is \
                       assumed to be in error.";

/// Three people with passwords that are their names with `pw`, and accounts for them.
const CONFIG: &str = r#"
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["keystone"]

[people]
users-file = "{dir}/users"
groups-file = "{dir}/groups"
administrators = ["admin"]

[account.local]
id = "000000000000"
description = "the \"local\" one"
credentials = { from = "local" }
[account.local.role.demo]

[account.other]
id = "000000000001"
credentials = { from = "local" }
[account.other.role.web]

[[grant]]
role = "local/demo"
when = { principal = ["ann", "зоя"] }
[[grant]]
role = "local/demo"
when = { principal = "bob" }
[[grant]]
role = "other/web"
when = { group = "web" }

[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

/// A daemon with one listener.
struct Served {
    daemon: TestDaemon,
}

fn with_service(config: &mut Config) {
    config.authority.service_token = Some(SecretString::from(SERVICE));
}

fn without_service_token(config: &mut Config) {
    with_service(config);
    config.authority.ec2tokens_without_token = true;
}

/// As the documents' example of 2007 needs it.
fn at_any_date(config: &mut Config) {
    with_service(config);
    config.authority.signature_age = Duration::ZERO;
}

impl Served {
    fn start() -> Self {
        Self::start_with(CONFIG, with_service)
    }

    fn start_with(text: &str, alter: fn(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let users = ["ann", "bob", "admin", "зоя"].map(|name| {
            let hash = bcrypt::hash(format!("{name}pw"), 4).unwrap();
            format!("{name}:{hash}\n")
        });
        let owner_only = || fs::Permissions::from_mode(0o600);
        for (name, text) in [
            ("users", users.concat()),
            ("groups", "web: bob\n".to_owned()),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, owner_only()).unwrap();
        }
        let passed = Passed::default();
        let daemon = TestDaemon::start_altered(directory, text, Clock::System, passed, alter);
        Self { daemon }
    }

    /// The same configuration, in the directory of a daemon that has ended.
    fn again(directory: TempDir) -> Self {
        let passed = Passed::default();
        let daemon =
            TestDaemon::start_altered(directory, CONFIG, Clock::System, passed, with_service);
        Self { daemon }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let length = body.len().to_string();
        let mut all = vec![("Content-Length", length.as_str())];
        all.extend_from_slice(headers);
        let mut connection = Connection::open(self.daemon.address("api")).await;
        let text = request(method, path, &all) + body;
        connection.send(text.as_bytes()).await;
        let answer = if method == "HEAD" {
            connection.head_answer().await
        } else {
            connection.answer().await
        };
        let answer = answer.expect("an answer");
        assert_eq!(answer.header("vary"), "X-Auth-Token", "{method} {path}");
        answer
    }

    /// Sends JSON with this token.
    async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Auth-Token", token),
        ];
        self.send("POST", path, &headers, &body.to_string()).await
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        self.send("GET", path, &[("X-Auth-Token", token)], "").await
    }

    async fn delete(&self, token: &str, path: &str) -> Answer {
        self.send("DELETE", path, &[("X-Auth-Token", token)], "")
            .await
    }

    /// The token of version 3 of somebody, for this project.
    async fn token(&self, name: &str, project: &str) -> String {
        let body = by_password(name, &format!("{name}pw"), Some(project));
        let made = self.login(&body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.header("x-subject-token").to_owned()
    }

    async fn login(&self, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send("POST", "/v3/auth/tokens", &json, &body.to_string())
            .await
    }

    /// A login of version 2.0, for no tenant.
    async fn login_v2(&self, name: &str, password: &str) -> Answer {
        let credentials = json!({ "username": name, "password": password });
        let body = json!({ "auth": { "passwordCredentials": credentials } });
        let json = [("Content-Type", "application/json")];
        self.send("POST", "/v2.0/tokens", &json, &body.to_string())
            .await
    }

    /// A key of somebody's own.
    async fn key(&self, name: &str, project: &str) -> (String, String) {
        let token = self.token(name, project).await;
        let path = "/v3/users/me/credentials/OS-EC2".replace("me", name);
        let made = self
            .post(&token, &path, &json!({ "tenant_id": project }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let made = &made.json()["credential"];
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("access"), text("secret"))
    }

    async fn end(self) {
        self.daemon.end().await;
    }
}

/// A login of version 3.
fn by_password(name: &str, password: &str, project: Option<&str>) -> Value {
    let domain = json!({ "id": "default" });
    let user = json!({ "name": name, "domain": domain, "password": password });
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    match project {
        None => json!({ "auth": { "identity": identity } }),
        Some(project) => {
            let scope = json!({ "project": { "name": project, "domain": domain } });
            json!({ "auth": { "identity": identity, "scope": scope } })
        }
    }
}

/// Holds an answer against Keystone's error document.
#[track_caller]
fn refused(answer: &Answer, status: u16, message: &str) {
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        _ => "Service Unavailable",
    };
    let error = json!({ "code": status, "message": message, "title": title });
    let told = (answer.status, answer.json());
    assert_eq!(told, (status, json!({ "error": error })));
    let challenge = answer.header("www-authenticate");
    assert_eq!(
        challenge.starts_with("Keystone uri=\"http://127.0.0.1:"),
        status == 401
    );
}
