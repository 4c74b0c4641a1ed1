//! Codes of MFA devices: each counts once, and who guesses is held up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::store::{Fault, MfaDevice, Store, StoreError};
use crate::types::MfaSerial;

/// Wrong codes in a row after which a device is locked.
const WRONG: u32 = 5;

/// For how long it is locked then. Each wrong code after that doubles the time.
const LOCKED: Duration = Duration::from_mins(1);

/// For how long it is locked at most.
const LONGEST: Duration = Duration::from_hours(1);

/// Holds codes against the devices of the store.
#[derive(Debug)]
pub struct Codes {
    store: Store,
    clock: Clock,
    wrong: Mutex<HashMap<MfaSerial, Wrong>>,
}

/// Why a code does not count. What it is goes to the log only: whoever guesses learns nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCode {
    /// The user has no such device.
    #[error("the user has no device of that serial number")]
    NoDevice,
    /// It is not the device's code of now.
    #[error("the code is wrong")]
    Wrong,
    /// It, or one after it, was used before.
    #[error("the code was used before")]
    Used,
    /// No code is looked at.
    #[error("the device is locked for {} s after wrong codes", .0.as_secs())]
    Locked(Duration),
    /// Nobody can tell whether it was used before. This is no fault of the caller.
    #[error("no code can be used")]
    Unavailable(#[source] Fault),
}

/// Wrong codes of a device since the last right one.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    times: u32,
    until: BootTime,
}

impl Codes {
    /// Holds codes against the devices of this store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            wrong: Mutex::default(),
        }
    }

    /// Uses a code of a device of this user's. When it counts, it has counted for the last time,
    /// whatever becomes of the daemon.
    pub async fn use_one(&self, user: &str, serial: &str, code: &str) -> Result<(), NoCode> {
        let objects = self.store.objects().map_err(NoCode::Unavailable)?;
        let serial = MfaSerial::new(serial).map_err(|_no_serial| NoCode::NoDevice)?;
        let device = objects.devices.get(&serial);
        // Nobody locks what is another's.
        let device = device.filter(|device| *device.draft.user == *user);
        let step = self.step(device.ok_or(NoCode::NoDevice)?, code)?;
        let written = self.store.use_code(serial.clone(), step).await;
        written.map_err(|error| match error {
            StoreError::Used => NoCode::Used,
            StoreError::Unavailable(fault) => NoCode::Unavailable(fault),
            StoreError::Unknown
            | StoreError::Changed
            | StoreError::NameTaken
            | StoreError::InUse { .. }
            | StoreError::NoAccount(_)
            | StoreError::TooMany { .. } => NoCode::NoDevice,
        })?;
        self.wrong().remove(&serial);
        Ok(())
    }

    /// The step of a code that was not used yet.
    fn step(&self, device: &MfaDevice, code: &str) -> Result<u64, NoCode> {
        let (serial, seed) = (&device.draft.serial, &device.draft.seed);
        let now = self.clock.boot();
        let mut all = self.wrong();
        let before = all.get(serial).map_or(0, |wrong| wrong.times);
        if let Some(wrong) = all.get(serial).filter(|wrong| now < wrong.until) {
            return Err(NoCode::Locked(wrong.until.since(now)));
        }
        if let Some(step) = seed.step_of(code, self.clock.now(), device.used) {
            return Ok(step);
        }
        let times = before.saturating_add(1);
        let locked = lock(times);
        if !locked.is_zero() {
            tracing::warn!(
                serial = %serial, user = %device.draft.user, wrong = times, seconds = locked.as_secs(),
                "an MFA device is locked after wrong codes",
            );
        }
        let until = now.plus(locked);
        all.insert(serial.clone(), Wrong { times, until });
        Err(NoCode::Wrong)
    }

    fn wrong(&self) -> std::sync::MutexGuard<'_, HashMap<MfaSerial, Wrong>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long so many wrong codes lock a device.
