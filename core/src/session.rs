//! A request's session before its commit: found lazily, loaded once.

use core::{fmt, ops::ControlFlow};
use std::{collections::VecDeque, sync::Arc};

use crate::{
    binding::Client,
    cookie::Scan,
    engine::Policy,
    entropy::Entropy,
    event::{Event, Events},
    held::{Asked, Holder, Jar, Pieces, scan_pieces},
    id::StoreKey,
    limits::{MAX_TAGS_CHECKED, MAX_TICKETS},
    loaded::Loaded,
    machine::{
        admission::{Admission, Arrival, Opened},
        plan::{needs_nothing, start},
    },
    request::RequestInfo,
    step::{CommitError, Step},
    time::UnixTime,
    value::Stored,
    verdict::{CookieLine, Verdict},
    wire::token::{Refusal, Verified},
};

/// A request's session: nothing is checked or loaded until somebody asks.
///
/// [`Engine::open`](crate::Engine::open) makes it, [`Session::access`] leads to the data, [`Session::commit`] to the end
/// of the request. A session that nobody accessed commits without any operation or cookie, and without an allocation, but for a
/// copy of the cookie where that holds the session.
pub struct Session {
    pub(crate) shell: Shell,
    pub(crate) state: State,
}

/// What stays with a request's session through all its states.
pub(crate) struct Shell {
    pub(crate) policy: Arc<Policy>,
    /// What the request comes to, so far.
    pub(crate) verdict: Verdict,
    /// A cross-site request came without our cookie, which was withheld: it must not make a session of its own.
    pub(crate) may_create: bool,
    /// A new ticket sent with this request's response reaches the page.
    pub(crate) may_renew: bool,
    /// What the client is like, where sessions are bound to that.
    pub(crate) client: Option<Client>,
    /// What its cookies hold, where sessions are held in them.
    pub(crate) jar: Option<Box<Jar>>,
}

#[allow(clippy::large_enum_variant, reason = "an untouched request must not allocate")]
pub(crate) enum State {
    Admitting(Admission),
    Ready(Loaded),
    Unopened(Candidates),
}

impl Shell {
    /// For what an engine does of itself, without a request.
    pub(crate) fn of_engine(policy: Arc<Policy>) -> Self {
        let verdict = Verdict::default();
        Self { policy, verdict, may_create: true, may_renew: true, client: None, jar: None }
    }

    /// The client is to be told of a new ticket.
    pub(crate) fn owe(&mut self, key: &StoreKey, line: String) {
        match &mut self.jar {
            Some(jar) => jar.publish(key),
            None => self.verdict.owed = Some(CookieLine { line, more: Vec::new(), removes: false }),
        }
    }

    /// The client is to forget its ticket.
    pub(crate) fn owe_removal(&mut self) {
        let more = match (&mut self.jar, &self.policy.holder) {
            (Some(jar), Some(holder)) => jar.removals(holder),
            _ => Vec::new(),
        };
        self.verdict.owed = Some(CookieLine { line: self.policy.removal.clone(), more, removes: true });
    }

    /// Writes the cookie of what a commit put into the jar.
    pub(crate) fn write_held(&mut self, now: UnixTime) -> Result<(), CommitError> {
        if let (Some(jar), Some(holder)) = (&mut self.jar, &self.policy.holder)
            && let Some(line) = jar.lines(&self.policy, holder, now)
        {
            self.verdict.owed = Some(line?);
        }
        Ok(())
    }
}

