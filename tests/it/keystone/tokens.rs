//! Tokens: made for what proves a name, told, revoked.

use serde_json::{Value, json};

use super::{
    ADMIN, ANN, CONFIG, DEMO, MEMBER, SERVICE, Served, UNAUTHORIZED, by_password, refused,
};
use crate::support::client::Answer;

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Whether this is a time as Keystone writes it.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    let (date, fraction) = text.split_once('.').unwrap();
    date.len() == "2018-02-02T21:13:19".len() && fraction == "000000Z"
}

#[tokio::test]
async fn keystone_logs_in_with_a_password_in_version_3() {
    let served = Served::start();
    let made = served
        .login(&by_password("ann", "annpw", Some("local")))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(!made.header("x-subject-token").is_empty());
    let token = &made.json()["token"];
    assert_eq!(token["methods"], json!(["password"]));
    let domain = json!({ "id": "default", "name": "Default" });
    assert_eq!(
        token["user"],
        json!({ "id": ANN, "name": "ann", "domain": domain, "password_expires_at": null })
    );
    assert_eq!(
        token["project"],
        json!({ "id": "local", "name": "local", "domain": domain })
    );
    assert_eq!(token["is_domain"], false);
    assert_eq!(
        token["roles"],
        json!([{ "id": DEMO, "name": "demo" }, { "id": MEMBER, "name": "member" }])
    );
    assert!(is_time(&token["expires_at"]) && is_time(&token["issued_at"]));
    assert_eq!(token["audit_ids"][0].as_str().unwrap().len(), 22);
    let catalog = &token["catalog"][0];
    assert_eq!(catalog["type"], "identity");
    let url = format!("http://{}/v3", served.daemon.address("api"));
    assert_eq!(catalog["endpoints"][0]["url"], url);
    served.end().await;
}

#[tokio::test]
async fn keystone_logs_in_with_a_password_in_version_2() {
    let served = Served::start();
    let json = [("Content-Type", "application/json")];
    let credentials = json!({ "username": "ann", "password": "annpw" });
    for tenant in ["tenantName", "tenantId"] {
        let body = json!({ "auth": { "passwordCredentials": credentials, tenant: "local" } });
        let made = served
            .send("POST", "/v2.0/tokens", &json, &body.to_string())
            .await;
        assert_eq!(made.status, 200, "{}", made.body);
        let access = &made.json()["access"];
        let token = &access["token"];
        assert_eq!(made.header("x-subject-token"), token["id"]);
        assert!(is_time(&token["expires"]) && is_time(&token["issued_at"]));
        assert_eq!(
            token["tenant"],
            json!({ "id": "local", "name": "local", "description": "the \"local\" one", "enabled": true, "tags": [] })
        );
        assert_eq!(
            access["user"],
            json!({ "id": ANN, "name": "ann", "username": "ann", "roles": [{ "name": "demo" }, { "name": "member" }], "roles_links": [] })
        );
        assert_eq!(
            access["metadata"],
            json!({ "is_admin": 0, "roles": [DEMO, MEMBER] })
        );
        let endpoint = &access["serviceCatalog"][0]["endpoints"][0];
        let url = format!("http://{}/v2.0", served.daemon.address("api"));
        for face in ["publicURL", "internalURL", "adminURL"] {
            assert_eq!(endpoint[face], url);
        }
    }
    let body = json!({ "auth": { "passwordCredentials": { "userId": ANN, "password": "annpw" } } });
    let made = served
        .send("POST", "/v2.0/tokens", &json, &body.to_string())
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let access = &made.json()["access"];
    assert_eq!(access["token"].get("tenant"), None);
    assert_eq!(access["serviceCatalog"], json!([]));
    assert_eq!(access["user"]["roles"], json!([]));
    assert_eq!(access["metadata"], json!({ "is_admin": 0, "roles": [] }));
    served.end().await;
}

