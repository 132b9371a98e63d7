//! What a commit does, decided from what the request asked for and what its tickets opened.

use crate::{
    entropy::{Entropy, EntropyError},
    event::Event,
    id::SessionId,
    limits::MAX_HOPS,
    loaded::Loaded,
    login::LoginMark,
    machine::{
        admission::{Admitted, Opened},
        commit::{Job, LoginJob, Old, Reason},
        protocol::Commit,
        rest::touch_of,
    },
    principal::SignIn,
    record::Nonce,
    session::{Session, Shell, State},
    step::{CommitError, Done, End, Step},
    time::UnixTime,
};

/// The ways of a commit.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Plan {
    Change,
    Create,
    Elevate,
    End,
    Login,
    /// Nothing was asked for: the best effort that a used session gets.
    Rest,
    Renew {
        auto: bool,
    },
}

/// Starts a commit. What is decided on stays where it is until the commit is made of it.
pub(crate) fn start(mut session: Session, now: UnixTime, entropy: &mut dyn Entropy) -> Step {
    let Session { shell, state: State::Ready(loaded) } = &mut session else { return settle(session, Ok(()), None) };
    if let Opened::Live(admitted) = &loaded.opened
        && loaded.rotate
        && admitted.standing.hops >= MAX_HOPS
    {
        // One more pointer would be one that is not followed: the ticket must go on working.
        shell.verdict.events.push(Event::TooManyHops);
        loaded.rotate = false;
    }
    // A page with a form is no reason to refuse it: without a session its token is worth nothing, and that is all.
    if !makes_sessions(shell, loaded) && !loaded.has_edits() {
        loaded.promised = None;
    }
    let changed = loaded.is_changed();
    let plan = match refusal(shell, loaded, changed, now) {
        None => plan(shell, loaded, changed, now),
        Some(error) => {
            let end = refuse(shell, loaded, error);
            return settle(session, Err(error), end);
        }
    };
    let Some(plan) = plan else {
        let end = loaded.destroy.then_some(End::NothingToEnd);
        return settle(session, Ok(()), end);
    };
    let Ok((nonce, id)) = draw(shell, plan, changed, entropy) else {
        let end = refuse(shell, loaded, CommitError::Entropy);
        return settle(session, Err(CommitError::Entropy), end);
    };
    let changed = changed || plan == Plan::Change;
    let admitted = match &loaded.opened {
        Opened::Live(admitted) => Some(&**admitted),
        _ => None,
    };
    let index_of = |sign_in: &SignIn| shell.policy.keys.index_key(&sign_in.principal);
    let job = Job {
        edits: core::mem::take(&mut loaded.edits),
        lifetime: loaded.lifetime,
        changed,
        auto: plan == Plan::Renew { auto: true },
        binding: shell.policy.binder.as_ref().zip(shell.client).map(|(binder, client)| binder.bind(client)),
        lineage: loaded.promised,
        index: loaded.opened.sign_in().map(index_of),
        id,
        standing: admitted.map(|admitted| admitted.standing.clone()).unwrap_or_default(),
        admitted: admitted.map(|admitted| admitted.live.key.clone()),
        end: (loaded.destroy && plan != Plan::End).then_some(End::NothingToEnd),
        ..Job::new(nonce, now, loaded.opened.loaded_at().unwrap_or(now))
    };
    let mut data = core::mem::take(&mut loaded.data);
    let login = loaded.login.take();
    let opened = core::mem::replace(&mut loaded.opened, Opened::Absent);
    let mut commit = Commit::new(session.shell, job);
    let job = &mut commit.job;
    if let Some(login) = login {
        let LoginMark { principal, label, carry, limit, .. } = *login;
        let replaced = opened.lineage();
        let old = opened.end_target().map(|target| Old { key: target.key, version: target.version });
        if old.is_some() {
            job.end = job.end.map(|_| End::Failed);
        }
        let sign_in = SignIn { label, ..SignIn::new(principal, now) };
        job.entry = Some(Box::new(LoginJob { sign_in, carry, limit, replaced }));
        return commit.login(old, data);
    }
    if plan == Plan::End {
        job.recreate = changed.then(|| Box::new(core::mem::take(&mut data)));
    }
    match opened {
        Opened::Live(admitted) if plan != Plan::End => {
            let Admitted { mut live, expires_in, .. } = *admitted;
            live.record.data = data;
            job.expires_in = expires_in;
            match plan {
                Plan::Elevate => commit.renew(Reason::Elevation, live),
                Plan::Renew { .. } => commit.renew(Reason::Renewal, live),
                Plan::Change => commit.change(live),
                Plan::Create | Plan::End | Plan::Login | Plan::Rest => {
                    live.record.data.revert();
                    commit.rest(live)
                }
            }
        }
        opened => match opened.end_target() {
            Some(target) if plan == Plan::End => commit.end(*target),
            _ => commit.create(data),
        },
    }
}

/// Tells whether the commit has nothing to do, and nothing to tell.
pub(crate) fn needs_nothing(shell: &Shell, loaded: &Loaded, now: UnixTime) -> bool {
    let Loaded { destroy, elevate, rotate, .. } = *loaded;
    let acts = destroy || elevate || rotate || loaded.login.is_some();
    !acts && loaded.is_only_read() && plan(shell, loaded, loaded.is_changed(), now).is_none()
}

/// Tells whether a write makes a session where there is none.
fn makes_sessions(shell: &Shell, loaded: &Loaded) -> bool {
    match &loaded.opened {
        Opened::Absent | Opened::Dead(_) => shell.may_create,
        Opened::Ambiguous | Opened::Stale | Opened::Superseded(_) => false,
        Opened::Live(_) | Opened::Undecodable(_) => true,
    }
}

