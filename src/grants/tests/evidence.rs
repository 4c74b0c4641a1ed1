//! The evidence rules: what counts for whom.

use std::collections::BTreeMap;
use std::time::SystemTime;

use secrecy::SecretString;

use super::*;
use crate::secret::LatestToken;

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
