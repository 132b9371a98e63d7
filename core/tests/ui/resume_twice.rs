//! An operation ends once.

use cloakroom_core::{Io, Outcome, Step, UnixTime};

fn misuse(io: Io, now: UnixTime) -> (Step, Step) {
    (io.resume(Outcome::Failed, now), io.resume(Outcome::Unknown, now))
}

fn main() {}
