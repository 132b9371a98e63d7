//! Proves that a system does what is measured.

use crate::{app::App, jar::Jar, scenario::Visit, shape::Shape};

/// A system whose answers can be read whole; for its test alone.
pub trait Readable: App {
    /// Returns the text of a response.
    fn text(response: Self::Response) -> impl Future<Output = String>;
}

/// Checks each route of a system.
///
/// # Panics
///
/// Where an answer is not the one that is measured.
pub async fn check<A: Readable>(app: &A, keeps_sessions: bool) {
    let mut jar = Jar::default();
    if !keeps_sessions {
        for path in ["/untouched", "/read", "/change", "/rotate", "/fill/200"] {
            assert_eq!(visit(app, path, &mut jar).await, "ok", "{path}");
            assert_eq!(jar.header(0), None, "{path} sets no cookie");
        }
        return;
    }
    assert_eq!(visit(app, "/untouched", &mut jar).await, "ok");
    assert_eq!(visit(app, "/read", &mut jar).await, "0", "a new session is empty");
    for expected in ["1", "2", "3"] {
        assert_eq!(visit(app, "/change", &mut jar).await, expected);
    }
    for shape in Shape::ALL {
        assert_eq!(visit(app, &format!("/fill/{shape}"), &mut jar).await, "ok", "{shape}");
        assert_eq!(visit(app, "/read", &mut jar).await, "12", "{shape}");
    }
    for expected in ["4", "5"] {
        if app.can(Visit::Rotate) {
            let before = jar.header(0);
            assert_eq!(visit(app, "/rotate", &mut jar).await, "ok");
            assert_ne!(jar.header(0), before, "a rotation changes the cookie");
        }
        assert_eq!(visit(app, "/change", &mut jar).await, expected, "a rotation keeps the data");
    }
    assert_eq!(visit(app, "/untouched", &mut jar).await, "ok");
    assert_eq!(visit(app, "/read", &mut jar).await, "12");
    let forged = jar.forged();
    assert_eq!(visit(app, "/untouched", &mut forged.clone()).await, "ok");
    assert_eq!(visit(app, "/read", &mut forged.clone()).await, "0", "a forged cookie opens nothing");
    assert_eq!(visit(app, "/change", &mut forged.clone()).await, "1", "a forged cookie opens nothing");
    assert_eq!(visit(app, "/change", &mut Jar::default()).await, "1", "each client has a session of its own");
}

async fn visit<A: Readable>(app: &A, path: &str, jar: &mut Jar) -> String {
    // Cookies of others stand around ours.
    let response = app.call(app.request(path, jar.header(6).as_deref())).await;
    let (status, cookies) = A::answer(&response);
    assert_eq!(status, 200, "{path}");
    jar.take(&cookies);
    A::text(response).await
}
