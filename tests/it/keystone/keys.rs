//! OS-EC2 credentials: made, listed, shown and deleted, in both versions and in both forms.

use std::sync::Arc;

use rolecall::store::AccessKeyDraft;
use rolecall::types::{AccessKeyId, AccountAlias};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{ADMIN, ANN, BOB, SERVICE, Served, UNAUTHORIZED, refused};

/// Where somebody's keys are.
fn at(version: &str, user: &str) -> String {
    format!("/{version}/users/{user}/credentials/OS-EC2")
}

fn is_hex(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[tokio::test]
async fn keystone_keys_are_made_listed_shown_and_deleted() {
    let served = Served::start();
    let token = served.token("ann", "local").await;
    let base = format!("http://{}", served.daemon.address("api"));
    for version in ["v2.0", "v3"] {
        let path = at(version, ANN);
        let made = served
            .post(&token, &path, &json!({ "tenant_id": "local" }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let made = made.json();
        let credential = &made["credential"];
        assert!(is_hex(&credential["access"]) && is_hex(&credential["secret"]));
        let access = credential["access"].as_str().unwrap();
        let mut expected = json!({
            "user_id": ANN,
            "tenant_id": "local",
            "access": access,
            "secret": credential["secret"],
            "trust_id": null,
        });
        if version == "v3" {
            let own = format!("{base}/v3/users/{ANN}/credentials/OS-EC2/{access}");
            expected["links"] = json!({ "self": own });
        }
        assert_eq!(*credential, expected);
        let documented =
            json!({ "username": "ann", "secret": credential["secret"], "signature": "" });
        assert_eq!(made["OS-KSEC2-ec2Credentials"], documented);
        let one = format!("{path}/{access}");
        let shown = served.get(&token, &one).await;
        assert_eq!((shown.status, shown.json()), (200, made.clone()));
        let all = served.get(&token, &path).await;
        let mut entry = expected;
        entry["OS-KSEC2-ec2Credentials"] = documented;
        let links = if version == "v2.0" {
            ("credentials_links", json!([]))
        } else {
            let own = format!("{base}{path}");
            let links = json!({ "self": own, "next": null, "previous": null });
            ("links", links)
        };
        assert_eq!(all.status, 200);
        assert_eq!(
            all.json(),
            json!({ "credentials": [entry], links.0: links.1 })
        );
        served.delete(&token, &one).await.assert_is(204, "");
        let gone = format!("Could not find credential: {access}.");
        refused(&served.get(&token, &one).await, 404, &gone);
        refused(&served.delete(&token, &one).await, 404, &gone);
        assert_eq!(
            served.get(&token, &path).await.json()["credentials"],
            json!([])
        );
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_keys_are_made_as_the_document_has_it() {
    let served = Served::start();
    let token = served.token("ann", "local").await;
    let path = at("v2.0", ANN);
    let body = |said: Value| json!({ "OS-KSEC2-ec2Credentials": said });
    let said = json!({ "username": "ann", "secret": "sixteen-and-more", "signature": "bbb" });
    let made = served.post(&token, &path, &body(said.clone())).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    assert_eq!(made["OS-KSEC2-ec2Credentials"], said);
    assert_eq!(made["credential"]["secret"], said["secret"]);
    assert_eq!(
        made["credential"]["tenant_id"], "local",
        "that of the token"
    );
    assert!(is_hex(&made["credential"]["access"]));
    let chosen =
        json!({ "username": ANN, "access": "AKCHOSEN", "tenant_id": "local", "unknown": 1 });
    let made = served.post(&token, &path, &body(chosen.clone())).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["credential"]["access"], "AKCHOSEN");
    for version in ["v2.0", "v3"] {
        let same = body(chosen.clone());
        let again = served.post(&token, &at(version, ANN), &same).await;
        let message = "There is a credential of this access key: AKCHOSEN.";
        refused(&again, 409, message);
    }
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    let within = "OS-KSEC2-ec2Credentials";
    for (said, why) in [
        (
            json!({}),
            format!("Expecting to find username in {within}."),
        ),
        (
            json!(7),
            format!("Expecting to find {within} in request body."),
        ),
        (
            json!({ "username": "bob" }),
            "The username is not that of the user in the path.".to_owned(),
        ),
        (
            json!({ "username": "ann", "secret": "short" }),
            "Invalid input for field 'secret': it must have 16 to 128 characters.".to_owned(),
        ),
        (
            json!({ "username": "ann", "secret": 7 }),
            "Invalid input for field 'secret': it is not of type 'string'.".to_owned(),
        ),
        (
            json!({ "username": "ann", "access": "a/b" }),
            "Invalid input for field 'access': it must have 3 to 128 letters and digits."
                .to_owned(),
        ),
        (
            json!({ "username": "ann", "signature": "x".repeat(256) }),
            "Invalid input for field 'signature': it is too long.".to_owned(),
        ),
    ] {
        let answer = served.post(&token, &path, &body(said)).await;
        refused(&answer, 400, &format!("{why} {fault}"));
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_keys_are_for_projects_of_ones_own() {
    let served = Served::start();
    let token = served.token("bob", "local").await;
    let path = at("v3", BOB);
    for own in ["local", "other"] {
        let made = served
            .post(&token, &path, &json!({ "tenant_id": own }))
            .await;
        assert_eq!(made.json()["credential"]["tenant_id"], own);
    }
    let ann = served.token("ann", "local").await;
    for foreign in ["other", "nope", "no project at all"] {
        let answer = served
            .post(&ann, &at("v3", ANN), &json!({ "tenant_id": foreign }))
            .await;
        refused(&answer, 404, &format!("Could not find project: {foreign}."));
    }
    let answer = served
        .post(&ann, &at("v3", ANN), &json!({ "tenant_id": 7 }))
        .await;
    refused(&answer, 404, "Could not find project: 7.");
    // Without a tenant: the token's, else the only one, else none.
    let made = served.post(&ann, &at("v3", ANN), &json!({})).await;
    assert_eq!(made.json()["credential"]["tenant_id"], "local");
    let unscoped = |name: &str| super::by_password(name, &format!("{name}pw"), None);
    let token = served.login(&unscoped("ann")).await;
    let made = served
        .post(token.header("x-subject-token"), &at("v3", ANN), &json!({}))
        .await;
    assert_eq!(made.json()["credential"]["tenant_id"], "local");
    let token = served.login(&unscoped("bob")).await;
    let answer = served
        .post(token.header("x-subject-token"), &path, &json!({}))
        .await;
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    refused(
        &answer,
        400,
        &format!("Expecting to find tenant_id in request body. {fault}"),
    );
    served.end().await;
}

#[tokio::test]
async fn keystone_keys_of_others_are_for_administrators() {
    let served = Served::start();
    let (access, _) = served.key("ann", "local").await;
    let bob = served.token("bob", "local").await;
    for version in ["v2.0", "v3"] {
        let one = format!("{}/{access}", at(version, ANN));
        for answer in [
            served.get(&bob, &at(version, ANN)).await,
            served.get(&bob, &one).await,
            served.delete(&bob, &one).await,
            served
                .post(&bob, &at(version, ANN), &json!({ "tenant_id": "local" }))
                .await,
            served.get(&bob, &at(version, "nobody")).await,
        ] {
            refused(&answer, 403, "Token belongs to another user");
        }
        // Through one's own path neither.
        let through = format!("{}/{access}", at(version, BOB));
        refused(
            &served.get(&bob, &through).await,
            403,
            "Credential belongs to another user",
        );
        refused(
            &served.delete(&bob, &through).await,
            403,
            "Credential belongs to another user",
        );
    }
    let admin = served.token("admin", "local").await;
    let one = format!("{}/{access}", at("v3", ANN));
    assert_eq!(served.get(&admin, &one).await.status, 200);
    let through = format!("{}/{access}", at("v3", ADMIN));
    let gone = format!("Could not find credential: {access}.");
    refused(&served.get(&admin, &through).await, 404, &gone);
    let made = served
        .post(&admin, &at("v3", BOB), &json!({ "tenant_id": "other" }))
        .await;
    assert_eq!(made.json()["credential"]["user_id"], BOB);
    for version in ["v2.0", "v3"] {
        let answer = served.get(&admin, &at(version, "nobody")).await;
        refused(&answer, 404, "Could not find user: nobody.");
        let answer = served
            .post(&admin, &at(version, BOB), &json!({ "tenant_id": "nope" }))
            .await;
        refused(&answer, 404, "Could not find project: nope.");
    }
    served.delete(&admin, &one).await.assert_is(204, "");
    served.end().await;
}

#[tokio::test]
async fn keystone_services_may_read_one_key_and_nothing_else() {
    let served = Served::start();
    let (access, secret) = served.key("ann", "local").await;
    for version in ["v2.0", "v3"] {
        let shown = served
            .get(SERVICE, &format!("{}/{access}", at(version, ANN)))
            .await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert_eq!(shown.json()["credential"]["secret"], secret.as_str());
        let through = format!("{}/{access}", at(version, BOB));
        let gone = format!("Could not find credential: {access}.");
        refused(&served.get(SERVICE, &through).await, 404, &gone);
        let message = |action: &str| {
            format!("You are not authorized to perform the requested action: identity:{action}.")
        };
        let answer = served.get(SERVICE, &at(version, ANN)).await;
        refused(&answer, 403, &message("ec2_list_credentials"));
        let answer = served
            .delete(SERVICE, &format!("{}/{access}", at(version, ANN)))
            .await;
        refused(&answer, 403, &message("ec2_delete_credential"));
        let answer = served
            .post(SERVICE, &at(version, ANN), &json!({ "tenant_id": "local" }))
            .await;
        refused(&answer, 403, &message("ec2_create_credential"));
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_keys_of_one_user_are_a_hundred_at_most() {
    let served = Served::start();
    let store = &served.daemon.daemon.store;
    for number in 0..100 {
        let id = AccessKeyId::new(&format!("AK{number:03}")).unwrap();
        let draft = AccessKeyDraft {
            id,
            secret: SecretString::from("canary-secret-of-ann"),
            user: Arc::from("ann"),
            account: AccountAlias::new("local").unwrap(),
            label: Arc::from(""),
        };
        store.create_key(draft).await.unwrap();
    }
    let token = served.token("ann", "local").await;
    for version in ["v2.0", "v3"] {
        let body = json!({ "tenant_id": "local" });
        let answer = served.post(&token, &at(version, ANN), &body).await;
        let message =
            "Unable to create additional credentials, maximum of 100 already exceeded for user.";
        refused(&answer, 403, message);
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_keys_are_json_if_they_are_said_to_be_anything() {
    let served = Served::start();
    let token = served.token("ann", "local").await;
    let body = r#"{"tenant_id":"local"}"#;
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    let said = |kind: &'static str| {
        [
            ("X-Auth-Token", token.clone()),
            ("Content-Type", kind.to_owned()),
        ]
    };
    for version in ["v2.0", "v3"] {
        let headers = said("text/plain");
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = served.send("POST", &at(version, ANN), &headers, body).await;
        let why = "Expecting to find application/json in Content-Type header.";
        refused(&answer, 415, &format!("{why} {fault}"));
        let unsaid = [("X-Auth-Token", token.as_str())];
        let made = served.send("POST", &at(version, ANN), &unsaid, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let twice = r#"{"tenant_id":"local","tenant_id":"local"}"#;
        let answer = served.send("POST", &at(version, ANN), &unsaid, twice).await;
        refused(&answer, 400, super::NO_JSON);
    }
    refused(&served.get("nope", &at("v3", ANN)).await, 401, UNAUTHORIZED);
    served.end().await;
}
