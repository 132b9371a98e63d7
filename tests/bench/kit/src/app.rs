//! A system in process.

use std::future::Future;

use crate::scenario::Visit;

/// A system that is called without a network.
pub trait App {
    /// A request in the framework's own type.
    type Request;
    /// A response in the framework's own type.
    type Response;

    /// Makes a `GET` request. It is not measured.
    fn request(&self, path: &str, cookie: Option<&str>) -> Self::Request;

    /// Answers a request; what is measured.
    fn call(&self, request: Self::Request) -> impl Future<Output = Self::Response>;

    /// Returns the status, and the values of `Set-Cookie`. It is not measured.
    fn answer(response: &Self::Response) -> (u16, Vec<String>);

    /// Returns whether the system can do such a thing. No figure is printed of what it cannot.
    fn can(&self, visit: Visit) -> bool {
        let _ = visit;
        true
    }
}
