//! What the fuzz targets reach of this protocol: its paths, and how they are told of.

use hyper::Method;

use super::answer::fail;
use super::no_route;
use super::route::{NoRoute, Route};
use crate::http::Segments;

/// Finds the route of a path on mounts for people and for machines, or says that there is none.
pub fn path(path: &str) {
    for machine in [false, true] {
        let segments = Segments::parse(path).map_err(|error| NoRoute::of(error, path));
        let route = segments
            .as_ref()
            .map_err(|none| *none)
            .and_then(|segments| Route::parse(&Method::GET, segments, machine));
        match route {
            Ok(Route::Role(_, account, role)) => {
                assert!(!account.is_empty() && !role.contains('/'));
            }
            Ok(Route::Document(role)) => assert!(!role.is_empty()),
            Ok(Route::List | Route::Status | Route::RoleName) => {}
            Err(none) => assert!(fail(no_route(none, path), "ann").status().is_client_error()),
        }
    }
}
