//! Whose names are known, and by which ids: an id tells its name only to those who have seen it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::answer::Fault;
use super::subject::id_of;
use crate::api::Prover;
use crate::clock::BootTime;
use crate::people::is_name;
use crate::store::Objects;

/// After this time lists are read again.
const AGE: Duration = Duration::from_secs(5);

/// How many names are remembered that stand in no list.
const REMEMBERED: usize = 8192;

/// Names by their ids.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    listed: Option<Listed>,
    /// Who proved a name lately, or was asked for by it.
    seen: HashMap<String, Arc<str>>,
}

#[derive(Debug)]
struct Listed {
    objects: Arc<Objects>,
    until: BootTime,
    names: Arc<HashMap<String, Arc<str>>>,
}

impl Names {
    /// This is somebody's name.
    pub(super) fn see(&self, id: &str, name: &Arc<str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.seen.contains_key(id) {
            return;
        }
        if known.seen.len() >= REMEMBERED {
            known.seen.clear();
        }
        known.seen.insert(id.to_owned(), Arc::clone(name));
    }

    /// Whose id this is.
    pub(super) async fn of_id(
        &self,
        prover: Prover<'_>,
        id: &str,
    ) -> Result<Option<Arc<str>>, Fault> {
        let seen = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.seen.get(id).cloned()
        };
        match seen {
            Some(name) => Ok(Some(name)),
            None => Ok(self.listed(prover).await?.get(id).cloned()),
        }
    }

    /// Whose id or name this is, of whom any list or directory has.
    pub(super) async fn find(
        &self,
        prover: Prover<'_>,
        text: &str,
    ) -> Result<Option<Arc<str>>, Fault> {
        if let Some(name) = self.of_id(prover, text).await? {
            return Ok(Some(name));
        }
        self.named(prover, text).await
    }

    /// The same of a name alone.
    pub(super) async fn named(
        &self,
        prover: Prover<'_>,
        text: &str,
    ) -> Result<Option<Arc<str>>, Fault> {
        if !is_name(text) {
            return Ok(None);
        }
        let (id, name) = (id_of(text), Arc::from(text));
        let listed = self.of_id(prover, &id).await?.is_some();
        if listed || prover.knows(&name).await? {
            self.see(&id, &name);
            return Ok(Some(name));
        }
        Ok(None)
    }

    /// All names that stand in lists, in order.
    pub(super) async fn all(&self, prover: Prover<'_>) -> Result<BTreeSet<Arc<str>>, Fault> {
        let listed = self.listed(prover).await?;
        Ok(listed.values().cloned().collect())
    }

    /// The names of the users file, of administrators, and of whoever has keys or tokens.
    async fn listed(&self, prover: Prover<'_>) -> Result<Arc<HashMap<String, Arc<str>>>, Fault> {
        let objects = prover.deps.store.objects()?;
        let now = prover.deps.clock.boot();
        {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let held = known.listed.as_ref();
            let held = held.filter(|held| now < held.until && Arc::ptr_eq(&held.objects, &objects));
            if let Some(held) = held {
                return Ok(Arc::clone(&held.names));
            }
        }
        let names = prover.listed().await?;
        let with_tokens = objects.tokens.values().map(|token| &token.draft.user);
        let stored = objects.keys_of.keys().chain(with_tokens).cloned();
        let names = names.into_iter().chain(stored);
        let names: Arc<HashMap<_, _>> = Arc::new(names.map(|name| (id_of(&name), name)).collect());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.listed = Some(Listed {
            objects,
            until: now.plus(AGE),
            names: Arc::clone(&names),
        });
        Ok(names)
    }
}
