//! The evidence rules, and what grants make of callers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use secrecy::SecretString;

use super::*;
use crate::secret::LatestToken;
use crate::types::RoleRef;

fn role(text: &str) -> RoleRef {
    RoleRef::parse(text).unwrap()
}

fn grant(number: usize, given: &str, when: When) -> Arc<Grant> {
    let id = GrantId::Grant(number);
    Arc::new(Grant::of(id, role(given), when, Template::text("a test")))
}

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

fn texts(all: &[&str]) -> Patterns {
    let patterns = all.iter().map(|text| Pattern::new(text));
    Patterns::new(patterns.collect())
}

fn users(uids: &[u32]) -> UserIds {
    UserIds::new(uids.to_vec())
}

fn host(unit: &str) -> Known<Arc<Place>> {
    Known::Yes(Arc::new(Place::Host(HostPlace {
        unit: Some(Arc::from(unit)),
        slice: Some(Arc::from("system.slice")),
        ..HostPlace::default()
    })))
}

fn container(id: &str, owner: Option<u32>) -> Known<Arc<Place>> {
    Known::Yes(Arc::new(Place::Container(ContainerPlace {
        id: ContainerId::new(id),
        owner,
    })))
}

fn told(id: &str, owner: u32) -> ContainerFacts {
    ContainerFacts {
        id: ContainerId::new(id),
        owner,
        runtime: Arc::from("docker"),
        name: Some(Arc::from("app")),
        image: Some(Arc::from("registry.example/ci/build:1")),
        labels: BTreeMap::from([(Arc::from("team"), Arc::from("build"))]),
        pod: None,
    }
}

fn user(uid: u32) -> Facts {
    Facts {
        uid: Known::Yes(uid),
        place: host("session-1.scope"),
        ..Facts::default()
    }
}

/// What the caller gets by this pattern alone.
fn outcome(when: &When, facts: &Facts) -> Result<bool, Fact> {
    let grants = [grant(1, "prod/web", when.clone())];
    match decide(facts, &grants, &Wanted::First, Select::First) {
        Decision::Role(_) => Ok(true),
        Decision::Deny(_) => Ok(false),
        Decision::Needs(fact) => Err(fact),
    }
}

#[test]
fn a_grant_for_one_listener_matches_nowhere_else() {
    let listeners = Some(vec![Arc::from("build")]);
    for when in [
        When {
            anyone: true,
            listeners: listeners.clone(),
            ..When::default()
        },
        When {
            users: Some(users(&[7])),
            listeners,
            ..When::default()
        },
    ] {
        let facts = user(7);
        assert_eq!(
            outcome(&when, &facts.clone().on(Arc::from("build"))),
            Ok(true)
        );
        assert_eq!(
            outcome(&when, &facts.clone().on(Arc::from("other"))),
            Ok(false)
        );
        assert_eq!(outcome(&when, &facts), Ok(false));
    }
}

