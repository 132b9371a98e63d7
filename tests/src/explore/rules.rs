//! What must hold: one rule, one function.
//!
//! Most rules are promised for the time when all is at rest. They are checked in every world, which is stricter: a
//! ticket opens at all times what it opens at rest.

use cloakroom_core::{CommitError, End};

use super::{
    names::{Content, FIRST_EDIT, KeyNo, Names, ValueNo},
    requests::{Cookie, Report},
    search::Plan,
    world::{Ask, Lineage, Slot, World},
};

type Rule = fn(&View<'_>) -> Result<(), String>;

/// A rule that was broken, and how.
pub type Broken = (&'static str, String);

/// A world as the rules see it.
#[derive(Debug)]
pub struct View<'a> {
    /// What is searched.
    pub plan: &'a Plan,
    /// What the numbers mean.
    pub names: &'a Names,
    /// The world.
    pub world: &'a World,
    /// What each published ticket is worth, as the machine says.
    pub opens: Vec<(KeyNo, Lineage, Opens)>,
}

/// What a ticket is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "said by their names")]
pub enum Opens {
    Absent,
    Closed,
    Ended(u8),
    Record(KeyNo, ValueNo),
}

/// Checks all rules about worlds.
pub fn check(view: &View<'_>) -> Vec<Broken> {
    let rules: [(&'static str, Rule); 5] = [
        ("I1 finality", finality),
        ("I2 no lost update", no_lost_update),
        ("I2 none twice", none_twice),
        ("I3 one record", one_record),
        ("I7 honest tickets", honest_tickets),
    ];
    rules.into_iter().filter_map(|(name, rule)| rule(view).err().map(|how| (name, how))).collect()
}

/// After an acknowledged end, no ticket of the session opens anything.
fn finality(view: &View<'_>) -> Result<(), String> {
    for (ticket, lineage, opens) in &view.opens {
        if view.world.ended.contains(lineage) && matches!(opens, Opens::Record(..)) {
            return Err(format!("{} opens a session whose end was acknowledged", view.ticket(*ticket)));
        }
    }
    Ok(())
}

/// What was said to be stored is there, what was said not to be stored is not, and nothing of another session is.
fn no_lost_update(view: &View<'_>) -> Result<(), String> {
    for (lineage, edits) in view.records() {
        let count = |edit: u8| edits.iter().find(|(known, _)| *known == edit).map_or(0, |(_, count)| *count);
        if (count(FIRST_EDIT) == 1) != (lineage == 0) {
            return Err("what the session held at the start is lost, or in another session".to_owned());
        }
        for verdict in &view.world.verdicts {
            let belongs = verdict.stored && verdict.lineage == lineage;
            if belongs && count(verdict.edit) == 0 {
                return Err(format!("edit {} was acknowledged and is not there", verdict.edit));
            }
            if !belongs && count(verdict.edit) > 0 {
                let why = if verdict.stored { "belongs to another session" } else { "was said not to be stored" };
                return Err(format!("edit {} {why} and is there", verdict.edit));
            }
        }
    }
    Ok(())
}

/// No edit is applied twice.
fn none_twice(view: &View<'_>) -> Result<(), String> {
    for (_, edits) in view.records() {
        if let Some((edit, count)) = edits.iter().find(|(_, count)| *count > 1) {
            return Err(format!("edit {edit} is there {count} times"));
        }
    }
    Ok(())
}

/// All tickets of a lineage that open a record open the same one.
fn one_record(view: &View<'_>) -> Result<(), String> {
    let records = || view.opens.iter().filter(|(_, _, opens)| matches!(opens, Opens::Record(..)));
    for (a, lineage, opens) in records() {
        if let Some((b, _, _)) = records().find(|(_, other, what)| other == lineage && what != opens) {
            return Err(format!("{} and {} open two records", view.ticket(*a), view.ticket(*b)));
        }
    }
    Ok(())
}

/// A ticket opens something unless somebody ended its session, or used its successor.
fn honest_tickets(view: &View<'_>) -> Result<(), String> {
    for (ticket, _, opens) in &view.opens {
        let ticket = view.ticket(*ticket);
        match opens {
            Opens::Absent if !view.world.may_vanish(view.plan) => return Err(format!("{ticket} leads to nothing")),
            Opens::Closed if !view.plan.setting.no_grace => return Err(format!("{ticket} has closed in its grace")),
            Opens::Ended(by) if !view.plan.kinds.get(usize::from(*by)).is_some_and(|kind| kind.ends()) => {
                return Err(format!("{ticket} was ended by request {by}, which ends nothing"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// I4: every key that the store is asked for derives from an id that the engine drew.
pub fn minted_only(names: &Names, ask: Ask) -> Result<(), Broken> {
    if names.is_minted(ask.key()) { Ok(()) } else { Err(("I4 minted only", names.key_name(ask.key()))) }
}

/// A touch hands the store what is there, for stores that touch by rewriting.
pub fn touch_changes_nothing(world: &World, ask: Ask) -> Result<(), Broken> {
    match ask {
        Ask::Touch { key, version, value, .. } => {
            let slot = world.slot(key);
            let is_same = slot.version != version || slot.value.is_none_or(|held| held == value);
            if is_same { Ok(()) } else { Err(("touch", "a touch would change the record".to_owned())) }
        }
        _ => Ok(()),
    }
}

/// I7: a ticket is set only for what is stored, and removed only by the request whose own end succeeded or found it
/// vanished.
pub fn honest_cookie(plan: &Plan, names: &Names, world: &World, report: &Report) -> Result<(), Broken> {
    let broken = |how: &str| Err(("I7 honest cookies", how.to_owned()));
    match report.cookie {
        Cookie::Set(key) => match world.slot(key).value.map(|value| names.content(value)) {
            // Where the ticket was earned with an earlier operation, others may have ended the session since.
            Some(Content::Ended(_) | Content::Moved(..) | Content::Record(_)) => Ok(()),
            None if world.may_vanish(plan) => Ok(()),
            None => broken("a ticket is set for nothing"),
        },
        Cookie::Clear if !matches!(report.end, Some(End::Ended | End::Vanished)) => {
            broken("the cookie is removed by a request that ended nothing")
        }
        Cookie::Keep if report.end == Some(End::Ended) => broken("an ended session's cookie is left in place"),
        Cookie::Clear | Cookie::Keep => Ok(()),
    }
}

/// What a request is told has its cause in the world.
pub fn honest_result(plan: &Plan, names: &Names, world: &World, report: &Report) -> Result<(), Broken> {
    let broken = |how: String| Err(("honest results", how));
    let is_ended = |slot: &Slot| slot.value.is_some_and(|value| matches!(names.content(value), Content::Ended(_)));
    let may_be_gone = world.slots.iter().any(is_ended) || report.reused || world.may_vanish(plan);
    if report.first && report.found.is_none() && !may_be_gone {
        return broken("nothing opened, though nobody ended the session".to_owned());
    }
    if report.destroys && report.result.is_ok() && matches!(report.end, Some(End::Failed | End::Vanished)) {
        return broken("an end that is none was called a success".to_owned());
    }
    let has_cause = match report.result {
        Ok(()) => true,
        Err(CommitError::Lost | CommitError::StaleTicket) => may_be_gone,
        Err(CommitError::OutcomeUnknown | CommitError::Store) => {
            world.faults < plan.faults || world.evictions < plan.evictions
        }
        Err(CommitError::Vanished) => world.may_vanish(plan),
        Err(_) => false,
    };
    if has_cause { Ok(()) } else { broken(format!("{:?} without a cause", report.result)) }
}

impl World {
    /// Tells whether entries may be gone without a trace: the store dropped one, or the codec cannot leave one.
    pub fn may_vanish(&self, plan: &Plan) -> bool {
        self.evictions < plan.evictions || plan.setting.no_markers
    }
}

impl View<'_> {
    /// The records that open, with the edits in them.
    fn records(&self) -> impl Iterator<Item = (Lineage, &[(u8, u64)])> {
        self.opens.iter().filter_map(|(_, lineage, opens)| match opens {
            Opens::Record(_, value) => match self.names.content(*value) {
                Content::Record(edits) => Some((*lineage, edits.as_slice())),
                Content::Ended(_) | Content::Moved(..) => None,
            },
            _ => None,
        })
    }

    fn ticket(&self, ticket: KeyNo) -> String {
        format!("the ticket of {}", self.names.key_name(ticket))
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{StoreKey, Value};

    use super::{
        super::{Kind, Setting, names::FOUNDER, search::Search, world::Verdict},
        *,
    };

    /// Which rules a world breaks when its tickets open what `opens` says, of a key and two records in turn.
    fn broken(change: impl Fn(&mut World), opens: impl Fn(KeyNo, [ValueNo; 2]) -> Vec<Opens>) -> Vec<&'static str> {
        let plan = Plan::new(&[Kind::Change, Kind::Destroy], 0);
        let mut search = Search::new(plan.clone());
        let mut world = search.start();
        let key = world.published[0].0;
        let record = |edits: &str| {
            let head = r#"{"format":1,"kind":"record","created":0,"deadline":9,"idle":9,"persistent":false,"issued":0"#;
            Value::from(format!(r#"{head},"commits":1,"nonces":[],"schema":0,"data":{{{edits}}}}}"#).into_bytes())
        };
        let values = [record(r#""99":1"#), record(r#""99":1,"0":2"#)]
            .map(|value| search.names.value_no(&StoreKey::new("k").unwrap(), &value));
        change(&mut world);
        let opens = opens(key, values).into_iter().map(|opens| (key, 0, opens)).collect();
        let view = View { plan: &plan, names: &search.names, world: &world, opens };
        check(&view).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn every_rule_can_be_broken() {
        let first = |key, [value, _]: [ValueNo; 2]| vec![Opens::Record(key, value)];
        assert_eq!(broken(|_| {}, first), [""; 0]);
        assert_eq!(broken(|world| world.ended.push(0), first), ["I1 finality"]);
        let stored = Verdict { edit: 0, lineage: 0, stored: true };
        assert_eq!(broken(|world| world.verdicts.push(stored), first), ["I2 no lost update"]);
        let denied = Verdict { stored: false, ..stored };
        let second = |key, [_, value]: [ValueNo; 2]| vec![Opens::Record(key, value)];
        assert_eq!(broken(|world| world.verdicts.push(denied), second), ["I2 no lost update", "I2 none twice"]);
        let both = |key, values: [ValueNo; 2]| values.map(|value| Opens::Record(key, value)).to_vec();
        assert_eq!(broken(|_| {}, both), ["I2 none twice", "I3 one record"]);
        assert_eq!(broken(|_| {}, |_, _| vec![Opens::Absent]), ["I7 honest tickets"]);
        assert_eq!(broken(|_| {}, |_, _| vec![Opens::Closed]), ["I7 honest tickets"]);
        assert_eq!(broken(|_| {}, |_, _| vec![Opens::Ended(0)]), ["I7 honest tickets"]);
        assert_eq!(broken(|_| {}, |_, _| vec![Opens::Ended(FOUNDER)]), ["I7 honest tickets"]);
        assert_eq!(broken(|_| {}, |_, _| vec![Opens::Ended(1)]), [""; 0]);
    }

    #[test]
    fn a_key_that_nobody_minted_is_noticed() {
        let mut names = Names::new(Setting::default());
        let key = names.key_no(&StoreKey::new("made-up").unwrap());
        assert!(minted_only(&names, Ask::Load { key }).is_err());
    }
}
