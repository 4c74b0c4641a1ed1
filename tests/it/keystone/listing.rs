//! What clients look up before they do anything: versions, users, projects, roles.

use std::time::{Duration, UNIX_EPOCH};

use rolecall::api::keystone::rows;
use rolecall::people::token_hash;
use rolecall::store::TokenDraft;
use serde_json::{Value, json};

use super::{ADMIN, ANN, BOB, DEMO, MEMBER, Served, refused};

fn forbidden(action: &str) -> String {
    format!("You are not authorized to perform the requested action: identity:{action}.")
}

#[tokio::test]
async fn keystone_tells_its_versions_and_extensions() {
    let served = Served::start();
    let base = format!("http://{}", served.daemon.address("api"));
    let all = served.send("GET", "/", &[], "").await;
    assert_eq!(all.status, 300);
    assert_eq!(all.header("location"), format!("{base}/v3/"));
    let all = all.json();
    let values = &all["versions"]["values"];
    for (path, id, value) in [("v3", "v3.14", &values[0]), ("v2.0", "v2.0", &values[1])] {
        assert_eq!(value["id"], id);
        assert_eq!(value["links"][0]["href"], format!("{base}/{path}/"));
        for slash in ["", "/"] {
            let one = served
                .send("GET", &format!("/{path}{slash}"), &[], "")
                .await;
            assert_eq!((one.status, &one.json()["version"]), (200, value));
        }
        assert_eq!(
            served
                .send("HEAD", &format!("/{path}"), &[], "")
                .await
                .status,
            200
        );
    }
    let all = served.send("GET", "/v2.0/extensions", &[], "").await.json();
    let extension = &all["extensions"]["values"][0];
    assert_eq!(extension["alias"], "OS-KSEC2");
    assert_eq!(
        extension["namespace"],
        "http://docs.openstack.org/identity/api/ext/OS-KSEC2/v1.0"
    );
    assert_eq!(extension["updated"], "2011-08-25T09:50:00-00:00");
    let one = served
        .send("GET", "/v2.0/extensions/OS-KSEC2", &[], "")
        .await;
    assert_eq!((one.status, &one.json()["extension"]), (200, extension));
    let none = served.send("GET", "/v2.0/extensions/x", &[], "").await;
    refused(&none, 404, "Could not find extension: x.");
    served.end().await;
}

