//! What grants make of a caller: roles, reasons, denials, and what is looked up for them.

use super::*;

/// Of these groups' names, the role `{account}/{role}`.
fn by_group(pattern: &str) -> Arc<Grant> {
    let pattern = Pattern::regex(pattern).unwrap();
    let mut groups = pattern.groups();
    groups.push(Arc::from("group"));
    let template = |text: &str| Template::parse_of_groups(text, &groups).unwrap();
    Arc::new(Grant {
        role: GrantedRole::Template {
            account: template("{account}"),
            role: template("{role}"),
        },
        reason: template("member of {group}"),
        when: When {
            groups: Some(GroupWhen {
                ids: Vec::new(),
                names: Patterns::new(vec![pattern]),
            }),
            ..When::default()
        },
        ..Grant::clone(&grant(1, "prod/web", When::default()))
    })
}

#[test]
fn facts_are_asked_for_only_when_everything_cheaper_matches() {
    let when = When {
        users: Some(users(&[7])),
        unit: Some(texts(&["a.service"])),
        host: Some(texts(&["*.example.org"])),
        ..When::default()
    };
    let unseen = Facts {
        uid: Known::Yes(8),
        place: Known::NotYet,
        host: Known::NotYet,
        ..Facts::default()
    };
    assert_eq!(outcome(&when, &unseen), Ok(false));
    let seven = Facts {
        uid: Known::Yes(7),
        ..unseen
    };
    assert_eq!(outcome(&when, &seven), Err(Fact::Place));
    let elsewhere = Facts {
        place: host("b.service"),
        ..seven.clone()
    };
    assert_eq!(outcome(&when, &elsewhere), Ok(false));
    let there = Facts {
        place: host("a.service"),
        ..seven
    };
    assert_eq!(outcome(&when, &there), Err(Fact::Host));
}

fn of_groups(names: &[&str]) -> Facts {
    Facts {
        groups: Known::Yes(Arc::new(Groups {
            ids: Vec::new(),
            names: names.iter().map(|name| Arc::from(*name)).collect(),
        })),
        ..user(1000)
    }
}

#[test]
fn named_groups_make_roles_and_reasons() {
    let grants = [by_group("aws-(?<account>[a-z]+)-(?<role>[a-z0-9]+)")];
    let facts = of_groups(&["staff", "aws-prod-web", "aws-test-web", "aws-prod-bad_name"]);
    let all = every(&facts, &grants).unwrap();
    let roles: Vec<_> = all
        .iter()
        .map(|granted| granted.role().to_string())
        .collect();
    assert_eq!(roles, ["prod/web", "test/web"]);
    assert_eq!(&**all[0].reason(), "member of aws-prod-web");
    let chosen = Wanted::Chosen(role("test/web"));
    let Decision::Role(granted) = decide(&facts, &grants, &chosen, Select::First) else {
        panic!("no role");
    };
    assert_eq!(*granted.role(), role("test/web"));
    assert!(matches!(
        decide(&facts, &grants, &Wanted::First, Select::Only),
        Decision::Deny(NoGrant::Several)
    ));
    assert!(matches!(
        decide(
            &of_groups(&["aws-prod-web"]),
            &grants,
            &Wanted::First,
            Select::Only
        ),
        Decision::Role(_)
    ));
}

#[test]
fn a_named_group_goes_before_a_key_of_the_same_name() {
    let pattern = Pattern::regex("aws-(?<group>[a-z]+)").unwrap();
    let template = Template::parse_of_groups("{group}", &pattern.groups()).unwrap();
    let mut given = Grant::clone(&by_group("aws-(?<account>[a-z]+)-(?<role>[a-z]+)"));
    given.role = GrantedRole::Template {
        account: Template::text("prod"),
        role: template,
    };
    given.when.groups = Some(GroupWhen {
        ids: Vec::new(),
        names: Patterns::new(vec![pattern]),
    });
    let all = every(&of_groups(&["aws-web"]), &[Arc::new(given)]).unwrap();
    assert_eq!(*all[0].role(), role("prod/web"));
}

