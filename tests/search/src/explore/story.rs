//! A broken rule as a story that a person can follow.

use core::fmt::Write as _;

use super::{
    names::{At, Content, KeyNo, Names, ValueNo},
    requests::{Cookie, Report},
    search::{How, Move, Search},
    world::{Answer, Ask, World},
};

impl Search {
    /// Tells how a broken rule came about: the moves to a world, the last one, and what is wrong after it.
    pub(super) fn story(&mut self, trail: &[(u32, u16)], mut at: u32, last: u16, how: &str) -> String {
        let mut moves = vec![last];
        while at != 0 {
            let (before, step) = trail[at as usize];
            moves.push(step);
            at = before;
        }
        let mut world = self.start();
        let mut text = String::new();
        for index in moves.into_iter().rev() {
            let step = self.moves(&world)[usize::from(index)];
            let line = self.line(&mut world, step);
            let _ = writeln!(text, "    {line}");
        }
        let _ = writeln!(text, "  at last {}", self.held(&world));
        let _ = writeln!(text, "  {how}");
        text
    }

    fn line(&mut self, world: &mut World, step: Move) -> String {
        let (done, _) = self.make(world, step);
        let (who, how) = match step {
            Move::Crash => return "the process is gone, what its requests sent is on its way".to_owned(),
            Move::Evict(key) => return format!("the store drops {}", self.names.key_name(key)),
            Move::Land(_) => ("late:".to_owned(), How::Well),
            Move::Operate(number, how) => (format!("{:?} {number}:", self.plan.kinds[usize::from(number)]), how),
            Move::Pass(_, to, behind) => return self.passed(to, behind),
            Move::Start(number, tickets, how) => {
                let kind = self.plan.kinds[usize::from(number)];
                let keys: Vec<String> = tickets.iter().flatten().map(|key| self.names.key_name(*key)).collect();
                let tickets = if keys.is_empty() {
                    "no ticket".to_owned()
                } else {
                    format!("the ticket of {}", keys.join(" and "))
                };
                (format!("{kind:?} {number} starts with {tickets}:"), how)
            }
        };
        let Some((ask, answer)) = done else { return who };
        let ask = ask_text(&self.names, ask);
        let mut text = match (how, answer) {
            (How::Dropped, _) => format!("{who} {ask}: the request is dropped, the operation is on its way"),
            (How::Unanswered, _) => format!("{who} {ask}: the answer is lost, the operation is on its way"),
            (_, Some(answer)) => format!("{who} {ask}: {}", answer_text(&self.names, answer)),
            (_, None) => format!("{who} {ask}"),
        };
        for (_, report) in &self.told {
            let _ = write!(text, " => {}", report_text(&self.names, report));
        }
        text
    }

    fn passed(&self, to: At, behind: u8) -> String {
        let mut text = format!("time passes, to {to} s after the start");
        for (number, kind) in (0..).zip(&self.plan.kinds).filter(|(number, _)| behind & (1 << number) != 0) {
            let _ = write!(text, "; only then {kind:?} {number} goes on");
            for (_, report) in self.told.iter().filter(|(who, _)| *who == number) {
                let _ = write!(text, " => {}", report_text(&self.names, report));
            }
        }
        text
    }

    fn held(&self, world: &World) -> String {
        let mut text = String::from("the store holds");
        for (at, slot) in (0..).zip(&world.slots) {
            if let Some(value) = slot.value {
                let key = self.names.key_name(KeyNo(at));
                let _ = write!(text, " {key} = {};", value_text(&self.names, value));
            }
        }
        for late in &world.late {
            let _ = write!(text, " on its way: {};", ask_text(&self.names, *late));
        }
        text
    }
}

fn ask_text(names: &Names, ask: Ask) -> String {
    let key = ask.key().map_or_else(String::new, |key| names.key_name(key));
    match ask {
        Ask::Enroll { .. } => format!("put {key} into the index"),
        Ask::List => "list the index".to_owned(),
        Ask::Unenroll { .. } => format!("take {key} out of the index"),
        Ask::Create { value, .. } => format!("create {key} = {}", value_text(names, value)),
        Ask::Load { .. } => format!("load {key}"),
        Ask::Remove { version, .. } => format!("remove {key} at version {version}"),
        Ask::Replace { version, value, .. } => {
            format!("replace {key} at version {version} by {}", value_text(names, value))
        }
        Ask::Touch { version, .. } => format!("touch {key} at version {version}"),
    }
}

fn answer_text(names: &Names, answer: Answer) -> String {
    match answer {
        Answer::Conflict(Some(seen)) | Answer::Found(seen) => {
            let what = if matches!(answer, Answer::Found(_)) { "found" } else { "conflict with" };
            format!("{what} {} at version {}", value_text(names, seen.value), seen.version)
        }
        Answer::Listed(bits) => {
            let keys = (0..32).map(KeyNo).filter(|key| bits & (1 << key.0) != 0);
            format!("listed {}", keys.map(|key| names.key_name(key)).collect::<Vec<_>>().join(" "))
        }
        Answer::Done(version) => format!("done, version {version}"),
        answer => format!("{answer:?}").to_lowercase(),
    }
}

fn value_text(names: &Names, value: ValueNo) -> String {
    match names.content(value) {
        Content::Ended(by) => format!("tombstone by {by}"),
        Content::Moved(to, closed) => {
            let closes = closed.map(|at| format!(" that closes at {at} s")).unwrap_or_default();
            format!("pointer to {}{closes}", names.key_name(*to))
        }
        Content::Record(held) => {
            let edits: Vec<String> = held.edits.iter().map(|(edit, count)| format!("{edit}:{count}")).collect();
            format!("record {{{}}}", edits.join(" "))
        }
    }
}

fn report_text(names: &Names, report: &Report) -> String {
    let cookie = match report.cookie {
        Cookie::Clear => ", cookie removed".to_owned(),
        Cookie::Keep => String::new(),
        Cookie::Set(key) => format!(", ticket of {} set", names.key_name(key)),
    };
    let end = report.end.map(|end| format!(", end {end:?}")).unwrap_or_default();
    format!("{:?}{end}{cookie}", report.result)
}
