//! One TOML file, read into the tree in one go: what its tokens mean, and which tables and keys may
//! follow each other.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _};
use toml_datetime::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::{EventReceiver, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, Expected, ParseError, Raw, Source, Span};

use super::tree::Form;
use super::{Data, PartId, Place, Table, Tree};
use crate::config::problem::{At, Problems};

/// No value is nested deeper.
const DEEPEST: u32 = 80;

/// No key has more parts before its last.
const MOST_PARTS: usize = 79;

/// So many bytes of a file make a key, or more.
const USUAL_PART: usize = 24;

/// Reads one file; its root. After a syntax error the rest of it is not looked at.
pub(in crate::config) fn parse<'t>(
    file: usize,
    text: &'t str,
    tree: &mut Tree<'t>,
    problems: &Problems,
) -> Option<PartId> {
    let source = Source::new(text);
    let root = tree.add_root();
    let mut document = Document {
        file,
        source,
        tree,
        problems,
        known: HashMap::with_capacity(text.len() / USUAL_PART),
        root,
        header: root,
        open: Vec::new(),
        keys: Vec::new(),
        bracket: 0,
    };
    // What follows the first error is often its echo.
    let mut error: Option<ParseError> = None;
    let tokens = source.lex().into_vec();
    let mut spaced = ValidateWhitespace::new(&mut document, source);
    let mut bounded = RecursionGuard::new(&mut spaced, DEEPEST);
    parse_document(&tokens, &mut bounded, &mut error);
    if let Some(error) = error {
        let offset = error.unexpected().map_or(0, |span| span.start());
        let at = At::File(Place { file, offset });
        problems.error(&at, format!("this is not TOML: {}", told(&error)));
        return None;
    }
    tree.sort_from(root);
    Some(root)
}

/// What is wrong, and what would be right there.
fn told(error: &ParseError) -> String {
    let Some(expected) = error.expected() else {
        return error.description().to_owned();
    };
    let expected = expected.iter().map(|expected| match expected {
        Expected::Literal("\n") => Cow::Borrowed("newline"),
        Expected::Literal("`") => Cow::Borrowed("'`'"),
        Expected::Literal(text) if text.chars().all(|c| c.is_ascii_control()) => {
            Cow::Owned(format!("`{}`", text.escape_debug()))
        }
        Expected::Literal(text) => Cow::Owned(format!("`{text}`")),
        Expected::Description(text) => Cow::Borrowed(*text),
        _ => Cow::Borrowed("etc"),
    });
    let mut expected = expected.collect::<Vec<_>>().join(", ");
    if expected.is_empty() {
        expected.push_str("nothing");
    }
    format!("{}, expected {expected}", error.description())
}

/// A file as far as it is read.
struct Document<'t, 'a> {
    file: usize,
    source: Source<'t>,
    tree: &'a mut Tree<'t>,
    problems: &'a Problems,
    /// All keys so far, by their tables.
    known: HashMap<(PartId, Cow<'t, str>), PartId>,
    root: PartId,
    /// The table of the last header.
    header: PartId,
    /// The lists and tables whose brackets and braces are open.
    open: Vec<PartId>,
    /// The parts of the last key.
    keys: Vec<Key<'t>>,
    /// Where the last header begins.
    bracket: usize,
}

/// One part of a key.
struct Key<'t> {
    name: Cow<'t, str>,
    span: Span,
}

/// What must not be here, which has been told.
struct Misplaced;

/// A key of a table that is there already, or is new.
type Found = Result<PartId, Misplaced>;

