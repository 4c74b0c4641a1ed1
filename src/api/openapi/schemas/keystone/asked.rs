//! The bodies of Keystone's requests, as far as they are looked at.

use serde_json::{Value, json};

use super::super::text;
use super::{DOCUMENTED, open, open_with_one};

/// An access key, where a token is asked for with one.
const IN_AUTH: &str = "OS-KSEC2:ec2Credentials";

/// What requests bring.
pub(super) fn asked() -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let signed = open(
        &json!({
            "access": text("the key's id"),
            "signature": text("what was signed with its secret"),
            "host": text("that of the request that was signed"),
            "verb": text("its method"),
            "path": text("its path"),
            "params": texts,
            "headers": texts,
            "body_hash": { "type": ["string", "null"], "description": "that of its body, for version 4" },
            "secret": text("as in the document's example: it is never looked at"),
        }),
        &["access", "signature"],
    );
    let in_auth = open_with_one(
        &json!({ IN_AUTH: signed, DOCUMENTED: signed }),
        &[IN_AUTH, DOCUMENTED],
    );
    let names = ["credentials", "credential", "ec2Credentials", "auth"];
    let [one, two, three, auth] = names;
    let signed_text = open(
        &json!({
            "access": text("the key's id"),
            "token": text("the text that was signed, in base64"),
            "signature": text("what was signed with its secret"),
        }),
        &["access", "token", "signature"],
    );
    let documented = open(
        &json!({
            "username": text("the name or id of the user in the path"),
            "secret": text("one that there is already"),
            "signature": text("a label: it proves nothing"),
            "access": text("an id that there is already"),
            "tenant_id": text("the account that the key is for"),
        }),
        &["username"],
    );
    json!({
        "KeystoneSigned": open_with_one(
            &json!({ one: signed, two: signed, three: signed, auth: in_auth }),
            &names,
        ),
        "KeystoneSignedText": open(&json!({ one: signed_text }), &[one]),
        "KeystoneKeyDraft": open(
            &json!({ "tenant_id": text("the account that the key is for"), DOCUMENTED: documented }),
            &[],
        ),
        "KeystoneV2Login": open(&json!({ auth: login_v2(&signed) }), &[auth]),
        "KeystoneV3Login": open(&json!({ auth: login_v3() }), &[auth]),
    })
}

fn login_v2(signed: &Value) -> Value {
    let password = open(
        &json!({
            "username": text("the user's name"),
            "userId": text("or its id"),
            "password": text("its password"),
        }),
        &["password"],
    );
    open_with_one(
        &json!({
            "passwordCredentials": password,
            "token": open(&json!({ "id": text("a token") }), &["id"]),
            IN_AUTH: signed,
            DOCUMENTED: signed,
            "tenantName": text("the tenant that the token is for"),
            "tenantId": text("the same"),
        }),
        &["passwordCredentials", "token", IN_AUTH, DOCUMENTED],
    )
}

fn login_v3() -> Value {
    let domain = open(
        &json!({ "id": text("default"), "name": text("Default") }),
        &[],
    );
    let user = open(
        &json!({
            "id": text("the user's id"),
            "name": text("or its name"),
            "domain": domain,
            "password": text("its password"),
        }),
        &["password"],
    );
    let identity = open(
        &json!({
            "methods": {
                "type": "array",
                "items": { "enum": ["password", "token", "application_credential"] },
            },
            "password": open(&json!({ "user": user }), &["user"]),
            "token": open(&json!({ "id": text("a token") }), &["id"]),
            "application_credential": open(
                &json!({ "id": text("a bearer token's id"), "secret": text("the bearer token") }),
                &["id", "secret"],
            ),
        }),
        &["methods"],
    );
    let project = json!({ "id": text("its alias"), "name": text("the same"), "domain": domain });
    let scope = json!({
        "anyOf": [
            { "const": "unscoped" },
            { "type": "null" },
            open(&json!({ "unscoped": {} }), &["unscoped"]),
            open(&json!({ "project": open(&project, &[]) }), &["project"]),
        ],
    });
    open(
        &json!({ "identity": identity, "scope": scope }),
        &["identity"],
    )
}
