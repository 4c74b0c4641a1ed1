//! The parameters of a request: of its query and of the form in its body.

use std::cmp::Ordering;

use hyper::header::CONTENT_TYPE;

use super::fault::Fault;
use crate::http::{Pair, Query, Request};

/// More than any request needs: fifty tags, as many transitive ones, and the rest.
const MOST: usize = 300;

/// The parameters, each there once, in the order of [`compare`].
#[derive(Debug)]
pub(super) struct Parameters<'a>(Vec<Pair<'a>>);

/// By length first: that tells most names apart.
fn compare(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl<'a> Parameters<'a> {
    /// Those of this request.
    pub(super) fn read(request: &'a Request) -> Result<Self, Fault> {
        let query = request.uri().query().unwrap_or_default();
        let form = if has_form(request) {
            request.body().as_ref()
        } else {
            &[]
        };
        let bytes = query.bytes().chain(form.iter().copied());
        let separators: usize = bytes.map(|byte| usize::from(byte == b'&')).sum();
        if separators > MOST {
            let why = format!("The request has more than {MOST} parameters.");
            return Err(Fault::MalformedInput(why));
        }
        let Ok(form) = std::str::from_utf8(form) else {
            let why = "The request's form is no text.".to_owned();
            return Err(Fault::MalformedInput(why));
        };
        let mut all = Vec::with_capacity(separators + 2);
        all.extend(Query::pairs(query));
        all.extend(Query::pairs(form));
        all.sort_unstable_by(|(one, _), (other, _)| compare(one, other));
        for pair in all.windows(2) {
            if let [(name, _), (again, _)] = pair
                && name == again
            {
                let why = format!("The request has the parameter {name} twice.");
                return Err(Fault::MalformedInput(why));
            }
        }
        Ok(Self(all))
    }

    /// The value of this name; empty where the name stands alone.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(known, _)| compare(known, name));
        let (_, value) = self.0.get(found.ok()?)?;
        Some(value)
    }

    /// The numbers of the members of a list, in order.
    pub(super) fn members(&self, list: &str) -> Result<Vec<u32>, Fault> {
        let mut numbers = Vec::new();
        for (name, _) in &self.0 {
            let rest = name.strip_prefix(list);
            let Some(rest) = rest.and_then(|rest| rest.strip_prefix(".member.")) else {
                continue;
            };
            let number = rest.split('.').next().unwrap_or_default();
            let valid = number.parse::<u32>().ok();
            // Neither `01` nor `+1`: they would be other names of the same member.
            let valid = valid.filter(|valid| *valid > 0 && valid.to_string() == number);
            numbers.push(valid.ok_or_else(|| {
                Fault::MalformedInput(format!("{name} is no parameter of a list."))
            })?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

/// Whether the body is a form. Some clients say nothing of it.
fn has_form(request: &Request) -> bool {
    let Some(kind) = request.headers().get(CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(query: &str, kind: Option<&str>, body: &str) -> Request {
        let mut request = hyper::Request::post(format!("/?{query}"));
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        request
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap()
    }

    fn form(body: &str) -> Request {
        request(
            "",
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            body,
        )
    }

    #[test]
    fn parameters_are_those_of_the_query_and_of_the_form() {
        let both = request("Action=A&V=x%2By", None, "RoleArn=a+b%20c&Empty=&Alone");
        let read = Parameters::read(&both).unwrap();
        assert_eq!(read.get("Action"), Some("A"));
        assert_eq!(read.get("V"), Some("x+y"));
        assert_eq!(read.get("RoleArn"), Some("a b c"));
        assert_eq!((read.get("Empty"), read.get("Alone")), (Some(""), Some("")));
        assert_eq!(read.get("action"), None);
        let json = request("", Some("application/json"), "Action=A");
        assert_eq!(Parameters::read(&json).unwrap().get("Action"), None);
    }

    #[test]
    fn what_stands_there_twice_or_is_too_much_is_refused() {
        let bomb = "a=1&".repeat(MOST + 1);
        let many: Vec<String> = (0..=MOST).map(|number| format!("p{number}=")).collect();
        assert!(Parameters::read(&form(&many.join("&"))).is_ok());
        for (request, says) in [
            (form("A=1&B=2&A=1"), "parameter A twice"),
            (request("A=1", None, "A=2"), "parameter A twice"),
            (form(&bomb), "more than 300 parameters"),
            (request(&bomb, None, ""), "more than 300 parameters"),
        ] {
            let fault = Parameters::read(&request).unwrap_err();
            let Fault::MalformedInput(why) = fault else {
                panic!("{fault:?}");
            };
            assert!(why.contains(says), "{why}");
        }
        let not_text = hyper::Request::post("/").body(Bytes::from_static(b"A=\xff"));
        assert!(Parameters::read(&not_text.unwrap()).is_err());
    }

    #[test]
    fn members_of_lists_are_numbered() {
        let request =
            form("L.member.10.Key=&L.member.2.Key=&L.member.2.Value=&L.member.1=&LL.member.7=");
        let read = Parameters::read(&request).unwrap();
        assert_eq!(read.members("L").unwrap(), [1, 2, 10]);
        assert!(read.members("M").unwrap().is_empty());
        for name in ["0", "01", "+1", "x", "", "4294967296"] {
            let wrong = form(&format!("L.member.{name}=x"));
            let members = Parameters::read(&wrong).unwrap().members("L");
            assert!(members.is_err(), "{name}");
        }
    }
}
