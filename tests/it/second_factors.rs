//! Codes of MFA devices where the store fails or the daemon ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rolecall::authority::totp::{Seed, step_at};
use rolecall::clock::Clock;
use rolecall::people::{Codes, NoCode};
use rolecall::store::{MfaDeviceDraft, Objects, Store};
use rolecall::types::MfaSerial;
use rusqlite::Connection;

use super::sts::Scene;
use crate::support::daemon::noon;

const VAULT: &str = r#"
[account.local.role.vault]
[[grant]]
role = "local/vault"
when = { principal = "ann", mfa = true }
"#;

const SERIAL: &str = "arn:aws:iam::000000000000:mfa/ann";

/// Enrols a device of ann's; its seed.
async fn enrol(store: &Store) -> Seed {
    let serial = MfaSerial::new(SERIAL).unwrap();
    let draft = MfaDeviceDraft::generate(serial, Arc::from("ann")).unwrap();
    let seed = draft.seed.clone();
    store.enrol_device(draft).await.unwrap();
    seed
}

#[tokio::test]
async fn a_code_that_cannot_be_written_down_as_used_is_not_accepted() {
    let scene = Scene::start(VAULT);
    let ann = scene.key("ann").await;
    let seed = enrol(&scene.daemon.daemon.store).await;
    let file = scene.daemon.directory.path().join("state/store.db");
    let other = Connection::open(file).unwrap();
    let code = seed.code(step_at(Clock::System.now()) + 1);
    let shown = [("SerialNumber", SERIAL), ("TokenCode", &*code)];

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = scene.assume_with(&ann, "vault", &shown).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    other.execute_batch("ROLLBACK").unwrap();

    let answer = scene.assume_with(&ann, "vault", &shown).await;
    assert_eq!(answer.status, 200, "it counts still: {answer:?}");
    let again = scene.assume_with(&ann, "vault", &shown).await;
    assert_eq!(again.status, 403);
}

async fn opened(store: &Store) -> Arc<Objects> {
    let mut changes = store.changes();
    let open = changes.wait_for(Result::is_ok).await.unwrap();
    Arc::clone(open.as_ref().unwrap())
}

/// Waits until nobody uses this directory's store any more.
fn left(state: &Path) {
    let lock = std::fs::File::open(state.join("store.lock")).unwrap();
    lock.lock().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_code_counts_once_also_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(state.path(), private).unwrap();
    let clock = Clock::simulated(noon());
    let step = step_at(noon());
    let open = || Store::at(state.path(), None, clock.clone());

    let store = open();
    let seed = enrol(&store).await;
    let codes = Codes::new(store, clock.clone());
    let code = seed.code(step);
    assert_eq!(codes.use_one("ann", SERIAL, &code).await, Ok(()));
    drop(codes);
    left(state.path());

    let store = open();
    let objects = opened(&store).await;
    let device = &objects.devices[&MfaSerial::new(SERIAL).unwrap()];
    assert_eq!(device.used, Some(step));
    let codes = Codes::new(store, clock.clone());
    let before = seed.code(step - 1);
    for used in [&code, &before] {
        let refused = codes.use_one("ann", SERIAL, used).await;
        assert_eq!(refused, Err(NoCode::Wrong));
    }
    let next = seed.code(step + 1);
    assert_eq!(codes.use_one("ann", SERIAL, &next).await, Ok(()));
}
