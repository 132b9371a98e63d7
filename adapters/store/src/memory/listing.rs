//! When an entry is to be looked at, and where it stands, in one number.

use super::shard::Place;

/// A time to 268 ms, and a place in the slab: what the set of expiries is ordered by. One number takes half the
/// room of two, and is compared at once, many times on the way through a large set.
///
/// The time is rounded down, so that no entry is listed after it expires.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Listing(u64);

/// In place of the last bits of a time in nanoseconds.
const PLACE_BITS: u32 = 28;
const PLACES: u64 = (1 << PLACE_BITS) - 1;

/// So many entries at most have a place each: the last place is that of [`Listing::end_of`], which comes after every listing.
pub(super) const MAX_ENTRIES: usize = PLACES as usize;

impl Listing {
    /// Lists an entry that expires at that time.
    pub(super) fn of(expires_at: u64, place: Place) -> Self {
        Self(expires_at & !PLACES | u64::from(place))
    }

    /// The same time, and another place.
    pub(super) fn moved_to(self, place: Place) -> Self {
        Self::of(self.0, place)
    }

    pub(super) fn place(self) -> Place {
        // It has no more bits.
        (self.0 & PLACES) as Place
    }

    /// After all that are to be looked at at that time.
    pub(super) fn end_of(now: u64) -> Self {
        Self(now | PLACES)
    }

    /// What comes after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Listing, MAX_ENTRIES, PLACES};

    #[test]
    fn it_has_a_place_and_a_time_that_is_never_too_late() {
        let places = [0, 1, MAX_ENTRIES as u32 - 1];
        for at in [0, 1, PLACES, PLACES + 1, 1_700_000_000_000_000_000, u64::MAX] {
            for place in places {
                let listing = Listing::of(at, place);
                assert_eq!(listing.place(), place);
                assert!(listing < Listing::end_of(at), "{at} {place}");
                assert!(at.checked_sub(PLACES + 1).is_none_or(|before| listing > Listing::end_of(before)));
                assert!(listing.next() > listing && listing.next() <= Listing::end_of(at));
                assert!(places.into_iter().all(|to| listing.moved_to(to) == Listing::of(at, to)));
            }
        }
    }
}
