//! What a seed decides before its schedule starts.

use std::fmt;

use cloakroom_sim::SimRuntime;

use super::routes::Route;

/// How far a node's coarse clock is behind, at most.
pub(super) const TICK: i64 = 10;
pub(super) const SECOND: i64 = 1000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// The settings of the engine, the weather of the store and what happens to the nodes. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) idle: i64,
    pub(super) absolute: i64,
    /// How many times longer a session may be that is to be remembered.
    pub(super) remember: i64,
    /// A touch is due when it adds more than one part in this many.
    pub(super) touch_part: i64,
    pub(super) grace: i64,
    pub(super) renew_after: Option<i64>,
    pub(super) max_request: i64,
    /// How far the clocks of two nodes may differ, and do.
    pub(super) skew: i64,
    pub(super) serves_without: bool,

    /// The clock of each node.
    pub(super) offsets: Vec<i64>,
    /// The episode after which the ring is rotated, node by node.
    pub(super) rotates_ring: Option<u64>,
    /// The episode in which a node dies.
    pub(super) crashes: Option<u64>,

    pub(super) deadline: i64,
    pub(super) latency: i64,
    /// One operation in this many goes wrong; none for zero.
    pub(super) fault_part: u64,
    /// How much later than asked for an operation may happen.
    pub(super) late: i64,
    pub(super) evicts: bool,
    pub(super) silent_conflicts: bool,
    pub(super) byte_versions: bool,
    pub(super) max_entries: usize,

    pub(super) browsers: u64,
    pub(super) episodes: u64,
    pub(super) most_at_once: u64,
    /// What half of the requests ask for.
    pub(super) favourite: Option<Route>,
    /// After the first ticket, no response arrives.
    pub(super) is_deaf: bool,
}

impl Setting {
    pub(super) fn draw(dice: &SimRuntime) -> Self {
        let idle = pick(dice, &[MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR]);
        let skew = pick(dice, &[0, 5 * SECOND, 60 * SECOND]);
        let deadline = pick(dice, &[100, 2 * SECOND]);
        let episodes = 3 + dice.draw(8);
        let nodes = 1 + dice.draw(3);
        let one_in = |part: u64| dice.draw(part) == 0;
        Self {
            idle,
            absolute: idle * pick(dice, &[1, 3, 16, 16, 48]),
            remember: pick(dice, &[1, 4]),
            touch_part: pick(dice, &[1, 2, 5, 5, 100]),
            grace: pick(dice, &[0, 5 * SECOND, MINUTE, 20 * MINUTE]),
            renew_after: pick(dice, &[None, None, Some(SECOND), Some(idle / 3)]),
            max_request: pick(dice, &[30 * SECOND, 10 * MINUTE]),
            skew,
            serves_without: one_in(6),
            offsets: (0..nodes).map(|_| below(dice, skew + 1) - skew / 2).collect(),
            rotates_ring: one_in(3).then(|| dice.draw(episodes)),
            crashes: one_in(6).then(|| dice.draw(episodes)),
            deadline,
            latency: pick(dice, &[0, 5, deadline / 3]),
            fault_part: pick(dice, &[0, 0, 40, 12, 5]),
            late: pick(dice, &[SECOND, MINUTE, HOUR, DAY]),
            evicts: one_in(6),
            silent_conflicts: one_in(4),
            byte_versions: one_in(4),
            max_entries: pick(dice, &[4, 1000, 1000, 1000, 1000, 1000, 1000, 1000]),
            browsers: pick(dice, &[1, 1, 2, 3]),
            episodes,
            most_at_once: 1 + dice.draw(5),
            favourite: pick(
                dice,
                &[None, None, None, Some(Route::Add), Some(Route::Rotate), Some(Route::RotateAndAdd)],
            ),
            is_deaf: one_in(12),
        }
    }

    /// How long to wait before the next episode: moments at which something is due, and a little before or after.
    pub(super) fn pause(&self, dice: &SimRuntime) -> i64 {
        let due = [
            0,
            20,
            200,
            2 * SECOND,
            10 * SECOND,
            self.grace,
            self.renew_after.unwrap_or(MINUTE),
            self.idle / self.touch_part,
            self.idle - self.idle / self.touch_part,
            self.idle / 2,
            self.idle / 2,
            self.idle,
        ];
        if dice.draw(40) == 0 {
            return self.absolute;
        }
        // Mostly the session is still there.
        let longest = if dice.draw(4) == 0 { i64::MAX } else { self.idle * 3 / 4 };
        let due = pick(dice, &due).min(longest);
        let near = due.min(self.skew + SECOND);
        due + below(dice, 2 * near) - near
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Picks one of them.
pub(super) fn pick<T: Copy>(dice: &SimRuntime, choices: &[T]) -> T {
    choices[dice.draw(choices.len() as u64) as usize]
}

/// Draws a time less than `end`; zero where there is none.
pub(super) fn below(dice: &SimRuntime, end: i64) -> i64 {
    dice.draw(end.max(1) as u64) as i64
}
