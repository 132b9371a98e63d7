//! The session's data and what a request may do with it.

use core::{fmt, time::Duration};
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

use crate::{
    data::Data,
    edits::{Edit, EditError, Edits, ReplayError, UpdateFn, difference, whole_from},
    engine::Policy,
    entropy::Entropy,
    id::Handle,
    json::Json,
    lifetime::Lifetime,
    limits::MAX_COOKIE_AGE,
    login::{Carry, Login, LoginMark},
    machine::admission::Opened,
    principal::{Principal, SignIn},
    record::{Nonce, Record},
    time::UnixTime,
};

/// The session's data, for reading and changing. Nothing here does I/O.
///
/// Changes are kept as edits, not only as their result: when another request changed the session meanwhile, the commit
/// does them again over what is there then. See [`limits`](crate::limits) for the bounds.
pub struct Loaded {
    policy: Arc<Policy>,
    pub(crate) opened: Opened,
    /// What this request sees: the loaded data with the edits done.
    pub(crate) data: Data,
    pub(crate) edits: Edits,
    pub(crate) destroy: bool,
    pub(crate) elevate: bool,
    pub(crate) login: Option<Box<LoginMark>>,
    pub(crate) rotate: bool,
    pub(crate) lifetime: Option<Lifetime>,
    /// The lineage that a session has once it is made, where something was told of it.
    pub(crate) promised: Option<Nonce>,
}

impl Loaded {
    pub(crate) fn new(policy: Arc<Policy>, mut opened: Opened) -> Self {
        let data = match &mut opened {
            Opened::Live(admitted) => core::mem::take(&mut admitted.live.record.data),
            _ => Data::new(),
        };
        Self {
            policy,
            opened,
            data,
            edits: Edits::default(),
            destroy: false,
            elevate: false,
            login: None,
            rotate: false,
            lifetime: None,
            promised: None,
        }
    }

    /// Sets a value. One that serializes to the text that is there already is no change.
    ///
    /// # Errors
    ///
    /// [`EditError`] when the value is no JSON, the key too long, or the record unreadable.
    pub fn insert<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EditError> {
        self.insert_text(key, Json::of(value)?)
    }

    /// Like [`Loaded::insert`] of a value that is written as JSON already.
    ///
    /// # Errors
    ///
    /// [`EditError`] when the key is too long, or the record unreadable.
    pub fn insert_text(&mut self, key: &str, value: Json) -> Result<(), EditError> {
        self.edit(Edit::Insert(SmolStr::new(key), value))
    }

    /// Removes a value. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`EditError`] when the key is too long or the record unreadable.
    pub fn remove(&mut self, key: &str) -> Result<bool, EditError> {
        let was_there = self.data.raw_bytes(key).is_some();
        self.edit(Edit::Remove(SmolStr::new(key)))?;
        Ok(was_there)
    }

    /// Removes all values; the session stays.
    ///
    /// # Errors
    ///
    /// [`EditError`] when the record is unreadable.
    pub fn clear(&mut self) -> Result<(), EditError> {
        self.edit(Edit::Clear)
    }

