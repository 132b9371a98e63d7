//! A step that nobody looks at.

#![deny(unused_must_use)]

use cloakroom_core::{Done, Entropy, Io, Outcome, Session, UnixTime};

fn ignores_the_commit(session: Session, now: UnixTime, entropy: &mut impl Entropy) {
    session.commit(now, entropy);
}

fn ignores_the_next_step(io: Io, now: UnixTime) {
    io.resume(Outcome::Failed, now);
}

fn ignores_the_load(session: &mut Session) {
    session.access();
}

fn ignores_the_result(done: &Done) {
    done.result();
}

fn main() {}
