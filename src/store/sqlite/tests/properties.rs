//! Whatever is written is read again.

use proptest::prelude::*;

use super::*;
use crate::store::{Token, TokenDraft};
use crate::types::{ExternalId, RoleArn};

fn text() -> impl Strategy<Value = String> {
    "[ -~äß東]{1,20}"
}

prop_compose! {
    fn any_connector()(
        name in text(), groups in prop::collection::vec(text(), 0..4),
        policy in prop::option::of(text()), arns in prop::collection::vec(text(), 0..3),
        life in prop::option::of(0..1_000_000_u64), system: bool, version in 0..u64::from(u32::MAX),
        kind in 0..4_u8,
    ) -> Connector {
        let arn = RoleArn::new("arn:aws:iam::123456789012:role/web").unwrap();
        let external_id = (kind == 3).then(|| ExternalId::new("some-id").unwrap());
        let kind = match kind {
            0 => ConnectorKind::FederationToken,
            1 => ConnectorKind::SessionToken,
            _ => ConnectorKind::AssumeRole { arn, external_id },
        };
        let plain = connector("prod/web");
        Connector {
            version: Version(version),
            draft: ConnectorDraft {
                name: Arc::from(name),
                groups: groups.into_iter().map(Arc::from).collect(),
                policy: policy.map(Arc::from),
                policy_arns: arns,
                max_duration: life.map(Duration::from_secs),
                system,
                kind,
                ..plain.draft
            },
            ..plain
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(connector in any_connector(), hash: [u8; 32], user in text(), at in 0..4_000_000_000_u64) {
        let directory = directory();
        let mut store = Sqlite::open(directory.path(), None).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(at);
        let draft = TokenDraft { user: Arc::from(user), hash, expires: at };
        let token = Token { id: Uuid::new_v4(), made: at, draft };
        let mut key = access_key("key", "ann");
        key.draft.user = Arc::clone(&token.draft.user);
        key.draft.label = Arc::clone(&token.draft.user);
        key.made = at;
        let mut phone = device("device-of-ann");
        phone.used = connector.draft.max_duration.map(|life| life.as_secs());
        phone.draft.user = Arc::clone(&token.draft.user);
        let unused = MfaDevice { used: None, ..phone.clone() };
        let forgotten = Uuid::new_v4();
        let changes = [
            Change::Connector(Arc::new(connector.clone())),
            Change::Token(Arc::new(token.clone())),
            Change::Key(Arc::new(key.clone())),
            Change::Device(Arc::new(unused)),
            Change::Device(Arc::new(phone.clone())),
            Change::Revoked(token.id, UNIX_EPOCH),
            Change::Revoked(token.id, at),
            Change::Revoked(forgotten, at),
            Change::Forgotten(forgotten),
        ];
        store.write(&changes).unwrap();
        drop(store);
        let kept = Sqlite::open(directory.path(), None).unwrap().read().unwrap();
        let read = &kept.connectors[0];
        prop_assert_eq!(&read.draft, &connector.draft);
        prop_assert_eq!((read.id, read.version, &read.role), (connector.id, connector.version, &connector.role));
        prop_assert_eq!(&kept.revoked, &[(token.id, at)]);
        prop_assert_eq!(&kept.tokens, &[token]);
        let told = |it: &AccessKey| format!("{it:?}{}", it.draft.secret.expose_secret());
        prop_assert_eq!(told(&kept.keys[0]), told(&key));
        let shown = |it: &MfaDevice| format!("{it:?}{}", it.draft.seed.base32().expose_secret());
        prop_assert_eq!(shown(&kept.devices[0]), shown(&phone));
    }
}
