//! The bodies of requests: JSON objects, in which nothing is there twice.

use std::fmt;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::answer::Fault;
use super::route::What;
use crate::http::Request;

/// An object that a request brought. It may hold secrets, and cannot be printed.
#[derive(Default)]
pub(super) struct Body(Map<String, Value>);

/// A value in which no object has a member twice: of two, readers take one or the other.
struct Strict(Value);

impl Body {
    /// Reads the body of a request; an empty one says nothing.
    pub(super) fn of(request: &Request, what: What) -> Result<Self, Fault> {
        if !is_json(request) {
            let fault = Fault::expected("application/json", "Content-Type header");
            // For what is made OS-KSEC2 has a status of its own.
            return Err(if what == What::MakeKey {
                fault.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            } else {
                fault
            });
        }
        if request.body().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(request.body()) {
            Ok(Strict(Value::Object(members))) => Ok(Self(members)),
            // What the parser says of a wrong text may repeat it.
            Ok(Strict(_)) | Err(_) => Err(Fault::expected("valid JSON", "request body")),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands under this name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The same, taken out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// The object that must stand under this name.
    pub(super) fn object(&self, name: &str) -> Result<&Map<String, Value>, Fault> {
        object(self.get(name), name, "request body")
    }
}

/// An object that must be there.
pub(super) fn object<'a>(
    value: Option<&'a Value>,
    name: &str,
    within: &str,
) -> Result<&'a Map<String, Value>, Fault> {
    let members = value.and_then(Value::as_object);
    members.ok_or_else(|| Fault::expected(name, within))
}

/// A text that may be there. What else is there is at fault.
pub(super) fn text<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::bad(format!(
            "Invalid input for field '{name}': it is not of type 'string'."
        ))),
    }
}

/// A request need not say what its body is, but may not say that it is something else.
fn is_json(request: &Request) -> bool {
    let Some(kind) = request.headers().get(CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or("?");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.is_empty() || kind.eq_ignore_ascii_case("application/json")
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strictly)
    }
}

struct Strictly;

impl<'de> Visitor<'de> for Strictly {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(Value::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Strict, E> {
        Ok(Strict(Value::String(value)))
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Strict(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Strict(Value::Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn body(kind: Option<&str>, text: &str) -> Result<Body, u16> {
        let mut request = hyper::Request::builder();
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let request = request.body(Bytes::from(text.to_owned())).unwrap();
        let read = Body::of(&request, What::Login);
        read.map_err(|fault| fault.into_response(String::new).status().as_u16())
    }

    #[test]
    fn keystone_bodies_are_objects() {
        let json = Some("application/json");
        for text in ["[]", "7", "\"x\"", "{", "{}x", "{\"a\":1,\"a\":1}", "\u{0}"] {
            assert_eq!(body(json, text).err(), Some(400), "{text}");
        }
        let deep = "[".repeat(5000);
        assert_eq!(body(json, &deep).err(), Some(400));
        let twice = r#"{"a":[{"b":{"c":1,"c":2}}]}"#;
        assert_eq!(body(json, twice).err(), Some(400));
        let read = body(json, r#"{"a":[1,-1,1.5,true,null,"é"],"n":null}"#)
            .ok()
            .unwrap();
        let values = serde_json::json!([1, -1, 1.5, true, null, "é"]);
        assert_eq!(read.get("a"), Some(&values));
        assert!(read.get("n").is_none() && !read.is_empty());
        assert!(body(json, "").ok().unwrap().is_empty());
    }

    #[test]
    fn keystone_bodies_may_not_be_said_to_be_something_else() {
        for kind in [
            None,
            Some(""),
            Some("application/json;charset=utf-8"),
            Some("Application/JSON"),
        ] {
            assert!(body(kind, "{}").is_ok(), "{kind:?}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "é"] {
            assert_eq!(body(Some(kind), "{}").err(), Some(400), "{kind}");
        }
    }
}
