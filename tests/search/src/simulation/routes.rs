//! The application: what its routes do with their sessions, and what they tell the model of it.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use cloakroom_core::{EditError, Lifetime, Loaded};
use cloakroom_runtime::{BoxFuture, Runtime};
use cloakroom_store::SessionError;
use cloakroom_tower::Session;
use futures_util::future::join3;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::{
    model::{Fate, Moment, No, Reader, View},
    node::{Body, NodeRuntime},
    rules::broken,
    setting::{MINUTE, below},
    world::World,
};

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Add,
    /// Clones of the handle read and write at once.
    Clones,
    Destroy,
    DestroyUnseen,
    /// Destroys, and fails all the same.
    DestroyAndFail,
    /// Edits, and fails.
    EditAndFail,
    InsertFlag,
    /// A clone of the handle outlives the request.
    Leftover,
    /// Takes a number that nobody else gets.
    Number,
    Read,
    RemoveFlag,
    Rotate,
    RotateAndAdd,
    SaveBetween,
    /// Destroys, then writes.
    SignIn,
    Slow,
    Untouched,
}

/// The request's number, route and how long a slow one takes, among its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    pub(super) no: No,
    pub(super) route: Route,
    pub(super) remembers: bool,
}

/// The service inside the layer.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) world: World,
    pub(super) runtime: NodeRuntime,
}

impl Service<Request<()>> for Site {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[allow(clippy::expect_used, reason = "the layer and the browser put them there")]
    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = Session::find(request.extensions()).expect("a session");
        let errand = *request.extensions().get::<Errand>().expect("an errand");
        let handler = Handler { world: self.world.clone(), runtime: self.runtime.clone(), session, errand };
        Box::pin(async move {
            let mut response = Response::new(Body::default());
            match handler.run().await {
                Ok(status) => *response.status_mut() = status,
                Err(error) => {
                    *response.status_mut() = cloakroom_tower::SessionError::from(error.clone()).status();
                    response.body_mut().0 = Some(error);
                }
            }
            let mut state = handler.world.at();
            let handled = state.moment();
            let visit = state.model.visit(errand.no);
            visit.handled = Some(handled);
            visit.loads_while_handled = visit.loads;
            drop(state);
            Ok(response)
        })
    }
}

#[derive(Clone)]
struct Handler {
    world: World,
    runtime: NodeRuntime,
    session: Session,
    errand: Errand,
}

