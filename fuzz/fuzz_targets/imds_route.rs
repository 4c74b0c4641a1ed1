//! Any request line has a route or none, and no name in a route leads anywhere else.
//! The input is `METHOD PATH`.

#![no_main]

use hyper::Method;
use libfuzzer_sys::fuzz_target;
use rolecall::api::{container, imds};
use rolecall::http::Segments;

fuzz_target!(|line: &str| {
    let Some((method, path)) = line.split_once(' ') else {
        return;
    };
    let (Ok(method), Ok(segments)) = (method.parse::<Method>(), Segments::parse(path)) else {
        return;
    };
    for segment in segments.as_slices() {
        assert!(!segment.contains('/') && segment != "..", "{segment:?}");
    }
    if let Ok(imds::Route::Document(role)) = imds::Route::parse(&method, &segments) {
        assert!(!role.is_empty());
    }
    if let Ok(container::Route::Id(id)) = container::Route::parse(&method, &segments) {
        assert!(!id.is_empty());
    }
});
