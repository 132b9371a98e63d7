//! What a connection begins with.

use std::iter;

use cloakroom_store::Fault;
use redis::Value as Answer;

use crate::{
    failure::Failure,
    resp::{Arg, Commands},
    server::Server,
};

impl Server {
    /// Returns what a connection begins with: the login, and the first question.
    pub(crate) fn greeting(&self, question: &Commands) -> Commands {
        let mut greeting = Commands::default();
        if let Some(password) = self.login.password() {
            let user = self.login.username().map(Arg::from);
            greeting.push(iter::once("AUTH".into()).chain(user).chain([password.into()]));
        }
        if let Some(database) = self.database() {
            greeting.push(["SELECT".into(), database.into()]);
        }
        greeting.append(question);
        greeting
    }

    /// Takes the answers to a greeting; returns the one to its question.
    pub(crate) fn greeted(&self, answers: Result<Vec<Answer>, Failure>) -> Result<Answer, Failure> {
        let mut answers = answers.map_err(Failure::of_another)?.into_iter();
        let logins = [
            (self.login.password().is_some(), "the server refused user and password"),
            (self.database().is_some(), "the server refused the database"),
        ];
        for (_, words) in logins.into_iter().filter(|(is_asked, _)| *is_asked) {
            match answers.next() {
                Some(Answer::Okay) => {}
                Some(Answer::ServerError(error)) => return Err(Failure::of_login(&error, words)),
                _ => return Err(Failure::unsent(Fault::Internal, words)),
            }
        }
        answers.next().ok_or_else(|| Failure::unsent(Fault::Internal, "the server gave no answer"))
    }

    /// Returns the number of the database, where it is not the first.
    fn database(&self) -> Option<u64> {
        u64::try_from(self.login.db()).ok().filter(|&number| number > 0)
    }
}
