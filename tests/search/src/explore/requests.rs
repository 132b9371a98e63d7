//! The requests: what each does with its session, and its machine at any point of its history.

use core::time::Duration;
use std::collections::HashMap;

use cloakroom_core::{
    Access, CommitError, CookieChange, Done, End, Event, Loaded, Login, Members, Op, Outcome, Principal, RequestInfo,
    RosterError, RosterStep, Session, Step, Stored, Version, Which,
};

use super::{
    names::{At, Drawn, FIRST_EDIT, KeyNo, LAST, Names, SUM, USER, moment, seconds},
    world::{Answer, Ask, Seen},
};

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(clippy::exhaustive_enums, reason = "tests choose among them")]
pub enum Kind {
    /// Comes without a ticket, and adds one to a number of its own.
    Begin,
    /// Adds one to a number of its own.
    Change,
    /// Ends the session.
    Destroy,
    /// Ends the session, saves, and adds one to a number: another session.
    DestroyChange,
    /// Notes that the user proved again who they are, and adds one to a number of its own.
    Elevate,
    /// Ends all sessions of the user, as an administrator does.
    EndAll,
    /// Ends all sessions of the user but its own.
    EndOthers,
    /// No request: time passes, to a moment at which something changes.
    Expire,
    /// Adds one to a number, and fails, so that this is dropped.
    Fail,
    /// Adds one to a number, ends the session, adds one to the number again, and fails: only the end is kept.
    FailDestroy,
    /// Ends the session, and tries again once if that failed.
    Persist,
    /// Signs the user in, and adds one to a number of its own.
    Login,
    /// Signs the user in, carries over what the session held, and adds one to a number of its own.
    LoginCarry,
    /// Looks whether a session opens, and commits nothing: how the rules see what a ticket is worth.
    Look,
    /// Looks at the session.
    Read,
    /// Gives the session a new id.
    Renew,
    /// Adds one to a number, ends the session, and makes another by adding one to the number again.
    Restart,
    /// Gives the session a new id and adds one to a number of its own.
    Rotate,
    /// Gives the session a new id, saves, and ends it.
    RotateDestroy,
    /// Adds one to a number, saves, and adds one to another.
    Save,
}

/// What happens between two commits of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Change,
    Destroy,
    Elevate,
    Fail,
    FailDestroy,
    Login(bool),
    Read,
    Renew,
    Restart,
    Retry,
    Rotate,
}

impl Kind {
    /// What is about users.
    pub const ACCOUNTS: [Self; 5] = [Self::Elevate, Self::EndAll, Self::EndOthers, Self::Login, Self::LoginCarry];

    /// All that a client can send without users, and time.
    pub const ALL: [Self; 14] = [
        Self::Begin,
        Self::Change,
        Self::Destroy,
        Self::DestroyChange,
        Self::Expire,
        Self::Fail,
        Self::FailDestroy,
        Self::Persist,
        Self::Read,
        Self::Renew,
        Self::Restart,
        Self::Rotate,
        Self::RotateDestroy,
        Self::Save,
    ];

