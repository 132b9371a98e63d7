//! What must hold: one rule, one function.
//!
//! Most rules are promised for the time when all is at rest. They are checked in every world, which is stricter: a ticket opens at all times what it opens at rest.

use cloakroom_core::{
    CommitError, End,
    limits::{DEFAULT_ABSOLUTE, DEFAULT_CLOCK_SKEW, DEFAULT_GRACE, DEFAULT_IDLE, DEFAULT_MAX_REQUEST, MAX_HOPS},
};

use super::{
    names::{At, Content, FIRST_EDIT, Held, KeyNo, Names, ValueNo, seconds},
    requests::{Cookie, Kind, Report, Request},
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
    /// The tickets that clients were given.
    pub tickets: Vec<Ticket>,
}

/// A ticket, what stands at the end of its way, and what the machine finds with it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "said by their names")]
pub struct Ticket {
    pub key: KeyNo,
    pub lineage: Lineage,
    pub leads_to: LeadsTo,
    pub found: Option<KeyNo>,
}

/// What stands where a ticket leads to: a pointer to another key that has closed, the tombstone of a request, a record
/// whose time is up, nothing, a live record, or more pointers than are followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "said by their names")]
pub enum LeadsTo {
    Closed(KeyNo),
    Ended(u8),
    Expired,
    Nothing(KeyNo),
    Record(KeyNo, ValueNo),
    TooFar,
}

impl LeadsTo {
    /// Follows the pointers from a ticket's own key, as a reader of the store would.
    pub fn of(mut key: KeyNo, names: &Names, world: &World) -> Self {
        for _ in 0..=MAX_HOPS {
            let Some(value) = world.slot(key).value else { return Self::Nothing(key) };
            key = match names.content(value) {
                Content::Ended(by) => return Self::Ended(*by),
                Content::Moved(to, Some(closes_at)) if *closes_at <= world.now => return Self::Closed(*to),
                Content::Moved(to, _) => *to,
                Content::Record(held) if held.deadline <= world.now => return Self::Expired,
                Content::Record(_) => return Self::Record(key, value),
            }
        }
        Self::TooFar
    }
}

