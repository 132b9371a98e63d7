//! What sessions promise, each promise as a rule that a schedule can break.

use std::collections::BTreeSet;

use cloakroom_core::CommitError;
use cloakroom_store::SessionError;

use super::{
    model::{Answer, Cookie, Fate, Lineage, Model, Moment, No, Reader, View, Visit},
    routes::Route,
    setting::{SECOND, TICK},
};

/// A rule that was broken, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The rule's name.
    pub rule: &'static str,
    /// What was seen.
    pub how: String,
}

type Verdict = Result<(), Broken>;

pub(super) fn broken(rule: &'static str, how: impl Into<String>) -> Verdict {
    Err(Broken { rule, how: how.into() })
}

/// How many pointers are followed.
const MAX_HOPS: u32 = 8;
/// How long after a sign-in the old ticket makes no session.
const SUPERSEDED: i64 = 10 * SECOND;

impl Model {
    /// What a look at a session may show.
    pub(super) fn may_see(&self, reader: &Reader, view: &View, now: i64) -> Verdict {
        let Some(who) = view.who else {
            if !view.log.is_empty() || view.flag.is_some() {
                return broken("I2 no lost update", "there is data, but not what the session began with");
            }
            return self.may_be_empty(reader, now);
        };
        let Some(lineage) = self.lineages.get(&who) else {
            return broken("no one else's data", format!("session r{who} was made by nobody"));
        };
        if !reader.tickets.iter().any(|ticket| self.tickets[*ticket].session == who) {
            return broken("no one else's data", format!("session r{who} opens by a ticket of another"));
        }
        if lineage.ended.is_some_and(|ended| ended < reader.since.seq) {
            return broken("I1 finality", format!("session r{who} opens after its end was acknowledged"));
        }
        if reader.since.at >= lineage.written + lineage.idle {
            return broken("idle expiry", format!("session r{who} opens, idle since {} ms", lineage.written));
        }
        // It is read by a clock that may be a tick behind the one that it was made by.
        let read_at = reader.since.at + reader.offset - TICK;
        if lineage.made_by != i64::MAX && read_at >= lineage.made_by + lineage.absolute {
            return broken("absolute expiry", format!("session r{who} opens after its deadline"));
        }
        if let (&[ticket], Some((newest, from))) = (reader.tickets.as_slice(), lineage.closed)
            && self.tickets[ticket].order < newest
            && read_at >= from
        {
            return broken("grace", format!("t{ticket} opens session r{who}, its successor was used long ago"));
        }
        may_hold(lineage, view, reader.since)
    }

    /// What a session must hold when all is done, though the client did not wait for it.
    pub(super) fn holds_promised(&self, view: &View) -> Verdict {
        let is_clean = |no: No| self.visits[no as usize].faults == 0;
        let mut promised = self.promised.iter().filter(|(no, who, _)| Some(*who) == view.who && is_clean(*no));
        match promised.find(|(_, _, entry)| !view.log.contains(entry)) {
            Some((no, who, _)) => {
                broken("no commit is cut", format!("r{no} hung up, and session r{who} lacks its edit"))
            }
            None => Ok(()),
        }
    }

