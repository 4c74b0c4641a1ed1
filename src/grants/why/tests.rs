//! Each rule that a caller breaks, in words.

use super::super::{
    ContainerFacts, ContainerId, ContainerPlace, Grant, GrantId, Groups, HostPlace, Pattern,
    Template, UserIds, Verdict, explain,
};
use super::*;
use crate::types::RoleRef;

/// Why a grant of this pattern gives nothing, in full.
fn why(when: When, facts: &Facts) -> String {
    let role = RoleRef::parse("prod/web").unwrap();
    let grant = Grant::of(GrantId::Grant(1), role, when, Template::text(""));
    match explain(facts, &[Arc::new(grant.clone())]).pop().unwrap().1 {
        Verdict::Fails(key) => grant.when.why_not(key, facts).to_string(),
        other @ (Verdict::Gives(_) | Verdict::NoRole | Verdict::Needs(_)) => {
            panic!("{other:?}")
        }
    }
}

fn texts(texts: &[&str]) -> Patterns {
    Patterns::new(texts.iter().map(|text| Pattern::new(text)).collect())
}

fn users(uids: &[u32]) -> UserIds {
    UserIds::new(uids.to_vec())
}

fn in_unit(unit: &str) -> Facts {
    let place = HostPlace {
        unit: Some(Arc::from(unit)),
        ..HostPlace::default()
    };
    Facts {
        uid: Known::Yes(33),
        place: Known::Yes(Arc::new(Place::Host(place))),
        ..Facts::default()
    }
}

fn in_container(owner: Option<u32>, runtime_owner: u32) -> Facts {
    let id = ContainerId::new("3f4a9c0d1e2f3f4a9c0d1e2f");
    let told = ContainerFacts {
        id: id.clone(),
        owner: runtime_owner,
        runtime: Arc::from("podman"),
        name: Some(Arc::from("nginx.service")),
        image: Some(Arc::from("registry.example/shop")),
        labels: [(Arc::from("team"), Arc::from("a\u{1b}[2J"))].into(),
        pod: None,
    };
    Facts {
        uid: Known::Yes(0),
        place: Known::Yes(Arc::new(Place::Container(ContainerPlace { id, owner }))),
        container: Known::Yes(Arc::new(told)),
        ..Facts::default()
    }
}

#[test]
fn what_is_seen_stands_beside_what_is_asked_for() {
    let of_unit = |unit: &str| When {
        unit: Some(texts(&[unit, "b*"])),
        ..When::default()
    };
    assert_eq!(
        why(of_unit("nginx.service"), &in_unit("cron.service")),
        r#"unit is "cron.service", not "nginx.service" or "b*""#
    );
    let nowhere = Facts {
        place: Known::Yes(Arc::new(Place::Host(HostPlace::default()))),
        ..in_unit("x")
    };
    assert_eq!(
        why(of_unit("a"), &nowhere),
        r#"the caller runs in no unit, "a" or "b*" is asked for"#
    );
    let of_users = When {
        users: Some(users(&[1, 2])),
        ..When::default()
    };
    assert_eq!(
        why(of_users.clone(), &in_unit("x")),
        "uid is 33, not 1 or 2"
    );
    assert_eq!(
        why(of_users, &Facts::default()),
        "uid is not known, 1 or 2 is asked for"
    );
    let of_group = When {
        groups: Some(super::super::GroupWhen {
            ids: vec![(7, Arc::from("wheel"))],
            names: Patterns::new(vec![Pattern::regex("aws-(?<role>.*)").unwrap()]),
        }),
        ..When::default()
    };
    let groups = Groups {
        ids: vec![1, 2],
        names: vec![Arc::from("a"), Arc::from("b")],
    };
    let member = Facts {
        groups: Known::Yes(Arc::new(groups)),
        ..in_unit("x")
    };
    assert_eq!(
        why(of_group, &member),
        r#"group is "a", "b", not "wheel" or /aws-(?<role>.*)/"#
    );
}

#[test]
fn a_container_says_which_rule_it_breaks() {
    let of_uid = When {
        users: Some(users(&[0])),
        ..When::default()
    };
    assert!(why(of_uid, &in_container(None, 0)).contains("\"3f4a9c0d1e2f\", and what tells users"),);
    let of = |facts: ContainerFactsWhen, uids| When {
        users: uids,
        container: Some(ContainerWhen::Facts(Box::new(facts))),
        ..When::default()
    };
    let image = || ContainerFactsWhen {
        image: Some(texts(&["registry.example/ci/*"])),
        ..ContainerFactsWhen::default()
    };
    assert_eq!(
        why(of(image(), None), &in_container(None, 0)),
        r#"container.image is "registry.example/shop", not "registry.example/ci/*""#
    );
    assert!(why(of(image(), None), &in_container(Some(7), 7)).contains("uid 7's own"));
    assert!(why(of(image(), None), &in_container(None, 7)).contains("word of uid 7's runtime"));
    assert_eq!(
        why(of(image(), Some(users(&[8]))), &in_container(Some(7), 7)),
        "the uid of the container's owner is 7, not 8"
    );
    assert_eq!(
        why(of(image(), None), &in_unit("x")),
        "the caller runs in no container"
    );
    let label = ContainerFactsWhen {
        labels: vec![(Arc::from("team"), texts(&["build"]))],
        ..ContainerFactsWhen::default()
    };
    assert_eq!(
        why(of(label, None), &in_container(None, 0)),
        r#"container.label."team" is "a\u{1b}[2J", not "build""#,
        "nothing in it does a terminal obey"
    );
    let of_unit = When {
        unit: Some(texts(&["nginx.service"])),
        ..When::default()
    };
    assert_eq!(
        why(of_unit, &in_container(None, 0)),
        r#"the caller runs in container "3f4a9c0d1e2f", and a unit is outside containers"#
    );
}

#[test]
fn a_user_unit_counts_for_its_own_user_only() {
    let place = HostPlace {
        user_unit: Some(Arc::from("nginx.service")),
        user_slice: Some(1000),
        ..HostPlace::default()
    };
    let facts = Facts {
        uid: Known::Yes(1000),
        place: Known::Yes(Arc::new(Place::Host(place))),
        ..Facts::default()
    };
    let of = |uids, unit: &str| When {
        users: uids,
        user_unit: Some(texts(&[unit])),
        ..When::default()
    };
    assert!(why(of(None, "nginx.service"), &facts).contains("whose manager runs it"));
    assert_eq!(
        why(of(Some(users(&[1000])), "a"), &facts),
        r#"user-unit is "nginx.service", not "a""#
    );
}