    /// Sets a value to what `f` makes of the one there, and keeps `f`: when another request changed the session
    /// meanwhile, the commit calls it again with that request's value, so that concurrent increments all count.
    ///
    /// Returns what `f` made for this request's view; the stored value may differ. A panic in `f` while the commit
    /// replays it drops the request: nothing more is written.
    ///
    /// # Errors
    ///
    /// [`EditError`]; also [`ReplayError::WrongType`] when the value there is no `T`. If that happens only on replay,
    /// the commit fails.
    pub fn update<T, F>(&mut self, key: &str, mut f: F) -> Result<T, EditError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        self.try_update(key, move |value| Ok::<T, EditError>(f(value)))
    }

    /// Like [`Loaded::update`] with a function that may refuse. When it refuses on replay, the commit fails with
    /// [`ReplayError::Refused`] and nothing of it is written.
    ///
    /// # Errors
    ///
    /// What `f` refused with, or an [`EditError`] made into that.
    pub fn try_update<T, E, F>(&mut self, key: &str, mut f: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<EditError>,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        let before = self.get(key)?;
        let after = f(before)?;
        let first = Json::of(&after).map_err(EditError::from)?;
        let again = move |text: Option<&str>| {
            Json::of(&f(text.map(Json::read).transpose()?).map_err(|_| ReplayError::Refused)?)
        };
        self.edits.push_update(key, Box::new(again), first, &mut self.data)?;
        Ok(after)
    }

    /// Like [`Loaded::update`] on the JSON text of the value, for adapters that must see every result of a replay: the
    /// last one that `f` made is the one that a successful commit stored.
    ///
    /// # Errors
    ///
    /// [`EditError`], also what `f` returns.
    pub fn update_text(&mut self, key: &str, f: UpdateFn) -> Result<(), EditError> {
        self.edit(Edit::Update(SmolStr::new(key), f))
    }

    /// Returns a value.
    ///
    /// # Errors
    ///
    /// [`EditError::Replay`] when the value is no `T`, [`EditError::Undecodable`] when the record is unreadable.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EditError> {
        self.check_readable()?;
        Ok(self.data.raw_bytes(key).map(Json::read_bytes).transpose()?)
    }

    /// Returns all values as JSON, ordered by key.
    ///
    /// # Errors
    ///
    /// [`EditError::Undecodable`] when the record is unreadable.
    pub fn data(&self) -> Result<&Data, EditError> {
        self.check_readable()?;
        Ok(&self.data)
    }

    /// Returns all values as one value of the application's: each top-level field is one key. A field that is not there
    /// has the value that it has in `T::default()`.
    ///
    /// # Errors
    ///
    /// [`EditError::Replay`] when the values are no `T`, [`EditError::Undecodable`] when the record is unreadable.
    pub fn whole<T: Serialize + DeserializeOwned + Default>(&self) -> Result<T, EditError> {
        self.check_readable()?;
        Ok(whole_from(&self.data)?)
    }

    /// Sets the fields of `whole` that differ from what is there. Requests that change different fields both keep their
    /// changes; keys that are no fields of `T` stay.
    ///
    /// # Errors
    ///
    /// [`EditError`], also when what is there is no `T`. Fields before the one that failed are set.
    pub fn set_whole<T: Serialize + DeserializeOwned + Default>(&mut self, whole: &T) -> Result<(), EditError> {
        for (key, value) in difference(&self.whole::<T>()?, whole)? {
            self.edit(match value {
                Some(value) => Edit::Insert(SmolStr::new(&key), value),
                None => Edit::Remove(SmolStr::new(&key)),
            })?;
        }
        Ok(())
    }

    /// Changes the fields that `f` changes, and keeps `f` for replay as [`Loaded::update`] does.
    ///
    /// # Errors
    ///
    /// [`EditError`], also when what is there is no `T`.
    pub fn update_whole<T, F>(&mut self, mut f: F) -> Result<(), EditError>
    where
        T: Serialize + DeserializeOwned + Default,
        F: FnMut(&mut T) + Send + 'static,
    {
        self.edit(Edit::Whole(Box::new(move |data| {
            let before = whole_from::<T>(data)?;
            let mut after = whole_from::<T>(data)?;
            f(&mut after);
            for (key, value) in difference(&before, &after)? {
                match value {
                    Some(value) => data.set(&key, value),
                    None => data.remove(&key),
                }
            }
            Ok(())
        })))
    }

    /// Gives the session a new id when it is committed. The old ticket works until the new one was first presented and
    /// for the grace after that. A session that is not stored yet gets a new id anyway.
    ///
    /// It keeps the authority, and so is no sign-in: a ticket that somebody planted goes on working and would be signed in
    /// too. For that, [`Loaded::destroy`] the session first and write what the new one has.
    ///
    /// One that is held in the cookie keeps its id, and is sealed anew under the primary key; older copies go on working.
    pub fn rotate(&mut self) {
        self.rotate = self.login.is_none() && !self.elevate;
    }

    /// Signs a user in when the session is committed: a new session under a new id, and the one that the visitor had ends,
    /// so that a ticket from before, one that somebody planted too, opens nothing (ASVS 5.0, 7.2.4). It has what
    /// [`Login::carry`] names and what is edited from here on. Check the credentials first.
    ///
    /// After [`Loaded::destroy`] nothing is carried over; a `destroy` after it takes it back. A second login replaces the
    /// first, and what was edited between them.
    ///
    /// # Errors
    ///
    /// [`EditError::Principal`] when the user id does not fit, [`EditError::Lifetime`] when the lifetime is longer than the
    /// engine's longest.
    pub fn login<U: Serialize + ?Sized>(&mut self, user: &U, login: Login) -> Result<(), EditError> {
        let principal = Principal::of(user)?;
        let Login { carried, label, lifetime, limit } = login;
        if lifetime.is_some_and(|lifetime| !self.fits(lifetime)) {
            return Err(EditError::Lifetime);
        }
        let (view, edits) = match self.login.take() {
            Some(before) => (before.view, before.carry.edits),
            None => (core::mem::take(&mut self.data), core::mem::take(&mut self.edits)),
        };
        let keys = if self.may_carry(&principal) { carried } else { Vec::new() };
        let carry = Carry { keys, edits };
        self.data = carry.pick(&view);
        self.edits = Edits::default();
        self.elevate = false;
        self.rotate = false;
        self.lifetime = lifetime;
        self.promised = None;
        self.login = Some(Box::new(LoginMark { principal, label, limit, carry, view }));
        Ok(())
    }

    /// Notes, when the session is committed, that the user has just proved again who they are ("sudo"): the session gets a
    /// new id and starts its lifetime anew, and the old ticket opens nothing from then on (ASVS 5.0, 7.2.4 and 7.5.1). An
    /// end of the old ticket's session ends the new one. Check the credentials first.
    ///
    /// # Errors
    ///
    /// [`EditError::NotSignedIn`] when nobody is signed in, [`EditError::Undecodable`] when the record is unreadable.
    pub fn elevate(&mut self) -> Result<(), EditError> {
        self.check_readable()?;
        if self.sign_in().is_none() && self.login.is_none() {
            return Err(EditError::NotSignedIn);
        }
        // A login proves as much.
        self.elevate = self.login.is_none();
        self.rotate = false;
        Ok(())
    }

    /// Ends the session when it is committed: [`Loaded::destroy`] by the name that goes with [`Loaded::login`].
    pub fn logout(&mut self) {
        self.destroy();
    }

    /// Ends the session when it is committed. Edits before it are dropped; later ones make a new session.
    pub fn destroy(&mut self) {
        self.destroy = true;
        self.elevate = false;
        self.login = None;
        self.rotate = false;
        self.lifetime = None;
        self.promised = None;
        self.edits.clear();
        self.data = Data::new();
    }

    /// Sets the lifetime of a session that is not stored yet, or shortens that of one that is: its absolute deadline
    /// never grows. Whether the cookie is persistent shows with the next ticket; call [`Loaded::rotate`] to send one.
    ///
    /// To give a visitor a longer one, [`Loaded::destroy`] first: the session that is made after that is new.
    ///
    /// # Errors
    ///
    /// [`EditError::Lifetime`] when it is zero, longer than the engine's longest or than browsers keep a persistent cookie,
    /// or would move the deadline of a stored session further away or into the past.
    pub fn set_lifetime(&mut self, lifetime: Lifetime) -> Result<(), EditError> {
        self.check_readable()?;
        let longest = self.policy.longest;
        let grows_or_is_over = self.record().is_some_and(|record| {
            let deadline = record.created.saturating_add(lifetime.absolute());
            deadline > longest.deadline(record) || self.opened.loaded_at().is_some_and(|at| deadline <= at)
        });
        if grows_or_is_over || !self.fits(lifetime) {
            return Err(EditError::Lifetime);
        }
        self.lifetime = Some(lifetime);
        Ok(())
    }

    /// Returns the id of the user who is signed in.
    ///
    /// # Errors
    ///
    /// [`EditError::Replay`] when it is no `U`, [`EditError::Undecodable`] when the record is unreadable.
    pub fn principal<U: DeserializeOwned>(&self) -> Result<Option<U>, EditError> {
        self.check_readable()?;
        let principal = match &self.login {
            Some(login) => Some(&login.principal),
            None => self.sign_in().map(|sign_in| &sign_in.principal),
        };
        Ok(principal.map(Principal::read).transpose()?)
    }

    /// Returns the sign-in that was loaded; `None` while nobody is signed in, or a login or an end is asked for.
    pub fn sign_in(&self) -> Option<&SignIn> {
        self.record()?.sign_in.as_ref()
    }

    /// Tells whether the user proved who they are within this time before `now`, or does with this request: for steps that
    /// ask for it again (ASVS 5.0, 7.5.1).
    pub fn authenticated_within(&self, time: Duration, now: UnixTime) -> bool {
        self.login.is_some()
            || self.sign_in().is_some_and(|sign_in| self.elevate || now.since(sign_in.authenticated) <= time)
    }

    /// Makes a token for a form or a header, which a page of another site cannot know: see [`Loaded::is_csrf_token`]. Each
    /// call makes another text. It goes with the session and what that is renewed to, and not beyond a login. A session that
    /// is not stored yet is made for it.
    ///
    /// # Errors
    ///
    /// [`EditError::Undecodable`] when the record is unreadable, [`EditError::Entropy`] when the source of randomness fails.
    pub fn csrf_token(&mut self, entropy: &mut impl Entropy) -> Result<String, EditError> {
        self.check_readable()?;
        let lineage = match (self.record().map(|record| record.lineage), self.promised) {
            (Some(lineage), _) | (None, Some(lineage)) => lineage,
            (None, None) => {
                let mut bytes = [0; Nonce::LEN];
                entropy.fill(&mut bytes).map_err(|_| EditError::Entropy)?;
                *self.promised.insert(Nonce::from_bytes(bytes))
            }
        };
        self.policy.csrf.mint(lineage, entropy).map_err(|_| EditError::Entropy)
    }

    /// Tells whether a token was made by [`Loaded::csrf_token`] for the session that was loaded. It takes as long for every
    /// wrong one.
    pub fn is_csrf_token(&self, token: &[u8]) -> bool {
        self.record().is_some_and(|record| self.policy.csrf.verify(record.lineage, token))
    }

    /// Tells whether nothing is stored for this session: no ticket opened one, or it was destroyed or is to be replaced by
    /// a login.
    pub fn is_new(&self) -> bool {
        self.is_readable() && self.record().is_none()
    }

    /// Tells whether the data can be read: of a record that does not decode nothing can, until it is destroyed.
    pub fn is_readable(&self) -> bool {
        self.destroy || self.login.is_some() || !matches!(self.opened, Opened::Undecodable(_))
    }

    /// Returns when the session was made; `None` while it is new.
    pub fn created(&self) -> Option<UnixTime> {
        self.record().map(|record| record.created)
    }

    /// Returns the absolute deadline; `None` while the session is new.
    pub fn deadline(&self) -> Option<UnixTime> {
        self.record().map(|record| self.policy.longest.deadline(record))
    }

    /// Returns the application's schema number of what was loaded; `None` while the session is new.
    pub fn schema(&self) -> Option<u32> {
        self.record().map(|record| record.schema)
    }

    /// Returns the handle under which people see the session; `None` while it is new. A renewal changes it.
    pub fn handle(&self) -> Option<Handle> {
        match &self.opened {
            Opened::Live(admitted) if self.record().is_some() => Some(admitted.live.key.handle()),
            _ => None,
        }
    }

    /// What a signed-in session and its successors have in common.
    pub(crate) fn lineage(&self) -> Option<Nonce> {
        self.record().filter(|record| record.sign_in.is_some()).map(|record| record.lineage)
    }

    /// The lineage of a signed-in session that is held in the cookie, and the last end of all that it knows of.
    pub(crate) fn admitted_user(&self) -> Option<(Nonce, Option<Nonce>)> {
        match &self.opened {
            Opened::Live(admitted) => self.lineage().map(|lineage| (lineage, admitted.epoch)),
            _ => None,
        }
    }

    /// Tells whether the commit has something to write for the data or the lifetime.
    pub(crate) fn is_changed(&self) -> bool {
        self.has_edits() || (self.promised.is_some() && self.record().is_none())
    }

    /// Tells whether nothing was asked for that the data or the record would hold; an end, a rotation or a login is another matter.
    pub(crate) fn is_only_read(&self) -> bool {
        self.edits.is_empty() && self.lifetime.is_none() && self.promised.is_none()
    }

    pub(crate) fn has_edits(&self) -> bool {
        self.data.is_changed() || (self.lifetime.is_some() && !self.is_new())
    }

    pub(crate) fn drop_edits(&mut self) {
        if let Some(login) = self.login.take() {
            self.data = login.view;
        }
        self.edits.clear();
        self.data.revert();
        self.lifetime = None;
        self.promised = None;
        self.elevate = false;
        self.rotate = false;
    }

    /// Tells whether a login of this user may take something over: never what somebody else left who is signed in.
    fn may_carry(&self, principal: &Principal) -> bool {
        let is_anothers = || self.opened.sign_in().is_some_and(|sign_in| sign_in.principal != *principal);
        !self.destroy && matches!(self.opened, Opened::Live(_)) && !is_anothers()
    }

    /// Tells whether a session can have this lifetime.
    fn fits(&self, lifetime: Lifetime) -> bool {
        let longest = self.policy.longest;
        lifetime.absolute() <= longest.absolute()
            && lifetime.idle() <= longest.idle()
            && !lifetime.idle().is_zero()
            && !(lifetime.is_persistent() && lifetime.absolute() > MAX_COOKIE_AGE)
    }

    fn edit(&mut self, edit: Edit) -> Result<(), EditError> {
        self.check_readable()?;
        self.edits.push(edit, &mut self.data)
    }

    fn check_readable(&self) -> Result<(), EditError> {
        if self.is_readable() { Ok(()) } else { Err(EditError::Undecodable) }
    }

    fn record(&self) -> Option<&Record> {
        match &self.opened {
            Opened::Live(admitted) if !self.destroy && self.login.is_none() => Some(&admitted.live.record),
            _ => None,
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("is_new", &self.is_new())
            .field("data", &self.data)
            .field("edits", &self.edits)
            .field("destroy", &self.destroy)
            .field("elevate", &self.elevate)
            .field("login", &self.login)
            .field("rotate", &self.rotate)
            .finish_non_exhaustive()
    }
}
