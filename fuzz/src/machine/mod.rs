//! The machine under any program of calls and outcomes, beside a reference model written from its promises.

mod account;
mod check;
mod edit;
mod program;
mod request;
mod roster;
mod store;
mod verdict;
mod world;

use arbitrary::{Arbitrary as _, Unstructured};

use self::{
    program::{Act, Call, Setting},
    world::World,
};

/// Calls of one program.
const MAX_CALLS: usize = 96;

/// Several requests share a store that fails as stores do, at any time and in any order, with any tickets. Whatever
/// they do, every rule of `check` and `verdict` holds at every step, and every commit comes to an end.
pub fn machine(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut bytes) else { return };
    let mut world = World::new(setting);
    for _ in 0..MAX_CALLS {
        if bytes.is_empty() {
            break;
        }
        let Ok(call) = Call::arbitrary(&mut bytes) else { break };
        run(&mut world, call);
        world.check();
    }
    settle(&mut world);
    world.check();
    world.probe();
}

fn run(world: &mut World, call: Call) {
    let at = call.slot();
    let mut slot = world.requests[at].take();
    match call.act() {
        Act::Open => slot = Some(world.open(call)),
        Act::Go => slot = world.proceed(slot, call),
        Act::Account | Act::Edit => slot = Some(world.edit(slot, call)),
        Act::Commit => slot = Some(world.commit(slot, call)),
        Act::Finish => {
            let done = world.commit(slot, call);
            slot = Some(world.finish(done));
        }
        Act::Drop => slot = None,
        Act::Wait => world.wait(call),
        Act::Land => world.land(call),
        Act::Evict => world.evict(call),
        // It may ask in the name of a request.
        Act::Manage => {
            world.requests[at] = slot;
            return world.manage(call);
        }
        Act::Damage => world.damage(call),
    }
    world.requests[at] = slot;
}

/// What is under way goes on to its end, in a store that is well again; what may still land does.
fn settle(world: &mut World) {
    for at in 0..world.requests.len() {
        if let Some(request) = world.requests[at].take() {
            world.requests[at] = Some(world.finish(request));
            world.check();
        }
    }
    while world.land_first() {
        world.check();
    }
    while world.ending.is_some() {
        world.manage(Call::well());
        world.check();
    }
}