fn lock(times: u32) -> Duration {
    let Some(doubled) = times.checked_sub(WRONG) else {
        return Duration::ZERO;
    };
    let longer = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
    LOCKED.saturating_mul(longer).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::store::{Backing, Cause, Change, InMemory, Kept, MfaDeviceDraft, Open};

    const SERIAL: &str = "arn:aws:iam::123456789012:mfa/ann";

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_010)
    }

    struct Scene {
        codes: Codes,
        device: Arc<MfaDevice>,
    }

    impl Scene {
        async fn of(store: Store, clock: Clock) -> Self {
            let draft = device(SERIAL, "ann");
            let device = store.enrol_device(draft).await.unwrap();
            let codes = Codes::new(store, clock);
            Self { codes, device }
        }

        async fn new() -> Self {
            let clock = Clock::simulated(noon());
            Self::of(Store::in_memory(clock.clone()), clock).await
        }

        /// The code shown so many steps from now.
        fn code(&self, steps: i64) -> String {
            let since = self.codes.clock.now().duration_since(UNIX_EPOCH);
            let step = since.unwrap().as_secs() / 30;
            self.device
                .draft
                .seed
                .code(step.checked_add_signed(steps).unwrap())
        }

        fn wrong_code(&self) -> String {
            let right = [-1, 0, 1].map(|steps| self.code(steps));
            let mut all = (0..9).map(|number| format!("{number:06}"));
            all.find(|code| !right.contains(code)).unwrap()
        }

        async fn show(&self, code: &str) -> Result<(), NoCode> {
            self.codes.use_one("ann", SERIAL, code).await
        }
    }

    fn device(serial: &str, user: &str) -> MfaDeviceDraft {
        MfaDeviceDraft::generate(MfaSerial::new(serial).unwrap(), Arc::from(user)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_counts_once_and_none_before_it_after_it() {
        let scene = Scene::new().await;
        assert_eq!(scene.show(&scene.code(0)).await, Ok(()));
        assert_eq!(scene.show(&scene.code(0)).await, Err(NoCode::Wrong));
        assert_eq!(scene.show(&scene.code(-1)).await, Err(NoCode::Wrong));
        assert_eq!(scene.show(&scene.code(1)).await, Ok(()));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(
            scene.show(&scene.code(-1)).await,
            Err(NoCode::Wrong),
            "used when it was early"
        );
        assert_eq!(scene.show(&scene.code(0)).await, Ok(()));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(
            scene.show(&scene.code(-2)).await,
            Err(NoCode::Wrong),
            "too late"
        );
        assert_eq!(
            scene.show(&scene.code(2)).await,
            Err(NoCode::Wrong),
            "too early"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_equal_codes_at_once_one_counts() {
        let scene = Scene::new().await;
        let code = scene.code(0);
        let (one, other) = tokio::join!(scene.show(&code), scene.show(&code));
        assert_eq!(one, Ok(()));
        // Whether the first was written before the second was looked at is the store's thread's matter.
        assert!(
            matches!(other, Err(NoCode::Used | NoCode::Wrong)),
            "{other:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_is_its_users_and_nobody_else_locks_it() {
        let scene = Scene::new().await;
        let wrong = scene.wrong_code();
        for _ in 0..WRONG {
            let bob = scene.codes.use_one("bob", SERIAL, &wrong).await;
            assert_eq!(bob, Err(NoCode::NoDevice));
        }
        for serial in ["arn:aws:iam::123456789012:mfa/bob", "", "no serial"] {
            let none = scene.codes.use_one("ann", serial, &scene.code(0)).await;
            assert_eq!(none, Err(NoCode::NoDevice));
        }
        assert_eq!(scene.show(&scene.code(0)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_lock_a_device_longer_and_longer() {
        let scene = Scene::new().await;
        for _ in 0..WRONG {
            assert_eq!(scene.show(&scene.wrong_code()).await, Err(NoCode::Wrong));
        }
        let minute = Duration::from_mins(1);
        let right = scene.code(0);
        assert_eq!(scene.show(&right).await, Err(NoCode::Locked(minute)));
        tokio::time::advance(Duration::from_millis(59_999)).await;
        assert!(matches!(
            scene.show(&scene.code(0)).await,
            Err(NoCode::Locked(_))
        ));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(scene.show(&scene.wrong_code()).await, Err(NoCode::Wrong));
        assert_eq!(
            scene.show(&scene.code(0)).await,
            Err(NoCode::Locked(minute * 2))
        );
        tokio::time::advance(minute * 2).await;
        assert_eq!(
            scene.show(&scene.code(0)).await,
            Ok(()),
            "a right code ends it"
        );
        assert_eq!(scene.show(&scene.wrong_code()).await, Err(NoCode::Wrong));
        assert_eq!(scene.show(&scene.code(1)).await, Ok(()));
        assert_eq!(lock(4), Duration::ZERO);
        assert_eq!([lock(40), lock(u32::MAX)], [LONGEST; 2]);
    }

    /// Each with the luck of the unluckiest: the code is never hit by chance here, and hardly ever
    /// looked at.
    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_guesses_get_five_answers() {
        let scene = Scene::new().await;
        let wrong = scene.wrong_code();
        let mut looked_at = 0;
        for _ in 0..100_000 {
            looked_at += i32::from(scene.show(&wrong).await == Err(NoCode::Wrong));
        }
        assert_eq!(looked_at, 5);
        assert_eq!(scene.codes.wrong().len(), 1);
        assert!(matches!(
            scene.show(&scene.code(0)).await,
            Err(NoCode::Locked(_))
        ));
    }

    /// Its disk may be full.
    #[derive(Debug)]
    struct Filling(Arc<AtomicBool>);

    impl Backing for Filling {
        fn read(&mut self) -> Result<Kept, Fault> {
            InMemory.read()
        }

        fn write(&mut self, changes: &[Change]) -> Result<(), Fault> {
            if self.0.load(Ordering::Relaxed) {
                return Err(full());
            }
            InMemory.write(changes)
        }
    }

    fn full() -> Fault {
        let path = Arc::from(std::path::Path::new("/there"));
        let cause = Cause::Full;
        Fault::Kept { path, cause }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_down_as_used_does_not_count() {
        let is_full = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_full);
        let open: Open = Box::new(move || Ok(Box::new(Filling(Arc::clone(&told)))));
        let clock = Clock::simulated(noon());
        let store = Store::new(open, true, clock.clone());
        let scene = Scene::of(store, clock).await;
        is_full.store(true, Ordering::Relaxed);
        for _ in 0..=WRONG {
            let refused = scene.show(&scene.code(0)).await;
            assert_eq!(
                refused,
                Err(NoCode::Unavailable(full())),
                "and it is no wrong one"
            );
        }
        is_full.store(false, Ordering::Relaxed);
        assert_eq!(scene.show(&scene.code(0)).await, Ok(()));
    }

    #[tokio::test]
    async fn where_the_store_cannot_be_read_no_code_counts() {
        let open: Open = Box::new(|| Err(full()));
        let store = Store::new(open, false, Clock::System);
        let mut changes = store.changes();
        let refused = changes.wait_for(|now| now.as_ref().err() == Some(&full()));
        drop(refused.await.unwrap());
        let codes = Codes::new(store, Clock::System);
        let told = codes.use_one("ann", SERIAL, "000000").await;
        assert_eq!(told, Err(NoCode::Unavailable(full())));
    }
}
