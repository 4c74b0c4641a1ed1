//! The users file, in htpasswd's format: `name:hash`, a line each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::directory::is_name;
use super::password::Hash;

/// Who is in the file.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_name: BTreeMap<Arc<str>, Arc<Hash>>,
    all: Vec<Arc<Hash>>,
}

impl Users {
    /// Reads the text; a line that cannot be used is told and lets nobody in.
    pub(super) fn read(text: &str, wrong: &mut dyn FnMut(usize, String)) -> Self {
        let mut users = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, hash)) = line.split_once(':') else {
                wrong(number, "it is no `name:hash`".to_owned());
                continue;
            };
            // What else may follow is no business of ours.
            let hash = hash.split(':').next().unwrap_or_default();
            match Hash::parse(hash) {
                _ if !is_name(name) => wrong(number, "it begins with no name".to_owned()),
                // The first counts, as Apache has it.
                Ok(_) if users.contains_key(name) => {
                    wrong(number, format!("there is a line of {name:?} before"));
                }
                Ok(hash) => {
                    users.insert(Arc::from(name), Arc::new(hash));
                }
                Err(why) => wrong(
                    number,
                    format!("the password of {name:?} cannot be held against its hash: {why}"),
                ),
            }
        }
        let all = users.values().cloned().collect();
        Self {
            by_name: users,
            all,
        }
    }

    /// The hash of this user's password.
    pub(super) fn hash(&self, name: &str) -> Option<&Arc<Hash>> {
        self.by_name.get(name)
    }

    /// Everybody's names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Somebody's hash, by a number that stands for a name that is not there: such names cost what
    /// those cost that are, in the same proportions.
    pub(super) fn any(&self, number: u64) -> Option<&Arc<Hash>> {
        let all = u64::try_from(self.all.len()).ok()?;
        let index = usize::try_from(number.checked_rem(all)?).ok()?;
        self.all.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_used_let_nobody_in() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let text = format!(
            "# people\n\nann:{hash}\nbob:{hash}:Bob\n  eve : {hash}\njim\n:{hash}\ntim:$apr1$a$b\nann:plain\nann:{hash}\nan\u{200b}n:{hash}\n"
        );
        let mut told = Vec::new();
        let users = Users::read(&text, &mut |line, why| told.push((line, why)));
        for name in ["ann", "bob"] {
            assert!(users.hash(name).is_some(), "{name}");
        }
        for name in ["eve", "eve ", "jim", "tim", "", "# people", "Ann"] {
            assert!(users.hash(name).is_none(), "{name}");
        }
        assert_eq!(
            users.names().map(AsRef::as_ref).collect::<Vec<_>>(),
            ["ann", "bob"]
        );
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 9, 10, 11]);
        let told = format!("{told:?}");
        assert!(!told.contains(&hash) && !told.contains("apr1"), "{told}");
    }

    #[test]
    fn names_that_are_not_there_cost_what_others_do() {
        let [cheap, dear] = [4, 5].map(|cost| bcrypt::hash("x", cost).unwrap());
        let text = format!("ann:{cheap}\nbob:{dear}\neve:{dear}\n");
        let users = Users::read(&text, &mut |_, _| {});
        let cost = |number| users.any(number).unwrap().text().contains("$05$");
        assert_eq!(
            [0, 1, 2, 3, u64::MAX].map(cost),
            [false, true, true, false, false]
        );
        assert!(Users::default().any(7).is_none());
    }
}
