//! Users, for the tests of who is signed in where.

use cloakroom_core::{Done, HashedKeys, KeyScheme, Listed, Login, Principal, RosterError, RosterStep, StoreKey, Which};

use super::{Seeded, World, ticket};

pub(crate) fn user(id: &str) -> Principal {
    Principal::of(id).unwrap()
}

impl World {
    /// A whole request that signs a user in.
    pub(crate) fn log_in(&mut self, cookie: &str, id: &str) -> Done {
        self.log_in_as(cookie, id, Login::new())
    }

    pub(crate) fn log_in_as(&mut self, cookie: &str, id: &str, login: Login) -> Done {
        self.request(cookie, |loaded| loaded.login(id, login).unwrap())
    }

    /// The ticket of a session in which a user is signed in, with `n` = 0.
    pub(crate) fn session_of(&mut self, id: &str) -> String {
        self.session_with(id, Login::new())
    }

    pub(crate) fn session_with(&mut self, id: &str, login: Login) -> String {
        let done = self.request("", |loaded| {
            loaded.login(id, login).unwrap();
            loaded.insert("n", &0).unwrap();
        });
        assert_eq!(done.result(), Ok(()));
        self.ops();
        ticket(&done).unwrap()
    }

    /// Who is signed in behind a ticket.
    pub(crate) fn who(&self, cookie: &str) -> Option<String> {
        self.with_peeked(cookie, |loaded| loaded.principal().unwrap())
    }

    pub(crate) fn index_of(&self, id: &str) -> StoreKey {
        HashedKeys::new("main", HashedKeys::PREFIX).unwrap().index_key(&user(id))
    }

    /// The keys in the index of a user, in order.
    pub(crate) fn members(&self, id: &str) -> Vec<StoreKey> {
        self.store.members(&self.index_of(id))
    }

    pub(crate) fn drive<T>(&mut self, mut step: RosterStep<T>) -> Result<T, RosterError> {
        loop {
            match step {
                RosterStep::Done(result) => return result,
                RosterStep::Io(_) => step = self.advance(step),
            }
        }
    }

    /// Does the operation that a step asks for.
    pub(crate) fn advance<T>(&mut self, step: RosterStep<T>) -> RosterStep<T> {
        let RosterStep::Io(io) = step else { panic!("it is over") };
        let outcome = self.store.perform(io.op());
        io.resume(outcome, self.now())
    }

    pub(crate) fn listing(&self, id: &str, current: &str) -> RosterStep<Vec<Listed>> {
        self.with_peeked(current, |loaded| self.engine.list_sessions(user(id), Some(loaded)))
    }

    pub(crate) fn list(&mut self, id: &str, current: &str) -> Result<Vec<Listed>, RosterError> {
        let step = self.listing(id, current);
        self.drive(step)
    }

    pub(crate) fn ending(&mut self, id: &str, which: Which, current: &str) -> RosterStep<u64> {
        let mut entropy = Seeded(self.entropy.next());
        let now = self.now();
        self.with_peeked(current, |loaded| self.engine.end_sessions(&user(id), which, Some(loaded), now, &mut entropy))
    }

    pub(crate) fn end_many(&mut self, id: &str, which: Which, current: &str) -> Result<u64, RosterError> {
        let step = self.ending(id, which, current);
        self.drive(step)
    }
}
