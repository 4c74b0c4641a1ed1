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
];
