//! What it takes to read a configuration of thousands of roles, which is most of such a daemon's start:
//! every allocation is counted. A program of its own, because the count is the whole process's.
#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall::config::{Surroundings, parse_text};

/// A role and its grant are read with no more allocations: those of what is read, and few others.
const MOST: usize = 20;

/// Counts allocations.
struct Counting(AtomicUsize);

#[global_allocator]
static ALLOCATIONS: Counting = Counting(AtomicUsize::new(0));

#[expect(unsafe_code, reason = "there is no other way to count allocations")]
// SAFETY: everything is the system's allocator's, and counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// So many allocations it takes to read so many roles, each of which has a grant.
fn allocations(roles: usize) -> usize {
    let mut text = "[[listener]]\nname = 'metadata'\nbind = '127.0.0.1:1338'\napis = 'imds'\n\
                    [account.prod]\nid = '123456789012'\n"
        .to_owned();
    for role in 0..roles {
        writeln!(text, "[account.prod.role.role-{role:0>5}]").unwrap();
        writeln!(text, "[[grant]]\nrole = 'prod/role-{role:0>5}'").unwrap();
        writeln!(text, "when = {{ uid = {role} }}\nreason = 'a test'").unwrap();
    }
    let surroundings = Surroundings::empty("/nonexistent");
    let before = ALLOCATIONS.0.load(Ordering::Relaxed);
    let (config, problems) = parse_text("rolecall.toml", &text, &surroundings).unwrap();
    let taken = ALLOCATIONS.0.load(Ordering::Relaxed) - before;
    assert_eq!((config.grants.len(), problems.len()), (roles, 0));
    taken
}

#[test]
fn a_role_is_read_with_few_allocations() {
    let (some, more) = (allocations(1_000), allocations(3_000));
    let each = (more - some) / 2_000;
    println!("{some} allocations for 1000 roles, {each} for each further one");
    assert!(
        each <= MOST,
        "{each} allocations for each role and its grant"
    );
}
