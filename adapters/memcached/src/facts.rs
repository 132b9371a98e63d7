//! What a server says of itself when a connection begins.

use std::time::{Duration, SystemTime};

use cloakroom_core::Value;
use cloakroom_store::Fault;

use crate::{
    failure::Failure,
    wire::{Answer, Command},
};

/// The longest time to live that is no Unix time to a server, in seconds.
const MAX_RELATIVE: u64 = 30 * 24 * 60 * 60;
/// The last expiry time that every server reads, a Unix time: it counts with 32 bits and a sign.
const LAST: u64 = i32::MAX as u64;
/// What a server keeps beside key and value: its header of 48 bytes, the CAS number, and what ends key and value.
const OVERHEAD: usize = 48 + 8 + 1 + 2;

/// What a server says of itself. Whatever it does not say is not known: it may be a proxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) evicts: bool,
    /// The largest item, in bytes.
    pub(crate) item_size_max: Option<usize>,
    /// What its clock said, in Unix seconds, and what ours said then.
    clock: Option<(u64, SystemTime)>,
}

impl Facts {
    /// What to ask. The first shows whether it speaks the protocol.
    pub(crate) const QUESTIONS: [Command<'static>; 3] =
        [Command::Noop, Command::Stats { section: None }, Command::Stats { section: Some("settings") }];

    /// Reads the answers, which came `now`.
    pub(crate) fn read(answers: Vec<Answer>, now: SystemTime) -> Result<Self, Failure> {
        let mut facts = Self::default();
        let mut answers = answers.into_iter();
        match answers.next() {
            Some(Answer::Noop) => {}
            Some(Answer::Refused(words)) => {
                return Err(Failure::refused(&format!("{words} (it takes memcached 1.6 or later)")));
            }
            Some(Answer::ServerError(words)) => return Err(Failure::server_error(&words)),
            _ => return Err(Failure::unexpected()),
        }
        for answer in answers {
            let Answer::Stat(name, value) = answer else { continue };
            match name.as_str() {
                "cas_enabled" if value == "no" => {
                    let words = "the server compares nothing: it was started with -C";
                    return Err(Failure::unsent(Fault::Refused, words));
                }
                "evictions" => facts.evicts = value == "on",
                "item_size_max" => facts.item_size_max = value.parse().ok(),
                "time" => facts.clock = value.parse().ok().map(|time| (time, now)),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Returns the bytes of the largest item if one with this key and value is larger.
    pub(crate) fn is_too_large(&self, key: &[u8], value: &Value) -> Option<usize> {
        let bytes = value.len().saturating_add(key.len() + OVERHEAD);
        self.item_size_max.filter(|&limit| bytes > limit)
    }

    /// Returns a time to live as the server takes it: so that what is stored lives no shorter, and up to two seconds longer.
    pub(crate) fn expiry(&self, ttl: Duration, now: SystemTime) -> u32 {
        // The second that its clock is in counts as a whole one there.
        let seconds = u64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(LAST).min(LAST) + 1;
        let expiry = match seconds <= MAX_RELATIVE {
            true => seconds,
            // What its clock says by now, which may be a second more than what ours has counted.
            false => (self.time(now) + 1 + seconds).min(LAST),
        };
        expiry as u32
    }

    /// Returns the time that is surely left, of what the server says.
    pub(crate) fn left(ttl: i64) -> Option<Duration> {
        u64::try_from(ttl).ok().map(|seconds| Duration::from_secs(seconds.saturating_sub(1)))
    }

    /// Returns the time of the server's clock.
    fn time(&self, now: SystemTime) -> u64 {
        let unix = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match self.clock {
            Some((theirs, ours)) => theirs + now.duration_since(ours).map_or(0, |since| since.as_secs()),
            None => unix(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use cloakroom_core::Value;
    use cloakroom_store::Fault;

    use super::{Facts, MAX_RELATIVE};
    use crate::wire::Answer;

    const DAY: u64 = 24 * 60 * 60;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn facts(stats: &[(&str, &str)], now: SystemTime) -> Result<Facts, crate::failure::Failure> {
        let stats = stats.iter().map(|(name, value)| Answer::Stat((*name).to_owned(), (*value).to_owned()));
        Facts::read([Answer::Noop].into_iter().chain(stats).chain([Answer::End]).collect(), now)
    }

    #[test]
    fn a_time_to_live_is_whole_seconds_and_never_none() {
        let facts = Facts::default();
        for (millis, seconds) in [(0, 1), (1, 2), (999, 2), (1000, 2), (1001, 3), (1_800_000, 1801)] {
            assert_eq!(facts.expiry(Duration::from_millis(millis), at(0)), seconds, "{millis} ms");
        }
        assert_eq!(facts.expiry(Duration::from_nanos(1), at(0)), 1, "0 would be for ever");
    }

    #[test]
    fn a_time_beyond_30_days_is_by_the_servers_clock() {
        let last = Duration::from_secs(MAX_RELATIVE - 1);
        let facts = facts(&[("time", "1900000000")], at(1_800_000_000)).unwrap();
        assert_eq!(facts.expiry(last, at(1_800_000_000)), MAX_RELATIVE as u32);
        let long = last + Duration::from_secs(1);
        assert_eq!(facts.expiry(long, at(1_800_000_010)), 1_900_000_010 + MAX_RELATIVE as u32 + 2);
        assert_eq!(facts.expiry(long, at(1_700_000_000)), 1_900_000_000 + MAX_RELATIVE as u32 + 2, "set back");
        // Where it does not say, by ours.
        let expiry = Facts::default().expiry(Duration::from_secs(400 * DAY), at(1_800_000_000));
        assert_eq!(u64::from(expiry), 1_800_000_000 + 400 * DAY + 2);
        for longest in [Duration::MAX, Duration::from_millis(u64::MAX), Duration::from_secs(u64::from(u32::MAX))] {
            assert_eq!(facts.expiry(longest, at(1_800_000_000)), i32::MAX as u32);
        }
    }

    #[test]
    fn what_is_left_is_what_is_surely_left() {
        assert_eq!(Facts::left(-1), None);
        assert_eq!(Facts::left(0), Some(Duration::ZERO));
        assert_eq!(Facts::left(1), Some(Duration::ZERO));
        assert_eq!(Facts::left(61), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_server_is_what_it_says() {
        let told = facts(&[("evictions", "on"), ("item_size_max", "1048576"), ("cas_enabled", "yes")], at(0)).unwrap();
        assert_eq!((told.evicts, told.item_size_max), (true, Some(1_048_576)));
        let told = facts(&[("evictions", "off")], at(0)).unwrap();
        assert_eq!((told.evicts, told.item_size_max), (false, None));
        let refused = facts(&[("cas_enabled", "no")], at(0)).unwrap_err();
        assert_eq!((refused.fault, refused.is_sent), (Fault::Refused, false), "nothing could be compared");
        let proxy = Facts::read(vec![Answer::Noop, Answer::Refused(String::new())], at(0)).unwrap();
        assert!(!proxy.evicts && proxy.item_size_max.is_none());
        let older = Facts::read(vec![Answer::Refused("it does not know the command".to_owned())], at(0)).unwrap_err();
        assert_eq!(older.fault, Fault::Refused);
        assert_eq!(Facts::read(vec![Answer::End], at(0)).unwrap_err().fault, Fault::Internal);
    }

    #[test]
    fn an_item_is_its_key_its_value_and_what_the_server_adds() {
        let facts = facts(&[("item_size_max", "1000")], at(0)).unwrap();
        let value = |len: usize| Value::from(vec![0; len]);
        assert_eq!(facts.is_too_large(&[b'k'; 100], &value(1000 - 100 - 59)), None);
        assert_eq!(facts.is_too_large(&[b'k'; 100], &value(1000 - 100 - 58)), Some(1000));
        assert_eq!(Facts::default().is_too_large(b"k", &value(10_000)), None, "it does not say");
    }
}
