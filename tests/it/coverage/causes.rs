//! The causes of errors that the APIs' documents and servers know, and what is answered.

use rolecall::api::openapi::Api;

use crate::support::witness::Seen;

/// One cause of an error.
pub(super) struct Cause {
    pub(super) api: Api,
    pub(super) status: u16,
    /// What is in the body.
    pub(super) says: &'static str,
    /// What is wrong.
    pub(super) why: &'static str,
}

impl Cause {
    /// Whether this answer is told for the cause.
    pub(super) fn is(&self, seen: &Seen) -> bool {
        let form = match self.api {
            Api::Accounts | Api::Machines => "\"traceback\":null",
            Api::Connectors => "\"errorMessages\":[",
            Api::Keystone if self.status == 405 => "{\"message\": \"",
            Api::Keystone => "{\"error\":{\"code\":",
        };
        seen.status == self.status && seen.body.contains(self.says) && seen.body.contains(form)
    }
}

const fn accounts(status: u16, says: &'static str, why: &'static str) -> Cause {
    let api = Api::Accounts;
    Cause {
        api,
        status,
        says,
        why,
    }
}

const fn connectors(status: u16, says: &'static str, why: &'static str) -> Cause {
    let api = Api::Connectors;
    Cause {
        api,
        status,
        says,
        why,
    }
}

const fn keystone(status: u16, says: &'static str, why: &'static str) -> Cause {
    let api = Api::Keystone;
    Cause {
        api,
        status,
        says,
        why,
    }
}