    fn acts(self) -> &'static [Act] {
        match self {
            Self::Begin | Self::Change => &[Act::Change],
            Self::Destroy => &[Act::Destroy],
            Self::DestroyChange => &[Act::Destroy, Act::Change],
            Self::Fail => &[Act::Fail],
            Self::FailDestroy => &[Act::FailDestroy],
            Self::Persist => &[Act::Destroy, Act::Retry],
            Self::Elevate => &[Act::Elevate],
            Self::Login => &[Act::Login(false)],
            Self::LoginCarry => &[Act::Login(true)],
            Self::EndAll | Self::EndOthers | Self::Expire | Self::Look => &[],
            Self::Read => &[Act::Read],
            Self::Renew => &[Act::Renew],
            Self::Restart => &[Act::Restart],
            Self::Rotate => &[Act::Rotate],
            Self::RotateDestroy => &[Act::Renew, Act::Destroy],
            Self::Save => &[Act::Change, Act::Change],
        }
    }

    /// Tells whether it asks for a new id.
    pub fn renews(self) -> bool {
        matches!(self, Self::Renew | Self::Rotate | Self::RotateDestroy)
    }

    /// Tells whether it ends sessions.
    pub fn ends(self) -> bool {
        match self {
            Self::Begin | Self::Change | Self::Expire | Self::Fail | Self::Look => false,
            Self::Read | Self::Renew | Self::Rotate | Self::Save => false,
            Self::Destroy | Self::DestroyChange | Self::FailDestroy | Self::Persist => true,
            Self::Restart | Self::RotateDestroy => true,
            Self::Elevate | Self::EndAll | Self::EndOthers | Self::Login | Self::LoginCarry => true,
        }
    }

    /// Tells whether it signs in.
    pub fn signs_in(self) -> bool {
        matches!(self, Self::Login | Self::LoginCarry)
    }

    /// Tells whether it ends many sessions.
    pub fn ends_many(self) -> bool {
        matches!(self, Self::EndAll | Self::EndOthers)
    }
}

/// Who a request is and what it brought.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Request {
    /// What it does.
    pub kind: Kind,
    /// Its number: its edits and its randomness follow from it.
    pub number: u8,
    /// Its tickets, two at most.
    pub tickets: [Option<KeyNo>; 2],
}

/// What a commit came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The edit that was made, if one was.
    pub edit: Option<u8>,
    /// The request had a session before, and has not asked for its end.
    pub goes_on: bool,
    /// The edit was given up before the commit.
    pub dropped: bool,
    /// Where the session was found; nowhere when a change makes one.
    pub found: Option<KeyNo>,
    /// It is the request's first.
    pub first: bool,
    /// An end was asked for.
    pub destroys: bool,
    /// A login was asked for.
    pub signs_in: bool,
    /// An elevation was asked for.
    pub elevates: bool,
    /// What it was told.
    pub result: Result<(), CommitError>,
    /// What came of the end.
    pub end: Option<End>,
    /// This commit, or an earlier one of the request, ended the session or found it vanished.
    pub has_ended: bool,
    /// The cookie that is owed.
    pub cookie: Cookie,
    /// The response is sent with it.
    pub last: bool,
    /// A ticket was refused because its successor is in use.
    pub reused: bool,
    /// The request brought no ticket.
    pub ticketless: bool,
    /// An operation of the request failed, or did not say what it did.
    pub troubled: bool,
}

/// What a response does to the cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "they are the machine's")]
pub enum Cookie {
    Clear,
    Keep,
    Set(KeyNo),
}

/// An answer as a request hears it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Heard {
    /// What the store did.
    pub answer: Answer,
    /// When it did it.
    pub at: At,
    /// When the request goes on: at once, or after some time on the wire or in its handler.
    pub heard: At,
}

/// A place in a request's history: what it asks for, or that it is over.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose it is.
    pub request: Request,
    /// The place before, and the answer that led here.
    before: Option<(u32, Heard)>,
    /// What it asks for; nothing when it is over.
    pub ask: Option<Ask>,
    /// The commits that ended on the way here from the place before.
    pub reports: Vec<Report>,
    /// Where the session was found that it has.
    pub found: Option<KeyNo>,
    /// When its first load was answered.
    pub since: Option<At>,
}

/// The places of all requests that were met: the tree of their histories.
#[derive(Debug, Default)]
pub struct Places {
    roots: HashMap<Request, u32>,
    next: HashMap<(u32, Heard), u32>,
    all: Vec<Place>,
}

impl Places {
    /// Returns where a request starts.
    pub fn start(&mut self, names: &mut Names, request: Request) -> u32 {
        if let Some(known) = self.roots.get(&request) {
            return *known;
        }
        let place = self.add(names, request, None);
        self.roots.insert(request, place);
        place
    }

