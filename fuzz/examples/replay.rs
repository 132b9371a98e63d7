//! Runs a target over every file of a folder, for `tests/coverage`: `replay TARGET FOLDER`.

#![allow(clippy::expect_used, reason = "a panic is how it reports")]

use std::{env, fs};

use cloakroom_fuzz::TARGETS;

fn main() {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().expect("a target");
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    for entry in fs::read_dir(arguments.next().expect("a folder")).expect("a folder") {
        target(&fs::read(entry.expect("an entry").path()).expect("a file"));
    }
}
