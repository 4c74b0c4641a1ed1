//! Any configuration is accepted or refused with problems that can be printed.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use rolecall::config::{Surroundings, parse_text};
use rolecall::grants::Grant;

fuzz_target!(|text: &str| {
    let surroundings = Surroundings::empty("/nonexistent");
    match parse_text("rolecall.toml", text, &surroundings) {
        Ok((config, warnings)) => {
            for warning in &warnings {
                let _text = warning.to_string();
            }
            let order = |one: &Arc<Grant>, next: &Arc<Grant>| one.priority >= next.priority;
            assert!(config.grants.is_sorted_by(order));
            for grant in &config.grants {
                let given = grant.role.fixed();
                assert!(given.is_none_or(|role| config.role(role).is_some()), "a role of nobody");
            }
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
