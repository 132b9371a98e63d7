//! What requests ask for who signs in, twice: by the machine's calls, and on a wish.

use core::time::Duration;

use cloakroom_core::{Entropy, EntropyError, Excess, Lifetime, Loaded, Login, Principal, Record, UnixTime};

use super::{
    edit::{Edit, Map},
    program::Call,
    request::Wish,
    store::Facts,
};

/// A user's id.
pub(super) type User = u64;

/// The users that there are.
pub(super) const USERS: [User; 2] = [0, 1];

pub(super) fn principal(user: User) -> Principal {
    Principal::of(&user).expect("a principal")
}

/// A sign-in as a record has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Signed {
    pub(super) user: User,
    pub(super) since: UnixTime,
    pub(super) authenticated: UnixTime,
    pub(super) label: Option<String>,
}

impl Signed {
    pub(super) fn of(record: &Record) -> Option<Self> {
        record.sign_in.as_ref().map(|sign_in| Self {
            user: sign_in.principal.read().expect("a user"),
            since: sign_in.since,
            authenticated: sign_in.authenticated,
            label: sign_in.label.as_ref().map(|label| label.as_str().to_owned()),
        })
    }
}

/// A login that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) user: User,
    pub(super) label: Option<String>,
    lifetime: Option<Lifetime>,
    pub(super) limit: Option<(usize, Excess)>,
    /// The keys whose values are carried over.
    pub(super) carried: Vec<String>,
    /// What the request edited, and saw, before.
    pub(super) before: Vec<Edit>,
    view: Map,
}

/// A call on the account.
pub(super) enum Account {
    Csrf,
    Elevate,
    Login(Entry),
}

impl Account {
    pub(super) fn of(call: Call) -> Self {
        let seconds = Duration::from_secs;
        match call.fate % 8 {
            0..=4 => Self::Login(Entry {
                user: USERS[usize::from(call.by & 1)],
                label: (call.by & 128 != 0).then(|| "a device".to_owned()),
                lifetime: match call.by >> 5 & 3 {
                    0 | 1 => None,
                    2 => Some(Lifetime::new(seconds(60), seconds(1800)).persistent()),
                    _ => Some(Lifetime::new(seconds(1), seconds(2))),
                },
                limit: match call.by >> 2 & 7 {
                    0..=3 => None,
                    4 => Some((1, Excess::Refuse)),
                    5 => Some((2, Excess::Refuse)),
                    6 => Some((1, Excess::EndOldest)),
                    _ => Some((2, Excess::EndOldest)),
                },
                carried: if call.by & 2 == 0 { Vec::new() } else { vec!["k0".to_owned(), "k1".to_owned()] },
                before: Vec::new(),
                view: Map::new(),
            }),
            5 | 6 => Self::Elevate,
            _ => Self::Csrf,
        }
    }

    /// Does it by the machine's call, and notes it where it is done.
    pub(super) fn make(self, loaded: &mut Loaded, wish: &mut Wish, mask: &mut Mask) {
        match self {
            Self::Csrf => match loaded.csrf_token(mask) {
                Ok(token) => {
                    let is_stored = wish.base.is_some() && wish.login.is_none();
                    assert_eq!(loaded.is_csrf_token(token.as_bytes()), is_stored, "a token goes with what was loaded");
                    wish.promised |= !is_stored;
                }
                Err(_) => assert!(!loaded.is_readable(), "a token is made"),
            },
            Self::Elevate => {
                let made = loaded.elevate().is_ok();
                assert_eq!(made, wish.user().is_some(), "whoever is signed in can prove it again");
                if made {
                    (wish.elevates, wish.rotates) = (wish.login.is_none(), false);
                }
            }
            Self::Login(entry) => {
                let mut login = Login::new().label(entry.label.as_deref().unwrap_or_default());
                login = entry.carried.iter().fold(login, Login::carry);
                login = entry.limit.into_iter().fold(login, |login, (most, excess)| login.at_most(most, excess));
                login = entry.lifetime.into_iter().fold(login, Login::lifetime);
                match loaded.login(&entry.user, login) {
                    Ok(()) => wish.sign_in(entry),
                    Err(_) => assert!(entry.lifetime.is_some(), "a login can be asked for"),
                }
            }
        }
        if loaded.is_readable() {
            assert_eq!(loaded.principal(), Ok(wish.user()), "who is signed in");
        }
    }
}

impl Wish {
    /// Who is signed in, or is to be.
    pub(super) fn user(&self) -> Option<User> {
        match (&self.login, &self.base) {
            (Some(entry), _) => Some(entry.user),
            (None, Some((_, facts))) => facts.signed.as_ref().map(|signed| signed.user),
            (None, None) => None,
        }
    }

    /// Nothing is carried over but what is named, and nothing of another user's.
    fn sign_in(&mut self, mut entry: Entry) {
        (entry.before, entry.view) = match self.login.take() {
            Some(first) => (first.before, first.view),
            None => (core::mem::take(&mut self.edits), core::mem::take(&mut self.view)),
        };
        let may_carry = |(_, facts): &(_, Facts)| facts.signed.as_ref().is_none_or(|signed| signed.user == entry.user);
        if !self.base.as_ref().is_some_and(may_carry) {
            entry.carried.clear();
        }
        let view = entry.pick(&entry.view);
        *self = Self { base: self.base.take(), destroys: self.destroys, login: Some(entry), view, ..Self::default() };
    }
}

impl Entry {
    pub(super) fn pick(&self, from: &Map) -> Map {
        from.iter().filter(|(key, _)| self.carried.contains(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// Randomness that never repeats, and is no commit's.
#[derive(Default)]
pub(super) struct Mask(u32);

impl Entropy for Mask {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.0 += 1;
        bytes.fill(0x5a);
        bytes[..4].copy_from_slice(&self.0.to_be_bytes());
        Ok(())
    }
}
