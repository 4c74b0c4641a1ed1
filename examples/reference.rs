//! Writes what is generated from the description of the configuration, its JSON schema and its
//! reference page, and the description of people's APIs. Run it in the root of the repository after
//! changing a key or a route.

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    fs::write(
        "config/rolecall.schema.json",
        format!("{:#}\n", rolecall::config::schema()),
    )?;
    fs::write(
        "docs/openapi.json",
        format!("{:#}\n", rolecall::api::openapi::openapi()),
    )?;
    fs::write("docs/configuration.md", rolecall::config::reference())
}
