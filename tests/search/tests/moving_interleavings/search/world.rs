//! One state of the search: both stores, the requests, and what was acknowledged.

use super::{
    gate::{Answer, Ask, Names, Seen, ValueNo, What},
    request::{Kind, Next, Told},
};

#[derive(Clone, Debug, Hash)]
pub(crate) struct World {
    /// What the old and the new store have under the key.
    slots: [Option<Slot>; 2],
    /// How often each was written.
    writes: [u32; 2],
    /// How many marks were stored.
    marks: u8,
    pub(crate) requests: Vec<Progress>,
    /// What somebody was told that must not be.
    pub(crate) misled: Option<&'static str>,
    /// What was sent and not answered.
    pub(crate) late: Vec<Ask>,
    pub(crate) faults: u8,
    pub(crate) passes: u8,
    pub(crate) now: u32,
    /// The digits whose changes were acknowledged.
    pub(crate) added: u64,
    /// The digits whose changes surely failed.
    failed: u64,
    /// An end was acknowledged.
    pub(crate) ended: bool,
    /// Somebody set out to end it.
    is_ending: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Slot {
    value: ValueNo,
    version: u32,
    expires: u32,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Progress {
    At(u32, Since),
    Idle,
    Over,
}

/// What was acknowledged when a request started.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Since {
    pub(crate) added: u64,
    pub(crate) ended: bool,
}

impl World {
    pub(crate) fn new(names: &Names, requests: usize, faults: u8, passes: u8) -> Self {
        Self {
            slots: [Some(Slot { value: names.first, version: 0, expires: names.first_ttl }), None],
            writes: [0; 2],
            marks: 0,
            requests: vec![Progress::Idle; requests],
            misled: None,
            late: Vec::new(),
            faults,
            passes,
            now: 0,
            added: 0,
            failed: 0,
            ended: false,
            is_ending: false,
        }
        .with_version(names)
    }

    fn with_version(mut self, names: &Names) -> Self {
        if let (true, Some(slot)) = (names.setting.byte_versions, &mut self.slots[0]) {
            slot.version = slot.value.0.into();
        }
        self
    }

    pub(crate) fn starting(&self, number: usize, node: u32, kind: Kind) -> Self {
        let mut world = self.clone();
        // Only who looks is asked what they saw.
        let since = Since { added: self.added, ended: self.ended };
        world.requests[number] = Progress::At(node, if kind == Kind::Read { since } else { Since::default() });
        world.is_ending |= kind == Kind::End;
        world
    }

    pub(crate) fn goes_on(&mut self, number: usize, node: u32, next: Next) {
        let Progress::At(_, since) = self.requests[number] else { return };
        self.requests[number] = Progress::At(node, since);
        if let Next::Over(told) = next {
            self.requests[number] = Progress::Over;
            match told {
                Told::Added => self.added |= 1 << (8 * number),
                Told::Ended => self.ended = true,
                Told::Saw(seen) => self.misled = self.broken(seen, since.ended, since.added),
                Told::Failed => self.failed |= 1 << (8 * number),
                Told::Nothing | Told::Unknown => {}
            }
        }
    }

    /// Lets time pass, if something runs out by it.
    pub(crate) fn pass(&self, seconds: u32) -> Option<Self> {
        let mut world = self.clone();
        world.passes -= 1;
        world.now += seconds;
        for slot in &mut world.slots {
            *slot = slot.filter(|slot| slot.expires > world.now);
        }
        (world.slots != self.slots).then_some(world)
    }

    /// Has a step on its way, which may land at any time.
    pub(crate) fn send(&mut self, ask: Ask) {
        self.late.push(ask);
        self.late.sort_unstable();
    }

    /// Forgets what would change nothing whenever it landed: a version that is gone never comes back.
    pub(crate) fn forget_vain(&mut self, names: &Names) {
        let slots = self.slots;
        self.late.retain(|ask| match ask.what {
            What::Create(..) => true,
            What::Load => false,
            What::Remove(version) | What::Replace(version, ..) | What::Touch(version, _) => {
                names.setting.byte_versions || slots[ask.side as usize].is_some_and(|slot| slot.version == version)
            }
        });
    }

    /// Does a step of a store.
    pub(crate) fn apply(&mut self, ask: Ask, names: &Names) -> Answer {
        let at = ask.side as usize;
        let Some(slot) = self.slots[at] else {
            return match ask.what {
                What::Create(value, ttl) => self.put(at, value, ttl, names),
                _ => Answer::Absent,
            };
        };
        let seen = Seen { value: slot.value, version: slot.version, left: slot.expires - self.now };
        match ask.what {
            What::Create(..) => Answer::Exists,
            What::Load => Answer::Found(seen),
            What::Remove(version) | What::Replace(version, ..) | What::Touch(version, _) if version != slot.version => {
                Answer::Conflict((!names.setting.silent_conflicts).then_some(seen))
            }
            What::Remove(_) => {
                self.slots[at] = None;
                Answer::Removed
            }
            What::Replace(_, value, ttl) => self.put(at, value, ttl, names),
            What::Touch(version, ttl) => {
                self.slots[at] = Some(Slot { expires: self.now + ttl, ..slot });
                Answer::Done(version)
            }
        }
    }

    fn put(&mut self, at: usize, value: ValueNo, ttl: u32, names: &Names) -> Answer {
        let value = names.kept(value, &mut self.marks);
        let version = match names.setting.byte_versions {
            true => value.0.into(),
            false => {
                self.writes[at] += 1;
                self.writes[at]
            }
        };
        self.slots[at] = Some(Slot { value, version, expires: self.now + ttl });
        Answer::Done(version)
    }

    /// Names the rule that somebody breaks who sees this, and started when so much was acknowledged.
    pub(crate) fn broken(&self, seen: Option<u64>, ended: bool, added: u64) -> Option<&'static str> {
        match seen {
            Some(_) if ended => Some("an acknowledged end is final"),
            None if !self.is_ending => Some("a session that nobody ends is found"),
            None => None,
            Some(number) if number & added != added => Some("an acknowledged change is kept"),
            Some(number) if number & self.failed != 0 => Some("what failed has not happened"),
            // A digit takes eight bits, and nobody adds to it more than once.
            Some(number) if number & !0x0101_0101_0101_0101 != 0 => Some("a change counts once"),
            Some(_) => None,
        }
    }
}