    /// Returns where an answer leads.
    pub fn after(&mut self, names: &mut Names, place: u32, heard: Heard) -> u32 {
        if let Some(known) = self.next.get(&(place, heard)) {
            return *known;
        }
        let request = self.at(place).request;
        let after = self.add(names, request, Some((place, heard)));
        self.next.insert((place, heard), after);
        after
    }

    /// Returns where a request is that hears the last answer only later; nowhere else before its first.
    pub fn later(&mut self, names: &mut Names, place: u32, at: At) -> u32 {
        match self.at(place).before {
            Some((before, heard)) => self.after(names, before, Heard { heard: at, ..heard }),
            None => place,
        }
    }

    /// Returns a place.
    pub fn at(&self, place: u32) -> &Place {
        &self.all[place as usize]
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn add(&mut self, names: &mut Names, request: Request, before: Option<(u32, Heard)>) -> u32 {
        let mut history = Vec::new();
        let mut at = before;
        while let Some((place, heard)) = at {
            history.push(heard);
            at = self.at(place).before;
        }
        history.reverse();
        let since = history.first().map(|first| first.at);
        let (reports, found) = (Vec::new(), None);
        let mut replay = Replay { names, history: &history, taken: 0, now: 0, troubled: false, reports, found };
        let ask = replay.run(request);
        let Replay { reports, found, .. } = replay;
        self.all.push(Place { request, before, ask, reports, found, since });
        u32::try_from(self.all.len() - 1).expect("few places")
    }
}

/// A request done again, with the answers that it was given.
struct Replay<'a> {
    names: &'a mut Names,
    history: &'a [Heard],
    taken: usize,
    /// When it goes on.
    now: At,
    troubled: bool,
    /// Those that came after the last answer.
    reports: Vec<Report>,
    found: Option<KeyNo>,
}

/// Why a request stops.
enum Stop {
    /// It asks for something that its history does not answer.
    Asks(Ask),
    /// The store failed before it had a session.
    Refused,
}

