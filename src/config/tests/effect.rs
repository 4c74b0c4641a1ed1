//! No key is accepted without effect.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::describe::{ROOT, walk};
use crate::config::problem::Problems;
use crate::config::raw::{Data, PartId, Sources, Tree, merge, parse};
use crate::config::validate::validate;

/// Every key that this version serves, set to what is not its default. The base credentials of
/// each kind have an account of their own.
pub(super) const FULL: &str = r#"
[[listener]]
name = "metadata"
bind = ["127.0.0.1:80", "unix:/run/imds.sock", "passed:metadata"]
apis = ["imds", "container"]
imdsv1 = true
hosts = ["imds.internal"]
instance-id = "i-1"
availability-zone = "eu-central-1a"
instance-type = "metal"
minio-js-alias = true
tokenless = true
select = "only"

[[listener.token]]
role = "prod/web"
file = "/run/token"
uri-file = "/run/uri"
owner = 33
bearer = true

[[listener.token]]
file = "/run/container-token"
containers = true

[[listener]]
name = "api"
bind = "0.0.0.0:8169"
apis = ["accounts", "connectors"]
peers = ["10.0.0.0/8", "2001:db8::/32"]
public-url = "https://aws.example/context"
tls = { certificate = "/etc/tls.crt", key = "env:SECRET", client-ca = "/etc/proxies.crt" }

[[listener.mount]]
prefix = "/people"
apis = ["connectors"]
authenticate = ["peer", "token"]
require-group = ["aws-users", "others"]
console = false

[[listener.mount]]
prefix = "/machine"
machine = true

[account.prod]
id = "123456789012"
partition = "aws-cn"
region = "eu-central-1"
dialect = "generic"
endpoint = "http://127.0.0.1:5000"
credentials = { from = "profile", profile = "x" }
rate-limit = { per-second = 2.5, burst = 3 }
description = "The shop"
signin-endpoint = "http://127.0.0.1:5001"
console-endpoint = "http://127.0.0.1:5002"
callback-origins = ["https://wiki.example"]
console-destination = "/s3/home"
console-region = "eu-west-1"
ecr-endpoint = "http://127.0.0.1:5003"
ecr-region = "eu-west-2"
keystone-roles = ["reader", "member"]

[account.prod.defaults]
duration = "2h"
session-name = "default"
source-identity = "default"
external-id = "default"
policy-arns = ["arn:aws-cn:iam::aws:policy/Default"]
tags = { host = "{hostname}" }
transitive-tags = ["host"]
idle = "1h"
max-duration = "5h"

[account.prod.role.plain]

[account.prod.role.web]
arn = "arn:aws-cn:iam::123456789012:role/team/web"
duration = "3h"
prefetch = true
session-name = "web"
source-identity = "web-server"
external-id = "outside"
policy-arns = ["arn:aws-cn:iam::aws:policy/ReadOnlyAccess"]
tags = { unit = "{user}" }
transitive-tags = ["unit"]
idle = "30m"
max-duration = "4h"
display-name = "Web"
connector-id = "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3"

[account.key]
id = "123456789012"
credentials = { from = "key", access-key-id = "AKIAEXAMPLE", secret-access-key = "env:SECRET", session-token = "env:TOKEN" }

[account.keys]
id = "123456789012"
credentials = { from = "key", access-key-id = "AKIAEXAMPLE", secret-access-key = "env:SECRET" }
role.user = { kind = "federation-token", policy-arns = ["arn:aws:iam::aws:policy/Default"] }

[account.endpoint]
id = "123456789012"
credentials = { from = "endpoint", url = "http://127.0.0.1:9000/", token = "env:TOKEN" }

[account.process]
id = "123456789012"
credentials = { from = "process", command = ["/bin/program", "argument"] }

[account.token]
id = "123456789012"
credentials = { from = "web-identity", token-file = "/run/identity" }

[account.chained]
id = "123456789012"
credentials = { from = "role", role = "prod/web" }

[account.local]
id = "000000000001"
credentials = { from = "local" }
role.demo.not-before = 2026-01-01T00:00:00Z

[[grant]]
role = "prod/web"
when = { uid = [33, 7], user = ["www-data", "ann"], container = "any", listener = "metadata" }
priority = 3
reason = "the web server"
imdsv1 = true

[[grant]]
role = "prod/plain"
when = { anyone = true }

[[grant]]
role = "prod/plain"
when = { user = "ann", gid = 4, group = "adm", user-unit = "a.service", unit = "user@*", slice = "user-*.slice", exe = { regex = "/bin/.*" } }

[[grant]]
role = "prod/plain"
when = { uid = 1, container.name = "a", container.id = "b", container.image = "c", container.label."d" = "e", container.runtime = "docker", pod.namespace = "f", pod.service-account = "g", pod.name = "h" }

[[grant]]
role = "prod/plain"
when = { principal = "a", address = "10.0.0.0/8", host = "a.example", token.issuer = "a", token.subject = "b", token.audience = "c", token.claim."d" = "e", external-id = "f", mfa = true, source-identity = "g" }

[[grant]]
role = "local/demo"
when = { uid = 5 }
duration = "30m"
policy-arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
tags = { who = "{user}" }
session-name = "narrowed"
source-identity = "{uid}"
caller-policy = "replace"

