//! Cookies: reading the request's, by RFC 6265bis section 5 and what browsers send, and writing ours.

mod name;
mod policy;
mod scan;

pub(crate) use self::scan::{trim_end, trim_start, within_limits};
pub use self::{
    name::{CookieName, InvalidCookieName},
    policy::{CookieError, CookiePolicy, SameSite},
    scan::{Scan, Scanner},
};
