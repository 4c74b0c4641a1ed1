//! Any text gives an answer.

use proptest::prelude::*;

use super::*;

/// Pieces that make configurations, right and wrong ones.
const PIECES: [&str; 54] = [
    "[[listener]]\n",
    "[account.a]\n",
    "[account.a.role.web]\n",
    "[account.a.credentials]\n",
    "[[grant]]\n",
    "[log]\n",
    "[limits]\n",
    "[state]\n",
    "[[listener.token]]\n",
    "[people]\n",
    "name",
    "bind",
    "apis",
    "id",
    "region",
    "role",
    "when",
    "from",
    "duration",
    "uid",
    "user",
    "to",
    "tags",
    "container",
    "override",
    " = ",
    "'a/web'",
    "'127.0.0.1:80'",
    "'unix:/x'",
    "'imds'",
    "'1h'",
    "123456789012",
    "1.5",
    "true",
    "['a', 1]",
    "{ uid = 1 }",
    "unit",
    "group",
    "address",
    "token",
    "label",
    "{ regex = '(?<x>a)' }",
    "'{x}/{unit}'",
    "'10.0.0.1/8'",
    "{ from = 'role', role = 'a/web' }",
    "'{caller}'",
    "2026-01-01T00:00:00Z",
    "\n",
    ".",
    "\"",
    "[",
    "}",
    "#",
    "é",
];

fn answer(text: &str) {
    if let Err(error) = parse_text("any.toml", text, &surroundings()) {
        let LoadError::Invalid(refused) = &error else {
            panic!("{error}")
        };
        assert!(
            refused
                .problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
        );
        assert!(!error.to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in "\\PC{0,200}") {
        answer(&text);
    }

    #[test]
    fn any_bytes_that_are_text_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answer(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces_of_configurations_give_an_answer(
        pieces in prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..60),
    ) {
        answer(&pieces.concat());
    }

    #[test]
    fn a_whole_configuration_cut_anywhere_gives_an_answer(
        start in 0..FULL.len(),
        end in 0..FULL.len(),
        put in prop::sample::select(PIECES.as_slice()),
    ) {
        let (start, end) = (start.min(end), start.max(end));
        let (head, tail) = (FULL.get(..start).unwrap(), FULL.get(end..).unwrap());
        answer(&[head, put, tail].concat());
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    for open in ["[", "{a=", "[{a="] {
        answer(&format!("x = {}", open.repeat(100_000)));
    }
    answer(&format!("{} = 1", vec!["a"; 100_000].join(".")));
    answer(&format!("[{}]", vec!["account"; 100_000].join(".")));
}