/// Why what was asked for cannot be done on what was opened.
fn refusal(shell: &Shell, loaded: &Loaded, changed: bool, now: UnixTime) -> Option<CommitError> {
    let Loaded { destroy, elevate, rotate, .. } = *loaded;
    let login = loaded.login.is_some();
    let acts = destroy || login || (matches!(loaded.opened, Opened::Live(_)) && (changed || elevate || rotate));
    if acts && loaded.opened.loaded_at().is_some_and(|at| shell.policy.is_late(at, now)) {
        return Some(CommitError::TooLate);
    }
    match &loaded.opened {
        Opened::Ambiguous if acts || changed || rotate => Some(CommitError::Ambiguous),
        Opened::Undecodable(found) if login && !found.error.may_be_ended() => {
            Some(CommitError::Undecodable(found.error))
        }
        _ if login => None,
        Opened::Stale if destroy => Some(CommitError::StaleTicket),
        // An end goes before what was written after it.
        Opened::Superseded(Some(_)) if destroy => None,
        Opened::Stale | Opened::Superseded(_) if changed => Some(CommitError::Lost),
        Opened::Undecodable(found) if destroy && !found.error.may_be_ended() => {
            Some(CommitError::Undecodable(found.error))
        }
        Opened::Absent | Opened::Dead(_) if changed && !shell.may_create => Some(CommitError::CrossSite),
        _ => None,
    }
}

/// Drops what cannot be done, and tells what comes of an end that was asked for.
fn refuse(shell: &mut Shell, loaded: &mut Loaded, error: CommitError) -> Option<End> {
    let (event, end) = match error {
        CommitError::CrossSite => (Some(Event::CrossSite), End::NothingToEnd),
        CommitError::Lost => (Some(Event::Lost), End::NothingToEnd),
        _ => (None, End::Failed),
    };
    event.into_iter().for_each(|event| shell.verdict.events.push(event));
    loaded.drop_edits();
    loaded.destroy.then_some(end)
}

/// Ends the commit of a session that goes on as it is.
fn settle(session: Session, result: Result<(), CommitError>, end: Option<End>) -> Step {
    Step::Done(Done::as_it_was(session, result, end))
}

fn plan(shell: &Shell, loaded: &Loaded, changed: bool, now: UnixTime) -> Option<Plan> {
    match &loaded.opened {
        _ if loaded.login.is_some() => Some(Plan::Login),
        Opened::Live(_) | Opened::Dead(_) | Opened::Superseded(Some(_)) | Opened::Undecodable(_) if loaded.destroy => {
            Some(Plan::End)
        }
        Opened::Live(_) if loaded.elevate => Some(Plan::Elevate),
        // A cookie that holds the session is sealed again.
        Opened::Live(_) if loaded.rotate && shell.policy.holder.is_some() => Some(Plan::Change),
        Opened::Live(_) if loaded.rotate => Some(Plan::Renew { auto: false }),
        Opened::Live(admitted) if is_renewal_due(shell, admitted, now) => Some(Plan::Renew { auto: true }),
        Opened::Live(_) if changed => Some(Plan::Change),
        Opened::Live(admitted) if is_at_rest(shell, loaded, admitted, now) => None,
        Opened::Live(_) => Some(Plan::Rest),
        Opened::Absent | Opened::Dead(_) if changed => Some(Plan::Create),
        _ => None,
    }
}

/// Tells whether a session that was only read needs nothing more.
fn is_at_rest(shell: &Shell, loaded: &Loaded, admitted: &Admitted, now: UnixTime) -> bool {
    let Admitted { live, expires_in, loaded_at, outdated, standing, .. } = admitted;
    let may_be_written = || {
        standing.first_of(live).is_some()
            || touch_of(&shell.policy, &live.record, now, *loaded_at, *expires_in).is_some()
    };
    shell.jar.is_none()
        && loaded.is_only_read()
        && !outdated
        && (shell.policy.is_late(*loaded_at, now) || !may_be_written())
}

/// Draws the randomness that a commit may need, and no more.
fn draw(
    shell: &Shell,
    plan: Plan,
    changed: bool,
    entropy: &mut dyn Entropy,
) -> Result<(Nonce, Option<SessionId>), EntropyError> {
    let mut nonce = [0; Nonce::LEN];
    let mints = match plan {
        Plan::Create | Plan::Elevate | Plan::Login | Plan::Renew { .. } => true,
        Plan::End => changed,
        Plan::Change => false,
        Plan::Rest => return Ok((Nonce::from_bytes(nonce), None)),
    };
    if !mints {
        entropy.fill_nonce(&mut nonce)?;
        return Ok((Nonce::from_bytes(nonce), None));
    }
    // Where the session is new it becomes its lineage too, on which more depends than on a nonce.
    entropy.fill(&mut nonce)?;
    Ok((Nonce::from_bytes(nonce), Some(shell.policy.tokens.new_id(entropy)?)))
}

/// Only where the new ticket reaches a page; never for a request that came through a pointer, and never without
/// pointers, when a lost response would sign the visitor out.
fn is_renewal_due(shell: &Shell, admitted: &Admitted, now: UnixTime) -> bool {
    let age = now.since(admitted.live.record.issued);
    let by_age = shell.policy.renew_after.is_some_and(|after| age >= after);
    let may_renew = shell.may_renew
        && admitted.standing.hops == 0
        && shell.policy.has_pointers()
        && !shell.policy.is_late(admitted.loaded_at, now);
    may_renew && (by_age || admitted.outdated)
}
