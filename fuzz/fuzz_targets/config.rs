//! Any configuration is accepted or refused with problems that can be printed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::config::{Surroundings, parse_text};

fuzz_target!(|text: &str| {
    let surroundings = Surroundings::empty("/nonexistent");
    match parse_text("rolecall.toml", text, &surroundings) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                let _text = warning.to_string();
            }
            for grant in &config.grants {
                assert!(grant.number > 0);
            }
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
