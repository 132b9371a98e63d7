//! Whether the program of a server is there, and what its absence means.
//!
//! The variable `REQUIRE` lists servers by name, separated by commas. Cases of one that is missing fail if it is listed,
//! and are visibly ignored otherwise.

use std::{env, fmt, path::Path};

use libtest_mimic::{Completion, Failed, Trial};

/// What the cases of a server are to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "cases run, are ignored, or fail")]
pub enum Require {
    /// Run: the program is there.
    Available,
    /// Show this reason, and be ignored.
    Ignore(String),
    /// Fail with this reason: the server is required.
    Missing(String),
}

impl Require {
    /// Looks for the program of a server that is known by name, such as `redis`.
    pub fn check(server: &str) -> Self {
        let program = program(server);
        let is_installed =
            env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| is_program(&folder.join(program)));
        Self::decide(server, is_installed, &env::var("REQUIRE").unwrap_or_default())
    }

    /// Makes a trial of a test that needs the server: it runs, is ignored with the reason, or fails.
    pub fn trial(
        &self,
        name: impl Into<String>,
        test: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
    ) -> Trial {
        match self {
            Self::Available => Trial::ignorable_test(name, test),
            Self::Ignore(reason) | Self::Missing(reason) => {
                let (kind, failed) = (reason.clone(), Failed::from(reason));
                // Also when ignored tests are asked for.
                let trial = Trial::test(name, || Err(failed));
                trial.with_kind(kind).with_ignored_flag(matches!(self, Self::Ignore(_)))
            }
        }
    }

    fn decide(server: &str, is_installed: bool, required: &str) -> Self {
        if is_installed {
            return Self::Available;
        }
        let reason = format!("{} is not installed", program(server));
        match required.split(',').any(|name| name.trim() == server) {
            true => Self::Missing(format!("{reason}, and REQUIRE={required}")),
            false => Self::Ignore(reason),
        }
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Available => f.write_str("available"),
            Self::Ignore(reason) | Self::Missing(reason) => f.write_str(reason),
        }
    }
}

fn program(server: &str) -> &str {
    match server {
        // It comes with the browser that it drives.
        "chromium" => "chromedriver",
        "redis" => "redis-server",
        other => other,
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::Require;

    #[test]
    fn a_server_that_is_there_is_available() {
        assert_eq!(Require::decide("redis", true, ""), Require::Available);
        assert_eq!(Require::decide("redis", true, "redis"), Require::Available);
    }

    #[test]
    fn a_server_that_is_not_there_is_ignored_unless_it_is_required() {
        let ignored = Require::Ignore("redis-server is not installed".to_owned());
        for required in ["", "memcached", "rediss", "redi", ","] {
            assert_eq!(Require::decide("redis", false, required), ignored);
        }
        for required in ["redis", "memcached,redis", " redis , memcached"] {
            let missing = Require::decide("redis", false, required);
            assert!(matches!(missing, Require::Missing(_)), "{missing:?}");
        }
    }

    #[test]
    fn a_browser_is_there_with_what_drives_it() {
        assert_eq!(Require::decide("chromium", false, ""), Require::Ignore("chromedriver is not installed".to_owned()));
        assert!(matches!(Require::decide("chromium", false, "redis,chromium"), Require::Missing(_)));
    }

    #[test]
    fn programs_are_looked_for_where_commands_are() {
        assert_eq!(Require::check("sh"), Require::Available);
        assert!(matches!(Require::check("no-such-server-program"), Require::Ignore(_)));
    }
}
