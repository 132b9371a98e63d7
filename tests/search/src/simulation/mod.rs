//! The whole glue under seeded schedules: browsers, the layer, the handle, the driver, a store that fails, and days of
//! virtual time.
//!
//! A seed decides everything: the settings of the engine, the clocks of the nodes, the weather of the store, who asks for
//! what and when, and every step of every task. Browsers keep cookies as user agents do, responses come late, out of order
//! or never, attackers present every ticket that was ever given. A reference model runs beside, made of what clients were
//! told; what sessions show is held against it after every look.
//!
//! What the seed does not decide: the ids and nonces, which are drawn from the operating system and never compared; and
//! the fairness of `async_lock` after half a millisecond of real time, which on a stalled machine may change who is next.

mod browser;
mod figures;
mod model;
mod node;
mod requests;
mod routes;
mod rules;
mod schedule;
mod setting;
mod store;
mod world;
mod wrong;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cloakroom_sim::{Sim, Trace};

pub use self::{figures::Figures, rules::Broken, wrong::Wrong};
use self::{schedule::Schedule, setting::Setting, world::World};

/// Steps that a schedule may take before it counts as one without an end.
const MAX_STEPS: u64 = 300_000;

/// What became of a schedule.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first rule that was broken, if any.
    pub broken: Option<Broken>,
    /// What was met.
    pub figures: Figures,
    /// The digest of every step.
    pub trace: Trace,
    story: Vec<String>,
}

/// Plays the schedule of a seed over a store with which something is wrong, or nothing.
pub fn play(seed: u64, wrong: Wrong) -> Outcome {
    play_and_tell(seed, wrong, false)
}

/// Plays the schedule of a seed again, and keeps the story.
pub fn replay(seed: u64, wrong: Wrong) -> Outcome {
    play_and_tell(seed, wrong, true)
}

fn play_and_tell(seed: u64, wrong: Wrong, tells: bool) -> Outcome {
    let sim = Sim::new(seed).with_max_steps(MAX_STEPS);
    let dice = sim.runtime();
    let setting = Setting::draw(&dice);
    let world = World::new(setting.clone(), dice, tells);
    world.at().tell(|_| format!("{setting}"));
    let schedule = Schedule::new(&world, &setting, wrong);
    let played = catch_unwind(AssertUnwindSafe(|| sim.block_on(schedule.play())));
    let mut state = world.at();
    if let Err(panic) = played {
        let words = panic.downcast::<String>().map_or_else(|_| "a panic".to_owned(), |words| *words);
        state.hold(rules::broken("it comes to an end", words));
    }
    Outcome {
        seed,
        broken: state.broken.take(),
        figures: state.figures.clone(),
        trace: sim.trace(),
        story: state.take_story(),
    }
}

/// The story, the rule that was broken, and the command that tells it again.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.story.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let Self { seed, broken, .. } = self;
        match broken {
            None => write!(f, "seed {seed} keeps every rule"),
            Some(Broken { rule, how }) => write!(
                f,
                "seed {seed} breaks {rule}: {how}\nto see it again: CLOAKROOM_SEED={seed} cargo test -p cloakroom-tests \
                 --test simulation -- --nocapture schedules"
            ),
        }
    }
}
