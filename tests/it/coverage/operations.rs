//! STS, which has one path for all: what is asked is told apart by `Action`, in the query or in a
//! form, and what is answered by its status and code.

use std::borrow::Cow;
use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use rolecall::api::sts::{Failure, Operation, Parameter, of_none, operations};

use super::Row;
use crate::support::signed::element;
use crate::support::witness::Seen;

pub(super) const ANSWERS: &str = "\n\
## STS, as Ceph and AWS document it\n\n\
A form that is posted to `/`, or the query of a GET.\n\n\
| operation | what | status | code | when | proved by |\n|---|---|---|---|---|---|\n";

pub(super) const PARAMETERS: &str = "\n\
### Parameters\n\n\
Each was taken, and each was refused with its name where it is not what it must be.\n\n\
| operation | parameter | needed | what it must be | status | proved by |\n|---|---|---|---|---|---|\n";

pub(super) const ERRORS: &str = "\n\
### Errors\n\n\
| status | code | message | cause | proved by |\n|---|---|---|---|---|\n";

/// The tests whose requests are for STS.
const MODULES: [&str; 2] = ["sts", "second_factors"];

const NAMESPACE: &str = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";

/// One request with its answer.
struct Call<'s> {
    /// The operation that it names; empty where it names none that there is.
    action: &'static str,
    names: Vec<String>,
    code: &'s str,
    seen: &'s Seen,
}

/// Everything that was asked of STS.
pub(super) struct Asked<'s> {
    operations: Vec<Operation>,
    calls: Vec<Call<'s>>,
}

impl<'s> Call<'s> {
    fn of(seen: &'s Seen, operations: &[Operation]) -> Option<Self> {
        let (path, query) = match seen.target.split_once('?') {
            Some((path, query)) => (path, query),
            None => (seen.target.as_str(), ""),
        };
        let here = MODULES.iter().any(|module| seen.test.starts_with(module));
        if !here || path != "/" || !matches!(&*seen.method, "GET" | "POST") {
            return None;
        }
        let pairs = query.split('&').chain(seen.sent.split('&'));
        let pairs: Vec<(String, String)> = pairs.map(decoded).collect();
        let mut named = pairs.iter().filter(|(name, _)| name == "Action");
        let action = match (named.next(), named.next()) {
            (Some((_, action)), None) => action.as_str(),
            (None, _) | (_, Some(_)) => "",
        };
        let mut operations = operations.iter();
        let known = operations.find(|operation| operation.action == action);
        Some(Self {
            action: known.map_or("", |operation| operation.action),
            names: pairs.into_iter().map(|(name, _)| name).collect(),
            code: element(&seen.body, "Code"),
            seen,
        })
    }

    fn is(&self, failure: &Failure) -> bool {
        (self.seen.status, self.code) == (failure.status, failure.code)
    }

    /// Whether it brings this parameter.
    fn brings(&self, parameter: &Parameter) -> bool {
        let members = format!("{}.member.", parameter.name);
        let mut names = self.names.iter();
        names.any(|name| name == parameter.name || name.starts_with(&members))
    }

    /// Whether it was refused for this parameter.
    fn blames(&self, parameter: &Parameter) -> bool {
        let message = element(&self.seen.body, "Message").replace("&apos;", "'");
        let at = parameter.at;
        let blamed = [format!("at '{at}'"), format!("at '{at}.")];
        self.code == "ValidationError" && blamed.iter().any(|blamed| message.contains(blamed))
    }

