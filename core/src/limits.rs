//! Every bound of the core, by name. Those that are settings of the engine stand here with their defaults.

use core::time::Duration;

/// Bytes of all `Cookie` lines together that are scanned; what lies beyond is not read.
pub const MAX_COOKIE_HEADER_BYTES: usize = 64 * 1024;
/// Name-value pairs of all `Cookie` lines together that are scanned.
pub const MAX_COOKIE_PAIRS: usize = 1024;
/// Well-formed tokens of one request whose tags are checked.
pub const MAX_TAGS_CHECKED: usize = 8;
/// Distinct valid ids of one request that are loaded; more are refused together.
pub const MAX_TICKETS: usize = 4;
/// Pointers that are followed from one ticket, and again within one commit.
pub const MAX_HOPS: u32 = 8;
/// How often the edits of one commit are replayed over what others wrote.
pub const MAX_REPLAYS: u32 = 16;
/// Store operations of one commit.
pub const MAX_OPERATIONS: u32 = 64;
/// Edits kept for one commit, after those that were overwritten are dropped.
pub const MAX_EDITS: usize = 1024;
/// Bytes of a key of the session's data.
pub const MAX_DATA_KEY: usize = 1024;
/// Nonces of the last commits that a record keeps.
pub const NONCES_KEPT: usize = 8;
/// Fields of a record's envelope or a pointer that are not known and kept.
pub const MAX_UNKNOWN_FIELDS: usize = 64;
/// The fewest bytes that the limit of a stored record may be set to, so that pointers and tombstones always fit.
pub const MIN_MAX_RECORD: usize = 4096;
/// Bytes of a store key, its prefix included.
pub const MAX_STORE_KEY: usize = 120;
/// Bytes of a session id.
pub const MAX_SESSION_ID: usize = 48;
/// Bytes of a cookie's name and value together (RFC 6265bis, section 5.6).
pub const MAX_COOKIE_PAIR: usize = 4096;
/// Cookies that one session is split over, where it is held in the cookie.
pub const MAX_COOKIE_PIECES: usize = 15;
/// Bytes of a cookie attribute's value (RFC 6265bis, section 5.6).
pub const MAX_COOKIE_ATTRIBUTE: usize = 1024;
/// The longest `Max-Age` that user agents keep (RFC 6265bis, section 5.5).
pub const MAX_COOKIE_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// Bytes of all `Forwarded` or `X-Forwarded-For` lines together that are read, from the right.
pub const MAX_FORWARDED_BYTES: usize = 16 * 1024;
/// Elements of all `Forwarded` or `X-Forwarded-For` lines together that are read, from the right.
pub const MAX_FORWARDED_ELEMENTS: usize = 255;
/// Bytes of the value of a `for` parameter of `Forwarded`, without what escapes.
pub const MAX_FORWARDED_NODE: usize = 128;
/// Bytes of a user id as JSON text.
pub const MAX_PRINCIPAL: usize = 256;
/// Bytes of the text that tells a user's devices apart.
pub const MAX_LABEL: usize = 256;
/// Sessions of one user that are listed at once.
pub const MAX_LISTED: usize = 10_000;
/// How often a user's sessions are listed again while they are ended together.
pub const MAX_ROUNDS: u32 = 16;
/// Bytes of an engine's name.
pub const MAX_ENGINE_NAME: usize = 64;
/// Events of one request that are kept; further ones are only counted.
pub const MAX_EVENTS: usize = 12;

/// Default for the bytes of a stored record.
pub const DEFAULT_MAX_RECORD: usize = 1024 * 1024;
/// Default for how long a renewed ticket's predecessor still works after the successor was first presented.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(60);
/// Default for how long a request may take from its load to its commit.
pub const DEFAULT_MAX_REQUEST: Duration = Duration::from_secs(10 * 60);
/// Default for how far the clocks of two nodes may differ.
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Default for how long after a login or an elevation the old ticket's requests count as superseded.
pub const DEFAULT_SUPERSEDED: Duration = Duration::from_secs(10);
/// Default for the idle timeout.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(30 * 60);
/// Default for the absolute timeout.
pub const DEFAULT_ABSOLUTE: Duration = Duration::from_secs(8 * 60 * 60);
/// A touch is due when it adds more than one part in this many of the idle time.
pub const DEFAULT_TOUCH_PART: u32 = 5;