impl Handler {
    async fn run(&self) -> Result<StatusCode, SessionError> {
        let Self { world, session, errand, .. } = self;
        let no = errand.no;
        match errand.route {
            Route::Untouched => {}
            Route::Read => drop(self.read().await?),
            Route::Add => self.add(0).await?,
            Route::InsertFlag => self.set_flag().await?,
            Route::RemoveFlag => self.remove_flag().await?,
            Route::Slow => {
                self.read().await?;
                let longest = 2 * world.at().model.setting.max_request;
                let wait = below(&world.dice, longest);
                world.at().model.visit(no).slept = wait;
                world.sleep(wait).await;
                self.add(0).await?;
            }
            Route::Rotate => self.rotate().await?,
            Route::RotateAndAdd => {
                self.rotate().await?;
                self.add(0).await?;
            }
            Route::SaveBetween => {
                self.add(0).await?;
                self.saved(session.save().await)?;
                let view = self.look().await?;
                // Where it ended meanwhile there is nothing.
                if view.who.is_some() && !view.log.contains(&entry(no, 0)) {
                    let verdict = broken("I2 no lost update", format!("r{no} saved what it cannot see"));
                    world.at().hold(verdict);
                }
                self.add(1).await?;
            }
            Route::Number => self.number().await?,
            Route::Destroy | Route::DestroyUnseen | Route::DestroyAndFail => {
                if errand.route != Route::DestroyUnseen {
                    self.read().await?;
                }
                self.destroy().await?;
            }
            Route::SignIn => {
                self.read().await?;
                self.destroy().await?;
                if errand.remembers {
                    self.remember().await?;
                }
                self.add(0).await?;
            }
            Route::EditAndFail => self.add(0).await?,
            Route::Clones => {
                let reader = self.clone();
                let (seen, first, second) = join3(reader.read(), self.add(0), self.add(1)).await;
                seen?;
                first?;
                second?;
            }
            Route::Leftover => {
                self.read().await?;
                let this = self.clone();
                drop(self.runtime.spawn(Box::pin(async move { this.outlive().await })));
            }
        }
        let fails = matches!(errand.route, Route::DestroyAndFail | Route::EditAndFail);
        Ok(if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK })
    }

    /// The moment at which this access began; the first is the one that loads.
    fn begins(&self) -> Moment {
        let mut state = self.world.at();
        let moment = state.moment();
        *state.model.visit(self.errand.no).read.get_or_insert(moment)
    }

    async fn look(&self) -> Result<View, SessionError> {
        Ok(self.session.read(view).await?.unwrap_or_default())
    }

    /// Reads, and holds what is there against the model.
    async fn read(&self) -> Result<View, SessionError> {
        let since = self.begins();
        let view = self.look().await?;
        self.check(since, &view);
        Ok(view)
    }

    fn check(&self, since: Moment, view: &View) {
        let no = self.errand.no;
        let mut state = self.world.at();
        if state.model.visit(no).saw.is_some() {
            return;
        }
        let visit = &state.model.visits[no as usize];
        let reader = Reader {
            tickets: visit.tickets.clone(),
            offset: visit.offset,
            since,
            may_be_blind: visit.faults > 0 && state.model.setting.serves_without,
        };
        let now = state.now();
        let verdict = state.model.may_see(&reader, view, now);
        state.tell(|_| format!("  r{no} sees {}", Told(view)));
        state.hold(verdict);
        state.model.found(no, view);
    }

    /// Adds an entry to the log, in the session that is there or in a new one. Before that it looks, in the same step.
    async fn add(&self, part: u32) -> Result<(), SessionError> {
        let no = self.errand.no;
        let since = self.begins();
        let added = entry(no, part);
        let (seen, who) = self.session.with(move |loaded| edit(loaded, no, added)).await?;
        self.check(since, &seen);
        let mut state = self.world.at();
        state.tell(|_| format!("  r{no} adds {added} to session r{who}"));
        state.model.edited(no, who, added);
        Ok(())
    }

    async fn set_flag(&self) -> Result<(), SessionError> {
        let no = self.errand.no;
        let since = self.begins();
        let set = |loaded: &mut Loaded| {
            let seen = view(loaded)?;
            let who = loaded.update("who", move |who: Option<No>| who.unwrap_or(no))?;
            loaded.insert("flag", &no)?;
            Ok::<_, EditError>((seen, who))
        };
        let (seen, who) = self.session.with(set).await?;
        self.check(since, &seen);
        let mut state = self.world.at();
        state.tell(|_| format!("  r{no} sets the flag of session r{who}"));
        state.model.flagged(no, who, Some(no), since.seq);
        Ok(())
    }

    async fn remove_flag(&self) -> Result<(), SessionError> {
        let since = self.begins();
        let remove = |loaded: &mut Loaded| {
            let seen = view(loaded)?;
            loaded.remove("flag")?;
            Ok::<_, EditError>(seen)
        };
        let seen = self.session.with(remove).await?;
        self.check(since, &seen);
        if let Some(who) = seen.who {
            let mut state = self.world.at();
            state.tell(|_| format!("  r{} removes the flag of session r{who}", self.errand.no));
            state.model.flagged(self.errand.no, who, None, since.seq);
        }
        Ok(())
    }

    async fn number(&self) -> Result<(), SessionError> {
        let no = self.errand.no;
        self.add(0).await?;
        let (who, _) = self.world.at().model.visit(no).edits[0];
        let result = self.session.update_now("number", |number: Option<u64>| number.unwrap_or(0) + 1).await;
        self.saved(result.as_ref().map(|_| ()).map_err(Clone::clone))?;
        let number = result?;
        let mut state = self.world.at();
        state.tell(|_| format!("  r{no} takes number {number} of session r{who}"));
        if !state.model.lineage(no, who).numbers.insert(number) {
            let verdict = broken("exact numbers", format!("number {number} was taken twice"));
            state.hold(verdict);
        }
        Ok(())
    }

    async fn rotate(&self) -> Result<(), SessionError> {
        self.read().await?;
        self.world.at().model.visit(self.errand.no).rotated = true;
        self.session.rotate().await
    }

    async fn destroy(&self) -> Result<(), SessionError> {
        self.begins();
        // Whether it can be loaded or not: another may follow what this one began.
        self.session.destroy().await?;
        let mut state = self.world.at();
        state.tell(|_| format!("  r{} destroys", self.errand.no));
        state.model.ends(self.errand.no);
        Ok(())
    }

    async fn remember(&self) -> Result<(), SessionError> {
        let lifetime = {
            let mut state = self.world.at();
            state.model.visit(self.errand.no).remembered = true;
            let times = |millis: i64| std::time::Duration::from_millis((millis * state.model.setting.remember) as u64);
            Lifetime::new(times(state.model.setting.idle), times(state.model.setting.absolute)).persistent()
        };
        self.session.set_lifetime(lifetime).await
    }

    /// What became of a save.
    fn saved(&self, result: Result<(), SessionError>) -> Result<(), SessionError> {
        let mut state = self.world.at();
        let moment = state.moment();
        let fate = fate(result.as_ref().err(), moment.seq);
        state.tell(|_| format!("  r{} saves: {result:?}", self.errand.no));
        state.model.settle(self.errand.no, fate, moment.at);
        result
    }

    /// Writes after a while; after the commit it must not succeed.
    async fn outlive(&self) {
        self.world.sleep(below(&self.world.dice, MINUTE / 1000)).await;
        let no = self.errand.no;
        let added = entry(no, 2);
        let result = self.session.with(move |loaded| edit(loaded, no, added)).await;
        let mut state = self.world.at();
        let is_answered = state.model.visit(no).answered.is_some();
        match result {
            Ok((_, who)) if is_answered => {
                let verdict = broken("closed", format!("r{no} edits session r{who} after its commit"));
                state.hold(verdict);
            }
            Ok((_, who)) => {
                state.tell(|_| format!("  r{no} adds {added} to session r{who}, in the background"));
                state.model.edited(no, who, added);
            }
            Err(_) => state.figures.leftovers_refused += 1,
        }
    }
}