    /// What in its answer is not as all answers are.
    fn faults(&self, operation: Option<&Operation>) -> Option<&'static str> {
        let body = self.seen.body.as_str();
        let Some(operation) = operation.filter(|_| self.seen.status == 200) else {
            let kind = if self.seen.status < 500 {
                "Sender"
            } else {
                "Receiver"
            };
            let begin = format!("<ErrorResponse {NAMESPACE}><Error><Type>{kind}</Type><Code>");
            let whole = body.starts_with(&begin) && body.ends_with("</RequestId></ErrorResponse>");
            return (!whole || element(body, "Message").is_empty()).then_some("is no error");
        };
        let action = operation.action;
        let begin = format!("<{action}Response {NAMESPACE}><{action}Result>");
        let end = format!("</RequestId></ResponseMetadata></{action}Response>");
        let mut elements = operation.elements.iter();
        let whole = body.starts_with(&begin) && body.ends_with(&end);
        let lacks = elements.any(|name| element(body, name).is_empty());
        (!whole || lacks).then_some("is not the operation's")
    }
}

impl<'s> Asked<'s> {
    pub(super) fn new(seen: &'s [Seen]) -> Self {
        let operations = operations();
        let calls = seen.iter().filter_map(|seen| Call::of(seen, &operations));
        Self {
            calls: calls.collect(),
            operations,
        }
    }

    /// What tells this answer from others, where it is of STS.
    pub(super) fn place(&self, seen: &Seen) -> Option<String> {
        let call = Call::of(seen, &self.operations)?;
        Some(format!("{} {} {}", call.action, seen.status, call.code))
    }

    /// What was seen and is not as it is described.
    pub(super) fn undeclared(&self) -> Vec<String> {
        let none = of_none();
        let mut wrong = BTreeSet::new();
        for call in &self.calls {
            let mut known = self.operations.iter();
            let operation = known.find(|operation| operation.action == call.action);
            let failures = operation.map_or(&none, |operation| &operation.failures);
            let answered = operation.is_some() && call.seen.status == 200;
            let Seen { status, test, .. } = call.seen;
            let what = format!("'{}': {status} {}", call.action, call.code);
            if !answered && !failures.iter().any(|failure| call.is(failure)) {
                wrong.insert(format!("{what} is not declared, but {test} saw it"));
            } else if let Some(why) = call.faults(operation) {
                wrong.insert(format!("{what} {why}: {} in {test}", call.seen.body));
            }
        }
        wrong.into_iter().collect()
    }

    /// The status and code of each operation.
    pub(super) fn answers(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for operation in &self.operations {
            let Operation {
                action, summary, ..
            } = operation;
            let begin = format!("`{action}` | {summary}");
            rows.push(self.row(format!("{begin} | 200 | – | the answer"), |call| {
                call.action == *action && call.seen.status == 200
            }));
            rows.extend(self.failures(action, &begin, &operation.failures));
        }
        rows.extend(self.failures("", "– | None of these", &of_none()));
        rows
    }

    fn failures(&self, action: &str, begin: &str, failures: &[Failure]) -> Vec<Row> {
        let rows = failures.iter().map(|failure| {
            let Failure { status, code, when } = failure;
            let text = format!("{begin} | {status} | `{code}` | {when}");
            self.row(text, |call| call.action == action && call.is(failure))
        });
        rows.collect()
    }

    /// What each operation takes.
    pub(super) fn parameters(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for operation in &self.operations {
            for parameter in &operation.parameters {
                let Parameter { name, bounds, .. } = parameter;
                let needed = if parameter.needed { "yes" } else { "no" };
                let begin = format!("`{}` | `{name}` | {needed} | {bounds}", operation.action);
                let of = |call: &Call<'_>| call.action == operation.action;
                rows.push(self.row(format!("{begin} | 200"), |call| {
                    of(call) && call.seen.status == 200 && call.brings(parameter)
                }));
                rows.push(self.row(format!("{begin} | 400"), |call| {
                    of(call) && call.brings(parameter) && call.blames(parameter)
                }));
                if parameter.needed {
                    rows.push(self.row(format!("{begin} | 400, left out"), |call| {
                        of(call) && !call.brings(parameter) && call.blames(parameter)
                    }));
                }
            }
        }
        rows
    }

