//! Cookies: reading the request's, by RFC 6265bis section 5 and what browsers send, and writing ours.

mod name;
mod policy;
mod scan;

pub use self::{
    name::{CookieName, InvalidCookieName},
    policy::{CookieError, CookiePolicy, SameSite},
    scan::{Scan, scan},
};
