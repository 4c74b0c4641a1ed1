//! The users file, in htpasswd's format: `name:hash`, a line each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::directory::is_name;
use super::password::Hash;

/// Who is in the file.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<Arc<str>, Arc<Hash>>);

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
        Self(users)
    }

    /// The hash of this user's password.
    pub(super) fn hash(&self, name: &str) -> Option<&Arc<Hash>> {
        self.0.get(name)
    }

    /// Anybody's hash: who asks for a name that is not there waits as long as for one that is.
    pub(super) fn any(&self) -> Option<&Arc<Hash>> {
        self.0.values().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_used_let_nobody_in() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let text = format!(
            "# people\n\nann:{hash}\nbob:{hash}:Bob\n  eve : {hash}\njim\n:{hash}\ntim:$apr1$a$b\nann:plain\nann:{hash}\n"
        );
        let mut told = Vec::new();
        let users = Users::read(&text, &mut |line, why| told.push((line, why)));
        for name in ["ann", "bob"] {
            assert!(users.hash(name).is_some(), "{name}");
        }
        for name in ["eve", "eve ", "jim", "tim", "", "# people", "Ann"] {
            assert!(users.hash(name).is_none(), "{name}");
        }
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 9, 10]);
        let told = format!("{told:?}");
        assert!(!told.contains(&hash) && !told.contains("apr1"), "{told}");
        assert!(users.any().is_some() && Users::default().any().is_none());
    }
}
