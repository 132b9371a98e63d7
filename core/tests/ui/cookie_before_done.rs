//! While an operation is open there is no cookie to send.

use cloakroom_core::{Io, Step};

fn misuse(step: &Step, io: &Io) {
    let _ = io.headers();
    let _ = io.cookie();
    let _ = step.headers();
}

fn main() {}
