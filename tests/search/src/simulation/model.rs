//! The reference model: what every session must hold, by what clients were told. It knows nothing of records, pointers or
//! versions. The rules that it is held against stand in `rules`.

use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::{CommitError, Handle, StoreKey};
use cloakroom_store::SessionError;

use super::{routes::Route, setting::Setting};

/// The number of a request. A session is named after the request that made it, an edit after the request that did it.
pub(super) type No = u32;

/// The place of an event among all, and its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) seq: u64,
    pub(super) at: i64,
}

/// What became of something that a request asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// The client was told that it is stored.
    Acknowledged(u64),
    /// Nobody told, or nobody knows.
    Doubtful,
    /// The client was told that it is not stored.
    Refused(u64),
}

/// What a request saw of its session.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) who: Option<No>,
    pub(super) log: Vec<u32>,
    pub(super) flag: Option<No>,
    pub(super) handle: Option<Handle>,
}

/// Who looks, from when on.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) tickets: Vec<usize>,
    /// How far the node's clock is ahead.
    pub(super) offset: i64,
    pub(super) since: Moment,
    /// An empty session may be the store's fault.
    pub(super) may_be_blind: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) route: Route,
    pub(super) navigates: bool,
    pub(super) cross_site: bool,
    /// The cookie header has something in it.
    pub(super) has_cookie: bool,
    pub(super) tickets: Vec<usize>,
    pub(super) offset: i64,
    pub(super) sent: Moment,
    /// When the first access began, and when the handler was done.
    pub(super) read: Option<Moment>,
    pub(super) handled: Option<Moment>,
    /// The session that it found, if any.
    pub(super) saw: Option<Option<No>>,
    /// The ticket that stands for what it found, where that was not renewed away.
    pub(super) saw_own: Option<usize>,
    /// Asked for by the handler and not settled yet: log entries and values of the flag.
    pub(super) edits: Vec<(No, u32)>,
    pub(super) flags: Vec<(No, usize)>,
    pub(super) wrote: bool,
    pub(super) destroyed: bool,
    pub(super) remembered: bool,
    pub(super) rotated: bool,
    /// How long the handler waited between its read and its edit.
    pub(super) slept: i64,
    /// Operations, loads among them, and faults that the store made of them.
    pub(super) operations: u32,
    pub(super) loads: u32,
    pub(super) loads_while_handled: u32,
    pub(super) faults: u32,
    pub(super) answered: Option<Moment>,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) error: Option<SessionError>,
    pub(super) cookie: Cookie,
    pub(super) no_store: bool,
    pub(super) vary: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cookie {
    Kept,
    Removed,
    /// A ticket, for so many seconds where it is persistent.
    Set(usize, Option<i64>),
}

/// A ticket that some response carried.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) text: String,
    pub(super) session: No,
    pub(super) key: StoreKey,
    pub(super) handle: Handle,
    /// The place of its id among all that were drawn: a renewal draws a later one.
    pub(super) order: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) value: Option<No>,
    pub(super) since: u64,
    pub(super) fate: Option<Fate>,
}

/// A session, under all the ids that it ever has.
#[derive(Clone, Debug)]
pub(super) struct Lineage {
    pub(super) idle: i64,
    pub(super) absolute: i64,
    /// When it was made, by the clock of the node that made it, at the earliest and at the latest.
    pub(super) made: i64,
    pub(super) made_by: i64,
    pub(super) entries: BTreeMap<u32, Option<Fate>>,
    pub(super) flags: Vec<Flag>,
    pub(super) numbers: BTreeSet<u64>,
    /// Somebody asked for its end, and was not told that it did not happen.
    pub(super) ends: Vec<No>,
    pub(super) ended: Option<u64>,
    /// A request told its client to drop the cookie: the end was its own.
    pub(super) removed: bool,
    /// The store lost something of it.
    pub(super) dropped: bool,
    /// It was gone before a request on it was done, which may leave a record that nobody can reach.
    pub(super) was_missed: bool,
    /// A sign-in gave it up, then, under this ticket.
    pub(super) superseded: Option<(i64, usize)>,
    /// It lives at least so long.
    pub(super) kept_until: i64,
    /// When the store last wrote it.
    pub(super) written: i64,
    /// The place of the ticket whose use closed all those before, and from when on, by every clock.
    pub(super) closed: Option<(usize, i64)>,
    /// How many ids it had, those too that nobody was told.
    pub(super) ids: u32,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) setting: Setting,
    pub(super) lineages: BTreeMap<No, Lineage>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) visits: Vec<Visit>,
    /// Edits whose commit had begun when the client hung up: the request, the session, the entry.
    pub(super) promised: Vec<(No, No, u32)>,
}

