//! AFP's providers as grants: the shipped examples, asked as AFP's own documents ask.

use super::examples::example;
use super::*;
use crate::grants::{
    Decision, Facts, Groups, HostPlace, Known, Place, Provided, Select, Wanted, decide, every,
};

const HOSTS: &str = include_str!("../../../config/afp-hosts.toml");
const GROUPS: &str = include_str!("../../../config/afp-groups.toml");
const SOURCE: &str = include_str!("../../../config/grant-source.toml");

/// The only role of this host, as AFP's machine mounts give it.
fn role_of(config: &Config, host: &str) -> Option<(String, String)> {
    let facts = Facts {
        host: Known::Yes(Arc::from(host)),
        ..Facts::default()
    };
    match decide(&facts, &config.grants, &Wanted::First, Select::Only) {
        Decision::Role(granted) => Some((granted.role().to_string(), granted.reason().to_string())),
        Decision::Deny(_) => None,
        Decision::Needs(fact) => panic!("needs {fact:?}"),
    }
}

/// All roles of these facts, with their reasons.
fn roles_of(config: &Config, facts: &Facts) -> Vec<(String, String)> {
    let all = every(facts, &config.grants).unwrap().into_iter();
    all.map(|granted| (granted.role().to_string(), granted.reason().to_string()))
        .collect()
}

fn pair(role: &str, reason: &str) -> (String, String) {
    (role.to_owned(), reason.to_owned())
}

#[test]
fn a_host_has_the_role_of_its_name() {
    let (config, _) = example(HOSTS);
    for (host, role) in [
        ("tuvfoo42.valid", "data/tuvfoo"),
        ("berfoo42.valid", "data/profoo"),
        ("hamfoo01.valid", "data/profoo"),
        ("behfoo42.valid", "data/behfoo"),
        ("bahfoo42.valid", "data/bahfoo"),
        ("halfoo42.valid", "data/halfoo"),
        ("hexfoo42.valid", "data/hexfoo"),
        ("00000000.valid", "data/000000"),
    ] {
        let (told, _) = role_of(&config, host).unwrap();
        assert_eq!(told, role, "{host}");
    }
    let (_, reason) = role_of(&config, "berfoo42.valid").unwrap();
    assert_eq!(reason, "the service foo of berfoo42.valid");
}

#[test]
fn no_other_host_has_a_role_and_none_has_two() {
    let (config, _) = example(HOSTS);
    for host in [
        "tuvfoo4.valid",
        "tuvfoo423.valid",
        "tuvfoo42.invalid",
        "tuvfoo42.also.valid",
        "tuvfoo42.valid.example",
        "tuvfoo42",
        "berfoo4.valid",
        "tuvfo.42.valid",
    ] {
        assert_eq!(role_of(&config, host), None, "{host}");
    }
    let letters = ["a", "b", "e", "h", "m", "r", "z", "0", "-"];
    for first in letters {
        for second in letters {
            for third in letters {
                let host = format!("{first}{second}{third}foo42.valid");
                assert!(role_of(&config, &host).is_some(), "{host}");
            }
        }
    }
}

#[test]
fn a_prefix_of_roles_is_written_into_the_grant() {
    let (config, _) = example(&HOSTS.replace("\"data/{name}\"", "\"data/rz_{name}\""));
    let (role, _) = role_of(&config, "tuvfoo42.valid").unwrap();
    assert_eq!(role, "data/rz_tuvfoo");
}

#[test]
fn a_member_has_the_role_of_each_group_whose_whole_name_matches() {
    let (config, _) = example(GROUPS);
    let names = [
        "staff",
        "aws-prod-admin",
        "aws-test-reader",
        "xaws-prod-ops",
        "aws-prod-ops-x",
    ];
    let groups = Groups {
        ids: vec![100],
        names: names.map(Arc::from).into(),
    };
    let facts = Facts {
        uid: Known::Yes(1000),
        gid: Known::Yes(100),
        groups: Known::Yes(Arc::new(groups)),
        place: Known::Yes(Arc::new(Place::Host(HostPlace::default()))),
        ..Facts::default()
    };
    assert_eq!(
        roles_of(&config, &facts),
        [
            pair("prod/admin", "member of aws-prod-admin"),
            pair("test/reader", "member of aws-test-reader"),
        ]
    );
    let nobody = Facts {
        groups: Known::Yes(Arc::new(Groups::default())),
        ..facts
    };
    assert_eq!(roles_of(&config, &nobody), []);
}

#[test]
fn a_source_gives_what_it_says_and_nothing_else_does() {
    let (config, _) = example(SOURCE);
    assert_eq!(config.sources.len(), 1);
    let told = |provided: &[Provided]| Facts {
        provided: Known::Yes(Arc::from(provided)),
        ..Facts::default()
    };
    let admin = Provided {
        role: RoleRef::parse("prod/admin").unwrap(),
        reason: Arc::from("on call"),
        source: 1,
    };
    let other = Provided {
        source: 2,
        ..admin.clone()
    };
    assert_eq!(
        roles_of(&config, &told(&[admin, other])),
        [pair("prod/admin", "on call")]
    );
    assert_eq!(roles_of(&config, &told(&[])), []);
}
