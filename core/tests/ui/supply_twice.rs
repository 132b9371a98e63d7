//! A load is supplied once.

use cloakroom_core::{Access, Session, UnixTime};

fn misuse(session: &mut Session, now: UnixTime) {
    let Access::Load(load) = session.access() else { return };
    let _ = load.supply(None, now);
    let _ = load.supply(None, now);
}

fn main() {}