/// Checks all rules about worlds.
pub fn check(view: &View<'_>) -> Vec<Broken> {
    let rules: [(&'static str, Rule); 12] = [
        ("I1 finality", finality),
        ("I2 no lost update", no_lost_update),
        ("I2 none twice", none_twice),
        ("I3 one record", one_record),
        ("I5 no fixation", no_fixation),
        ("I5 given up", given_up),
        ("I5 not from the ended", not_from_the_ended),
        ("I6 in the index", in_the_index),
        ("I2 carried over", carried_over),
        ("I7 honest tickets", honest_tickets),
        ("admission", admission),
        ("first presentation", first_presentation),
    ];
    rules.into_iter().filter_map(|(name, rule)| rule(view).err().map(|how| (name, how))).collect()
}

/// After an acknowledged end, no ticket of the session opens anything.
fn finality(view: &View<'_>) -> Result<(), String> {
    match view.tickets.iter().find(|ticket| ticket.opens() && view.world.ended.contains(&ticket.lineage)) {
        Some(ticket) => Err(format!("{} opens a session whose end was acknowledged", view.name(ticket))),
        None => Ok(()),
    }
}

/// What was said to be stored is there, and what was said not to be stored is not.
fn no_lost_update(view: &View<'_>) -> Result<(), String> {
    for (lineage, held) in view.records() {
        if lineage == 0 && held.count(FIRST_EDIT) == 0 {
            return Err("what the session held at the start is lost".to_owned());
        }
        for verdict in &view.world.verdicts {
            if verdict.stored && verdict.lineage == lineage && held.count(verdict.edit) == 0 {
                return Err(format!("edit {} was acknowledged and is not there", verdict.edit));
            }
            if !verdict.stored && held.count(verdict.edit) > 0 {
                return Err(format!("edit {} was said not to be stored and is there", verdict.edit));
            }
        }
    }
    Ok(())
}

/// No edit is applied twice or in part: the sum that every edit adds to counts each once, and what every edit overwrites
/// was written by one that is there.
fn none_twice(view: &View<'_>) -> Result<(), String> {
    for (_, held) in view.records() {
        if let Some((edit, count)) = held.edits.iter().find(|(_, count)| *count > 1) {
            return Err(format!("edit {edit} is there {count} times"));
        }
        if held.sum != held.edits.len() as u64 {
            return Err(format!("the edits add up to {}, and {} are there", held.sum, held.edits.len()));
        }
        if held.last.is_some_and(|edit| held.count(edit) == 0) {
            return Err("the last edit is there in part".to_owned());
        }
    }
    Ok(())
}

/// All tickets of a lineage that open a record open the same one.
fn one_record(view: &View<'_>) -> Result<(), String> {
    let open = || view.tickets.iter().filter(|ticket| ticket.opens());
    for a in open() {
        if let Some(b) = open().find(|b| b.lineage == a.lineage && b.leads_to != a.leads_to) {
            return Err(format!("{} and {} open two records", view.name(a), view.name(b)));
        }
    }
    Ok(())
}

/// A ticket opens nothing of a session that began after it was given up, and none opens what an earlier session held.
/// That is what a login asks for, and what an end that another session follows shows until there are logins.
fn no_fixation(view: &View<'_>) -> Result<(), String> {
    for (lineage, held) in view.records() {
        if view.world.carried.iter().any(|(_, to)| *to == lineage) {
            continue;
        }
        if lineage != 0 && held.count(FIRST_EDIT) > 0 {
            return Err("what the session held at the start is in another".to_owned());
        }
        let mut verdicts = view.world.verdicts.iter();
        if let Some(foreign) = verdicts.find(|it| it.stored && it.lineage != lineage && held.count(it.edit) > 0) {
            return Err(format!("edit {} belongs to another session and is there", foreign.edit));
        }
    }
    Ok(())
}

/// Once an elevation is acknowledged, no ticket from before it opens anything.
fn given_up(view: &View<'_>) -> Result<(), String> {
    match view.tickets.iter().find(|ticket| ticket.opens() && view.world.given_up & (1 << ticket.key.0) != 0) {
        Some(ticket) => Err(format!("{} opens a session after its elevation", view.name(ticket))),
        None => Ok(()),
    }
}

/// A login carries nothing over from a session that another request ended.
fn not_from_the_ended(view: &View<'_>) -> Result<(), String> {
    let View { plan, world, .. } = view;
    for (lineage, held) in view.records() {
        for (from, _) in world.carried.iter().filter(|(_, to)| *to == lineage) {
            let maker = lineage.checked_sub(1).map(|edit| edit / 2);
            let ended_it = |by: u8| {
                let kind = plan.kinds.get(usize::from(by));
                kind.is_some_and(|kind| *kind != Kind::Elevate) && Some(by) != maker
            };
            let is_ended =
                |it: &Ticket| it.lineage == *from && matches!(it.leads_to, LeadsTo::Ended(by) if ended_it(by));
            let is_from_there = |edit: u8| held.count(edit) > 0;
            let mut edits = world.verdicts.iter().filter(|it| it.stored && it.lineage == *from).map(|it| it.edit);
            let holds = (*from == 0 && is_from_there(FIRST_EDIT)) || edits.any(is_from_there);
            if holds && view.tickets.iter().any(is_ended) {
                return Err("a login carried over what another request had ended".to_owned());
            }
        }
    }
    Ok(())
}

/// Every session of the user that a ticket opens is found from a key in the index.
fn in_the_index(view: &View<'_>) -> Result<(), String> {
    let View { names, world, .. } = view;
    for ticket in &view.tickets {
        let LeadsTo::Record(key, value) = ticket.leads_to else { continue };
        let Content::Record(Held { signed_in: true, .. }) = names.content(value) else { continue };
        let leads_there =
            |member: KeyNo| matches!(LeadsTo::of(member, names, world), LeadsTo::Record(it, _) if it == key);
        if !world.index.iter().any(|(member, _)| leads_there(*member)) {
            return Err(format!("no key in the index leads to {}", names.key_name(key)));
        }
    }
    Ok(())
}

/// What was acknowledged before a login that carries everything over is in the session after it, unless somebody else
/// ended the one before.
fn carried_over(view: &View<'_>) -> Result<(), String> {
    let View { plan, world, .. } = view;
    let enders = plan.kinds.iter().filter(|kind| kind.ends()).count();
    if enders > 1 || world.may_vanish(plan) {
        return Ok(());
    }
    for (lineage, held) in view.records() {
        for (from, _) in world.carried.iter().filter(|(_, to)| *to == lineage) {
            let mut verdicts = world.verdicts.iter();
            if let Some(lost) = verdicts.find(|it| it.stored && it.lineage == *from && held.count(it.edit) == 0) {
                return Err(format!("edit {} was acknowledged before the login and not carried over", lost.edit));
            }
        }
    }
    Ok(())
}

/// Nobody is signed out without a cause: a ticket opens something unless somebody ended its session, its time is up, or
/// its successor was presented, a grace ago.
fn honest_tickets(view: &View<'_>) -> Result<(), String> {
    let View { plan, names, world, .. } = view;
    let ends = |by: u8| plan.kinds.get(usize::from(by)).is_some_and(|kind| kind.ends());
    let is_over = world.now >= seconds(&DEFAULT_ABSOLUTE);
    for ticket in &view.tickets {
        let how = match ticket.leads_to {
            LeadsTo::Nothing(_) if world.may_vanish(plan) => continue,
            LeadsTo::Nothing(key) => match world.slot(key).lapsed.map(|value| names.content(value)) {
                Some(Content::Record(_) | Content::Moved(_, Some(_))) => continue,
                Some(Content::Moved(_, None)) if is_over => continue,
                Some(Content::Ended(by)) if ends(*by) => continue,
                _ => "leads to nothing".to_owned(),
            },
            LeadsTo::Closed(to) if world.presented & (1 << to.0) == 0 => {
                "has closed, and nobody presented its successor".to_owned()
            }
            LeadsTo::Closed(_) if !plan.setting.no_grace && world.now < seconds(&DEFAULT_GRACE) => {
                "has closed in its grace".to_owned()
            }
            LeadsTo::Expired if !is_over => "has expired early".to_owned(),
            LeadsTo::Ended(by)
                if plan.kinds.get(usize::from(by)) == Some(&Kind::EndOthers)
                    && world.marks.iter().any(|mark| mark.number == by && mark.own == ticket.lineage) =>
            {
                format!("was ended by request {by}, whose own it is")
            }
            LeadsTo::Ended(by) if !ends(by) => format!("was ended by request {by}, which ends nothing"),
            LeadsTo::Closed(_) | LeadsTo::Ended(_) | LeadsTo::Expired | LeadsTo::Record(..) | LeadsTo::TooFar => {
                continue;
            }
        };
        return Err(format!("{} {how}", view.name(ticket)));
    }
    Ok(())
}

/// The machine finds what stands at the end of a ticket's way if that is a live record, and else nothing.
fn admission(view: &View<'_>) -> Result<(), String> {
    let live = |ticket: &Ticket| match ticket.leads_to {
        LeadsTo::Record(key, _) => Some(key),
        _ => None,
    };
    match view.tickets.iter().find(|ticket| live(ticket) != ticket.found) {
        Some(ticket) => {
            let name = |key: Option<KeyNo>| key.map_or_else(|| "nothing".to_owned(), |key| view.names.key_name(key));
            let (stands, opens) = (name(live(ticket)), name(ticket.found));
            Err(format!("{} leads to {stands}, and opens {opens}", view.name(ticket)))
        }
        None => Ok(()),
    }
}

/// As long as a pointer is open, the record that it leads to knows it, so that its first presentation closes it.
fn first_presentation(view: &View<'_>) -> Result<(), String> {
    for (key, slot) in (0..).map(KeyNo).zip(&view.world.slots) {
        let Some(Content::Moved(to, None)) = slot.value.map(|value| view.names.content(value)) else { continue };
        match view.world.slot(*to).value.map(|value| view.names.content(value)) {
            Some(Content::Record(held)) if held.predecessor != Some(key) => {
                return Err(format!("nothing will ever close the pointer at {}", view.names.key_name(key)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// I4: every key that the store is asked for derives from an id that the engine drew.
pub fn minted_only(names: &Names, ask: Ask) -> Result<(), Broken> {
    match ask.key().filter(|key| !names.is_minted(*key)) {
        Some(key) => Err(("I4 minted only", names.key_name(key))),
        None => Ok(()),
    }
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

/// Pointers and tombstones outlive every request that was admitted before them, an open pointer the session; a record
/// lives no longer than its idle time.
pub fn lives_long_enough(names: &Names, world: &World, ask: Ask) -> Result<(), Broken> {
    let (Ask::Create { key, value, ttl } | Ask::Replace { key, value, ttl, .. } | Ask::Touch { key, value, ttl, .. }) =
        ask
    else {
        return Ok(());
    };
    let marker = seconds(&DEFAULT_MAX_REQUEST) + seconds(&DEFAULT_CLOCK_SKEW);
    let has_right_length = match names.content(value) {
        Content::Ended(_) | Content::Moved(_, Some(_)) => ttl >= marker,
        Content::Moved(to, None) => {
            let deadline = match world.slot(*to).value.map(|value| names.content(value)) {
                Some(Content::Record(held)) => held.deadline,
                _ => 0,
            };
            ttl >= marker && world.now + ttl >= deadline
        }
        Content::Record(held) => ttl <= seconds(&DEFAULT_IDLE) && ttl <= held.deadline,
    };
    let key = names.key_name(key);
    if has_right_length {
        Ok(())
    } else {
        Err(("times to live", format!("{ttl} s are too short, or too long, for {key}")))
    }
}

/// A pointer is closed only when its successor's ticket was presented, a grace later, and that time never moves.
pub fn closes_once(plan: &Plan, names: &Names, world: &World, ask: Ask) -> Result<(), Broken> {
    let Ask::Replace { key, value, version, .. } = ask else { return Ok(()) };
    let Content::Moved(to, Some(closes_at)) = names.content(value) else { return Ok(()) };
    let broken = |how: &str| Err(("first presentation", format!("{} {how}", names.key_name(key))));
    let grace: At = if plan.setting.no_grace { 0 } else { seconds(&DEFAULT_GRACE) };
    match world.seen(key, plan.setting.store).filter(|seen| seen.version == version).map(|it| names.content(it.value)) {
        _ if world.presented & (1 << to.0) == 0 => broken("is to close, and nobody presented its successor"),
        _ if *closes_at < grace => broken("is to close in its grace"),
        Some(Content::Moved(_, Some(before))) if closes_at > before => broken("is to close later than was said"),
        _ => Ok(()),
    }
}

/// A session that nobody asked to renew is renewed only once its ticket was presented: the response with that ticket has
/// arrived, and cannot overwrite a newer one.
pub fn renews_what_was_presented(names: &Names, world: &World, kind: Kind, ask: Ask) -> Result<(), Broken> {
    let Ask::Replace { key, value, .. } = ask else { return Ok(()) };
    let renews = matches!(names.content(value), Content::Moved(_, None));
    let is_out = world.published.iter().any(|(known, _)| *known == key) && world.presented & (1 << key.0) == 0;
    if !renews || kind.renews() || !is_out {
        return Ok(());
    }
    Err(("renewal", format!("{} is renewed, and nobody presented its ticket", names.key_name(key))))
}

/// Who is given a new ticket of the session can still use the one that it came with.
pub fn keeps_its_ticket(names: &Names, world: &World, request: Request, report: &Report) -> Result<(), Broken> {
    let is_renewed = matches!(report.cookie, Cookie::Set(_)) && report.found.is_some();
    let is_lost = |ticket: &KeyNo| LeadsTo::of(*ticket, names, world) == LeadsTo::TooFar;
    match request.tickets.iter().flatten().find(|ticket| is_renewed && is_lost(ticket)) {
        Some(ticket) => Err(("renewal", format!("the ticket of {} leads too far", names.key_name(*ticket)))),
        None => Ok(()),
    }
}

/// I7: a ticket is set only for what is stored, and removed only by the request whose own end succeeded or found it
/// vanished.
pub fn honest_cookie(plan: &Plan, names: &Names, world: &World, by: u8, report: &Report) -> Result<(), Broken> {
    let broken = |how: &str| Err(("I7 honest cookies", how.to_owned()));
    let entries = || world.slots.iter().filter_map(|slot| slot.value.or(slot.lapsed)).map(|value| names.content(value));
    let ended = || world.may_vanish(plan) || entries().any(|entry| matches!(entry, Content::Ended(it) if *it == by));
    match report.cookie {
        Cookie::Set(_) if report.reused && report.found.is_none() => {
            broken("a ticket that was renewed away makes a session, and overwrites its successor's cookie")
        }
        Cookie::Set(key) if world.slot(key).is_empty() && !world.may_vanish(plan) => {
            broken("a ticket is set for nothing")
        }
        Cookie::Clear if !report.has_ended => broken("the cookie is removed by a request that ended nothing"),
        Cookie::Clear if report.end == Some(End::Ended) && !ended() => {
            broken("the cookie is removed, and no tombstone is this request's")
        }
        Cookie::Keep if report.end == Some(End::Ended) => broken("an ended session's cookie is left in place"),
        Cookie::Keep if report.found.is_none() && report.edit.is_some() && !report.dropped && report.result.is_ok() => {
            broken("a session is acknowledged that nobody has a ticket of")
        }
        Cookie::Clear | Cookie::Keep | Cookie::Set(_) => Ok(()),
    }
}

/// What a request is told has its cause in the world.
pub fn honest_result(plan: &Plan, names: &Names, world: &World, report: &Report) -> Result<(), Broken> {
    let broken = |how: String| Err(("honest results", how));
    let is_ended = |slot: &Slot| slot.value.is_some_and(|value| matches!(names.content(value), Content::Ended(_)));
    let is_expired = |slot: &Slot| slot.lapsed.is_some_and(|value| matches!(names.content(value), Content::Record(_)));
    let may_vanish = world.may_vanish(plan) || world.slots.iter().any(is_expired);
    let may_be_gone = world.slots.iter().any(is_ended) || report.reused || may_vanish || world.has_lapsed();
    if report.first && report.found.is_none() && !report.ticketless && !may_be_gone {
        return broken("nothing opened, though nobody ended the session".to_owned());
    }
    let makes = report.edit.is_some() && !report.dropped && report.found.is_none() && report.result.is_ok();
    if makes && report.goes_on && !report.signs_in {
        return broken("a request that lost its session made another".to_owned());
    }
    if report.destroys && report.result.is_ok() && matches!(report.end, Some(End::Failed | End::Vanished)) {
        return broken("an end that is none was called a success".to_owned());
    }
    let has_cause = match report.result {
        Ok(()) => true,
        Err(CommitError::Lost | CommitError::StaleTicket) => may_be_gone,
        Err(CommitError::OutcomeUnknown | CommitError::Store) => report.troubled || may_vanish,
        Err(CommitError::TooLate) => world.now > 0,
        Err(CommitError::Vanished) => may_vanish,
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

impl Held {
    /// Returns how often an edit is in the record.
    pub fn count(&self, edit: u8) -> u64 {
        self.edits.iter().find(|(known, _)| *known == edit).map_or(0, |(_, count)| *count)
    }
}

impl Ticket {
    fn opens(&self) -> bool {
        matches!(self.leads_to, LeadsTo::Record(..)) || self.found.is_some()
    }
}

impl View<'_> {
    /// The records that tickets open.
    fn records(&self) -> impl Iterator<Item = (Lineage, &Held)> {
        self.tickets.iter().filter_map(|ticket| match ticket.leads_to {
            LeadsTo::Record(_, value) => match self.names.content(value) {
                Content::Record(held) => Some((ticket.lineage, held)),
                Content::Ended(_) | Content::Moved(..) => None,
            },
            _ => None,
        })
    }

    fn name(&self, ticket: &Ticket) -> String {
        format!("the ticket of {}", self.names.key_name(ticket.key))
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{StoreKey, Value};

    use super::{
        super::{Kind, Setting, names::FOUNDER, search::Search, world::Verdict},
        *,
    };

    /// Which rules a world breaks when its tickets lead to what `leads_to` says, of a key and two records in turn.
    fn broken(
        change: impl Fn(&mut World),
        leads_to: impl Fn(KeyNo, [ValueNo; 2]) -> Vec<LeadsTo>,
    ) -> Vec<&'static str> {
        let plan = Plan::new(&[Kind::Change, Kind::Destroy], 0);
        let mut search = Search::new(plan.clone());
        let mut world = search.start();
        let key = world.published[0].0;
        let record = |data: &str| {
            let head = r#"{"format":1,"kind":"record","created":0,"deadline":9,"idle":9,"persistent":false,"issued":0"#;
            let rest = r#""lineage":"AAAAAAAAAAA","commits":1,"nonces":[],"schema":0"#;
            Value::from(format!(r#"{head},{rest},"data":{{{data}}}}}"#).into_bytes())
        };
        let values = [record(r#""99":1,"sum":1"#), record(r#""99":1,"0":2,"sum":2"#)]
            .map(|value| search.names.value_no(&StoreKey::new("k").unwrap(), &value));
        change(&mut world);
        let ticket = |leads_to| {
            let found = if let LeadsTo::Record(key, _) = leads_to { Some(key) } else { None };
            Ticket { key, lineage: 0, leads_to, found }
        };
        let tickets = leads_to(key, values).into_iter().map(ticket).collect();
        let view = View { plan: &plan, names: &search.names, world: &world, tickets };
        check(&view).into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn every_rule_can_be_broken() {
        let first = |key, [value, _]: [ValueNo; 2]| vec![LeadsTo::Record(key, value)];
        assert_eq!(broken(|_| {}, first), [""; 0]);
        assert_eq!(broken(|world| world.ended.push(0), first), ["I1 finality"]);
        let stored = Verdict { edit: 0, lineage: 0, stored: true };
        assert_eq!(broken(|world| world.verdicts.push(stored), first), ["I2 no lost update"]);
        let denied = Verdict { stored: false, ..stored };
        let second = |key, [_, value]: [ValueNo; 2]| vec![LeadsTo::Record(key, value)];
        assert_eq!(broken(|world| world.verdicts.push(denied), second), ["I2 no lost update", "I2 none twice"]);
        let foreign = Verdict { lineage: 1, ..stored };
        assert_eq!(broken(|world| world.verdicts.push(foreign), second), ["I2 none twice", "I5 no fixation"]);
        let both = |key, values: [ValueNo; 2]| values.map(|value| LeadsTo::Record(key, value)).to_vec();
        assert_eq!(broken(|_| {}, both), ["I2 none twice", "I3 one record"]);
        let honest = ["I7 honest tickets"];
        assert_eq!(broken(|_| {}, |key, _| vec![LeadsTo::Nothing(key)]), honest);
        assert_eq!(broken(|_| {}, |key, _| vec![LeadsTo::Closed(key)]), honest);
        assert_eq!(broken(|world| world.now = 60, |key, _| vec![LeadsTo::Closed(key)]), honest);
        let presented = |now| move |world: &mut World| (world.now, world.presented) = (now, 1);
        assert_eq!(broken(presented(59), |key, _| vec![LeadsTo::Closed(key)]), honest);
        assert_eq!(broken(presented(60), |key, _| vec![LeadsTo::Closed(key)]), [""; 0]);
        assert_eq!(broken(|_| {}, |_, _| vec![LeadsTo::Expired]), honest);
        assert_eq!(broken(|_| {}, |_, _| vec![LeadsTo::Ended(0)]), honest);
        assert_eq!(broken(|_| {}, |_, _| vec![LeadsTo::Ended(FOUNDER)]), honest);
        assert_eq!(broken(|_| {}, |_, _| vec![LeadsTo::Ended(1)]), [""; 0]);
        assert_eq!(broken(|world| world.given_up = 1, first), ["I5 given up"]);
        let carried = |world: &mut World| world.carried.push((0, 0));
        let ended = |key, [value, _]: [ValueNo; 2]| vec![LeadsTo::Record(key, value), LeadsTo::Ended(1)];
        assert_eq!(broken(carried, ended), ["I5 not from the ended"]);
        let forgotten = |world: &mut World| {
            carried(world);
            world.verdicts.push(stored);
        };
        assert_eq!(broken(forgotten, first), ["I2 no lost update", "I2 carried over"]);
    }

    #[test]
    fn a_key_that_nobody_minted_is_noticed() {
        let mut names = Names::new(Setting::default());
        let key = names.key_no(&StoreKey::new("made-up").unwrap());
        assert!(minted_only(&names, Ask::Load { key }).is_err());
    }
}