impl Model {
    pub(super) fn new(setting: Setting) -> Self {
        Self { setting, lineages: BTreeMap::new(), tickets: Vec::new(), visits: Vec::new(), promised: Vec::new() }
    }

    pub(super) fn visit(&mut self, no: No) -> &mut Visit {
        &mut self.visits[no as usize]
    }

    /// A request found a session, or none.
    pub(super) fn found(&mut self, no: No, view: &View) {
        let presented = &self.visits[no as usize].tickets;
        let own = presented.iter().copied().find(|ticket| Some(self.tickets[*ticket].handle) == view.handle);
        let visit = self.visit(no);
        visit.saw = Some(view.who);
        visit.saw_own = own;
    }

    /// A request made an edit, by its view in the session `who`.
    pub(super) fn edited(&mut self, no: No, who: No, entry: u32) {
        self.lineage(no, who).entries.insert(entry, None);
        let visit = self.visit(no);
        visit.wrote = true;
        visit.edits.push((who, entry));
    }

    /// A request set the flag, or removed it.
    pub(super) fn flagged(&mut self, no: No, who: No, value: Option<No>, since: u64) {
        let flags = &mut self.lineage(no, who).flags;
        flags.push(Flag { value, since, fate: None });
        let place = flags.len() - 1;
        let visit = self.visit(no);
        visit.wrote = true;
        visit.flags.push((who, place));
    }

    /// What became of the edits that were not settled before.
    pub(super) fn settle(&mut self, no: No, fate: Fate, now: i64) {
        let Visit { edits, flags, sent, offset, .. } = self.visit(no);
        let (edits, flags, sent) = (std::mem::take(edits), std::mem::take(flags), (sent.at, *offset));
        // To remove what is not there writes nothing.
        let sets = flags.iter().filter(|(who, place)| self.lineages[who].flags[*place].value.is_some());
        let written: BTreeSet<No> = edits.iter().map(|edit| edit.0).chain(sets.map(|flag| flag.0)).collect();
        for (who, entry) in edits {
            self.lineage(no, who).entries.insert(entry, Some(fate));
        }
        for (who, place) in flags {
            self.lineage(no, who).flags[place].fate = Some(fate);
        }
        for who in written {
            // Where the client was told nothing of it, nobody will see when it was made.
            let lineage = self.lineage(no, who);
            if who == no && lineage.made_by == i64::MAX {
                lineage.made_by = now + sent.1;
            }
            if let Fate::Acknowledged(_) = fate {
                self.used(who, sent.0, false);
            }
        }
    }

    /// A session was used: it was written, or its time to live was looked after.
    pub(super) fn used(&mut self, who: No, at: i64, only_read: bool) {
        let Setting { touch_part, skew, .. } = self.setting;
        let Some(lineage) = self.lineages.get_mut(&who) else { return };
        let left = (at + lineage.idle).min(lineage.made + lineage.absolute - 2 * skew);
        let spared = if only_read { lineage.idle / touch_part + 1 } else { 0 };
        lineage.kept_until = lineage.kept_until.max(left - spared);
    }

    /// A client hangs up. What its handler was done with is committed all the same, in a session that is there.
    pub(super) fn hung_up(&mut self, no: No) {
        let visit = &self.visits[no as usize];
        let is_kept =
            !matches!(visit.route, Route::DestroyAndFail | Route::EditAndFail | Route::SignIn | Route::Leftover);
        if visit.handled.is_some() && is_kept && visit.slept <= self.setting.max_request / 2 {
            let there = visit.edits.iter().filter(|(who, _)| *who != no);
            self.promised.extend(there.map(|(who, entry)| (no, *who, *entry)));
        }
    }

    /// A request asks for the end of what it found, or of what its tickets stand for.
    pub(super) fn targets(&self, visit: &Visit) -> Vec<No> {
        match visit.saw {
            Some(Some(who)) => vec![who],
            Some(None) | None => visit.tickets.iter().map(|ticket| self.tickets[*ticket].session).collect(),
        }
    }