impl Session {
    pub(crate) fn open<'h>(
        policy: Arc<Policy>,
        cookie_headers: impl IntoIterator<Item = &'h [u8]>,
        request: &RequestInfo<'_>,
    ) -> Self {
        // Filled where it stays: with room for many tokens it is long to copy.
        let mut session = Self { shell: Shell::of_engine(policy), state: State::Unopened(Candidates::default()) };
        let Shell { policy, client, may_create, may_renew, .. } = &mut session.shell;
        *client = policy.binder.as_ref().map(|binder| binder.client(request));
        *may_renew = request.may_renew();
        if let State::Unopened(candidates) = &mut session.state {
            candidates.find(policy, cookie_headers);
            *may_create = !(candidates.is_empty() && policy.withholds_cookie(request));
        }
        session
    }

    pub(crate) fn from_parts(shell: Shell, state: State) -> Self {
        Self { shell, state }
    }

    /// Asks for the data: either it is there, or something must be loaded first.
    ///
    /// The first call checks the tags of the request's tokens. A loop serves both answers:
    ///
    /// ```
    /// # use cloakroom_core::{Access, LoadError, Loaded, Session, StoreKey, Stored, UnixTime};
    /// # fn load(_: &StoreKey) -> Option<Stored> { None }
    /// fn data(session: &mut Session, now: UnixTime) -> Result<&mut Loaded, LoadError> {
    ///     let mut access = session.access();
    ///     loop {
    ///         match access {
    ///             Access::Ready(loaded) => return Ok(loaded),
    ///             Access::Load(load) => {
    ///                 let found = load_from_store(load.key());
    ///                 access = load.supply(found, now)?;
    ///             }
    ///         }
    ///     }
    /// }
    /// # fn load_from_store(key: &StoreKey) -> Option<Stored> { load(key) }
    /// ```
    pub fn access(&mut self) -> Access<'_> {
        self.shell.verdict.accessed = true;
        if let State::Unopened(candidates) = &self.state {
            let Shell { policy, verdict: Verdict { events, .. }, jar, .. } = &mut self.shell;
            self.state = match Admission::start(policy, candidates, events, jar) {
                ControlFlow::Continue(admission) => State::Admitting(admission),
                ControlFlow::Break(opened) => State::Ready(Loaded::new(Arc::clone(policy), opened)),
            };
        }
        match self.state {
            State::Ready(ref mut loaded) => Access::Ready(loaded),
            State::Admitting(_) | State::Unopened(_) => Access::Load(Load { session: self }),
        }
    }

    /// Tells whether somebody asked for the data.
    pub fn is_accessed(&self) -> bool {
        self.shell.verdict.accessed
    }

    /// Returns what was noticed in the whole request so far. A [`Verdict`] has it as well: count it once.
    pub fn events(&self) -> &Events {
        &self.shell.verdict.events
    }

    /// Returns the verdict of a commit at this time, where that would do nothing: ask for no operation, owe no cookie,
    /// report no end and no error. Who has it may leave the commit out. `None` promises nothing.
    ///
    /// The session stays as it was. Where it goes on, a later verdict has these events as well: count those of the last one.
    pub fn settled(&self, now: UnixTime) -> Option<Verdict> {
        let is_at_rest = match &self.state {
            State::Ready(loaded) => needs_nothing(&self.shell, loaded, now),
            State::Admitting(_) | State::Unopened(_) => true,
        };
        let Verdict { accessed, events, owed, .. } = &self.shell.verdict;
        (is_at_rest && owed.is_none()).then(|| Verdict { accessed: *accessed, events: *events, ..Verdict::default() })
    }

    /// Drops the edits, a rotation and a lifetime that were asked for, but never an end: for a request that failed.
    pub fn drop_edits(&mut self) {
        if let State::Ready(loaded) = &mut self.state {
            loaded.drop_edits();
        }
    }

    /// Ends the request: decides what must be written, and which cookie is owed.
    ///
    /// `entropy` is drawn from only when an id or a nonce is made.
    pub fn commit(self, now: UnixTime, entropy: &mut impl Entropy) -> Step {
        start(self, now, entropy)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Admitting(_) => "admitting",
            State::Ready(_) => "ready",
            State::Unopened(_) => "unopened",
        };
        f.debug_struct("Session")
            .field("state", &state)
            .field("events", &self.shell.verdict.events)
            .finish_non_exhaustive()
    }
}

/// What [`Session::access`] found.
#[must_use = "match on it: a load must be supplied, or the session stays unloaded"]
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver must handle both")]
pub enum Access<'s> {
    /// Something must be loaded; call [`Load::supply`] with it.
    Load(Load<'s>),
    /// The data is there.
    Ready(&'s mut Loaded),
}

/// A load that the session asks for. Dropping it leaves the session as it was; a later access asks again.
#[must_use = "load what is under `key` and call `supply`"]
pub struct Load<'s> {
    session: &'s mut Session,
}