#[test]
fn grant_sources_give_what_they_say_and_nothing_more() {
    let of_source = Arc::new(Grant {
        id: GrantId::Source(1),
        role: GrantedRole::Provided(1),
        when: When {
            anyone: true,
            ..When::default()
        },
        ..Grant::clone(&grant(1, "prod/web", When::default()))
    });
    let given = |source: usize| Provided {
        role: role("prod/db"),
        reason: Arc::from("on call"),
        source,
    };
    let facts = |provided| Facts {
        provided,
        ..user(1000)
    };
    let grants = [of_source];
    let decided = |seen: &Facts| decide(seen, &grants, &Wanted::First, Select::First);
    assert!(matches!(
        decided(&facts(Known::NotYet)),
        Decision::Needs(Fact::Provided)
    ));
    assert!(matches!(
        decided(&facts(Known::Yes(Arc::from([given(2)])))),
        Decision::Deny(NoGrant::NoMatch)
    ));
    let Decision::Role(granted) = decided(&facts(Known::Yes(Arc::from([given(1)])))) else {
        panic!("no role");
    };
    assert_eq!(&**granted.reason(), "on call");
}

#[test]
fn the_reason_for_a_denial_says_whether_anything_is_known() {
    let grants = [grant(
        1,
        "prod/web",
        When {
            users: Some(users(&[1])),
            ..When::default()
        },
    )];
    let denied =
        |facts: &Facts, wanted: &Wanted| match decide(facts, &grants, wanted, Select::First) {
            Decision::Deny(reason) => reason,
            other @ (Decision::Role(_) | Decision::Needs(_)) => panic!("{other:?}"),
        };
    assert_eq!(denied(&user(2), &Wanted::First), NoGrant::NoMatch);
    assert_eq!(
        denied(&Facts::default(), &Wanted::First),
        NoGrant::NotIdentified
    );
    assert_eq!(
        denied(&user(1), &Wanted::Chosen(role("prod/db"))),
        NoGrant::OtherRole
    );
}

#[test]
fn explain_names_the_first_key_that_fails() {
    let grants = [
        grant(
            1,
            "prod/web",
            When {
                users: Some(users(&[1])),
                ..When::default()
            },
        ),
        grant(
            2,
            "prod/web",
            When {
                users: Some(users(&[2])),
                unit: Some(texts(&["a.service"])),
                ..When::default()
            },
        ),
        grant(
            3,
            "prod/db",
            When {
                users: Some(users(&[2])),
                ..When::default()
            },
        ),
    ];
    let verdicts = explain(&user(2), &grants);
    assert_eq!(
        verdicts,
        [
            (GrantId::Grant(1), Verdict::Fails(Key::Uid)),
            (GrantId::Grant(2), Verdict::Fails(Key::Unit)),
            (GrantId::Grant(3), Verdict::Gives(vec![role("prod/db")])),
        ]
    );
}

#[test]
fn what_cannot_give_the_wanted_role_is_not_looked_up_for() {
    let of_host = |number, given| {
        let when = When {
            host: Some(texts(&["*.example.org"])),
            ..When::default()
        };
        grant(number, given, when)
    };
    let of_user = When {
        users: Some(users(&[1000])),
        ..When::default()
    };
    let grants = [of_host(1, "prod/db"), grant(2, "prod/web", of_user)];
    let facts = Facts {
        host: Known::NotYet,
        ..user(1000)
    };
    let decided = |wanted: &str| {
        let wanted = Wanted::Chosen(role(wanted));
        decide(&facts, &grants, &wanted, Select::First)
    };
    assert!(matches!(decided("prod/web"), Decision::Role(_)));
    assert!(matches!(decided("prod/db"), Decision::Needs(Fact::Host)));
}
