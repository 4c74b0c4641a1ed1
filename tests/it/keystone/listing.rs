//! What clients look up before they do anything: versions, users, projects, roles.

use rolecall::api::keystone::rows;
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
    for row in rows().filter(|row| row.method == "GET") {
        let path = row.path.split('/').map(|part| match part {
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