[[issuer]]
url = "https://issuer.example"
audiences = ["sts.amazonaws.com"]
algorithms = ["PS256"]
ca-file = "/etc/ca.pem"
tags = true
introspection = { url = "https://issuer.example/introspect", client-id = "us", client-secret = "env:SECRET" }

[[issuer]]
url = "kubernetes/serviceaccount"
keys = "/etc/keys.json"

[people]
users-file = "/etc/users"
groups-file = "/etc/groups"
administrators = ["admin", "@rolecall-admins"]
ldap = { url = "ldap://ldap.example", base-users = "ou=people", base-groups = "ou=groups", bind-dn = "cn=us", bind-password = "env:SECRET", user-attribute = "sAMAccountName", group-attribute = "name", ca-file = "/etc/ldap.pem" }
pam = { service = "rolecall" }
oidc = { issuer = "https://issuer.example", name-claim = "email", groups-claim = "groups" }
proxy-header = { name = "X-User", listener = "metadata", uid = ["www-data", 7], lower-case = true, visitor-header = "X-Forwarded-For" }
cookie-lifetime = "2h"

[authority]
signature-age = "5m"
token-lifetime = "2h"
service-token = "env:KEY"
ec2tokens-without-token = true
replay-cache = 1000

[[grant-source]]
command = ["/bin/roles", "argument"]

[[grant-source]]
url = "https://roles.example/{name}"
token = "env:TOKEN"
ca-file = "/etc/roles.pem"
when = { user = ["ann", "www-data"], uid = [1000, 7], listener = "metadata", container = "any" }
priority = 4

[state]
directory = "/state"
key = "env:KEY"
sessions = "memory"

[log]
to = ["json", "file:/var/log/rolecall.log"]
level = "debug"

[limits]
connections = 100
connections-per-caller = 10
requests-per-caller = 11
flights-per-caller = 12
sessions = 50
ready-deadline = "1s"
linger = "4s"
drain = "2s"
patience = "3s"

[runtime]
socket = "/run/runtime.sock"
user = "ann"

[[runtime.engine]]
kind = "docker"
socket = "/run/other-docker.sock"

[[runtime.engine]]
kind = "cri"

[admin]
socket = "/run/admin.sock"
"#;

/// All keys of this table and of those below it, with their tables.
fn keys(tree: &Tree<'_>, table: PartId, all: &mut Vec<(PartId, PartId)>) {
    for key in tree.keys(table) {
        all.push((*key, table));
        keys(tree, *key, all);
        if let Data::List(list) = tree.data(*key) {
            for element in list {
                keys(tree, *element, all);
            }
        }
    }
}

/// What a tree becomes: the configuration, or what is wrong with it.
fn outcome(tree: &Tree<'_>) -> String {
    let problems = Problems::default();
    walk(&ROOT, tree, &problems);
    let config = validate(tree, Origin::Embedded, false, &surroundings(), &problems);
    if problems.refused() {
        return format!("{:#?}", problems.into_list(tree, &Sources::default()));
    }
    format!("{config:#?}")
}

#[test]
fn every_key_that_is_served_changes_something() {
    let (mut tree, problems) = (Tree::default(), Problems::default());
    let file = parse(0, FULL, &mut tree, &problems).unwrap();
    merge(&mut tree, PartId::default(), file, false, &problems);
    let whole = outcome(&tree);
    assert!(whole.starts_with("Config {"), "{whole}");
    let mut all = Vec::new();
    keys(&tree, PartId::default(), &mut all);
    assert!(all.len() > 100);
    // The only value of this one is its default.
    all.retain(|(key, _)| tree.path(*key) != "state.sessions");
    all.retain(|(key, table)| {
        let mut less = tree.clone();
        less.remove(*table, tree.name(*key)).unwrap();
        outcome(&less) == whole
    });
    let all = all.iter().map(|(key, _)| tree.path(*key));
    assert_eq!(all.collect::<Vec<_>>(), [""; 0], "these have no effect");
}

#[test]
fn every_key_that_is_served_is_in_that_test() {
    let page = reference();
    let keys = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    // This one needs a file, and has a test below.
    for key in keys.filter(|key| *key != "policy-file") {
        let mut words = FULL.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        assert!(words.any(|word| word == key), "{key} is missing");
    }
}

#[test]
fn a_policy_file_is_read_and_made_compact() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("p.json");
    fs::write(&file, "{ \"Statement\": [] }\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let surroundings = Surroundings::empty(root.path());
    let text = "[account.a]\nid = 1\n[account.a.role.web]\npolicy-file = '/p.json'\n";
    let (config, _) = parse_text("f.toml", text, &surroundings).unwrap();
    let (_, role) = config.role(&RoleRef::parse("a/web").unwrap()).unwrap();
    assert_eq!(role.policy.as_deref(), Some("{\"Statement\":[]}"));
    let missing = text.replace("p.json", "q.json");
    let error = parse_text("f.toml", &missing, &surroundings).unwrap_err();
    assert!(
        error.to_string().contains("/q.json: cannot read it"),
        "{error}"
    );
}
