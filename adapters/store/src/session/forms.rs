//! What pages with forms need: tokens against forgery, and messages that are shown once.

use cloakroom_core::Json;
use serde::{Deserialize, Serialize};

use super::Session;
use crate::session_error::SessionError;

/// A message for the next page: shown once, after a redirect for instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[allow(clippy::exhaustive_structs, reason = "these two are what a page shows")]
pub struct Flash {
    /// How it is shown: `info`, `error` or what the application likes.
    pub level: String,
    /// What it says.
    pub text: String,
}

impl Session {
    /// The key of the session's data under which messages wait.
    pub const FLASH_KEY: &'static str = "_flash";
    /// The most messages that wait; older ones give way.
    pub const MAX_FLASHES: usize = 16;

    /// Makes a token for a form or a header, which a page of another site cannot know. See
    /// [`Loaded::csrf_token`](cloakroom_core::Loaded::csrf_token).
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn csrf_token(&self) -> Result<String, SessionError> {
        self.with(|loaded| loaded.csrf_token(&mut self.shared.sessions.now_with_entropy().1)).await
    }

    /// Tells whether a token was made for this session. See
    /// [`Loaded::is_csrf_token`](cloakroom_core::Loaded::is_csrf_token).
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn is_csrf_token(&self, token: &[u8]) -> Result<bool, SessionError> {
        let is_ours = self.read(|loaded| Ok(loaded.is_csrf_token(token))).await?;
        Ok(is_ours.unwrap_or(false))
    }

    /// Leaves a message for the next page that asks for them.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded.
    pub async fn flash(&self, level: &str, text: &str) -> Result<(), SessionError> {
        let message = Flash { level: level.to_owned(), text: text.to_owned() };
        let add = move |waiting: Option<Vec<Flash>>| {
            let mut waiting = waiting.unwrap_or_default();
            waiting.push(message.clone());
            waiting.drain(..waiting.len().saturating_sub(Self::MAX_FLASHES));
            waiting
        };
        self.update(Self::FLASH_KEY, add).await.map(drop)
    }

    /// Takes the messages that wait, oldest first. Of several requests that ask at the same time each message goes to one.
    ///
    /// Where there are some, that is stored at once, with everything that the request changed before.
    ///
    /// # Errors
    ///
    /// [`SessionError`] when the session cannot be loaded or stored.
    pub async fn take_flashes(&self) -> Result<Vec<Flash>, SessionError> {
        let waiting = self.get::<Vec<Flash>>(Self::FLASH_KEY).await?;
        if waiting.is_none_or(|waiting| waiting.is_empty()) {
            return Ok(Vec::new());
        }
        self.set_now(Self::FLASH_KEY, |waiting: Option<Vec<Flash>>| {
            Json::of(&[(); 0]).map(|none| (none, waiting.unwrap_or_default()))
        })
        .await
    }
}
