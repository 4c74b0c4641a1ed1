//! Bodies as clients send them, and as they should not.

use bytes::Bytes;
use secrecy::ExposeSecret as _;

use super::*;

const ACCOUNT: &str = "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3";
/// As the vendor's script makes a connector.
const VENDORS: &str = r#"{"name":"ifaws-1","type":"ASSUME_ROLE","scope":"SYSTEM","partition":"aws","accountId":"1521fbf0-fa97-4c4a-9877-9f0c5e9982d3","roleArn":"arn:aws:iam::123456789012:role/web","externalId":"","iamPolicy":"","groups":["jira-administrators"]}"#;

fn request(body: &str) -> Request {
    hyper::Request::builder()
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Bytes::from(body.to_owned()))
        .unwrap()
}

fn named(id: &Uuid) -> Option<Named> {
    (id.to_string() == ACCOUNT).then(|| Named {
        alias: AccountAlias::new("prod").unwrap(),
        partition: Partition::new("aws").unwrap(),
        has_key: false,
        is_local: false,
    })
}

fn said(problem: Problem) -> (u16, Value) {
    let reply = problem.into_reply();
    (
        reply.status.as_u16(),
        serde_json::from_slice(&reply.body).unwrap(),
    )
}

/// What is wrong with each field of a connector, the vendor's with one field replaced.
fn errors_with(field: &str, value: Value) -> Value {
    let mut body: Value = serde_json::from_str(VENDORS).unwrap();
    body[field] = value;
    errors(&body.to_string())
}

fn errors(body: &str) -> Value {
    let (status, body) = said(connector(&request(body), None, named).unwrap_err());
    assert_eq!(status, 400);
    body["errors"].clone()
}

#[test]
fn connectors_are_made_of_what_the_vendors_script_sends() {
    let draft = connector(&request(VENDORS), None, named).unwrap();
    assert_eq!(
        draft,
        ConnectorDraft {
            name: Arc::from("ifaws-1"),
            account: AccountAlias::new("prod").unwrap(),
            kind: ConnectorKind::AssumeRole {
                arn: RoleArn::new("arn:aws:iam::123456789012:role/web").unwrap(),
                external_id: None,
            },
            system: true,
            groups: vec![Arc::from("jira-administrators")],
            policy: None,
            policy_arns: Vec::new(),
            max_duration: None,
        }
    );
}

#[test]
fn connectors_fields_are_each_told_what_is_wrong() {
    for (field, value, why) in [
        ("name", "".into(), "is missing"),
        ("name", 1.into(), "is no text"),
        (
            "name",
            "a\nb".into(),
            "must have 1 to 255 characters, and no control characters",
        ),
        (
            "type",
            "ASSUME_ROLE_WITH_WEB_IDENTITY".into(),
            "must be FEDERATION_TOKEN, SESSION_TOKEN or ASSUME_ROLE",
        ),
        ("scope", "GLOBAL".into(), "must be SYSTEM, or empty"),
        ("partition", "aws-cn".into(), "is not its account's: aws"),
        (
            "partition",
            "gcp".into(),
            "must be aws, or another partition of AWS such as aws-cn",
        ),
        ("accountId", "1".into(), "is the id of no account"),
        ("accountId", Value::Null, "is missing"),
        ("roleArn", "".into(), "is missing"),
        (
            "iamPolicy",
            "{}".into(),
            "is no policy: a JSON object with a Statement",
        ),
        ("groups", "a".into(), "is no list of texts"),
        ("groups", serde_json::json!([1]), "is no list of texts"),
        (
            "policyArns",
            serde_json::json!(["x"]),
            "must be of the form arn:aws:iam::ACCOUNT:policy/NAME",
        ),
        ("maxDuration", 899.into(), "must lie between 900 and 43200"),
        (
            "maxDuration",
            "43201".into(),
            "must lie between 900 and 43200",
        ),
        ("maxDuration", 900.5.into(), "is no number of seconds"),
        ("colour", "red".into(), "is no field of this object"),
        ("id", ACCOUNT.into(), "cannot be chosen"),
    ] {
        let errors = errors_with(field, value);
        assert!(
            errors[field].as_str().is_some_and(|told| told == why),
            "{field}: {errors}"
        );
    }
    let session = VENDORS.replace("ASSUME_ROLE", "SESSION_TOKEN");
    let session = session.replace(r#""iamPolicy":"""#, r#""iamPolicy":"{\"Statement\":[]}""#);
    assert_eq!(
        errors(&session),
        serde_json::json!({
            "accountId": "has no long-term key, which SESSION_TOKEN needs",
            "iamPolicy": "must be empty: GetSessionToken takes no policy",
            "roleArn": "must be empty: only ASSUME_ROLE has one",
        })
    );
}

#[test]
fn connectors_bodies_that_are_no_objects_are_told_where() {
    for (body, message) in [
        ("", "the body is no JSON object: line 1, column 0"),
        ("[]", "the body is no JSON object: line 1, column 0"),
        ("{\n\"a\":}", "the body is no JSON object: line 2, column 5"),
        ("{} {}", "the body is no JSON object: line 1, column 4"),
    ] {
        let (status, said) = said(connector(&request(body), None, named).unwrap_err());
        assert_eq!(
            (status, said["message"].as_str()),
            (400, Some(message)),
            "{body}"
        );
    }
    let twice = VENDORS.replace(r#""scope""#, r#""name":"other","scope""#);
    assert_eq!(errors(&twice)["name"], "is there twice");
    let mut other = request(VENDORS);
    other.headers_mut().remove(CONTENT_TYPE);
    let (status, _) = said(connector(&other, None, named).unwrap_err());
    assert_eq!(status, 415);
}

#[test]
fn connectors_accounts_keep_their_secret_where_none_is_said() {
    let body = r#"{"name":"dev","awsAccessKeyId":"AKIAEXAMPLE","awsSecretKey":"canary","cloudProviderKey":"aws"}"#;
    let made = new_account(&request(body)).unwrap();
    assert_eq!(made.secret_access_key.expose_secret(), "canary");
    let without = body.replace(r#""awsSecretKey":"canary","#, "");
    let (status, said) = said(new_account(&request(&without)).unwrap_err());
    assert_eq!(
        (status, &said["errors"]["awsSecretKey"]),
        (400, &Value::from("is missing"))
    );
    let own = id(ACCOUNT);
    let edit = account(&request(&without), own).unwrap();
    assert!(edit.secret_access_key.is_none());
    let with_id = without.replace('{', &format!("{{\"id\":\"{ACCOUNT}\","));
    assert!(account(&request(&with_id), own).is_ok());
    let provider = without.replace("\"aws\"", "\"gcp\"");
    let (_, wrong) = self::said(account(&request(&provider), own).unwrap_err());
    assert_eq!(
        wrong["errors"]["cloudProviderKey"],
        "must be aws, or another partition of AWS such as aws-cn"
    );
}
