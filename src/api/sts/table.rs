//! What each operation takes, and what it may be answered with: the description that
//! docs/api-coverage.md shows, of an API that has one path for all.

use super::ask::{
    Action, LONGEST_OF_ROLES, LONGEST_OF_USERS, MOST_CONTEXTS, MOST_POLICIES, MOST_TAGS, SHORTEST,
};
use super::check::{self, Rule};
use super::fault::Fault;

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// As `Action` names it.
    pub action: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Whether it must be signed.
    pub signed: bool,
    /// What it takes.
    pub parameters: Vec<Parameter>,
    /// The elements that are in its answer.
    pub elements: &'static [&'static str],
    /// What is answered instead.
    pub failures: Vec<Failure>,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name; of a list that of all its members.
    pub name: &'static str,
    /// As an error names it.
    pub at: &'static str,
    /// Whether it must be there.
    pub needed: bool,
    /// What it must be.
    pub bounds: String,
}

/// An error.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its status.
    pub status: u16,
    /// Its code.
    pub code: &'static str,
    /// What it means.
    pub when: &'static str,
}

/// Every operation.
pub fn operations() -> Vec<Operation> {
    vec![
        assume_role(),
        with_web_identity(),
        caller_identity(),
        session_token(),
        federation_token(),
    ]
}

/// What is answered where no operation is named.
pub fn of_none() -> Vec<Failure> {
    vec![
        failure(&Fault::MissingAction, "no operation is named"),
        failure(&invalid_action(), "there is no such operation"),
        failure(&malformed(), "a parameter is there twice, or too many are"),
        too_long(),
    ]
}

fn failure(fault: &Fault, when: &'static str) -> Failure {
    let (status, code) = fault.code();
    Failure {
        status: status.as_u16(),
        code,
        when,
    }
}

const fn invalid_action() -> Fault {
    Fault::InvalidAction {
        action: String::new(),
        version: None,
    }
}

const fn malformed() -> Fault {
    Fault::MalformedInput(String::new())
}

/// What any operation may be answered with.
fn common(denied: &'static str) -> Vec<Failure> {
    vec![
        failure(&invalid_action(), "the version is another one"),
        failure(&malformed(), "a parameter is there twice"),
        failure(&Fault::DENIED, denied),
        too_long(),
    ]
}

fn too_long() -> Failure {
    failure(&Fault::TooLarge, "the form is too long")
}

/// The same of those that are signed.
fn of_signed(denied: &'static str) -> Vec<Failure> {
    let none = String::new;
    let mut all = common(denied);
    all.extend([
        failure(
            &Fault::MissingParameter(none()),
            "a part of the signature is missing",
        ),
        failure(
            &Fault::IncompleteSignature(none()),
            "the signature is none that is accepted",
        ),
        failure(
            &Fault::RequestExpired(none()),
            "it was signed too long ago, or for later",
        ),
        failure(&Fault::MissingAuthenticationToken, "it is not signed"),
        failure(
            &Fault::InvalidClientTokenId,
            "there is no such key, or the session's token is not its own",
        ),
        failure(
            &Fault::SignatureDoesNotMatch,
            "the signature is another, or for another service",
        ),
        failure(&Fault::ExpiredToken, "the session has ended"),
        failure(&Fault::Throttling, "too many signatures were wrong"),
        failure(
            &Fault::ServiceUnavailable,
            "what is stored cannot be read, or the cloud fails",
        ),
    ]);
    all
}

fn wrong() -> Failure {
    let why = "a parameter is missing, or is not what it must be";
    failure(&Fault::Validation(String::new()), why)
}

/// What is wrong with policies.
fn of_policies() -> [Failure; 2] {
    [
        failure(&Fault::MalformedPolicy(""), "a policy is none"),
        failure(
            &Fault::PackedPolicyTooLarge(None),
            "policies and tags take more room than there is",
        ),
    ]
}

fn text(name: &'static str, at: &'static str, rule: Rule) -> Parameter {
    Parameter {
        name,
        at,
        needed: false,
        bounds: rule.to_string(),
    }
}

fn needed(name: &'static str, at: &'static str, rule: Rule) -> Parameter {
    Parameter {
        needed: true,
        ..text(name, at, rule)
    }
}

fn list(name: &'static str, at: &'static str, most: usize, of: &str) -> Parameter {
    Parameter {
        name,
        at,
        needed: false,
        bounds: format!("at most {most} {of}"),
    }
}

fn duration(longest: usize) -> Parameter {
    Parameter {
        name: "DurationSeconds",
        at: "durationSeconds",
        needed: false,
        bounds: format!("{SHORTEST} to {longest}"),
    }
}

/// What all operations for roles take.
fn of_role() -> [Parameter; 4] {
    let [policy, arns] = policies();
    [
        needed("RoleArn", "roleArn", check::ARN),
        needed("RoleSessionName", "roleSessionName", check::SESSION_NAME),
        policy,
        arns,
    ]
}

fn policies() -> [Parameter; 2] {
    [
        text("Policy", "policy", check::POLICY),
        list("PolicyArns", "policyArns", MOST_POLICIES, "ARNs"),
    ]
}

fn tags() -> Parameter {
    list("Tags", "tags", MOST_TAGS, "keys and values")
}

