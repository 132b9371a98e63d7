//! Id, store key and handle are three types, and no text is any of them by accident.

use cloakroom_core::{Handle, Op, SessionId, StoreKey};

fn key_for_id(id: SessionId) -> StoreKey {
    id.into()
}

fn load_by_handle(handle: Handle) -> Op {
    Op::Load { key: handle }
}

fn load_by_id(id: SessionId) -> Op {
    Op::Load { key: id }
}

fn print(id: SessionId, key: StoreKey) {
    println!("{id} {key}");
}

fn main() {}
