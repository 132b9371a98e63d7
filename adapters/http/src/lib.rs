//! Cloakroom's sessions behind an HTTP service, on any runtime.

#![forbid(unsafe_code)]

pub mod answer;
mod config;
mod connection;
mod env;
mod failure;
mod io;
mod pool;
pub mod protocol;
mod request;
mod store;
mod url;

pub use futures_rustls::rustls;

pub use self::{
    config::{ConnectError, HttpConfig, HttpConfigError},
    store::HttpStore,
};
