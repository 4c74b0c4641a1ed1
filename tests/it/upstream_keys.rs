//! The keys of sessions: all that changes a call's meaning changes them, and no label does.

use std::sync::Arc;
use std::time::Duration;

use rolecall::config::{Account, BaseCredentials, Dialect, Role, RoleKind};
use rolecall::grants::{Names, Placeholder, Template};
use rolecall::sessions::{Catalogue, NoRequest, SessionKey, Wish};
use rolecall::source::{Engine, PlanError, Plans};
use rolecall::types::{AccountId, ExternalId, Partition, Region, RoleArn, RoleRef};

use crate::upstream::{NoLocalRoles, account, config, engine, key, plans, role};

const STS: &str = "http://192.0.2.1:8000";

fn names(user: &str) -> Names {
    Names::default().with(Placeholder::User, user)
}

fn key_of(account: Account, engine: &Engine, names: &Names) -> SessionKey {
    let role = account.roles.values().next().unwrap().reference.clone();
    plans(&config([account]), engine)
        .request(&Wish::declared(role, names.clone()))
        .unwrap()
        .key
}

fn prod() -> Account {
    account("prod", STS, role("prod/web"))
}

#[test]
fn every_parameter_changes_the_key() {
    type Change = fn(&mut Account);
    let changes: Vec<(&str, Change)> = vec![
        ("nothing", |_| {}),
        ("partition", |a| {
            a.partition = Partition::new("aws-cn").unwrap();
        }),
        ("account id", |a| {
            a.id = Some(AccountId::new("000000000001").unwrap());
        }),
        ("no account id", |a| a.id = None),
        ("region", |a| {
            a.region = Some(Region::new("eu-west-1").unwrap());
        }),
        ("endpoint", |a| {
            a.endpoint = Some("http://192.0.2.2:8000".to_owned());
        }),
        ("no endpoint", |a| a.endpoint = None),
        ("dialect", |a| a.dialect = Dialect::Generic),
        ("base key", |a| {
            a.base = key("AKIAOTHER", "canary-base-secret");
        }),
        ("base secret", |a| a.base = key("AKIABASE", "another")),
        ("base kind", |a| a.base = BaseCredentials::Environment),
        ("profile", |a| {
            a.base = BaseCredentials::Profile("one".to_owned());
        }),
        ("other profile", |a| {
            a.base = BaseCredentials::Profile("two".to_owned());
        }),
        ("process", |a| {
            a.base = BaseCredentials::Process(vec!["a".to_owned(), "b".to_owned()]);
        }),
        ("its words", |a| {
            a.base = BaseCredentials::Process(vec!["a b".to_owned()]);
        }),
        ("imds", |a| a.base = BaseCredentials::Imds),
        ("kind", |a| the(a).kind = RoleKind::FederationToken),
        ("arn", |a| {
            the(a).arn = RoleArn::new("arn:aws:iam::123456789012:role/a/web").unwrap();
        }),
        ("duration", |a| the(a).duration = Duration::from_hours(2)),
        ("session name", |a| {
            the(a).session_name = Template::parse("fixed").unwrap();
        }),
        ("source identity", |a| {
            the(a).source_identity = Some(Template::caller());
        }),
        ("external id", |a| {
            the(a).external_id = Some(ExternalId::new("e1").unwrap());
        }),
        ("policy", |a| the(a).policy = Some(Arc::from("{}"))),
        ("other policy", |a| the(a).policy = Some(Arc::from("[]"))),
        ("policy arn", |a| {
            the(a).policy_arns = vec!["arn:aws:iam::aws:policy/P".to_owned()];
        }),
        ("tag", |a| the(a).tags = vec![tag("a", "b")]),
        ("tags value", |a| the(a).tags = vec![tag("a", "c")]),
        ("two tags", |a| {
            the(a).tags = vec![tag("a", "b"), tag("c", "d")];
        }),
        ("transitive tag", |a| {
            the(a).tags = vec![tag("a", "b")];
            the(a).transitive_tags = vec!["a".to_owned()];
        }),
    ];
    let engine = engine(&[]);
    let mut keys: Vec<(&str, SessionKey)> = Vec::new();
    for (what, change) in changes {
        let mut account = prod();
        change(&mut account);
        let key = key_of(account, &engine, &names("build"));
        let same = keys.iter().find(|(_, other)| *other == key);
        assert_eq!(same, None, "{what}");
        keys.push((what, key));
    }
}

fn the(account: &mut Account) -> &mut Role {
    account.roles.values_mut().next().unwrap()
}

fn tag(name: &str, value: &str) -> (String, Template) {
    (name.to_owned(), Template::parse(value).unwrap())
}

#[test]
fn labels_and_unsent_settings_do_not_change_the_key() {
    let engine = engine(&[]);
    let build = names("build");
    let key = key_of(prod(), &engine, &build);
    let mut renamed = account("other", STS, role("other/alias"));
    the(&mut renamed).arn = RoleArn::new("arn:aws:iam::123456789012:role/web").unwrap();
    assert_eq!(key, key_of(renamed, &engine, &build), "an alias is a label");
    let mut idle = prod();
    the(&mut idle).idle = Duration::from_secs(1);
    the(&mut idle).prefetch = true;
    idle.rate_limit.burst = 1;
    assert_eq!(key, key_of(idle, &engine, &build));
    let mut ceph = prod();
    ceph.dialect = Dialect::Ceph;
    let untagged = key_of(ceph.clone(), &engine, &build);
    the(&mut ceph).tags = vec![tag("a", "b")];
    assert_eq!(
        untagged,
        key_of(ceph, &engine, &build),
        "Ceph is sent no tags"
    );
}

