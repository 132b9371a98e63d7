//! A session is committed once.

use cloakroom_core::{Entropy, Session, Step, UnixTime};

fn misuse(session: Session, now: UnixTime, entropy: &mut impl Entropy) -> (Step, Step) {
    (session.commit(now, entropy), session.commit(now, entropy))
}

fn main() {}
