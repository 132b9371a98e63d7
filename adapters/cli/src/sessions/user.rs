//! The user whose sessions are meant.

use clap::Args;
use cloakroom_core::{EditError, Json, OpKind, Principal};
use cloakroom_store::{Sessions, UserSessions};

/// The user's id, as the application knows it.
#[derive(Args, Debug)]
pub(super) struct UserArgs {
    /// The user's id, as the application gave it to `login`.
    ///
    /// Ids are JSON in the store: 7 and "7" are two. The text is taken for a string, and where it also reads as JSON of
    /// another kind, such as a number, for that as well.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    user: String,
}

impl UserArgs {
    /// Returns all whom the text may mean, with their sessions: an application has ids of one type.
    pub(super) fn of(&self, sessions: &Sessions) -> Result<Vec<(Principal, UserSessions)>, EditError> {
        ids(&self.user)?.iter().map(|id| Ok((Principal::of(id)?, sessions.of_user(id)?))).collect()
    }
}

/// How many operations of a kind the store was asked for.
pub(super) fn done(sessions: &Sessions, kind: OpKind) -> u64 {
    sessions.counters().operations().filter(|(name, _)| *name == kind.name()).map(|(_, count)| count).sum()
}

fn ids(text: &str) -> Result<Vec<Json>, EditError> {
    let mut ids = vec![Json::of(text)?];
    ids.extend(Json::parse(text).ok().filter(|json| !json.as_str().starts_with('"') && json.as_str() != "null"));
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn a_text_is_a_string_and_whatever_else_it_reads_as() {
        for (text, expected) in [
            ("alice", &[r#""alice""#][..]),
            ("7", &[r#""7""#, "7"]),
            (" -7 ", &[r#"" -7 ""#, "-7"]),
            ("07", &[r#""07""#]),
            ("true", &[r#""true""#, "true"]),
            ("null", &[r#""null""#]),
            (r#""alice""#, &[r#""\"alice\"""#]),
            (r#"{"org":1,"id":2}"#, &[r#""{\"org\":1,\"id\":2}""#, r#"{"org":1,"id":2}"#]),
            ("", &[r#""""#]),
        ] {
            let ids = ids(text).unwrap();
            assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
