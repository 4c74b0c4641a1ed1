//! What is generated from the descriptions of the configuration and of the APIs is committed as it is.

use rolecall::api::openapi::openapi;
use rolecall::config;

use crate::support::process::rolecall;
use crate::support::written::assert_current;

const COMMAND: &str = "cargo run --example reference";

#[test]
fn the_committed_schema_is_the_printed_one() {
    let printed = rolecall(&["schema"]).output().unwrap().stdout;
    let schema = String::from_utf8(printed).unwrap();
    assert_current("config/rolecall.schema.json", &schema, COMMAND);
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    assert_current("docs/configuration.md", &config::reference(), COMMAND);
}

#[test]
fn the_committed_description_of_the_apis_is_the_generated_one() {
    let openapi = format!("{:#}\n", openapi());
    assert_current("docs/openapi.json", &openapi, COMMAND);
}
