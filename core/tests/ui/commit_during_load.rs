//! A commit while a load is open.

use cloakroom_core::{Access, Entropy, Session, Step, UnixTime};

fn misuse(mut session: Session, now: UnixTime, entropy: &mut impl Entropy) -> Option<Step> {
    let Access::Load(load) = session.access() else { return None };
    let step = session.commit(now, entropy);
    let _ = load.supply(None, now);
    Some(step)
}

fn main() {}
