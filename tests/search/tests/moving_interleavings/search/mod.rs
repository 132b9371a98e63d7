//! Every interleaving of the single steps that requests on one session take in two stores, while it moves.
//!
//! The stores' steps are those of the real [`MovingStore`](cloakroom_store::MovingStore), driven by the real machine: a
//! request is a future that is polled by hand, and starts again with the answers that it was given ([`request`]). A
//! [`World`](world::World) is what both stores hold under the session's key, how far the requests are, which steps are still on
//! their way, and what was acknowledged. From each, every next thing is tried: a request takes its next step; within the
//! budget of faults a step fails, is sent and not answered, or is the last of its request, whose process is gone; what was sent
//! lands, at any later time or never; time passes, so that claims run out, then tombstones, and the session not yet.
//!
//! After each, whoever looks, on a node that prepares and on one that moves, must find: nothing once an end is acknowledged; else
//! the session, with what every acknowledged change added, exactly once.

pub(crate) mod gate;
pub(crate) mod request;
pub(crate) mod world;

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

pub(crate) use self::request::{Kind, Phase};
use self::{
    gate::{Answer, Ask, Names},
    request::{Next, Nodes, Request, Told},
    world::{Progress, World},
};

/// How the stores and the codec behave where they differ.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting {
    /// Versions are the bytes themselves.
    pub(crate) byte_versions: bool,
    /// A conflict does not bring what is there.
    pub(crate) silent_conflicts: bool,
    /// The codec has no tombstones: a session ends by a removal.
    pub(crate) no_markers: bool,
    /// The session was not used for a while, so that every look at it puts its end off.
    pub(crate) touches: bool,
}

/// What to search.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) requests: Vec<(Kind, Phase)>,
    pub(crate) faults: u8,
    /// How often time passes: by [`CLAIMS`] or [`TOMBSTONES`].
    pub(crate) passes: u8,
    pub(crate) pass: u32,
    pub(crate) setting: Setting,
}

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Explored {
    pub(crate) worlds: usize,
    /// What is broken first, with a shortest story.
    pub(crate) broken: Option<(&'static str, String)>,
}

/// Seconds: longer than claims live, and shorter than tombstones.
pub(crate) const CLAIMS: u32 = 70;
/// Longer than tombstones live, and requests may take, and shorter than the session.
pub(crate) const TOMBSTONES: u32 = 15 * 60;
/// Where a search gives up.
const MAX_WORLDS: usize = 20_000_000;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// A request takes its next step; without an answer it is its last.
    Goes(usize, Ask, Option<Answer>),
    Lands(Ask, Answer),
    Passes(u32),
    Starts,
}

pub(crate) fn explore(plan: &Plan) -> Explored {
    let names = Names::new(plan.setting);
    let mut nodes = Nodes::default();
    let first = World::new(&names, plan.requests.len(), plan.faults, plan.passes);
    let mut explored = Explored { worlds: 0, broken: None };
    // Where each world came from, and by which step.
    let mut before = vec![(0, Move::Starts)];
    let mut seen = HashSet::from([digest(&first)]);
    let mut queue = VecDeque::from([(0, first)]);
    while let Some((number, world)) = queue.pop_front() {
        for (happened, next) in steps(plan, &world, &names, &mut nodes) {
            if !seen.insert(digest(&next)) {
                continue;
            }
            before.push((number, happened));
            let number = before.len() - 1;
            let rule = next.misled.or_else(|| broken_to_see(&next, &names, &mut nodes));
            if let Some(rule) = rule {
                explored.broken = Some((rule, story(plan, &names, &before, number)));
                explored.worlds = seen.len();
                return explored;
            }
            queue.push_back((number, next));
        }
        assert!(seen.len() < MAX_WORLDS, "{plan:?} is too large");
    }
    explored.worlds = seen.len();
    explored
}

fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn story(plan: &Plan, names: &Names, before: &[(usize, Move)], mut number: usize) -> String {
    let mut lines = Vec::new();
    while number > 0 {
        let (parent, happened) = before[number];
        lines.push(match happened {
            Move::Goes(number, ask, answer) => {
                let (kind, phase) = plan.requests[number];
                let end = answer.map_or_else(|| "its process is gone".to_owned(), |answer| format!("{answer:?}"));
                format!("{phase:?} {kind:?} {number}: {}: {end}", ask.words(names))
            }
            Move::Lands(ask, answer) => format!("late: {}: {answer:?}", ask.words(names)),
            Move::Passes(seconds) => format!("{seconds} s pass"),
            Move::Starts => String::new(),
        });
        number = parent;
    }
    lines.reverse();
    lines.join("\n")
}

/// All that can happen next.
fn steps(plan: &Plan, world: &World, names: &Names, nodes: &mut Nodes) -> Vec<(Move, World)> {
    let mut steps = Vec::new();
    for (number, &(kind, phase)) in plan.requests.iter().enumerate() {
        let (node, world) = match world.requests[number] {
            Progress::Over => continue,
            Progress::At(node, _) => (node, world.clone()),
            Progress::Idle => {
                let node = nodes.start(names, Request { kind, phase, number: number as u8 }, world.now);
                (node, world.starting(number, node, kind))
            }
        };
        let Next::Asks(ask) = nodes.next(node) else { continue };
        let mut go = |mut world: World, answer| {
            let after = nodes.after(names, node, answer, world.now);
            world.goes_on(number, after, nodes.next(after));
            steps.push((Move::Goes(number, ask, Some(answer)), world));
        };
        let mut done = world.clone();
        let answer = done.apply(ask, names);
        go(done, answer);
        if world.faults == 0 {
            continue;
        }
        let mut faulty = world;
        faulty.faults -= 1;
        go(faulty.clone(), Answer::Failed);
        if ask.is_write() {
            faulty.send(ask);
            go(faulty.clone(), Answer::Unknown);
        }
        faulty.requests[number] = Progress::Over;
        steps.push((Move::Goes(number, ask, None), faulty));
    }
    for (at, &ask) in world.late.iter().enumerate() {
        let mut landed = world.clone();
        landed.late.remove(at);
        let answer = landed.apply(ask, names);
        steps.push((Move::Lands(ask, answer), landed));
    }
    if world.passes > 0 {
        steps.extend(world.pass(plan.pass).map(|passed| (Move::Passes(plan.pass), passed)));
    }
    for (_, next) in &mut steps {
        next.forget_vain(names);
    }
    steps
}

/// What somebody would see now who may not.
fn broken_to_see(world: &World, names: &Names, nodes: &mut Nodes) -> Option<&'static str> {
    [Phase::Prepares, Phase::Moves].into_iter().find_map(|phase| {
        let mut looked = world.clone();
        let mut node = nodes.start(names, Request { kind: Kind::Look, phase, number: 9 }, world.now);
        loop {
            match nodes.next(node) {
                Next::Asks(ask) => {
                    let answer = looked.apply(ask, names);
                    node = nodes.after(names, node, answer, world.now);
                }
                Next::Over(Told::Saw(seen)) => break world.broken(seen, world.ended, world.added),
                Next::Over(_) => break Some("who looks is answered"),
            }
        }
    })
}