    pub(super) fn ends(&mut self, no: No) {
        self.visit(no).destroyed = true;
        for who in self.targets(&self.visits[no as usize].clone()) {
            self.lineage(no, who).ends.push(no);
        }
    }

    /// A response carries a ticket. The key's record tells whose it is.
    pub(super) fn publish(&mut self, text: String, session: No, key: StoreKey, order: usize) -> usize {
        if let Some(known) = self.tickets.iter().position(|ticket| ticket.text == text) {
            return known;
        }
        self.tickets.push(Ticket { text, session, handle: key.handle(), key, order });
        self.tickets.len() - 1
    }

    /// The end of a request that asked for one: who must open nothing from here on, or who was surely not ended.
    pub(super) fn ended(&mut self, no: No, answer: &Answer, seq: u64) -> usize {
        let visit = self.visits[no as usize].clone();
        let is_vanished = matches!(answer.error, Some(SessionError::Commit(CommitError::Vanished)));
        let is_removed = answer.cookie == Cookie::Removed;
        if answer.error.is_none() || is_removed && !is_vanished {
            let is_seen = matches!(visit.saw, Some(Some(_)));
            // Of several tickets unseen, nobody can tell which one opened what was ended.
            let is_known = is_seen || is_removed && visit.tickets.len() == 1;
            let ended = if is_known { self.targets(&visit) } else { Vec::new() };
            for who in &ended {
                let lineage = self.lineage(no, *who);
                lineage.ended.get_or_insert(seq);
                lineage.removed |= is_removed;
            }
            return ended.len();
        }
        let is_refused = matches!(
            answer.error,
            Some(
                SessionError::Store(_)
                    | SessionError::Unavailable
                    | SessionError::Commit(
                        CommitError::Ambiguous
                            | CommitError::Contention
                            | CommitError::StaleTicket
                            | CommitError::Store
                    )
            )
        );
        if is_refused && !visit.wrote {
            for who in self.targets(&visit) {
                self.lineage(no, who).ends.retain(|by| *by != no);
            }
        }
        0
    }

    /// What a request that was served without a fault did for the session that it saw: it lives on, and where the ticket
    /// was its newest, those before it close.
    pub(super) fn served(&mut self, no: No, answer: &Answer, is_newest: bool) {
        let Visit { saw, read, answered, faults, destroyed, saw_own, offset, .. } = self.visits[no as usize];
        let (Some(Some(who)), Some(read), Some(answered)) = (saw, read, answered) else { return };
        if let Some(SessionError::Commit(CommitError::Lost)) = answer.error {
            self.lineage(no, who).was_missed = true;
        }
        let is_late = answered.at - read.at > self.setting.max_request;
        if faults > 0 || destroyed || is_late || answer.error.is_some() {
            return;
        }
        let from = answered.at + offset + self.setting.grace + self.setting.skew;
        let Some(lineage) = self.lineages.get(&who) else { return };
        // What may have expired between the look and the touch is not saved by it.
        if answered.at < lineage.kept_until {
            self.used(who, read.at, true);
        }
        let Some(lineage) = self.lineages.get_mut(&who) else { return };
        let order = saw_own.map(|ticket| self.tickets[ticket].order);
        if let Some(order) = order
            && is_newest
            && lineage.closed.is_none_or(|(newest, _)| newest < order)
        {
            lineage.closed = Some((order, from));
        }
    }

    /// A session that a request made, or was about to make.
    pub(super) fn lineage(&mut self, no: No, who: No) -> &mut Lineage {
        let Setting { idle, absolute, remember, .. } = self.setting;
        let Visit { sent, remembered, offset, .. } = self.visits[no as usize];
        let times = if remembered { remember } else { 1 };
        self.lineages.entry(who).or_insert_with(|| Lineage {
            idle: idle * times,
            absolute: absolute * times,
            made: sent.at + offset,
            made_by: i64::MAX,
            entries: BTreeMap::new(),
            flags: Vec::new(),
            numbers: BTreeSet::new(),
            ends: Vec::new(),
            ended: None,
            removed: false,
            dropped: false,
            was_missed: false,
            superseded: None,
            kept_until: 0,
            written: 0,
            closed: None,
            ids: 0,
        })
    }
}
