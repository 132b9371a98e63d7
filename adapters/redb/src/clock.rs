//! Time that never goes back, made of a clock that may.

use std::time::Duration;

/// What is known of the time, in milliseconds: kept in the file, so that it outlives the process.
///
/// It equals the Unix time until the clock is set back. From then on it goes forward from where it was, at the pace of
/// the clock, so that nothing comes back that was seen to be expired; and neither does it stand still until the clock
/// has caught up, which would keep sessions alive for years if the clock had once been years ahead. When the clock
/// jumps to or beyond where it was before, as after a start without a battery, that jump does not count twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Clock {
    /// The Unix time that was seen last.
    wall: u64,
    /// The time that was told for it.
    time: u64,
    /// The highest Unix time that was ever seen.
    top_wall: u64,
    /// The time that was told for that.
    top_time: u64,
}

impl Clock {
    pub(crate) const BYTES: usize = 32;

    /// Takes the Unix time, and tells the time.
    pub(crate) fn advance(&mut self, wall: u64) -> u64 {
        let was_behind = self.wall < self.top_wall;
        if was_behind && wall >= self.top_wall {
            self.time = self.time.max(self.top_time.saturating_add(wall - self.top_wall));
        } else {
            self.time = self.time.saturating_add(wall.saturating_sub(self.wall));
        }
        self.wall = wall;
        if wall >= self.top_wall {
            (self.top_wall, self.top_time) = (wall, self.time);
        }
        self.time
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [self.wall, self.time, self.top_wall, self.top_time];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *place = field.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let field = |at: usize| u64::from_le_bytes(bytes.as_chunks::<8>().0[at]);
        Self { wall: field(0), time: field(1), top_wall: field(2), top_time: field(3) }
    }
}

/// Counts the milliseconds of a duration, the last one begun included.
pub(crate) fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, millis_up};

    fn at(walls: &[u64]) -> u64 {
        let mut clock = Clock::default();
        walls.iter().fold(0, |_, &wall| clock.advance(wall))
    }

    #[test]
    fn it_is_the_unix_time_while_the_clock_goes_forward() {
        assert_eq!(at(&[1000]), 1000);
        assert_eq!(at(&[1000, 1000, 1500, 90_000]), 90_000);
    }

    #[test]
    fn it_goes_on_from_where_it_was_when_the_clock_is_set_back() {
        assert_eq!(at(&[9000, 2000]), 9000);
        assert_eq!(at(&[9000, 2000, 2100]), 9100);
        assert_eq!(at(&[9000, 2000, 2100, 50, 60]), 9110);
    }

    #[test]
    fn a_jump_back_to_where_the_clock_was_does_not_count_twice() {
        assert_eq!(at(&[9000, 0, 30, 9040]), 9040);
        assert_eq!(at(&[9000, 0, 30, 9000]), 9030);
        assert_eq!(at(&[9000, 0, 30, 9040, 9050]), 9050);
    }

    #[test]
    fn it_does_not_stand_still_after_the_clock_caught_up_slowly() {
        let mut clock = Clock::default();
        clock.advance(9000);
        let told: Vec<u64> = (0..20_000).step_by(100).map(|wall| clock.advance(wall)).collect();
        assert!(told.is_sorted());
        assert_eq!(*told.last().unwrap(), 9000 + 19_900 - 100, "one step is lost where it caught up");
    }

    #[test]
    fn a_clock_that_trembles_does_not_run_fast() {
        let walls: Vec<u64> = (0..10_000).map(|step| 1000 + step - 3 * (step % 2)).collect();
        assert!(at(&walls) <= 11_000, "{}", at(&walls));
    }

    #[test]
    fn it_outlives_the_process() {
        let mut clock = Clock::default();
        assert_eq!([9000, 2000, 2100].map(|wall| clock.advance(wall)), [9000, 9000, 9100]);
        let mut copy = Clock::from_bytes(&clock.to_bytes());
        assert_eq!(copy, clock);
        assert_eq!(copy.advance(2150), 9150);
    }

    #[test]
    fn a_millisecond_that_has_begun_counts() {
        assert_eq!(millis_up(Duration::ZERO), 0);
        assert_eq!(millis_up(Duration::from_nanos(1)), 1);
        assert_eq!(millis_up(Duration::from_millis(7)), 7);
        assert_eq!(millis_up(Duration::from_nanos(7_000_001)), 8);
        assert_eq!(millis_up(Duration::MAX), u64::MAX);
    }
}