impl Replay<'_> {
    /// Returns what the request asks for after its history, or nothing if it is over.
    fn run(&mut self, request: Request) -> Option<Ask> {
        match self.acts(request) {
            Err(Stop::Asks(ask)) => Some(ask),
            Err(Stop::Refused) | Ok(()) => None,
        }
    }

    fn acts(&mut self, request: Request) -> Result<(), Stop> {
        if request.kind.ends_many() {
            return self.end_many(request);
        }
        let header = self.names.header(request.tickets.into_iter().flatten());
        let mut session = self.names.engine.open([header.as_bytes()], &RequestInfo::new());
        let mut entropy = Drawn { author: request.number, draw: 0 };
        let acts = request.kind.acts();
        let (mut had, mut has_ended, mut asked_end) = (false, false, false);
        if acts.is_empty() {
            self.admit(&mut session)?;
        }
        for (index, act) in acts.iter().enumerate() {
            let edit = request.number * 2 + u8::try_from(index).expect("few acts");
            self.admit(&mut session)?;
            let Access::Ready(loaded) = session.access() else { panic!("it was admitted") };
            let mut elevates = false;
            match act {
                Act::Elevate => elevates = loaded.elevate().is_ok(),
                Act::Login(carries) => loaded.login(USER, login(*carries)).expect("a user"),
                Act::Change | Act::Read | Act::Retry => {}
                Act::Destroy => loaded.destroy(),
                Act::Restart => {
                    make(edit, loaded);
                    loaded.destroy();
                }
                Act::Fail => make(edit, loaded),
                Act::FailDestroy => {
                    make(edit, loaded);
                    loaded.destroy();
                    make(edit, loaded);
                }
                Act::Renew | Act::Rotate => loaded.rotate(),
            }
            let edits = elevates || !matches!(act, Act::Destroy | Act::Elevate | Act::Read | Act::Renew | Act::Retry);
            let dropped = matches!(act, Act::Fail | Act::FailDestroy);
            let destroys = matches!(act, Act::Destroy | Act::FailDestroy | Act::Restart | Act::Retry);
            asked_end |= destroys;
            if dropped {
                session.drop_edits();
            } else if edits {
                make(edit, loaded);
            }
            let done = self.settle(session.commit(moment(self.now), &mut entropy))?;
            has_ended |= matches!(done.end(), Some(End::Ended | End::Vanished));
            let again = matches!(acts.get(index + 1), Some(Act::Retry)) && done.end() != Some(End::Failed);
            let last = again || index + 1 == acts.len();
            let report = Report {
                edit: edits.then_some(edit),
                goes_on: had && !asked_end,
                dropped,
                found: self.found,
                first: index == 0,
                destroys,
                signs_in: matches!(act, Act::Login(_)),
                elevates,
                result: done.result(),
                end: done.end(),
                has_ended,
                cookie: match done.cookie() {
                    CookieChange::Clear(_) => Cookie::Clear,
                    CookieChange::Keep => Cookie::Keep,
                    CookieChange::Set(line) => Cookie::Set(self.names.learn(line)),
                },
                last,
                reused: done.events().iter().any(|event| event == Event::ReusedRenewed),
                ticketless: request.tickets == [None; 2],
                troubled: self.troubled,
            };
            had |= self.found.is_some() || (edits && done.result().is_ok());
            self.reports.push(report);
            if last {
                break;
            }
            session = done.reopen();
        }
        Ok(())
    }

    fn end_many(&mut self, request: Request) -> Result<(), Stop> {
        let header = self.names.header(request.tickets.into_iter().flatten());
        let mut session = self.names.engine.open([header.as_bytes()], &RequestInfo::new());
        let user = Principal::of(USER).expect("a user");
        let mut entropy = Drawn { author: request.number, draw: 0 };
        let engine = self.names.engine.clone();
        let mut step = if request.kind == Kind::EndAll {
            engine.end_sessions(&user, Which::All, None, moment(self.now), &mut entropy)
        } else {
            self.admit(&mut session)?;
            let Access::Ready(loaded) = session.access() else { panic!("it was admitted") };
            if loaded.sign_in().is_none() {
                return Ok(());
            }
            engine.end_sessions(&user, Which::Others, Some(loaded), moment(self.now), &mut entropy)
        };
        loop {
            match step {
                RosterStep::Done(result) => {
                    let result = result.map(drop).map_err(|error| match error {
                        RosterError::End(error) => error,
                        _ => CommitError::Store,
                    });
                    self.reports.push(Report {
                        edit: None,
                        goes_on: false,
                        dropped: false,
                        found: self.found,
                        first: false,
                        destroys: false,
                        signs_in: false,
                        elevates: false,
                        result,
                        end: None,
                        has_ended: false,
                        cookie: Cookie::Keep,
                        last: true,
                        reused: false,
                        ticketless: request.kind == Kind::EndAll,
                        troubled: self.troubled,
                    });
                    return Ok(());
                }
                RosterStep::Io(io) => {
                    let outcome = self.outcome(io.op())?;
                    step = io.resume(outcome, moment(self.now));
                }
            }
        }
    }

    fn admit(&mut self, session: &mut Session) -> Result<(), Stop> {
        let mut access = session.access();
        loop {
            let load = match access {
                Access::Ready(loaded) => {
                    self.found = loaded.handle().map(|handle| self.names.key_of(handle));
                    return Ok(());
                }
                Access::Load(load) => load,
            };
            let ask = Ask::Load { key: self.names.key_no(load.key()) };
            let Heard { answer, at, .. } = self.answer(ask)?;
            let found = match answer {
                Answer::Found(seen) => Some(self.stored(seen)),
                Answer::Absent => None,
                _ => return Err(Stop::Refused),
            };
            access = load.supply(found, moment(at)).expect("a readable session");
        }
    }

    fn settle(&mut self, mut step: Step) -> Result<Done, Stop> {
        loop {
            match step {
                Step::Done(done) => return Ok(done),
                Step::Io(io) => {
                    let outcome = self.outcome(io.op())?;
                    step = io.resume(outcome, moment(self.now));
                }
            }
        }
    }

    fn outcome(&mut self, op: &Op) -> Result<Outcome, Stop> {
        let ask = self.ask(op);
        Ok(match self.answer(ask)?.answer {
            Answer::Absent => Outcome::Absent,
            Answer::Conflict(seen) => Outcome::Conflict(seen.map(|seen| self.stored(seen))),
            Answer::Done(version) => Outcome::Done(Version::from_u64(version.into())),
            Answer::Exists => Outcome::Exists,
            Answer::Failed => Outcome::Failed,
            Answer::Found(seen) => Outcome::Found(self.stored(seen)),
            Answer::Indexed => Outcome::Indexed,
            Answer::Listed(bits) => {
                let keys: Vec<_> = (0..32).map(KeyNo).filter(|key| bits & (1 << key.0) != 0).collect();
                let keys: Vec<_> = keys.into_iter().map(|key| self.names.store_key(key)).collect();
                Outcome::Listed(Members { total: keys.len() as u64, keys })
            }
            Answer::Removed => Outcome::Removed,
            Answer::Unknown => Outcome::Unknown,
        })
    }

    fn answer(&mut self, ask: Ask) -> Result<Heard, Stop> {
        let heard = self.history.get(self.taken).copied().ok_or(Stop::Asks(ask))?;
        self.taken += 1;
        self.now = heard.heard;
        self.troubled |= matches!(heard.answer, Answer::Failed | Answer::Unknown);
        self.reports.clear();
        Ok(heard)
    }

    fn ask(&mut self, op: &Op) -> Ask {
        match op {
            Op::Enroll { member, ttl, .. } => {
                return Ask::Enroll { member: self.names.key_no(member), ttl: seconds(ttl) };
            }
            Op::List { .. } => return Ask::List,
            Op::Unenroll { member, .. } => return Ask::Unenroll { member: self.names.key_no(member) },
            _ => {}
        }
        let key = self.names.key_no(op.key());
        let number = |version: &Version| u32::try_from(version.as_u64().expect("a number")).expect("small");
        match op {
            Op::Create { key: of, value, ttl } => {
                Ask::Create { key, value: self.names.value_no(of, value), ttl: seconds(ttl) }
            }
            Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. } => panic!("it was told above"),
            Op::Load { .. } => Ask::Load { key },
            Op::Remove { version, .. } => Ask::Remove { key, version: number(version) },
            Op::Replace { key: of, version, value, ttl } => {
                let value = self.names.value_no(of, value);
                Ask::Replace { key, version: number(version), value, ttl: seconds(ttl) }
            }
            Op::Touch { key: of, version, value, ttl } => {
                let value = self.names.value_no(of, value);
                Ask::Touch { key, version: number(version), value, ttl: seconds(ttl) }
            }
        }
    }

    fn stored(&self, seen: Seen) -> Stored {
        Stored {
            value: self.names.value(seen.value).clone(),
            version: Version::from_u64(seen.version.into()),
            expires_in: Some(Duration::from_secs(seen.ttl.into())),
        }
    }
}

/// A login that carries everything over, or nothing.
fn login(carries: bool) -> Login {
    let all = (0..16).chain([FIRST_EDIT]).map(|edit: u8| edit.to_string()).chain([SUM.to_owned(), LAST.to_owned()]);
    all.filter(|_| carries).fold(Login::new(), |login, key| login.carry(key))
}

/// Makes an edit: counts itself, counts in the sum of all, and overwrites what others wrote.
fn make(edit: u8, loaded: &mut Loaded) {
    let add = |count: Option<u64>| count.unwrap_or(0) + 1;
    loaded.update(&edit.to_string(), add).expect("a readable session");
    loaded.update(SUM, add).expect("a readable session");
    loaded.insert(LAST, &edit).expect("a readable session");
}