pub(super) const CAUSES: &[Cause] = &[
    accounts(
        400,
        "\"message\":\"Bad Request\"",
        "the path is none that a client sends",
    ),
    accounts(
        400,
        "\"message\":\"The callbackurl is not allowed\"",
        "`callbackurl` is no URL, or none of `callback-origins`",
    ),
    accounts(
        401,
        "\"message\":\"Unauthorized\"",
        "no name is proved, or the proof is wrong",
    ),
    accounts(
        403,
        "\"message\":\"Permission Denied\"",
        "the role is not the caller's, its account is unknown to it, or upstream denies it",
    ),
    accounts(
        404,
        "\"message\":\"ConfigurationError\"",
        "the account has no id, no console, or does not work; a host has not exactly one role",
    ),
    accounts(404, "\"message\":\"Not found: '/", "there is no such path"),
    accounts(
        405,
        "\"message\":\"Method not allowed.\"",
        "another method than GET and HEAD",
    ),
    accounts(
        502,
        "\"message\":\"Call to AWS failed\"",
        "upstream failed, or the sign-in endpoint",
    ),
    connectors(400, "the body is no JSON object", "malformed JSON"),
    connectors(400, "is there twice", "a field that is there twice"),
    connectors(400, "is no field of this object", "a field that is unknown"),
    connectors(400, "is missing", "validation: a field is missing"),
    connectors(
        400,
        "\"maxDuration\":\"must lie between",
        "a duration out of range",
    ),
    connectors(400, "\"region\":\"is no region\"", "a bad region"),
    connectors(401, "log in first", "no credentials"),
    connectors(
        401,
        "the name or its password or token is wrong",
        "wrong credentials",
    ),
    connectors(
        403,
        "you may not use this connector",
        "in none of the connector's groups",
    ),
    connectors(
        403,
        "administrators",
        "accounts, and what is written, are for administrators",
    ),
    connectors(403, "AWS denied its request", "upstream denies it"),
    connectors(
        404,
        "there is no connector with id '1521fbf0-",
        "an unknown id",
    ),
    connectors(404, "there is no connector with id 'x'", "no UUID"),
    connectors(
        404,
        "is not served: 2.0, 2.1, 2.2 and latest are",
        "an unknown version",
    ),
    connectors(404, "there is no such resource", "an unknown path"),
    connectors(405, "this resource has only GET, HEAD", "a wrong method"),
    connectors(409, "has this name", "the name is taken"),
    connectors(409, "is used by the connector", "the account is still used"),
    connectors(
        409,
        "takes no credentials of GetSessionToken",
        "a console for `SESSION_TOKEN`",
    ),
    connectors(409, "account has no console", "the account has no console"),
    connectors(
        409,
        "account has no container registry",
        "the account has no registry",
    ),
    connectors(
        409,
        "is of the configuration's files",
        "the object is the configuration's",
    ),
    connectors(
        412,
        "somebody changed it meanwhile",
        "`If-Match` names another state",
    ),
    connectors(415, "send application/json", "the body is no JSON"),
    connectors(502, "the request to AWS failed", "upstream failed"),
    connectors(
        503,
        "AWS asks for fewer requests",
        "upstream is asked too much",
    ),
    connectors(
        504,
        "AWS did not answer in time",
        "upstream did not answer in time",
    ),
    keystone(
        400,
        "request must include a request body",
        "`ec2tokens`, `s3tokens`: no body, or an empty object",
    ),
    keystone(
        400,
        "Expecting to find application/json in Content-Type header.",
        "another `Content-Type`",
    ),
    keystone(
        400,
        "Expecting to find valid JSON in request body.",
        "the body is no JSON object, or has a member twice",
    ),
    keystone(
        400,
        "Expecting to find texts and objects of texts in credentials.",
        "members of `credentials` are of other types",
    ),
    keystone(
        400,
        "Unknown signature version.",
        "a signature of another version than 0, 1, 2 and 4",
    ),
    keystone(
        400,
        "Expecting to find token in credentials.",
        "`s3tokens`: without the text that was signed",
    ),
    keystone(
        400,
        "Expecting to find tenant_id in request body.",
        "a key without a tenant, where it is not clear which",
    ),
    keystone(
        400,
        "Expecting to find username in OS-KSEC2-ec2Credentials.",
        "the document's object without its user",
    ),
    keystone(
        400,
        "The username is not that of the user in the path.",
        "the document's object with another user",
    ),
    keystone(
        400,
        "Invalid input for field 'secret'",
        "a secret that is too short or too long",
    ),
    keystone(
        400,
        "Invalid input for field 'access'",
        "an id that could not stand in a path or a signature's scope",
    ),
    keystone(
        400,
        "Invalid input for field 'signature'",
        "a label that is too long",
    ),
    keystone(
        400,
        "Expecting to find identity in auth.",
        "a login of version 3 without what proves a name",
    ),
    keystone(
        400,
        "Expecting to find passwordCredentials in auth.",
        "the same of version 2.0",
    ),
    keystone(
        401,
        "EC2 signature not supplied.",
        "no `access`, or no `signature`",
    ),
    keystone(
        401,
        "EC2 access key not found.",
        "`ec2tokens`: there is no such key, or the session's token is not its own",
    ),
    keystone(
        401,
        "Invalid EC2 signature.",
        "the signature is another, or counted already",
    ),
    keystone(
        401,
        "Credential is expired",
        "it was signed longer ago than `signature-age`",
    ),
    keystone(
        401,
        "Credential timestamp is invalid: it lies in the future",
        "its time has not come",
    ),
    keystone(
        401,
        "Credential timestamp is invalid: it is no date",
        "its time is none",
    ),
    keystone(
        401,
        "Credential timestamp is invalid: it has none",
        "it has no time",
    ),
    keystone(
        401,
        "User not valid for tenant.",
        "the key's user has no role in its tenant any more",
    ),
    keystone(
        401,
        "The request you have made requires authentication.",
        "no token, one that is none or has ended, or a wrong password",
    ),
    keystone(403, "Token belongs to another user", "keys of another user"),
    keystone(
        403,
        "Credential belongs to another user",
        "a key of another user, through one's own path",
    ),
    keystone(
        403,
        "You are not authorized to perform the requested action: identity:ec2_create_credential.",
        "a token of `ec2tokens`, or a service",
    ),
    keystone(
        403,
        "You are not authorized to perform the requested action: identity:ec2tokens_validate.",
        "neither a service nor an administrator",
    ),
    keystone(
        403,
        "You are not authorized to perform the requested action: identity:list_projects.",
        "not an administrator",
    ),
    keystone(
        403,
        "Unable to create additional credentials, maximum of",
        "the user has as many keys as there may be",
    ),
    keystone(
        404,
        "EC2 access key not found.",
        "`s3tokens`: there is no such key",
    ),
    keystone(404, "Could not find credential:", "an unknown key"),
    keystone(
        404,
        "Could not find user:",
        "an unknown user, told to administrators",
    ),
    keystone(
        404,
        "Could not find project:",
        "an unknown tenant, or one that is not one's own",
    ),
    keystone(
        404,
        "Could not find token.",
        "a token that has ended or is none, told to who may know",
    ),
    keystone(
        404,
        "The resource could not be found.",
        "an unknown path or version",
    ),
    keystone(
        405,
        "The method is not allowed for the requested URL.",
        "another method; `Allow` says which there are",
    ),
    keystone(
        409,
        "There is a credential of this access key",
        "an id that is taken",
    ),
    keystone(
        413,
        "Request is too large.",
        "a body of more than 114,688 bytes",
    ),
    keystone(
        415,
        "Expecting to find application/json in Content-Type header.",
        "a new key of which the body is no JSON",
    ),
    keystone(
        429,
        "Too many passwords were wrong.",
        "passwords were guessed",
    ),
    keystone(
        503,
        "The service is not available now.",
        "the store cannot be read or written, or a directory is down",
    ),
];
