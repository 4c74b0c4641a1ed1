//! "Did you mean".

/// The candidate nearest to this word, if it is near enough to be a slip.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    let near = candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    let bound = 1 + word.chars().count().min(candidate.chars().count()) / 4;
    (distance <= bound).then_some(candidate)
}

/// "did you mean" or, where nothing is near, all there is.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if all.is_empty() => "there is none".to_owned(),
        None => format!("known: `{}`", all.join("`, `")),
    }
}

/// How many letters must be added, removed, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, j) + usize::from(from != to);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let previous = |list: &[char], index: usize| {
                index
                    .checked_sub(1)
                    .and_then(|index| list.get(index).copied())
            };
            if previous(&a, i) == Some(*to) && previous(&b, j) == Some(*from) {
                best = best.min(at(&before, j.saturating_sub(1)) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word() {
        let keys = ["listener", "account", "grant", "log", "limits"];
        for (slip, word) in [
            ("listner", "listener"),
            ("acount", "account"),
            ("gratn", "grant"),
            ("limit", "limits"),
            ("Log", "log"),
        ] {
            assert_eq!(nearest(slip, keys), Some(word));
        }
        assert_eq!(nearest("xyzzy", keys), None);
        assert_eq!(
            nearest("ready_deadline", ["ready-deadline"]),
            Some("ready-deadline")
        );
    }
}
