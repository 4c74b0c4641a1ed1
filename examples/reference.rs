//! Writes what is generated from the description of the configuration: its JSON schema and its
//! reference page. Run it in the root of the repository after changing a key.

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    fs::write(
        "config/rolecall.schema.json",
        format!("{:#}\n", rolecall::config::schema()),
    )?;
    fs::write("docs/configuration.md", rolecall::config::reference())
}