impl<'s> Load<'s> {
    /// Returns the key to load.
    pub fn key(&self) -> &StoreKey {
        match &self.session.state {
            State::Admitting(admission) => match &self.session.shell.jar {
                Some(jar) => jar.asks(admission.key()),
                None => admission.key(),
            },
            // A load is made in the state above, and borrows the session for as long as it lives.
            State::Ready(_) | State::Unopened(_) => unreachable!("a load without an admission"),
        }
    }

    /// Hands over what was found; `now` is the time at which the load was sent.
    ///
    /// The answer may be another load: a pointer is followed, or another ticket of the request looked at.
    ///
    /// # Errors
    ///
    /// [`LoadError::Undecodable`] when a record does not decode. The next [`Session::access`] is then
    /// [`Access::Ready`], but of the data only [`Loaded::destroy`] works.
    pub fn supply(self, found: Option<Stored>, now: UnixTime) -> Result<Access<'s>, LoadError> {
        let Shell { policy, verdict: Verdict { events, .. }, client, jar, .. } = &mut self.session.shell;
        let State::Admitting(admission) = &mut self.session.state else { return Ok(self.session.access()) };
        let (found, now) = match jar {
            None => (found, now),
            Some(jar) => match jar.arrive(policy, admission.key(), found, now) {
                Asked::Another => return Ok(Access::Load(self)),
                Asked::Found(found, asked_at) => (found, asked_at),
            },
        };
        let mut opened = match admission.arrive(policy, found, now, *client, events) {
            Arrival::Another => return Ok(Access::Load(self)),
            Arrival::Opened(opened) => opened,
        };
        if let (Some(jar), Opened::Live(admitted)) = (jar, &mut opened) {
            admitted.epoch = jar.epoch_of(admitted.live.record.lineage).flatten();
        }
        let undecodable = matches!(opened, Opened::Undecodable(_));
        let destroys = matches!(opened, Opened::Dead(_)) && admission.destroys();
        let mut loaded = Loaded::new(Arc::clone(policy), opened);
        if destroys {
            loaded.destroy();
        }
        self.session.state = State::Ready(loaded);
        if undecodable { Err(LoadError::Undecodable) } else { Ok(self.session.access()) }
    }
}

impl fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

/// Why a load led nowhere.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoadError {
    /// The stored record does not decode; that is no absent session.
    Undecodable,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable => f.write_str("the stored record does not decode"),
        }
    }
}

impl core::error::Error for LoadError {}

/// The values of our name in a request, as they came: inline, so that noticing them allocates nothing.
#[derive(Default)]
pub(crate) struct Candidates {
    /// Those that came first. An array of options starts without a write to the bytes in them.
    tokens: [Option<RawToken>; MAX_TAGS_CHECKED],
    malformed: bool,
    /// There were more lines or pairs than are read.
    unread: bool,
    /// There were more tokens than are checked.
    unchecked: bool,
    /// What stood beside a token that is split.
    pieces: Pieces,
}

