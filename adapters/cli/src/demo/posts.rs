//! The posts of the blog, in this process's memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use cloakroom_core::UnixTime;
use serde::Deserialize;

use super::users::User;

/// All posts, of which the last are kept.
pub(super) struct Posts(Mutex<Kept>);

struct Kept {
    posts: VecDeque<Post>,
    last: u64,
}

/// A post.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) id: u64,
    pub(super) author: User,
    pub(super) written: UnixTime,
    pub(super) edited: Option<UnixTime>,
    pub(super) draft: Draft,
}

/// What an author writes.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) text: String,
}

impl Draft {
    /// Characters.
    pub(super) const MAX_TITLE: usize = 120;
    pub(super) const MAX_TEXT: usize = 4000;

    /// Says what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        for (what, value, max) in [("title", &self.title, Self::MAX_TITLE), ("text", &self.text, Self::MAX_TEXT)] {
            if value.trim().is_empty() {
                return Err(format!("a post needs a {what}"));
            }
            if value.chars().count() > max {
                return Err(format!("a {what} has at most {max} characters"));
            }
        }
        Ok(())
    }
}

impl Posts {
    /// How many are kept.
    const MAX: usize = 100;

    /// Makes a blog with something in it.
    pub(super) fn new(now: UnixTime) -> Self {
        let posts = Self(Mutex::new(Kept { posts: VecDeque::new(), last: 0 }));
        let draft = |title: &str, text: &str| Draft { title: title.to_owned(), text: text.to_owned() };
        posts.write(
            User::Bob,
            draft(
                "Left my coat at the opera",
                "The attendant tore a ticket in two and kept one half. Nobody else can print the other, and nobody who finds \
                 it learns what hangs there.",
            ),
            now,
        );
        posts.write(
            User::Alice,
            draft(
                "Signed in on two devices",
                "The page of my devices shows both. I ended the other one from here, and its next click asked it to sign in \
                 again.\n\nThis blog forgets its posts with the process; the sessions stay where the store keeps them.",
            ),
            now,
        );
        posts
    }

    /// Returns all, the latest first.
    pub(super) fn latest(&self) -> Vec<Post> {
        self.kept(|kept| kept.posts.iter().rev().cloned().collect())
    }

    pub(super) fn find(&self, id: u64) -> Option<Post> {
        self.kept(|kept| kept.posts.iter().find(|post| post.id == id).cloned())
    }

    /// Adds a post; the oldest gives way.
    pub(super) fn write(&self, author: User, draft: Draft, now: UnixTime) {
        self.kept(|kept| {
            kept.last += 1;
            kept.posts.push_back(Post { id: kept.last, author, written: now, edited: None, draft });
            if kept.posts.len() > Self::MAX {
                kept.posts.pop_front();
            }
        });
    }

    /// Replaces what a post says; tells whether it is there.
    pub(super) fn edit(&self, id: u64, draft: Draft, now: UnixTime) -> bool {
        self.kept(|kept| {
            let post = kept.posts.iter_mut().find(|post| post.id == id);
            let is_there = post.is_some();
            if let Some(post) = post {
                (post.draft, post.edited) = (draft, Some(now));
            }
            is_there
        })
    }

    fn kept<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