    /// What is told, and why.
    pub(super) fn errors(&self) -> Vec<Row> {
        let rows = CAUSES.iter().map(|(status, code, says, why)| {
            let text = format!("{status} | `{code}` | `{says}` | {why}");
            self.row(text, |call| {
                let message = element(&call.seen.body, "Message").replace("&apos;", "'");
                (call.seen.status, call.code) == (*status, *code) && message.contains(says)
            })
        });
        rows.collect()
    }

    fn row(&self, text: String, proves: impl Fn(&Call<'_>) -> bool) -> Row {
        let calls = self.calls.iter().filter(|call| proves(call));
        Row {
            text,
            provers: calls.map(|call| call.seen.test.clone()).collect(),
        }
    }
}

/// A pair of a form or a query.
fn decoded(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let decode = |text: &str| -> String {
        let spaced = text.replace('+', " ");
        let decoded: Cow<'_, str> = percent_decode_str(&spaced).decode_utf8_lossy();
        decoded.into_owned()
    };
    (decode(name), decode(value))
}

/// The status, the code, what is in the message, and why.
const CAUSES: &[(u16, &str, &str, &str)] = &[
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must not be null",
        "a parameter is missing",
    ),
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must have length greater than or equal to 20",
        "a parameter is too short",
    ),
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must have length less than or equal to",
        "a parameter is too long",
    ),
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must satisfy regular expression pattern:",
        "a parameter has other characters",
    ),
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must have value greater than or equal to 900",
        "a life that is too short for any role",
    ),
    (
        400,
        "ValidationError",
        "failed to satisfy constraint: Member must have value less than or equal to 43200",
        "a life that is too long for any role",
    ),
    (
        400,
        "ValidationError",
        "3 validation errors detected:",
        "several mistakes are told at once",
    ),
    (
        400,
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        "a life that is too long for this role",
    ),
    (
        400,
        "ValidationError",
        "exceeds the 1 hour session limit for roles assumed by role chaining.",
        "a session's session is to live for longer than an hour",
    ),
    (
        400,
        "ValidationError",
        "must provide both MFA serial number and one time pass code.",
        "half of a second factor",
    ),
    (
        400,
        "ValidationError",
        "Request ARN is invalid",
        "an ARN that is no role's",
    ),
    (
        400,
        "ValidationError",
        "Duplicate tag keys found.",
        "a tag is there twice",
    ),
    (
        400,
        "ValidationError",
        "conflicts with a transitive tag key from the calling session.",
        "what was handed down is said otherwise",
    ),
    (
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
        "a policy that is no JSON",
    ),
    (
        400,
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
        "JSON that is no policy",
    ),
    (
        400,
        "PackedPolicyTooLarge",
        "% of allotted space, please use smaller policy.",
        "policies and tags take more than 4096 bytes",
    ),
    (
        400,
        "RequestExpired",
        "Signature expired:",
        "it was signed longer ago than `signature-age`",
    ),
    (
        400,
        "RequestExpired",
        "Signature not yet current:",
        "it was signed for later",
    ),
    (
        403,
        "AccessDenied",
        "is not authorized to perform: sts:AssumeRole on resource:",
        "the role is not the caller's, or there is none: nobody learns which",
    ),
    (
        403,
        "AccessDenied",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "the same for a token",
    ),
    (
        403,
        "AccessDenied",
        "is not authorized to perform: sts:SetSourceIdentity on resource:",
        "a source identity that is set already is said otherwise",
    ),
    (
        403,
        "AccessDenied",
        "MultiFactorAuthentication failed with invalid MFA one time pass code.",
        "a wrong code, one that was used, or a device that is locked",
    ),
    (
        403,
        "AccessDenied",
        "unable to validate MFA code.",
        "there is no such device of the caller's",
    ),
    (
        403,
        "AccessDenied",
        "Cannot call GetSessionToken with session credentials",
        "a session is no long-term key",
    ),
    (
        403,
        "SignatureDoesNotMatch",
        "Credential should be scoped to correct service: 'sts'.",
        "it is signed for another service",
    ),
];