fn second_factor() -> [Parameter; 2] {
    [
        text("SerialNumber", "serialNumber", check::SERIAL_NUMBER),
        text("TokenCode", "tokenCode", check::TOKEN_CODE),
    ]
}

fn assume_role() -> Operation {
    let mut parameters = Vec::from(of_role());
    parameters.push(duration(LONGEST_OF_ROLES));
    parameters.push(text("ExternalId", "externalId", check::EXTERNAL_ID));
    parameters.extend(second_factor());
    parameters.extend([
        tags(),
        list(
            "TransitiveTagKeys",
            "transitiveTagKeys",
            MOST_TAGS,
            "keys of tags",
        ),
        text("SourceIdentity", "sourceIdentity", check::SESSION_NAME),
        list(
            "ProvidedContexts",
            "providedContexts",
            MOST_CONTEXTS,
            "contexts",
        ),
    ]);
    let mut failures = of_signed(
        "the role is not the caller's, or there is none; a second factor is wrong; or a proxy or \
         another site's page sent it",
    );
    failures.push(wrong());
    failures.extend(of_policies());
    failures.push(misconfigured());
    Operation {
        action: Action::AssumeRole.as_str(),
        summary: "A session of a role, for whoever signed",
        signed: true,
        parameters,
        elements: &ASSUMED,
        failures,
    }
}

fn with_web_identity() -> Operation {
    let mut parameters = Vec::from(of_role());
    parameters.extend([
        duration(LONGEST_OF_ROLES),
        text("ProviderId", "providerId", check::PROVIDER_ID),
        needed(
            "WebIdentityToken",
            "webIdentityToken",
            check::IDENTITY_TOKEN,
        ),
    ]);
    let mut failures = common(
        "the role is not for whom the token stands for, or there is none; or a proxy or another \
         site's page sent it",
    );
    failures.push(wrong());
    failures.extend(of_policies());
    let not_believed = Fault::InvalidIdentityToken("".into());
    failures.extend([
        failure(
            &not_believed,
            "the token is none, or nobody's who is believed",
        ),
        failure(&Fault::ExpiredIdentityToken, "the token has ended"),
        failure(&Fault::IdpCommunication, "the issuer cannot be asked"),
        failure(
            &Fault::IdpRejected,
            "the issuer says that the token does not count",
        ),
        failure(
            &Fault::Throttling,
            "too many access tokens were wrong: the provider is not asked",
        ),
        misconfigured(),
        failure(&Fault::ServiceUnavailable, "the cloud fails"),
    ]);
    Operation {
        action: Action::AssumeRoleWithWebIdentity.as_str(),
        summary: "A session of a role, for whom a token stands for; it is not signed",
        signed: false,
        parameters,
        elements: &SHOWN,
        failures,
    }
}

fn caller_identity() -> Operation {
    Operation {
        action: Action::GetCallerIdentity.as_str(),
        summary: "Who signed",
        signed: true,
        parameters: Vec::new(),
        elements: &["Arn", "UserId", "Account"],
        failures: of_signed("a proxy or another site's page sent it"),
    }
}

fn session_token() -> Operation {
    let mut parameters = vec![duration(LONGEST_OF_USERS)];
    parameters.extend(second_factor());
    let mut failures = of_signed(
        "a session signed; a second factor is wrong; or a proxy or another site's page sent it",
    );
    failures.push(wrong());
    Operation {
        action: Action::GetSessionToken.as_str(),
        summary: "A session of the user who signed",
        signed: true,
        parameters,
        elements: &CREDENTIALS,
        failures,
    }
}

fn federation_token() -> Operation {
    let mut parameters = vec![
        needed("Name", "name", check::USER_NAME),
        duration(LONGEST_OF_USERS),
        tags(),
    ];
    parameters.extend(policies());
    let mut failures = of_signed("a session signed; or a proxy or another site's page sent it");
    failures.push(wrong());
    failures.extend(of_policies());
    Operation {
        action: Action::GetFederationToken.as_str(),
        summary: "A session of somebody for whom the user who signed vouches",
        signed: true,
        parameters,
        elements: &FEDERATED,
        failures,
    }
}

fn misconfigured() -> Failure {
    let why = "what an administrator configured does not work";
    failure(&Fault::InternalFailure, why)
}

const CREDENTIALS: [&str; 4] = [
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "Expiration",
];

const ASSUMED: [&str; 6] = [
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "Expiration",
    "AssumedRoleId",
    "Arn",
];

const SHOWN: [&str; 8] = [
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "Expiration",
    "AssumedRoleId",
    "Arn",
    "SubjectFromWebIdentityToken",
    "Provider",
];

const FEDERATED: [&str; 6] = [
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "Expiration",
    "FederatedUserId",
    "Arn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_once() {
        let described = operations().into_iter().map(|operation| operation.action);
        let mut described: Vec<_> = described.collect();
        described.sort_unstable();
        let mut all = Action::ALL.map(Action::as_str);
        all.sort_unstable();
        assert_eq!(described, all);
    }

    #[test]
    fn an_operation_answers_each_code_once() {
        for operation in operations() {
            let codes = operation.failures.iter();
            let mut codes: Vec<_> = codes.map(|it| (it.status, it.code)).collect();
            let count = codes.len();
            codes.sort_unstable();
            codes.dedup();
            assert_eq!(codes.len(), count, "{}", operation.action);
        }
    }
}
