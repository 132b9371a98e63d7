//! What schedules met: a simulation that meets little proves little.

use std::{
    fmt,
    ops::AddAssign,
    time::{Duration, Instant},
};

use cloakroom_core::Event;

/// Sums over schedules.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "said by their names")]
#[non_exhaustive]
pub struct Figures {
    pub schedules: u64,
    pub requests: u64,
    pub operations: u64,
    pub faults: u64,
    /// Virtual time.
    pub millis: u64,
    pub acknowledged_edits: u64,
    pub doubtful_edits: u64,
    pub refused_edits: u64,
    pub acknowledged_ends: u64,
    pub sessions: u64,
    pub tickets: u64,
    pub pointers_followed: u64,
    pub conflicts: u64,
    pub unknown_and_applied: u64,
    pub unknown_and_not_applied: u64,
    pub late_landings: u64,
    pub late_landings_that_wrote: u64,
    pub stalls: u64,
    pub refused_for_room: u64,
    pub evictions: u64,
    pub hang_ups: u64,
    pub lost_responses: u64,
    pub crashes: u64,
    pub ring_rotations: u64,
    pub sign_ins_elsewhere: u64,
    pub probes: u64,
    pub ambiguous_requests: u64,
    pub leftovers_refused: u64,
    pub at_once: u64,
    pub too_late: u64,
    pub expired_cookies: u64,
    /// The engine's events by their names, in the order of [`Event::NAMES`].
    pub events: [u64; Event::NAMES.len()],
}

impl Figures {
    /// The counts by name, those of events too.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let own = [
            ("acknowledged edits", self.acknowledged_edits),
            ("doubtful edits", self.doubtful_edits),
            ("refused edits", self.refused_edits),
            ("acknowledged ends", self.acknowledged_ends),
            ("sessions", self.sessions),
            ("tickets", self.tickets),
            ("pointers followed", self.pointers_followed),
            ("conflicts", self.conflicts),
            ("unknown and applied", self.unknown_and_applied),
            ("unknown and not applied", self.unknown_and_not_applied),
            ("late landings", self.late_landings),
            ("late landings that wrote", self.late_landings_that_wrote),
            ("stalls", self.stalls),
            ("refused for room", self.refused_for_room),
            ("evictions", self.evictions),
            ("hang-ups", self.hang_ups),
            ("lost responses", self.lost_responses),
            ("crashes", self.crashes),
            ("ring rotations", self.ring_rotations),
            ("sign-ins elsewhere", self.sign_ins_elsewhere),
            ("probes", self.probes),
            ("ambiguous requests", self.ambiguous_requests),
            ("leftovers refused", self.leftovers_refused),
            ("at once", self.at_once),
            ("too late", self.too_late),
            ("expired cookies", self.expired_cookies),
        ];
        own.into_iter().chain(Event::NAMES.into_iter().zip(self.events))
    }

    /// Returns a count by its name; zero for a name that is none.
    pub fn count(&self, name: &str) -> u64 {
        self.counts().find(|(known, _)| *known == name).map_or(0, |(_, count)| count)
    }

    /// The line that sums up a run that began then.
    pub fn line(&self, since: Instant) -> String {
        let Self { schedules, requests, operations, faults, .. } = self;
        let days = Duration::from_millis(self.millis).as_secs() / (24 * 3600);
        let speed = *schedules as f64 / since.elapsed().as_secs_f64();
        format!(
            "simulation: {schedules} schedules, {requests} requests, {operations} operations, {faults} faults, \
             {days} virtual days, {speed:.0} schedules per second"
        )
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        macro_rules! add {
            ($($name:ident)*) => { $(self.$name += other.$name;)* };
        }
        add! {
            schedules requests operations faults millis acknowledged_edits doubtful_edits refused_edits
            acknowledged_ends sessions tickets pointers_followed conflicts unknown_and_applied
            unknown_and_not_applied late_landings late_landings_that_wrote stalls refused_for_room evictions
            hang_ups lost_responses crashes ring_rotations sign_ins_elsewhere probes ambiguous_requests
            leftovers_refused at_once too_late expired_cookies
        }
        for (sum, count) in self.events.iter_mut().zip(other.events) {
            *sum += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().try_for_each(|(name, count)| writeln!(f, "    {count:>10} {name}"))
    }
}
