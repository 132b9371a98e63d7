//! The data of a session that was committed is out of reach.

use cloakroom_core::{Access, Entropy, Session, Step, UnixTime};

fn misuse(mut session: Session, now: UnixTime, entropy: &mut impl Entropy) -> Option<Step> {
    let Access::Ready(loaded) = session.access() else { return None };
    let step = session.commit(now, entropy);
    let _ = loaded.insert("late", &1);
    Some(step)
}

fn main() {}