#[tokio::test]
async fn keystone_has_head_wherever_it_has_get() {
    let served = Served::start();
    let (key, _) = served.key("ann", "local").await;
    let admin = served.token("admin", "local").await;
    let services = served.get(&admin, "/v3/services").await.json();
    let service = services["services"][0]["id"].as_str().unwrap();
    let token = bearer(&served, ("ann", "canary", 4_000_000_000)).await;
    for row in rows().filter(|row| row.method == "GET") {
        let path = row.path.split('/').map(|part| match part {
            "{credential}" => &token,
            "{alias}" => "OS-KSEC2",
            "{domain}" => "default",
            "{key}" => &key,
            "{project}" => "local",
            "{role}" => "demo",
            "{service}" => service,
            "{token}" => &admin,
            "{user}" => ANN,
            part => part,
        });
        let path = path.collect::<Vec<_>>().join("/");
        let shown = [("X-Auth-Token", &*admin), ("X-Subject-Token", &*admin)];
        let whole = served.send("GET", &path, &shown, "").await;
        let head = served.send("HEAD", &path, &shown, "").await;
        assert!(whole.status <= 300, "{path}: {}", whole.body);
        assert_eq!((head.status, head.body.as_str()), (whole.status, ""));
        let length = whole.body.len().to_string();
        assert_eq!(head.header("content-length"), length, "{path}");
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_names_its_public_url() {
    let text = super::CONFIG.replace(
        "apis = [\"keystone\"]",
        "apis = [\"keystone\"]\npublic-url = \"https://id.example.org/identity\"",
    );
    let served = Served::start_with(&text, super::with_service);
    let one = served.send("GET", "/identity/v3", &[], "").await.json();
    let own = "https://id.example.org/identity/v3";
    assert_eq!(one["version"]["links"][0]["href"], format!("{own}/"));
    let made = served
        .login(&super::by_password("ann", "annpw", Some("local")))
        .await;
    let made = made.json();
    assert_eq!(made["token"]["catalog"][0]["endpoints"][0]["url"], own);
    let answer = served.send("GET", "/v3/auth/projects", &[], "").await;
    assert_eq!(
        answer.header("www-authenticate"),
        "Keystone uri=\"https://id.example.org/identity\""
    );
    served.end().await;
}

fn names(list: &Value) -> Vec<&str> {
    let values = list.as_array().unwrap().iter();
    values
        .map(|value| value["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn keystone_shows_people_themselves_and_administrators_everybody() {
    let served = Served::start();
    let ann = served.token("ann", "local").await;
    let admin = served.token("admin", "local").await;
    for version in ["v2.0", "v3"] {
        let users = format!("/{version}/users");
        for own in [ANN, "ann"] {
            let one = served.get(&ann, &format!("{users}/{own}")).await.json();
            assert_eq!(
                (&one["user"]["id"], &one["user"]["name"]),
                (&json!(ANN), &json!("ann"))
            );
        }
        for other in [BOB, "bob", "nobody"] {
            let answer = served.get(&ann, &format!("{users}/{other}")).await;
            refused(&answer, 403, &forbidden("get_user"));
        }
        let all = served.get(&ann, &users).await.json();
        assert_eq!(names(&all["users"]), ["ann"]);
        let all = served.get(&ann, &format!("{users}?name=bob")).await.json();
        assert_eq!(names(&all["users"]), Vec::<&str>::new());
        let all = served.get(&admin, &users).await.json();
        assert_eq!(names(&all["users"]), ["admin", "ann", "bob", "зоя"]);
        let one = served
            .get(&admin, &format!("{users}?name=bob"))
            .await
            .json();
        assert_eq!(names(&one["users"]), ["bob"]);
        let none = served
            .get(&admin, &format!("{users}?name=nobody"))
            .await
            .json();
        assert_eq!(names(&none["users"]), Vec::<&str>::new());
        for bob in [BOB, "bob"] {
            let one = served.get(&admin, &format!("{users}/{bob}")).await.json();
            assert_eq!(one["user"]["id"], BOB);
        }
        let answer = served.get(&admin, &format!("{users}/nobody")).await;
        refused(&answer, 404, "Could not find user: nobody.");
    }
    // Whoever has a key has a name, whatever the users file says.
    let path = format!("/v3/users/{ADMIN}/credentials/OS-EC2");
    assert_eq!(
        served
            .post(&admin, &path, &json!({ "tenant_id": "local" }))
            .await
            .status,
        201
    );
    served.end().await;
}

#[tokio::test]
async fn keystone_shows_the_projects_that_are_ones_own() {
    let served = Served::start();
    let ann = served.token("ann", "local").await;
    let bob = served.token("bob", "local").await;
    let admin = served.token("admin", "local").await;
    for (path, list) in [
        ("/v2.0/tenants".to_owned(), "tenants"),
        ("/v3/auth/projects".to_owned(), "projects"),
    ] {
        for (token, own) in [
            (&ann, vec!["local"]),
            (&bob, vec!["local", "other"]),
            (&admin, vec!["local", "other"]),
        ] {
            let all = served.get(token, &path).await.json();
            assert_eq!(names(&all[list]), own, "{path}");
        }
        let one = served.get(&bob, &format!("{path}?name=other")).await.json();
        assert_eq!(names(&one[list]), ["other"]);
    }
    let all = served
        .get(&ann, &format!("/v3/users/{ANN}/projects"))
        .await
        .json();
    let project = &all["projects"][0];
    assert_eq!(project["description"], "the \"local\" one");
    assert_eq!(
        (&project["id"], &project["domain_id"]),
        (&json!("local"), &json!("default"))
    );
    let answer = served.get(&ann, &format!("/v3/users/{BOB}/projects")).await;
    refused(&answer, 403, &forbidden("list_user_projects"));
    let all = served
        .get(&admin, &format!("/v3/users/{BOB}/projects?name=other"))
        .await
        .json();
    assert_eq!(names(&all["projects"]), ["other"]);
    let answer = served.get(&admin, "/v3/users/nobody/projects").await;
    refused(&answer, 404, "Could not find user: nobody.");
    refused(
        &served.get(&ann, "/v3/projects").await,
        403,
        &forbidden("list_projects"),
    );
    let all = served.get(&admin, "/v3/projects?name=other").await.json();
    assert_eq!(names(&all["projects"]), ["other"]);
    for (path, name) in [("/v2.0/tenants", "tenant"), ("/v3/projects", "project")] {
        let one = served.get(&ann, &format!("{path}/local")).await.json();
        assert_eq!(one[name]["id"], "local");
        for other in ["other", "nope"] {
            let answer = served.get(&ann, &format!("{path}/{other}")).await;
            refused(&answer, 403, &forbidden("get_project"));
        }
        let answer = served.get(&admin, &format!("{path}/nope")).await;
        refused(&answer, 404, "Could not find project: nope.");
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_shows_roles() {
    let served = Served::start();
    let ann = served.token("ann", "local").await;
    let admin = served.token("admin", "local").await;
    let own = json!([{ "id": DEMO, "name": "demo" }, { "id": MEMBER, "name": "member" }]);
    let path = |version: &str| match version {
        "v2.0" => "/v2.0/tenants/local/users".to_owned(),
        _ => "/v3/projects/local/users".to_owned(),
    };
    for version in ["v2.0", "v3"] {
        for token in [&ann, &admin] {
            let all = served
                .get(token, &format!("{}/{ANN}/roles", path(version)))
                .await
                .json();
            assert_eq!(names(&all["roles"]), ["demo", "member"]);
        }
        let answer = served
            .get(&ann, &format!("{}/{BOB}/roles", path(version)))
            .await;
        refused(&answer, 403, &forbidden("list_grants"));
        let answer = served
            .get(&admin, &format!("{}/nobody/roles", path(version)))
            .await;
        refused(&answer, 404, "Could not find user: nobody.");
        let elsewhere = path(version).replace("local", "nope");
        let answer = served
            .get(&admin, &format!("{elsewhere}/{BOB}/roles"))
            .await;
        refused(&answer, 404, "Could not find project: nope.");
    }
    let none = served
        .get(&ann, &format!("/v3/projects/other/users/{ANN}/roles"))
        .await
        .json();
    assert_eq!(none["roles"], json!([]));
    for roles in ["/v2.0/OS-KSADM/roles", "/v3/roles"] {
        let all = served.get(&admin, roles).await.json();
        assert_eq!(names(&all["roles"]), ["demo", "member", "web"]);
        refused(
            &served.get(&ann, roles).await,
            403,
            &forbidden("list_roles"),
        );
        for demo in [DEMO, "demo"] {
            let one = served.get(&admin, &format!("{roles}/{demo}")).await.json();
            assert_eq!(one["role"]["id"], DEMO);
        }
        let answer = served.get(&admin, &format!("{roles}/nope")).await;
        refused(&answer, 404, "Could not find role: nope.");
        refused(
            &served.get(&ann, &format!("{roles}/demo")).await,
            403,
            &forbidden("get_role"),
        );
    }
    let one = served.get(&admin, "/v3/roles?name=web").await.json();
    assert_eq!(names(&one["roles"]), ["web"]);
    let all = served
        .get(&ann, "/v3/role_assignments?include_names")
        .await
        .json();
    let assigned: Vec<Value> = all["role_assignments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["role"].clone())
        .collect();
    assert_eq!(json!(assigned), own);
    assert_eq!(all["role_assignments"][0]["user"]["name"], "ann");
    assert_eq!(
        all["role_assignments"][0]["scope"]["project"]["id"],
        "local"
    );
    let asked = format!("/v3/role_assignments?user.id={BOB}&scope.project.id=local&role.id={DEMO}");
    let all = served.get(&admin, &asked).await.json();
    assert_eq!(all["role_assignments"].as_array().unwrap().len(), 1);
    assert_eq!(all["role_assignments"][0]["user"], json!({ "id": BOB }));
    refused(
        &served.get(&ann, &asked).await,
        403,
        &forbidden("list_role_assignments"),
    );
    let answer = served
        .get(&admin, "/v3/role_assignments?user.id=nobody")
        .await;
    refused(&answer, 404, "Could not find user: nobody.");
    served.end().await;
}

#[tokio::test]
async fn keystone_shows_administrators_who_has_which_role() {
    let served = Served::start();
    let (ann, admin) = (
        served.token("ann", "local").await,
        served.token("admin", "local").await,
    );
    let told = async |token: &str, query: &str| -> Vec<[String; 3]> {
        let path = format!("/v3/role_assignments?include_names=True{query}");
        let all = served.get(token, &path).await.json();
        let all = all["role_assignments"].as_array().unwrap().iter();
        let text = |one: &Value, at: &str| one.pointer(at).unwrap().as_str().unwrap().to_owned();
        let places = ["/user/name", "/scope/project/name", "/role/name"];
        all.map(|one| places.map(|at| text(one, at))).collect()
    };
    let row = |texts: [&str; 3]| texts.map(str::to_owned);
    let everybody = told(&admin, "").await;
    for one in [
        ["admin", "local", "member"],
        ["admin", "other", "member"],
        ["ann", "local", "demo"],
        ["bob", "local", "demo"],
        ["bob", "other", "web"],
        ["зоя", "local", "member"],
    ] {
        assert!(everybody.contains(&row(one)), "{one:?} in {everybody:?}");
    }
    assert_eq!(told(&admin, "&scope.project.id=other").await.len(), 3);
    let own = [
        row(["ann", "local", "demo"]),
        row(["ann", "local", "member"]),
    ];
    for query in ["", &format!("&user.id={ANN}"), "&effective=True"] {
        assert_eq!(told(&ann, query).await, own, "{query}");
    }
    // Nobody has a role in a domain or the system, and there are no groups.
    for query in [
        "&scope.domain.id=default",
        "&scope.system=all",
        "&group.id=web",
    ] {
        for token in [&ann, &admin] {
            assert!(told(token, query).await.is_empty(), "{query}");
        }
    }
    let both = "/v3/role_assignments?scope.domain.id=default&scope.project.id=local";
    let answer = served.get(&admin, both).await;
    refused(&answer, 400, "Specify a domain or project, not both");
    served.end().await;
}

/// A bearer token of this user, with its secret, that ends in this second; its id.
async fn bearer(served: &Served, (user, secret, ends): (&str, &str, u64)) -> String {
    let draft = TokenDraft {
        user: user.into(),
        hash: token_hash(secret),
        expires: UNIX_EPOCH + Duration::from_secs(ends),
    };
    let made = served
        .daemon
        .daemon
        .store
        .create_token(draft)
        .await
        .unwrap();
    made.id.simple().to_string()
}

#[tokio::test]
async fn keystone_shows_bearer_tokens_as_application_credentials() {
    let served = Served::start();
    let mut ids = Vec::new();
    for one in [
        ("ann", "canary-one", 4_000_000_000),
        ("ann", "canary-two", 4_000_000_001),
        ("ann", "canary-gone", 1_000_000_000),
        ("bob", "canary-bobs", 4_000_000_000),
    ] {
        ids.push(bearer(&served, one).await);
    }
    let (ann, admin) = (
        served.token("ann", "local").await,
        served.token("admin", "local").await,
    );
    let path = format!("/v3/users/{ANN}/application_credentials");
    let listed = async |token: &str, path: &str| -> Vec<String> {
        let answer = served.get(token, path).await;
        assert!(!answer.body.contains("canary"), "{}", answer.body);
        let all = answer.json();
        let all = all["application_credentials"].as_array().unwrap().iter();
        let mut ids: Vec<String> = all
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort_unstable();
        ids
    };
    let mut own = ids[..2].to_vec();
    own.sort_unstable();
    for token in [&ann, &admin] {
        assert_eq!(listed(token, &path).await, own);
        let by_name = format!("{path}?name={}", ids[1]);
        assert_eq!(listed(token, &by_name).await, ids[1..2]);
        let one = served
            .get(token, &format!("{path}/{}", ids[0]))
            .await
            .json();
        let one = &one["application_credential"];
        assert_eq!(
            (
                &one["id"],
                &one["name"],
                &one["user_id"],
                &one["project_id"]
            ),
            (&json!(ids[0]), &json!(ids[0]), &json!(ANN), &json!("local"))
        );
        assert_eq!(one["expires_at"], "2096-10-02T07:06:40.000000");
        assert_eq!(names(&one["roles"]), ["demo", "member"]);
        for other in [&ids[2], &ids[3], "nope"] {
            let answer = served.get(token, &format!("{path}/{other}")).await;
            let none = format!("Could not find Application Credential: {other}.");
            refused(&answer, 404, &none);
        }
    }
    // Whoever has several projects says which when it shows the token.
    let bobs = format!("/v3/users/{BOB}/application_credentials");
    let one = served
        .get(&admin, &format!("{bobs}/{}", ids[3]))
        .await
        .json();
    assert_eq!(one["application_credential"]["project_id"], Value::Null);
    refused(
        &served.get(&ann, &bobs).await,
        403,
        &forbidden("list_application_credentials"),
    );
    refused(
        &served.get(&ann, &format!("{bobs}/{}", ids[3])).await,
        403,
        &forbidden("get_application_credential"),
    );
    let nobodys = "/v3/users/nobody/application_credentials";
    for path in [nobodys.to_owned(), format!("{nobodys}/{}", ids[0])] {
        refused(
            &served.get(&admin, &path).await,
            404,
            "Could not find user: nobody.",
        );
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_shows_domains_and_services() {
    let served = Served::start();
    let ann = served.token("ann", "local").await;
    let admin = served.token("admin", "local").await;
    let all = served.get(&admin, "/v3/domains").await.json();
    assert_eq!(names(&all["domains"]), ["Default"]);
    let none = served.get(&admin, "/v3/domains?name=x").await.json();
    assert_eq!(none["domains"], json!([]));
    refused(
        &served.get(&ann, "/v3/domains").await,
        403,
        &forbidden("list_domains"),
    );
    let one = served.get(&ann, "/v3/domains/default").await.json();
    assert_eq!(one["domain"]["name"], "Default");
    let answer = served.get(&ann, "/v3/domains/x").await;
    refused(&answer, 404, "Could not find domain: x.");
    assert_eq!(
        served.get(&ann, "/v3/auth/domains").await.json()["domains"],
        json!([])
    );
    let catalog = served.get(&ann, "/v3/auth/catalog").await.json();
    let service = &catalog["catalog"][0];
    assert_eq!(service["type"], "identity");
    let id = service["id"].as_str().unwrap();
    for (services, list, item) in [
        (
            "/v2.0/OS-KSADM/services",
            "OS-KSADM:services",
            "OS-KSADM:service",
        ),
        ("/v3/services", "services", "service"),
    ] {
        let all = served.get(&admin, services).await.json();
        assert_eq!(names(&all[list]), ["keystone"]);
        let one = served.get(&admin, &format!("{services}/{id}")).await.json();
        assert_eq!(one[item], all[list][0]);
        let answer = served.get(&admin, &format!("{services}/x")).await;
        refused(&answer, 404, "Could not find service: x.");
        refused(
            &served.get(&ann, services).await,
            403,
            &forbidden("list_services"),
        );
    }
    for endpoints in ["/v2.0/endpoints", "/v3/endpoints"] {
        let all = served.get(&admin, endpoints).await.json();
        assert_eq!(all["endpoints"][0]["service_id"], id);
        refused(
            &served.get(&ann, endpoints).await,
            403,
            &forbidden("list_endpoints"),
        );
    }
    let all = served.get(&ann, "/v3/regions").await.json();
    assert_eq!(all["regions"][0]["id"], "RegionOne");
    served.end().await;
}