impl Candidates {
    fn find<'h>(&mut self, policy: &Policy, cookie_headers: impl IntoIterator<Item = &'h [u8]>) {
        let end = match policy.holder.as_ref().map_or(1, Holder::pieces) {
            1 => policy.scanner.scan(cookie_headers, |value| self.add(policy, value)),
            most => {
                let name = policy.cookie.name().as_str().as_bytes();
                scan_pieces(cookie_headers, name, most, |index, value| match index {
                    None => self.add(policy, value),
                    Some(index) => self.unchecked |= !self.pieces.add(index, value),
                })
            }
        };
        self.unread = end == Scan::Capped;
    }

    fn add(&mut self, policy: &Policy, value: &[u8]) {
        if !policy.is_well_formed(value) {
            self.malformed = true;
            return;
        }
        for slot in &mut self.tokens {
            match slot {
                Some(known) if known.as_bytes() == value => return,
                Some(_) => {}
                // In place: a copy of bytes waits until they are written.
                None => return slot.insert(RawToken::EMPTY).set(value),
            }
        }
        self.unchecked = true;
    }

    fn is_empty(&self) -> bool {
        self.tokens[0].is_none() && !self.malformed && !self.unread
    }

    /// Checks the tags and fills in the distinct tickets. Tells whether one that was not looked at may be the visitor's own: a
    /// token beside others that someone may have planted, or anything in a header of which none of ours was read.
    pub(crate) fn verify(
        &self,
        policy: &Policy,
        tickets: &mut Tickets,
        events: &mut Events,
        jar: &mut Option<Box<Jar>>,
    ) -> bool {
        let mut held = policy.holder.as_ref().map(|holder| (holder, jar.insert(Box::new(Jar::new(&self.pieces)))));
        if self.malformed {
            events.push(Event::MalformedToken);
        }
        let mut unchecked = self.unchecked;
        for token in self.tokens.iter().map_while(Option::as_ref) {
            let added = match &mut held {
                Some((holder, jar)) => {
                    jar.keep(policy, holder, token.as_bytes(), &self.pieces).map(|ticket| tickets.add(ticket))
                }
                None => match &policy.tokens.verify(token.as_bytes()) {
                    Ok(Verified { id, outdated, .. }) => {
                        Ok(tickets.add(Ticket { key: policy.keys.store_key(id), outdated: *outdated }))
                    }
                    Err(refusal) => Err(*refusal),
                },
            };
            match added {
                Ok(has_room) => unchecked |= !has_room,
                Err(Refusal::Forged) => events.push(Event::ForgedToken),
                Err(Refusal::Malformed) => events.push(Event::MalformedToken),
                Err(Refusal::UnknownKey(id)) => events.push(Event::UnknownKey(id)),
            }
        }
        if self.unread || unchecked {
            events.push(Event::HeaderCapped);
        }
        unchecked || (self.unread && tickets.first.is_none())
    }
}

/// A ticket that we minted.
pub(crate) struct Ticket {
    pub(crate) key: StoreKey,
    pub(crate) outdated: bool,
}

/// The distinct tickets of a request, at most [`MAX_TICKETS`]; one is held without an allocation.
#[derive(Default)]
pub(crate) struct Tickets {
    pub(crate) first: Option<Ticket>,
    pub(crate) more: VecDeque<Ticket>,
}

impl Tickets {
    /// Adds one that is not there yet; `false` where there is no room for it.
    #[inline]
    fn add(&mut self, ticket: Ticket) -> bool {
        if self.first.is_some() {
            return self.add_another(ticket);
        }
        self.first = Some(ticket);
        true
    }

    fn add_another(&mut self, ticket: Ticket) -> bool {
        // Keys are as distinct as ids. One id under two keys of the ring counts by the newer.
        let mut known = self.first.iter_mut().chain(&mut self.more);
        if let Some(known) = known.find(|known| known.key == ticket.key) {
            known.outdated &= ticket.outdated;
            return true;
        }
        let has_room = self.more.len() + 1 < MAX_TICKETS;
        if has_room {
            self.more.push_back(ticket);
        }
        has_room
    }
}

/// A cookie value as it came, inline up to the length of a native token and a little more.
pub(crate) enum RawToken {
    Inline { bytes: [u8; Self::INLINE], len: u8 },
    Long(Box<[u8]>),
}

impl RawToken {
    const EMPTY: Self = Self::Inline { bytes: [0; Self::INLINE], len: 0 };
    const INLINE: usize = 46;

    pub(crate) fn new(value: &[u8]) -> Self {
        let mut token = Self::EMPTY;
        token.set(value);
        token
    }

    fn set(&mut self, value: &[u8]) {
        match self {
            Self::Inline { bytes, len } if value.len() <= Self::INLINE => {
                bytes[..value.len()].copy_from_slice(value);
                *len = value.len() as u8;
            }
            _ => *self = Self::Long(value.into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { bytes, len } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}