#[test]
fn what_tells_users_matches_outside_containers_only() {
    let inside = Facts {
        place: container("c1", None),
        gid: Known::Yes(7),
        groups: Known::Yes(Arc::new(Groups {
            ids: vec![7],
            names: vec![Arc::from("staff")],
        })),
        ..user(7)
    };
    let outside = Facts {
        place: host("x.service"),
        ..inside.clone()
    };
    let unknown = Facts {
        place: Known::No,
        ..inside.clone()
    };
    let group = GroupWhen {
        ids: vec![(7, Arc::from("staff"))],
        names: Patterns::default(),
    };
    for when in [
        When {
            users: Some(users(&[7])),
            ..When::default()
        },
        When {
            gids: Some(users(&[7])),
            ..When::default()
        },
        When {
            groups: Some(group),
            ..When::default()
        },
    ] {
        assert_eq!(outcome(&when, &outside), Ok(true), "{when:?}");
        assert_eq!(outcome(&when, &inside), Ok(false), "{when:?}");
        assert_eq!(outcome(&when, &unknown), Ok(false), "{when:?}");
        let any = When {
            container: Some(ContainerWhen::Any),
            ..when
        };
        assert_eq!(outcome(&any, &inside), Ok(true), "{any:?}");
    }
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

#[test]
fn a_unit_in_a_container_is_no_unit_of_the_host() {
    let when = When {
        unit: Some(texts(&["nginx.service"])),
        ..When::default()
    };
    assert_eq!(
        outcome(
            &when,
            &Facts {
                place: host("nginx.service"),
                ..user(33)
            }
        ),
        Ok(true)
    );
    for place in [container("nginx.service", None), Known::No] {
        assert_eq!(outcome(&when, &Facts { place, ..user(33) }), Ok(false));
    }
}

#[test]
fn a_user_s_unit_counts_for_that_user_alone() {
    let place = |owner| {
        Known::Yes(Arc::new(Place::Host(HostPlace {
            unit: Some(Arc::from("user@1000.service")),
            user_unit: Some(Arc::from("sync.service")),
            slice: Some(Arc::from("user-1000.slice")),
            user_slice: owner,
        })))
    };
    let facts = |uid, owner| Facts {
        place: place(owner),
        ..user(uid)
    };
    let with_user = When {
        users: Some(users(&[1000, 1001])),
        user_unit: Some(texts(&["sync.service"])),
        ..When::default()
    };
    assert_eq!(outcome(&with_user, &facts(1000, Some(1000))), Ok(true));
    assert_eq!(outcome(&with_user, &facts(1001, Some(1000))), Ok(false));
    assert_eq!(outcome(&with_user, &facts(1000, None)), Ok(false));
    let alone = When {
        users: None,
        ..with_user
    };
    assert_eq!(outcome(&alone, &facts(1000, Some(1000))), Ok(false));
    let as_system_unit = When {
        unit: Some(texts(&["sync.service"])),
        ..When::default()
    };
    assert_eq!(
        outcome(&as_system_unit, &facts(1000, Some(1000))),
        Ok(false)
    );
}

fn of_image(owner: Option<UserIds>) -> When {
    When {
        users: owner,
        container: Some(ContainerWhen::Facts(Box::new(ContainerFactsWhen {
            image: Some(texts(&["registry.example/ci/*"])),
            labels: vec![(
                Arc::from("team"),
                Patterns::new(vec![Pattern::new("build")]),
            )],
            ..ContainerFactsWhen::default()
        }))),
        ..When::default()
    }
}

fn in_container(id: &str, owner: Option<u32>, facts: ContainerFacts) -> Facts {
    Facts {
        place: container(id, owner),
        container: Known::Yes(Arc::new(facts)),
        ..user(1000)
    }
}

#[test]
fn what_a_runtime_tells_counts_as_far_as_its_owner_may_say_it() {
    let when = of_image(None);
    assert_eq!(
        outcome(&when, &in_container("c1", None, told("c1", 0))),
        Ok(true)
    );
    // A user's own runtime, about a container in that user's slice, or about root's.
    assert_eq!(
        outcome(&when, &in_container("c1", Some(1000), told("c1", 1000))),
        Ok(false)
    );
    assert_eq!(
        outcome(&when, &in_container("c1", None, told("c1", 1000))),
        Ok(false)
    );
    // Root's runtime about a group that a user made and named.
    assert_eq!(
        outcome(&when, &in_container("c1", Some(1000), told("c1", 0))),
        Ok(false)
    );
    // A lie about the id.
    assert_eq!(
        outcome(&when, &in_container("c1", None, told("c2", 0))),
        Ok(false)
    );
    let of_owner = of_image(Some(users(&[1000])));
    assert_eq!(
        outcome(&of_owner, &in_container("c1", Some(1000), told("c1", 1000))),
        Ok(true)
    );
    assert_eq!(
        outcome(&of_owner, &in_container("c1", Some(1001), told("c1", 1001))),
        Ok(false)
    );
    let unseen = Facts {
        container: Known::NotYet,
        ..in_container("c1", None, told("c1", 0))
    };
    assert_eq!(outcome(&when, &unseen), Err(Fact::Container));
    let on_host = Facts {
        place: host("x.service"),
        ..unseen
    };
    assert_eq!(outcome(&when, &on_host), Ok(false));
}

#[test]
fn a_user_key_beside_a_container_means_its_owner_or_the_process() {
    let when = of_image(Some(users(&[1000])));
    // A process of root's container that runs as uid 1000.
    assert_eq!(
        outcome(&when, &in_container("c1", None, told("c1", 0))),
        Ok(true)
    );
    let other = Facts {
        uid: Known::Yes(5),
        ..in_container("c1", None, told("c1", 0))
    };
    assert_eq!(outcome(&when, &other), Ok(false));
    // In a container that user 1000 made, another uid is a subordinate one of the same user.
    let subordinate = Facts {
        uid: Known::Yes(100_005),
        ..in_container("c1", Some(1000), told("c1", 1000))
    };
    assert_eq!(outcome(&when, &subordinate), Ok(true));
}

#[test]
fn a_bridged_container_has_a_place_and_no_uid() {
    let facts = Facts {
        uid: Known::No,
        ..in_container("c1", None, told("c1", 0))
    };
    assert_eq!(outcome(&of_image(None), &facts), Ok(true));
    assert_eq!(outcome(&of_image(Some(users(&[0]))), &facts), Ok(false));
    assert!(facts.is_identified());
}

fn identity(namespace: &str) -> WebIdentity {
    WebIdentity {
        issuer: Arc::from("https://issuer.example"),
        subject: Arc::from("system:serviceaccount:shop:cart"),
        audiences: vec![Arc::from("sts"), Arc::from("pods.eks.amazonaws.com")],
        claims: BTreeMap::from([("teams".to_owned(), vec![Arc::from("a"), Arc::from("b")])]),
        pod: Some(Pod {
            namespace: Arc::from(namespace),
            name: Some(Arc::from("cart-1")),
            service_account: Some(Arc::from("cart")),
        }),
        tags: Vec::new(),
        expires_at: SystemTime::UNIX_EPOCH,
        token: Arc::new(LatestToken::new(
            SecretString::from("x"),
            SystemTime::UNIX_EPOCH,
        )),
    }
}

#[test]
fn a_pod_is_what_its_token_says_unless_the_runtime_says_another() {
    let when = When {
        pod: Some(PodWhen {
            namespace: Some(texts(&["shop"])),
            service_account: Some(texts(&["cart"])),
            name: None,
        }),
        ..When::default()
    };
    let shown = Facts {
        identity: Some(Arc::new(identity("shop"))),
        ..Facts::default()
    };
    assert_eq!(outcome(&when, &shown), Ok(true));
    let other = Facts {
        identity: Some(Arc::new(identity("bank"))),
        ..Facts::default()
    };
    assert_eq!(outcome(&when, &other), Ok(false));
    let mut facts = told("c1", 0);
    facts.pod = identity("bank").pod;
    let disagreeing = Facts {
        identity: Some(Arc::new(identity("shop"))),
        ..in_container("c1", None, facts)
    };
    assert_eq!(outcome(&when, &disagreeing), Ok(false));
    assert_eq!(outcome(&when, &user(1000)), Ok(false));
}

#[test]
fn a_token_s_subject_never_matches_without_its_issuer() {
    let token = |issuer: Option<Patterns>| When {
        token: Some(TokenWhen {
            issuer,
            subject: Some(texts(&["system:serviceaccount:shop:cart"])),
            audience: Some(texts(&["sts"])),
            claims: vec![("teams".to_owned(), Patterns::new(vec![Pattern::new("b")]))],
        }),
        ..When::default()
    };
    let facts = Facts {
        identity: Some(Arc::new(identity("shop"))),
        ..Facts::default()
    };
    let issuer = Some(texts(&["https://issuer.example"]));
    assert_eq!(outcome(&token(issuer), &facts), Ok(true));
    assert_eq!(outcome(&token(None), &facts), Ok(false));
    assert_eq!(
        outcome(&token(Some(texts(&["https://other"]))), &facts),
        Ok(false)
    );
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