/// Tells what became of edits whose commit ended so.
pub(super) fn fate(error: Option<&SessionError>, seq: u64) -> Fate {
    use cloakroom_core::CommitError;
    match error {
        None => Fate::Acknowledged(seq),
        // What was written after an end that found nothing is stored, if its cookie came.
        Some(SessionError::Commit(CommitError::Vanished)) => Fate::Doubtful,
        Some(SessionError::Commit(CommitError::OutcomeUnknown) | SessionError::Interrupted) => Fate::Doubtful,
        Some(_) => Fate::Refused(seq),
    }
}

pub(super) fn view(loaded: &Loaded) -> Result<View, EditError> {
    Ok(View {
        who: loaded.get("who")?,
        log: loaded.get("log")?.unwrap_or_default(),
        flag: loaded.get("flag")?,
        handle: loaded.handle(),
    })
}

fn edit(loaded: &mut Loaded, no: No, added: u32) -> Result<(View, No), EditError> {
    let seen = view(loaded)?;
    let who = loaded.update("who", move |who: Option<No>| who.unwrap_or(no))?;
    loaded.update("log", move |log: Option<Vec<u32>>| {
        let mut log = log.unwrap_or_default();
        log.push(added);
        log
    })?;
    Ok((seen, who))
}

/// The entry that a request adds: its number and which of its edits this is.
fn entry(no: No, part: u32) -> u32 {
    10 * no + part
}

pub(super) struct Told<'a>(pub(super) &'a View);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let View { who, log, flag, .. } = self.0;
        match who {
            None => f.write_str("nothing"),
            Some(who) => write!(f, "session r{who}: {log:?}, flag {flag:?}"),
        }
    }
}