    /// Nobody is signed out without a cause.
    fn may_be_empty(&self, reader: &Reader, now: i64) -> Verdict {
        match reader.tickets.as_slice() {
            &[ticket] if !reader.may_be_blind && !self.may_open_nothing(ticket, now) => {
                let who = self.tickets[ticket].session;
                broken("nobody is signed out", format!("t{ticket} of session r{who} opens nothing, without a cause"))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether there is a cause for a ticket that opens nothing.
    fn may_open_nothing(&self, ticket: usize, now: i64) -> bool {
        let skew = self.setting.skew;
        let may_be_closed = |visit: &Visit| {
            let this = &self.tickets[ticket];
            let mut others = visit.tickets.iter().map(|other| &self.tickets[*other]);
            let later = others.any(|other| other.session == this.session && other.order > this.order);
            later && visit.read.is_some() && visit.sent.at + self.setting.grace <= now + skew
        };
        self.may_be_gone(self.tickets[ticket].session, now) || self.visits.iter().any(may_be_closed)
    }

    /// Tells whether there is a cause for a session that is gone, or not found any more.
    fn may_be_gone(&self, who: No, now: i64) -> bool {
        let Some(lineage) = self.lineages.get(&who) else { return false };
        // It began when the node's clock last ticked.
        let (kept_until, made) = (lineage.kept_until - TICK, lineage.made - TICK);
        let is_over = now >= kept_until || now + 2 * self.setting.skew >= made + lineage.absolute;
        let is_ended = lineage.superseded.is_some() || !lineage.ends.is_empty();
        is_over || is_ended || lineage.dropped || lineage.ids > MAX_HOPS
    }

    /// What a response may tell; it is the last event of its request.
    pub(super) fn may_answer(&self, no: No, answer: &Answer) -> Verdict {
        let visit = &self.visits[no as usize];
        self.is_quiet(visit, answer)?;
        self.has_cause(no, visit, answer)?;
        self.has_honest_cookie(no, visit, answer)?;
        if visit.slept >= self.setting.max_request + TICK
            && visit.wrote
            && matches!(visit.saw, Some(Some(_)))
            && !visit.destroyed
            && answer.error.is_none()
            && answer.status < 500
        {
            return broken("too late", format!("r{no} took {} ms and was stored", visit.slept));
        }
        Ok(())
    }

    /// Requests that need nothing cost nothing, and those that do say so to caches.
    fn is_quiet(&self, visit: &Visit, answer: &Answer) -> Verdict {
        let changes_cookie = answer.cookie != Cookie::Kept;
        if visit.route == Route::Untouched && (visit.operations > 0 || changes_cookie || answer.vary) {
            return broken("quiet", format!("an untouched session costs {} operations", visit.operations));
        }
        if visit.tickets.is_empty() && !visit.wrote && visit.operations > 0 {
            return broken("quiet", format!("a cookie that is none of ours costs {} operations", visit.operations));
        }
        let saves = matches!(visit.route, Route::Number | Route::SaveBetween);
        let is_plain = visit.saw_own.is_some() && visit.tickets.len() == 1 && visit.faults == 0 && !saves;
        if is_plain && visit.loads_while_handled > 1 {
            return broken("quiet", format!("{} loads for one session", visit.loads_while_handled));
        }
        if changes_cookie && !answer.no_store {
            return broken("caches", "a response sets a cookie and may be stored");
        }
        if (changes_cookie || visit.read.is_some()) && !answer.vary {
            return broken("caches", "a response depends on the cookie and does not say so");
        }
        Ok(())
    }

    /// An error has a cause in what happened.
    fn has_cause(&self, no: No, visit: &Visit, answer: &Answer) -> Verdict {
        use CommitError as Commit;
        use SessionError as Session;
        let Some(error) = &answer.error else { return Ok(()) };
        let now = visit.answered.map_or(0, |answered| answered.at);
        let may_be_gone =
            || self.may_be_gone(no, now) || visit.tickets.iter().any(|ticket| self.may_open_nothing(*ticket, now));
        let overlaps = |(other, there): (usize, &Visit)| {
            other != no as usize && there.answered.is_none_or(|answered| answered.seq > visit.sent.seq)
        };
        let has_cause = match error {
            Session::Store(_) | Session::Unavailable => visit.faults > 0,
            // A renewal whose record expires under it cannot tell that from a store that lost it.
            Session::Commit(Commit::Store) => visit.faults > 0 || may_be_gone(),
            Session::Commit(Commit::OutcomeUnknown) => visit.faults > 0,
            Session::Commit(Commit::Lost | Commit::StaleTicket | Commit::Vanished) => may_be_gone(),
            Session::Commit(Commit::Contention) => {
                visit.faults > 0 || self.visits.iter().enumerate().any(overlaps) || may_be_gone()
            }
            Session::Commit(Commit::TooLate) => now - visit.sent.at > self.setting.max_request,
            Session::Commit(Commit::Ambiguous) => visit.tickets.len() > 1,
            Session::Commit(Commit::CrossSite) => visit.cross_site && !visit.has_cookie,
            Session::Interrupted => visit.faults > 0 && matches!(visit.route, Route::Clones | Route::Leftover),
            _ => false,
        };
        if has_cause { Ok(()) } else { broken("honest errors", format!("r{no} failed without a cause: {error:?}")) }
    }

    /// A ticket is for a stored session that the request made or renewed, and a cookie is removed by the request that
    /// ended its session.
    fn has_honest_cookie(&self, no: No, visit: &Visit, answer: &Answer) -> Verdict {
        let rule = "I7 honest cookies";
        let is_done = answer.error.is_none() && answer.status < 500;
        match answer.cookie {
            Cookie::Set(ticket, max_age) => {
                let who = self.tickets[ticket].session;
                let by_itself = visit.navigates && visit.saw_own.is_some() && visit.saw == Some(Some(who));
                let renews = self.setting.renew_after.is_some() || self.setting.rotates_ring.is_some();
                let is_renewed = visit.rotated || by_itself && renews;
                if who != no && !is_renewed {
                    return broken(rule, format!("r{no} sets a ticket of session r{who} and was not to renew it"));
                }
                if who == no && !visit.wrote {
                    return broken(rule, format!("r{no} wrote nothing and sets a ticket"));
                }
                self.is_no_stranger(no, visit)?;
                self.lives_as_long(ticket, max_age, visit)
            }
            Cookie::Removed if !visit.destroyed => broken(rule, format!("r{no} removes the cookie and ended nothing")),
            Cookie::Removed => match visit.saw.flatten().and_then(|who| self.lineages.get(&who)) {
                // Unless the store dropped what was left of it.
                Some(lineage) if !lineage.dropped && (lineage.removed || lineage.superseded.is_some()) => {
                    broken(rule, format!("r{no} removes the cookie of what another ended"))
                }
                _ => Ok(()),
            },
            Cookie::Kept if is_done && visit.destroyed && visit.wrote => {
                broken(rule, format!("r{no} made a session and sets no ticket"))
            }
            Cookie::Kept if is_done && visit.wrote && visit.saw == Some(None) => {
                broken(rule, format!("r{no} made a session and sets no ticket"))
            }
            Cookie::Kept if answer.error.is_none() && visit.destroyed => match visit.saw {
                Some(Some(who)) if !self.was_ended_by_another(no, who) => {
                    broken(rule, format!("r{no} ended session r{who} and leaves the cookie in place"))
                }
                _ => Ok(()),
            },
            Cookie::Kept => Ok(()),
        }
    }

    fn was_ended_by_another(&self, no: No, who: No) -> bool {
        let lineage = &self.lineages[&who];
        lineage.ends.iter().any(|by| *by != no) || lineage.superseded.is_some()
    }

    /// Who comes from another site, or with a ticket that a sign-in just gave up, makes no session.
    fn is_no_stranger(&self, no: No, visit: &Visit) -> Verdict {
        if visit.cross_site && !visit.has_cookie {
            return broken("cross-site", format!("r{no} overwrites a cookie that was withheld"));
        }
        let (&[ticket], Some(read), Some(answered)) = (visit.tickets.as_slice(), visit.read, visit.answered) else {
            return Ok(());
        };
        let lineage = self.lineages.get(&self.tickets[ticket].session).filter(|lineage| !lineage.dropped);
        let superseded = lineage.and_then(|lineage| lineage.superseded);
        let is_superseded = superseded
            .is_some_and(|(at, by)| by == ticket && read.at > at && answered.at + visit.offset < at + SUPERSEDED);
        if is_superseded { broken("superseded", format!("r{no} overwrites the ticket of a sign-in")) } else { Ok(()) }
    }

    /// A persistent cookie ends with its session.
    fn lives_as_long(&self, ticket: usize, max_age: Option<i64>, visit: &Visit) -> Verdict {
        let Some(lineage) = self.lineages.get(&self.tickets[ticket].session) else { return Ok(()) };
        // By the clock of another node, and from when the request began.
        let until = lineage.made_by.saturating_add(lineage.absolute + self.setting.skew + SECOND);
        match max_age {
            Some(seconds) if visit.sent.at + seconds * SECOND > until => {
                broken("cookie's age", format!("t{ticket} is kept for {seconds} s, its session is over at {until} ms"))
            }
            _ => Ok(()),
        }
    }
}

/// What the data of a session may be.
fn may_hold(lineage: &Lineage, view: &View, since: Moment) -> Verdict {
    let seen: BTreeSet<u32> = view.log.iter().copied().collect();
    if seen.len() != view.log.len() {
        return broken("I2 none twice", format!("{:?}", view.log));
    }
    for entry in &seen {
        match lineage.entries.get(entry) {
            None => return broken("no one else's data", format!("entry {entry} was never made here")),
            Some(Some(Fate::Refused(at))) if *at < since.seq => {
                return broken("I2 no refused update", format!("entry {entry} was refused and is there"));
            }
            Some(_) => {}
        }
    }
    for (entry, fate) in &lineage.entries {
        if matches!(fate, Some(Fate::Acknowledged(at)) if *at < since.seq) && !seen.contains(entry) {
            return broken("I2 no lost update", format!("entry {entry} was acknowledged and is not there"));
        }
    }
    // The flag has the value of a write that no later one overwrote.
    let acknowledged = |fate: Option<Fate>| match fate {
        Some(Fate::Acknowledged(at)) => Some(at),
        _ => None,
    };
    let is_overwritten = |done: Option<u64>| {
        let later = |flag: &super::model::Flag| {
            done.is_some_and(|done| flag.since > done) && acknowledged(flag.fate).is_some_and(|at| at < since.seq)
        };
        lineage.flags.iter().any(later)
    };
    let is_source = |flag: &super::model::Flag| {
        let is_refused = matches!(flag.fate, Some(Fate::Refused(at)) if at < since.seq);
        flag.value == view.flag && !is_refused && !is_overwritten(acknowledged(flag.fate))
    };
    let is_first = view.flag.is_none() && !is_overwritten(Some(0));
    if is_first || lineage.flags.iter().any(is_source) {
        return Ok(());
    }
    broken("I2 no lost update", format!("the flag is {:?}, which was overwritten or never set", view.flag))
}