#[tokio::test]
async fn keystone_administrators_have_every_project() {
    let served = Served::start();
    for project in ["local", "other"] {
        let made = served
            .login(&by_password("admin", "adminpw", Some(project)))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let token = &made.json()["token"];
        assert_eq!(token["project"]["id"], project);
        assert_eq!(token["user"]["id"], ADMIN);
        assert_eq!(token["roles"], json!([{ "id": MEMBER, "name": "member" }]));
    }
    let token = served.token("admin", "local").await;
    let told = served.get(&token, &format!("/v2.0/tokens/{token}")).await;
    assert_eq!(told.json()["access"]["metadata"]["is_admin"], 1);
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_names_of_any_script_and_ids() {
    let served = Served::start();
    let made = served
        .login(&by_password("зоя", "зояpw", Some("local")))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let user = &made.json()["token"]["user"];
    assert_eq!(user["name"], "зоя");
    let id = text_of(&user["id"]);
    let password = json!({ "user": { "id": id, "password": "зояpw" } });
    let body = json!({ "auth": { "identity": { "methods": ["password"], "password": password }, "scope": { "project": { "id": "local" } } } });
    let again = served.login(&body).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(again.json()["token"]["user"], *user);
    let scoped = json!({ "auth": { "identity": body["auth"]["identity"], "scope": "unscoped" } });
    let unscoped = served.login(&scoped).await;
    assert_eq!(unscoped.status, 201);
    let token = &unscoped.json()["token"];
    assert!(token.get("project").is_none() && token.get("roles").is_none());
    served.end().await;
}

#[tokio::test]
async fn keystone_refuses_logins_that_prove_nothing() {
    let served = Served::start();
    let id = json!({ "id": "default" });
    let with = |user: Value, scope: Value| {
        let password = json!({ "user": user });
        json!({ "auth": { "identity": { "methods": ["password"], "password": password }, "scope": scope } })
    };
    let ann = json!({ "name": "ann", "domain": id, "password": "annpw" });
    let foreign = json!({ "name": "ann", "domain": { "name": "other" }, "password": "annpw" });
    for body in [
        by_password("ann", "wrong", Some("local")),
        by_password("nobody", "annpw", Some("local")),
        by_password("a\nb", "annpw", Some("local")),
        by_password("ann", "annpw", Some("other")),
        by_password("ann", "annpw", Some("nope")),
        by_password("ann", "annpw", Some("no project at all")),
        with(json!({ "id": "nope", "password": "annpw" }), Value::Null),
        with(foreign, Value::Null),
        with(
            ann.clone(),
            json!({ "project": { "name": "local", "domain": { "id": "x" } } }),
        ),
        with(ann.clone(), json!({ "domain": id })),
        with(ann.clone(), json!({ "domain": { "name": "other" } })),
        with(ann.clone(), json!({ "OS-TRUST:trust": { "id": "x" } })),
        with(ann, json!({ "system": { "all": true } })),
        json!({ "auth": { "identity": { "methods": [] } } }),
        json!({ "auth": { "identity": { "methods": ["totp"], "totp": {} } } }),
        json!({ "auth": { "identity": { "methods": ["password", "token"], "password": {}, "token": {} } } }),
    ] {
        let answer = served.login(&body).await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_tells_what_a_login_lacks() {
    let served = Served::start();
    let user = |user: Value| json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } } } });
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    for (body, lacks) in [
        (json!({}), "auth in request body"),
        (json!({ "auth": 7 }), "auth in request body"),
        (json!({ "auth": {} }), "identity in auth"),
        (json!({ "auth": { "identity": {} } }), "methods in identity"),
        (
            json!({ "auth": { "identity": { "methods": [7] } } }),
            "methods in identity",
        ),
        (
            json!({ "auth": { "identity": { "methods": ["password"] } } }),
            "password in identity",
        ),
        (user(json!({})), "id or name in user"),
        (user(json!({ "id": "x" })), "password in user"),
        (user(json!({ "password": "x" })), "id or name in user"),
        (
            user(json!({ "name": "ann", "password": "x" })),
            "domain in user",
        ),
        (
            user(json!({ "name": "ann", "domain": {}, "password": "x" })),
            "id or name in domain",
        ),
    ] {
        let answer = served.login(&body).await;
        refused(&answer, 400, &format!("Expecting to find {lacks}. {fault}"));
    }
    // As a real Keystone has it, whoever asks.
    let scoped = |scope: Value| {
        let mut body = by_password("ann", "wrong", None);
        body["auth"]["scope"] = scope;
        body
    };
    let one = "system, project, domain, OS-TRUST:trust or unscoped in scope";
    for scope in [
        json!("local"),
        json!({}),
        json!({ "realm": {} }),
        json!({ "domain": { "id": "default" }, "project": { "id": "local" } }),
        json!({ "system": { "all": true }, "project": { "id": "local" } }),
    ] {
        let answer = served.login(&scoped(scope)).await;
        refused(&answer, 400, &format!("Expecting to find {one}. {fault}"));
    }
    for kind in ["project", "domain"] {
        let answer = served.login(&scoped(json!({ kind: {} }))).await;
        let why = format!("Invalid input for field scope/{kind}: id or name must be present.");
        refused(&answer, 400, &why);
    }
    let answer = served
        .login(&user(json!({ "id": 7, "password": "x" })))
        .await;
    let why = "Invalid input for field 'id': it is not of type 'string'.";
    refused(&answer, 400, &format!("{why} {fault}"));
    let v2 = |auth: Value| json!({ "auth": auth });
    for (body, lacks) in [
        (json!({}), "auth in request body"),
        (v2(json!({})), "passwordCredentials in auth"),
        (v2(json!({ "token": {} })), "id in token"),
        (
            v2(json!({ "passwordCredentials": {} })),
            "username or userId in passwordCredentials",
        ),
        (
            v2(json!({ "passwordCredentials": { "username": "ann" } })),
            "password in passwordCredentials",
        ),
    ] {
        let json = [("Content-Type", "application/json")];
        let answer = served
            .send("POST", "/v2.0/tokens", &json, &body.to_string())
            .await;
        refused(&answer, 400, &format!("Expecting to find {lacks}. {fault}"));
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_logs_in_whoever_still_shows_a_token_that_has_ended() {
    let served = Served::start();
    let body = by_password("ann", "annpw", Some("local"));
    let made = served.post("ended", "/v3/auth/tokens", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let credentials = json!({ "username": "ann", "password": "annpw" });
    let body = json!({ "auth": { "passwordCredentials": credentials } });
    let made = served.post("ended", "/v2.0/tokens", &body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    served.end().await;
}

#[tokio::test]
async fn keystone_slows_those_who_guess_passwords() {
    let served = Served::start();
    let mut last = None;
    for _ in 0..11 {
        last = Some(served.login(&by_password("ann", "wrong", None)).await);
    }
    let last = last.unwrap();
    let message = "Too many passwords were wrong. Try again later.";
    refused(&last, 429, message);
    refused(&served.login_v2("ann", "annpw").await, 429, message);
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
    served.token("bob", "local").await;
    served.end().await;
}

#[tokio::test]
async fn keystone_makes_tokens_of_tokens() {
    let served = Served::start();
    let first = served.login(&by_password("bob", "bobpw", None)).await;
    let unscoped = first.header("x-subject-token").to_owned();
    let of = |token: &str, project: &str| {
        let scope = json!({ "project": { "id": project } });
        json!({ "auth": { "identity": { "methods": ["token"], "token": { "id": token } }, "scope": scope } })
    };
    let scoped = served.login(&of(&unscoped, "other")).await;
    assert_eq!(scoped.status, 201, "{}", scoped.body);
    let (first, token) = (&first.json()["token"], &scoped.json()["token"]);
    assert_eq!(token["methods"], json!(["password", "token"]));
    assert_eq!(token["project"]["id"], "other");
    assert_eq!(token["expires_at"], first["expires_at"]);
    assert_eq!(token["audit_ids"][1], first["audit_ids"][0]);
    assert_eq!(token["audit_ids"].as_array().unwrap().len(), 2);
    let answer = served.login(&of("nope", "other")).await;
    refused(&answer, 404, "Could not find token.");
    let json = [("Content-Type", "application/json")];
    let v2 = |id: &str| json!({ "auth": { "token": { "id": id }, "tenantName": "other" } });
    let made = served
        .send("POST", "/v2.0/tokens", &json, &v2(&unscoped).to_string())
        .await;
    assert_eq!(made.json()["access"]["token"]["tenant"]["id"], "other");
    let answer = served
        .send("POST", "/v2.0/tokens", &json, &v2("nope").to_string())
        .await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_bearer_tokens_as_application_credentials() {
    let served = Served::start();
    let store = &served.daemon.daemon.store;
    let hash = rolecall::people::token_hash("canary-bearer");
    let expires = std::time::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
    let draft = rolecall::store::TokenDraft {
        user: "ann".into(),
        hash,
        expires,
    };
    let known = store.create_token(draft).await.unwrap();
    let body = |id: &str, secret: &str| {
        let shown = json!({ "id": id, "secret": secret });
        json!({ "auth": { "identity": { "methods": ["application_credential"], "application_credential": shown } } })
    };
    let id = known.id.simple().to_string();
    let made = served.login(&body(&id, "canary-bearer")).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let token = &made.json()["token"];
    assert_eq!(token["methods"], json!(["application_credential"]));
    assert_eq!(token["project"]["id"], "local", "the only one");
    for (id, secret) in [
        (&*id, "wrong"),
        ("nope", "canary-bearer"),
        (ANN, "canary-bearer"),
    ] {
        let answer = served.login(&body(id, secret)).await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    let token = made.header("x-subject-token").to_owned();
    assert_eq!(served.get(&token, "/v3/auth/projects").await.status, 200);
    store.delete_token(known.id).await.unwrap();
    let answer = served.get(&token, "/v3/auth/projects").await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
}

/// Asks what a token says.
async fn told(served: &Served, method: &str, shown: &str, about: &str) -> Answer {
    let headers = [("X-Auth-Token", shown), ("X-Subject-Token", about)];
    served.send(method, "/v3/auth/tokens", &headers, "").await
}

#[tokio::test]
async fn keystone_tells_what_tokens_say_and_revokes_them() {
    let served = Served::start();
    let ann = served.token("ann", "local").await;
    let bob = served.token("bob", "other").await;
    let admin = served.token("admin", "local").await;
    for shown in [&*ann, SERVICE, &admin] {
        let answer = told(&served, "GET", shown, &ann).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("x-subject-token"), ann);
        let token = &answer.json()["token"];
        assert_eq!(token["user"]["id"], ANN);
        assert!(token.get("catalog").is_some());
        let head = told(&served, "HEAD", shown, &ann).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        let answer = served.get(shown, &format!("/v2.0/tokens/{ann}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["access"]["token"]["id"], ann);
    }
    let headers = [("X-Auth-Token", &*ann), ("X-Subject-Token", &*ann)];
    let short = served
        .send("GET", "/v3/auth/tokens?nocatalog", &headers, "")
        .await;
    assert!(short.json()["token"].get("catalog").is_none());
    let body = by_password("ann", "annpw", Some("local"));
    let short = served
        .post("ended", "/v3/auth/tokens?nocatalog", &body)
        .await;
    assert_eq!(short.status, 201, "{}", short.body);
    assert!(short.json()["token"].get("catalog").is_none());
    let answer = told(&served, "GET", &bob, &ann).await;
    let message =
        "You are not authorized to perform the requested action: identity:validate_token.";
    refused(&answer, 403, message);
    let answer = told(&served, "GET", &ann, "nope").await;
    refused(&answer, 404, "Could not find token.");
    let answer = served.get(&ann, "/v3/auth/tokens").await;
    refused(&answer, 404, "No token in the request");
    for shown in [&*bob, SERVICE] {
        let answer = told(&served, "DELETE", shown, &ann).await;
        let message =
            "You are not authorized to perform the requested action: identity:revoke_token.";
        refused(&answer, 403, message);
    }
    let answer = told(&served, "DELETE", &ann, "nope").await;
    refused(&answer, 404, "Could not find token.");
    let answer = served.delete(&ann, "/v2.0/tokens/nope").await;
    refused(&answer, 404, "Could not find token.");
    told(&served, "DELETE", &ann, &ann).await.assert_is(204, "");
    let answer = told(&served, "GET", &ann, &ann).await;
    refused(&answer, 401, UNAUTHORIZED);
    let answer = told(&served, "GET", SERVICE, &ann).await;
    refused(&answer, 404, "Could not find token.");
    let answer = served.delete(&admin, &format!("/v2.0/tokens/{bob}")).await;
    answer.assert_is(204, "");
    let answer = served.get(&bob, "/v2.0/tenants").await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
}

#[tokio::test]
async fn keystone_tokens_survive_a_restart_and_their_revocation_does() {
    let served = Served::start();
    let kept = served.token("ann", "local").await;
    let revoked = served.token("ann", "local").await;
    told(&served, "DELETE", &revoked, &revoked)
        .await
        .assert_is(204, "");
    let (_, directory) = served.daemon.end().await;
    let served = Served::again(directory);
    // The store is opened beside what is served.
    let mut changes = served.daemon.daemon.store.changes();
    drop(changes.wait_for(Result::is_ok).await.unwrap());
    assert_eq!(told(&served, "GET", SERVICE, &kept).await.status, 200);
    let answer = told(&served, "GET", SERVICE, &revoked).await;
    refused(&answer, 404, "Could not find token.");
    served.end().await;
}

#[tokio::test]
async fn keystone_tokens_end_with_what_proved_them() {
    let served = Served::start();
    let token = served.token("bob", "other").await;
    served
        .daemon
        .write(&CONFIG.replace("group = \"web\"", "group = \"others\""));
    served.daemon.reload.reload().await.unwrap();
    let answer = served.get(&token, "/v3/auth/projects").await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_no_token_of_another_daemon() {
    let served = Served::start();
    let other = Served::start();
    let foreign = other.token("ann", "local").await;
    other.end().await;
    for shown in [
        &*foreign,
        "",
        "x",
        "canary-service-toke",
        "canary-service-token2",
    ] {
        let answer = served.get(shown, "/v3/auth/projects").await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    let token = served.token("ann", "local").await;
    let twice = [("X-Auth-Token", &*token), ("X-Auth-Token", &*token)];
    let answer = served.send("GET", "/v3/auth/projects", &twice, "").await;
    refused(&answer, 401, UNAUTHORIZED);
    served.end().await;
}

#[tokio::test]
async fn keystone_calls_roles_as_the_operator_says() {
    let text = CONFIG.replace(
        "[account.local.role.demo]",
        "keystone-roles = [\"operator\", \"reader\"]\n[account.local.role.demo]",
    );
    let served = Served::start_with(&text, super::with_service);
    let made = served
        .login(&by_password("ann", "annpw", Some("local")))
        .await;
    let made = made.json();
    let roles = made["token"]["roles"].as_array().unwrap().iter();
    let names: Vec<_> = roles.map(|role| text_of(&role["name"])).collect();
    assert_eq!(names, ["operator", "reader"]);
    let admin = served.token("admin", "local").await;
    let all = served.get(&admin, "/v3/roles").await.json();
    let all = all["roles"].as_array().unwrap().iter();
    let names: Vec<_> = all.map(|role| text_of(&role["name"])).collect();
    assert_eq!(names, ["demo", "member", "operator", "reader", "web"]);
    served.end().await;
}