#[test]
fn callers_names_count_where_a_template_takes_them() {
    let engine = engine(&[]);
    assert_ne!(
        key_of(prod(), &engine, &names("one")),
        key_of(prod(), &engine, &names("two"))
    );
    let fixed = || {
        let mut prod = prod();
        the(&mut prod).session_name = Template::parse("all").unwrap();
        prod
    };
    assert_eq!(
        key_of(fixed(), &engine, &names("one")),
        key_of(fixed(), &engine, &names("two"))
    );
}

#[test]
fn the_environment_and_the_profiles_text_are_part_of_the_base() {
    let environment = |variables: &[(&str, &str)]| {
        let mut prod = prod();
        prod.base = BaseCredentials::Environment;
        key_of(prod, &engine(variables), &names("build"))
    };
    let first = environment(&[("AWS_ACCESS_KEY_ID", "AKIA1"), ("PATH", "/bin")]);
    assert_eq!(
        first,
        environment(&[("AWS_ACCESS_KEY_ID", "AKIA1"), ("PATH", "/sbin")])
    );
    assert_ne!(first, environment(&[("AWS_ACCESS_KEY_ID", "AKIA2")]));

    let file = tempfile::NamedTempFile::new().unwrap();
    let variables = [("AWS_CONFIG_FILE", file.path().to_str().unwrap())];
    let profile = || {
        let mut prod = prod();
        prod.base = BaseCredentials::Profile("x".to_owned());
        key_of(prod, &engine(&variables), &names("build"))
    };
    let before = profile();
    assert_eq!(before, profile());
    std::fs::write(file.path(), "[profile x]\nregion = eu-west-1\n").unwrap();
    assert_ne!(before, profile());
}

#[test]
fn a_chains_key_has_its_parents_in_it() {
    let chain = |secret: &str| {
        let mut hub = account("hub", STS, role("hub/base"));
        hub.base = key("AKIAHUB", secret);
        let mut prod = prod();
        prod.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
        let plans = plans(&config([hub, prod]), &engine(&[]));
        let request = plans.request(&Wish::declared(
            RoleRef::parse("prod/web").unwrap(),
            names("build"),
        ));
        request.unwrap().key
    };
    assert_eq!(chain("one"), chain("one"));
    assert_ne!(chain("one"), chain("two"));
}

#[test]
fn chains_that_never_end_are_refused() {
    let link = |alias: &str, base: &str| {
        let mut link = account(alias, STS, role(&format!("{alias}/base")));
        link.base = BaseCredentials::Role(RoleRef::parse(base).unwrap());
        link
    };
    for accounts in [
        vec![
            link("one", "two/base"),
            link("two", "three/base"),
            link("three", "two/base"),
        ],
        vec![link("one", "one/base")],
        vec![link("one", "nowhere/base")],
    ] {
        let built = Plans::build(&config(accounts), &engine(&[]), Arc::new(NoLocalRoles));
        assert!(
            matches!(built, Err(PlanError::BaseRole { .. })),
            "{built:?}"
        );
    }
}

#[test]
fn equal_requests_are_one_for_as_long_as_they_are_used() {
    let mut fixed = prod();
    the(&mut fixed).session_name = Template::parse("all").unwrap();
    let plans = plans(&config([fixed]), &engine(&[]));
    let web = RoleRef::parse("prod/web").unwrap();
    let first = plans
        .request(&Wish::declared(web.clone(), names("one")))
        .unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &plans
            .request(&Wish::declared(web.clone(), names("one")))
            .unwrap()
    ));
    assert!(Arc::ptr_eq(
        &first,
        &plans
            .request(&Wish::declared(web.clone(), names("two")))
            .unwrap()
    ));
    let unknown = |role: &str| {
        let wish = Wish::declared(RoleRef::parse(role).unwrap(), names("one"));
        plans.request(&wish).unwrap_err()
    };
    assert_eq!(unknown("prod/none"), NoRequest::NoRole);
    assert_eq!(unknown("none/web"), NoRequest::NoAccount);
}

#[test]
fn a_region_is_found_or_asked_for() {
    let planned =
        |account: Account| Plans::build(&config([account]), &engine(&[]), Arc::new(NoLocalRoles));
    let nowhere = |partition: &str, endpoint: Option<&str>| {
        let mut prod = prod();
        prod.region = None;
        prod.partition = Partition::new(partition).unwrap();
        prod.endpoint = endpoint.map(str::to_owned);
        prod
    };
    assert!(planned(nowhere("aws", None)).is_ok());
    assert!(planned(nowhere("aws-iso", Some(STS))).is_ok());
    let built = planned(nowhere("aws-iso", None));
    assert!(
        matches!(built, Err(PlanError::NoRegion { .. })),
        "{built:?}"
    );
}
