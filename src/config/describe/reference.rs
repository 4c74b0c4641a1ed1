//! The reference page of the configuration, in Markdown.

use super::{Key, Kind, ROOT, Shape};

const HEAD: &str = "\
# Configuration reference

The file is what `--config` names, else `/etc/rolecall/rolecall.toml`, else the built-in default:
one demo role of the built-in authority for the daemon's own user. Examples stand in `config/`;
`config/rolecall.schema.json` is a JSON schema for editors.

`rolecall check` validates a file and tells every mistake in one run, with its place and what to do.
Unknown keys are refused. A file that others may write is refused: it belongs to root or to the
daemon's user, and neither its group nor others may write it.

Drop-ins, `rolecall.d/*.toml` beside the file, are merged in lexical order: tables merge, lists of
tables append, and what is set twice is an error unless the later file begins with
`override = true`.

Lengths of time are written `\"200ms\"`, `\"15m\"`, `\"1h30m\"`. Where a secret is asked for, its place
is written, never the secret: `\"credential:NAME\"` (a systemd credential), `\"file:/path\"` (owned by
root or the service, mode 0600 or stricter, or `root:rolecall` 0640) or `\"env:NAME\"`.

## Who gets what

A grant gives one role to the callers that its `when` matches: a list is *or*, several keys are
*and*. Grants are tried by `priority`, higher first, then in order; for metadata and for
`/creds` the first that matches decides, and a role asked for by name needs any grant that gives it.
Who matches no grant gets nothing.

Patterns are texts in which `*` stands for any text, or `{ regex = \"…\" }`, a regular expression that
matches the whole value. What they matched has a name in the grant's `role` and `reason`: that of the
key (`{unit}`, `{group}`, `{image}`; of a label or claim its own) or that of a named group,
`(?<name>…)`. A role that only such a name tells need not be declared: it takes its account's
`defaults`.

What a user can choose is no proof. `uid`, `user`, `gid` and `group` match callers outside containers
only, unless the grant names a `container` key; with `container = \"any\"` they match in containers too.
A container's name, image and labels count from a runtime of root's; those of a user's own container
only where the grant names that user by `uid` or `user`, which then mean the container's owner.
`user-unit` stands beside `uid` or `user`, `token.subject` beside `token.issuer`, and `exe`, which is
known of unix sockets' peers only, beside any key that tells who asks. Names of users and groups become
numbers when the file is read; a name that the host does not know is an error.

A grant may narrow: `duration`, `policy-file` and `policy-arns`, `tags`, `session-name` and
`source-identity` make sessions of its own. It never widens: a longer life than the role's, a session
policy beside the role's own (STS would allow what either does), or a tag that the role sets is an
error.

`rolecall check` warns of grants that can never match, and of those whose callers an earlier grant
takes.

## Reload

`rolecall reload` (as `systemctl reload`) and SIGHUP read the files again. They are applied at once
or, where anything in them is wrong, not at all; sessions whose request is unchanged are kept, and
the log says what changed. Listeners, `[people]`, `[authority]`, `[state]`, `[admin]`, `socket` of
`[runtime]` and `connections`, `connections-per-caller`, `requests-per-caller`, `flights-per-caller`,
`sessions` and `patience` of `[limits]` need a restart: a reload that changes them applies nothing and
names them. So do the first program (a process for `credentials`, `command` of `[[grant-source]]`) and a
log file in another folder, because the daemon gave up both when it started (docs/sandbox.md).
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    section(&ROOT, "", &mut page);
    page
}

fn section(shape: &Shape, path: &str, page: &mut String) {
    if !path.is_empty() {
        page.extend(["\n## `", path, "`\n\n", shape.doc, "\n\n"]);
        page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in shape.keys {
            page.push_str(&row(key));
        }
    }
    let inner = path.trim_matches(['[', ']']);
    for key in shape.keys {
        let name = if inner.is_empty() {
            key.name.to_owned()
        } else {
            format!("{inner}.{}", key.name)
        };
        below(&key.kind, &name, page);
    }
}

fn below(kind: &Kind, name: &str, page: &mut String) {
    match kind {
        Kind::Table(shape) => section(shape, &format!("[{name}]"), page),
        Kind::Tables(shape) => section(shape, &format!("[[{name}]]"), page),
        Kind::Named(shape) => section(shape, &format!("[{name}.NAME]"), page),
        Kind::Either(kinds) => {
            for one in *kinds {
                below(one, name, page);
            }
        }
        Kind::Many(one) | Kind::Each(one) => below(one, name, page),
        Kind::Text
        | Kind::Word(_)
        | Kind::Flag
        | Kind::Whole { .. }
        | Kind::Positive
        | Kind::Time
        | Kind::Moment
        | Kind::Path
        | Kind::Secret
        | Kind::Texts
        | Kind::Pattern => {}
    }
}

fn row(key: &Key) -> String {
    let default = match key.default {
        "" if key.required => "required".to_owned(),
        default if default.contains('`') || default.contains(' ') && !default.starts_with('{') => {
            default.to_owned()
        }
        "" => String::new(),
        default => format!("`{default}`"),
    };
    format!(
        "| `{}` | {} | {default} | {} |\n",
        key.name,
        value(&key.kind),
        key.doc
    )
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Whole { least, most } => format!("{least} to {most}"),
        Kind::Positive => "number above 0".to_owned(),
        Kind::Time => "length of time".to_owned(),
        Kind::Moment => "date and time with zone".to_owned(),
        Kind::Path => "absolute path".to_owned(),
        Kind::Secret => "place of a secret".to_owned(),
        Kind::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Kind::Many(one) => format!("{}; or a list", value(one)),
        Kind::Either(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(value).collect();
            kinds.join(", or ")
        }
        Kind::Table(_) => "table".to_owned(),
        Kind::Tables(_) => "list of tables".to_owned(),
        Kind::Named(_) => "tables by name".to_owned(),
        Kind::Texts => "texts by name".to_owned(),
        Kind::Pattern => "pattern".to_owned(),
        Kind::Each(one) => format!("{}, by name", value(one)),
    }
}