impl<'t> Document<'t, '_> {
    const fn place(&self, offset: usize) -> Place {
        Place {
            file: self.file,
            offset,
        }
    }

    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Option<Raw<'t>> {
        let text = self.source.input().get(span.start()..span.end())?;
        Some(Raw::new_unchecked(text, encoding, span))
    }

    /// Enters a value: as an element of the list that is open, or under the key before it.
    fn enter(&mut self, span: Span, data: Data<'t>, errors: &mut dyn ErrorSink) -> Option<PartId> {
        let table = self.open.last().copied().unwrap_or(self.header);
        if self.tree.data(table).as_list().is_some() {
            let place = self.place(span.start());
            return Some(self.tree.add_element(table, place, data));
        }
        let mut path = std::mem::take(&mut self.keys);
        let key = path.pop()?;
        let entered = self.descend(table, &path, true, errors).and_then(|table| {
            // A header's table is written under it alone.
            if !path.is_empty() && !self.is_implicit(table) {
                return Err(duplicate(key.span, errors));
            }
            self.add(table, &key, data, errors)
        });
        path.clear();
        self.keys = path;
        entered.ok()
    }

    /// A new key of this table.
    fn add(
        &mut self,
        table: PartId,
        key: &Key<'t>,
        data: Data<'t>,
        errors: &mut dyn ErrorSink,
    ) -> Found {
        if self.find(table, key).is_some() {
            return Err(duplicate(key.span, errors));
        }
        let place = self.place(key.span.start());
        let part = self.tree.add_key(table, key.name.clone(), place, data);
        self.known.insert((table, key.name.clone()), part);
        Ok(part)
    }

    fn find(&self, table: PartId, key: &Key<'t>) -> Option<PartId> {
        self.known.get(&(table, key.name.clone())).copied()
    }

    /// The table below this one that these keys name, made where there is none: of a dotted key, or of
    /// a header.
    fn descend(
        &mut self,
        from: PartId,
        path: &[Key<'t>],
        dotted: bool,
        errors: &mut dyn ErrorSink,
    ) -> Found {
        let mut at = from;
        for key in path {
            at = if let Some(part) = self.find(at, key) {
                self.go_on(part, key, dotted, errors)?
            } else {
                let form = match (dotted, self.is_in_braces()) {
                    (true, true) => Form::DottedInBraces,
                    (true, false) => Form::Dotted,
                    (false, _) => Form::Passed,
                };
                self.add(at, key, Data::Table(Table::new(form)), errors)?
            };
        }
        Ok(at)
    }

    /// The table that this is, or its last element is.
    fn go_on(
        &mut self,
        part: PartId,
        key: &Key<'t>,
        dotted: bool,
        errors: &mut dyn ErrorSink,
    ) -> Found {
        if let Some(last) = self.last_table(part) {
            return Ok(last);
        }
        let in_braces = self.is_in_braces();
        let Some(table) = self.tree.table_mut(part) else {
            let kind = kind(self.tree.data(part));
            return Err(closed(kind, key.span, errors));
        };
        if table.form.is_closed() && !in_braces {
            return Err(closed("inline table", key.span, errors));
        }
        if dotted && !table.form.is_implicit() {
            return Err(duplicate(key.span, errors));
        }
        if dotted && table.form == Form::Passed {
            table.form = Form::Dotted;
        }
        Ok(part)
    }

    /// The last of the tables of this list, if it is one of headers.
    fn last_table(&self, list: PartId) -> Option<PartId> {
        let element = self.tree.data(list).as_list()?.last().copied()?;
        (self.form(element)? == Form::Header).then_some(element)
    }

    fn form(&self, part: PartId) -> Option<Form> {
        self.tree.data(part).as_table().map(|table| table.form)
    }

    fn is_implicit(&self, table: PartId) -> bool {
        self.form(table).is_some_and(Form::is_implicit)
    }

    const fn is_in_braces(&self) -> bool {
        !self.open.is_empty()
    }

    /// The table that a header in single brackets is of: a new one, or one that was only passed so far.
    fn table_of_header(
        &mut self,
        path: &[Key<'t>],
        key: &Key<'t>,
        errors: &mut dyn ErrorSink,
    ) -> Found {
        let within = self.descend(self.root, path, false, errors)?;
        let Some(part) = self.find(within, key) else {
            return self.add(within, key, Data::Table(Table::new(Form::Header)), errors);
        };
        match self.tree.table_mut(part) {
            Some(table) if table.form == Form::Passed => table.form = Form::Header,
            Some(_) | None => return Err(duplicate(key.span, errors)),
        }
        let place = self.place(key.span.start());
        self.tree.stands_at(part, place);
        Ok(part)
    }

    /// The table that a header in double brackets is of: another element of a list.
    fn element_of_header(
        &mut self,
        path: &[Key<'t>],
        key: &Key<'t>,
        errors: &mut dyn ErrorSink,
    ) -> Found {
        let within = self.descend(self.root, path, false, errors)?;
        let list = match self.find(within, key) {
            Some(list) if self.last_table(list).is_some() => list,
            Some(_) => return Err(duplicate(key.span, errors)),
            None => self.add(within, key, Data::List(Vec::new()), errors)?,
        };
        let place = self.place(self.bracket);
        let table = Data::Table(Table::new(Form::Header));
        Ok(self.tree.add_element(list, place, table))
    }

    fn begin_header(&mut self, bracket: Span) {
        self.bracket = bracket.start();
        self.keys.clear();
        self.open.clear();
    }

    fn end_header(&mut self, of: impl FnOnce(&mut Self, &[Key<'t>], &Key<'t>) -> Found) {
        let mut path = std::mem::take(&mut self.keys);
        let table = path
            .pop()
            .ok_or(Misplaced)
            .and_then(|key| of(self, &path, &key));
        if let Ok(table) = table {
            self.header = table;
        }
        path.clear();
        self.keys = path;
    }

    /// Opens a list or a table that is a value.
    fn begin(&mut self, span: Span, data: Data<'t>, errors: &mut dyn ErrorSink) -> bool {
        let part = self.enter(span, data, errors);
        self.open.extend(part);
        part.is_some()
    }

    /// Enters a value that is neither list nor table.
    fn enter_scalar(
        &mut self,
        span: Span,
        encoding: Option<Encoding>,
        errors: &mut dyn ErrorSink,
    ) -> Option<PartId> {
        let raw = self.raw(span, encoding)?;
        let mut text = Cow::Borrowed("");
        let kind = raw.decode_scalar(&mut text, errors);
        let mut fits = true;
        let data = match kind {
            ScalarKind::String => Data::Text(text),
            ScalarKind::Boolean(value) => Data::Boolean(value),
            ScalarKind::Float => Data::Float(text.parse().unwrap_or(f64::NAN)),
            ScalarKind::DateTime => match text.parse::<Datetime>() {
                Ok(moment) => Data::Moment(moment.to_string()),
                Err(error) => {
                    errors.report_error(ParseError::new(error.to_string()).with_unexpected(span));
                    return None;
                }
            },
            ScalarKind::Integer(radix) => {
                let number = i64::from_str_radix(&text, radix.value());
                fits = number.is_ok();
                Data::Integer(number.unwrap_or_default())
            }
        };
        let part = self.enter(span, data, errors)?;
        if !fits {
            self.problems
                .error(&At::Part(part), "this number is too large");
        }
        Some(part)
    }
}

impl EventReceiver for Document<'_, '_> {
    fn std_table_open(&mut self, span: Span, _errors: &mut dyn ErrorSink) {
        self.begin_header(span);
    }

    fn std_table_close(&mut self, _span: Span, errors: &mut dyn ErrorSink) {
        self.end_header(|it, path, key| it.table_of_header(path, key, errors));
    }

    fn array_table_open(&mut self, span: Span, _errors: &mut dyn ErrorSink) {
        self.begin_header(span);
    }

    fn array_table_close(&mut self, _span: Span, errors: &mut dyn ErrorSink) {
        self.end_header(|it, path, key| it.element_of_header(path, key, errors));
    }

    fn inline_table_open(&mut self, span: Span, errors: &mut dyn ErrorSink) -> bool {
        self.begin(span, Data::Table(Table::new(Form::Braces)), errors)
    }

    fn inline_table_close(&mut self, _span: Span, _errors: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn array_open(&mut self, span: Span, errors: &mut dyn ErrorSink) -> bool {
        self.begin(span, Data::List(Vec::new()), errors)
    }

    fn array_close(&mut self, _span: Span, _errors: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let Some(raw) = self.raw(span, encoding) else {
            return;
        };
        if self.keys.len() > MOST_PARTS {
            errors.report_error(ParseError::new("recursion limit").with_unexpected(span));
            return;
        }
        let mut name = Cow::Borrowed("");
        raw.decode_key(&mut name, errors);
        self.keys.push(Key { name, span });
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        self.enter_scalar(span, encoding, errors);
    }
}

fn duplicate(key: Span, errors: &mut dyn ErrorSink) -> Misplaced {
    errors.report_error(ParseError::new("duplicate key").with_unexpected(key));
    Misplaced
}

fn closed(kind: &str, key: Span, errors: &mut dyn ErrorSink) -> Misplaced {
    let message = format!("cannot extend value of type {kind} with a dotted key");
    errors.report_error(ParseError::new(message).with_unexpected(key));
    Misplaced
}

/// What TOML calls it.
const fn kind(data: &Data<'_>) -> &'static str {
    match data {
        Data::Text(_) => "string",
        Data::Integer(_) => "integer",
        Data::Float(_) => "float",
        Data::Boolean(_) => "boolean",
        Data::Moment(_) => "datetime",
        Data::List(_) => "array",
        Data::Table(_) => "table",
    }
}
