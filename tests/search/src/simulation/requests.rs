//! A request from a browser or an attacker, from its cookie header to the response that arrives, or does not.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cloakroom_core::{EngineBuilder, HashedKeys, KeyScheme, SignedTokens, StoreKey, TokenScheme};
use futures_util::future::{Either, select};
use http::{
    Request, Response,
    header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY},
};

use super::{
    browser::{Jar, Line},
    model::{Answer, Cookie, Fate, No, Visit},
    node::{Body, Node, ring},
    routes::{Errand, Route, fate},
    rules::broken,
    setting::{MINUTE, SECOND, Setting, below, pick},
    world::{Kind, State, World},
};

pub(super) type SharedJar = Arc<Mutex<Jar>>;

/// What a request brings.
#[derive(Clone, Debug)]
enum Presents {
    /// A ticket with a change at a place.
    Forged(usize, usize),
    Jar,
    /// The jar's, or a ticket that somebody copied where there is none.
    JarOr(usize),
    Nothing,
    Tickets(Vec<usize>),
}

/// What becomes of a request, decided before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    route: Route,
    presents: Presents,
    navigates: bool,
    cross_site: bool,
    remembers: bool,
    starts_after: i64,
    hangs_up_after: Option<i64>,
    arrives_after: i64,
    is_lost: bool,
}

/// What is asked for, some of it more often.
const ROUTES: [Route; 26] = {
    use Route::*;
    [
        Add,
        Add,
        Add,
        Add,
        Clones,
        Destroy,
        DestroyAndFail,
        DestroyUnseen,
        EditAndFail,
        InsertFlag,
        InsertFlag,
        Leftover,
        Number,
        Number,
        Read,
        Read,
        Read,
        Read,
        RemoveFlag,
        Rotate,
        Rotate,
        RotateAndAdd,
        SaveBetween,
        SignIn,
        Slow,
        Untouched,
    ]
};

impl Plan {
    pub(super) fn draw(world: &World, setting: &Setting) -> Self {
        let dice = &world.dice;
        let one_in = |part: u64| dice.draw(part) == 0;
        let known = world.at().model.tickets.len();
        // Mostly one of the last.
        let any = || known.saturating_sub(1 + dice.draw(known.min(if one_in(3) { known } else { 4 }) as u64) as usize);
        let cross_site = one_in(20);
        let presents = match dice.draw(20) {
            _ if cross_site => Presents::Nothing,
            0..3 if known > 0 => Presents::Tickets(vec![any()]),
            3 if known > 1 => Presents::Tickets((0..2 + dice.draw(2)).map(|_| any()).collect()),
            4 if known > 0 => Presents::Forged(any(), dice.draw(45) as usize),
            5 if one_in(2) => Presents::Nothing,
            // Who hears nothing keeps what came first.
            _ if known > 0 && setting.is_deaf => Presents::Tickets(vec![0]),
            6..10 if known > 0 => Presents::JarOr(any()),
            _ => Presents::Jar,
        };
        let hangs_up_after = one_in(12).then(|| below(dice, 2 * setting.deadline));
        Self {
            route: setting.favourite.filter(|_| one_in(2)).unwrap_or_else(|| pick(dice, &ROUTES)),
            presents,
            navigates: dice.draw(5) < 3,
            cross_site,
            remembers: dice.draw(2) == 0,
            starts_after: pick(dice, &[0, 0, 5, 2 * setting.latency, setting.deadline]),
            // Nobody waits for ever for a node that is dead.
            hangs_up_after: hangs_up_after.or_else(|| setting.crashes.map(|_| 30 * MINUTE)),
            arrives_after: pick(dice, &[0, 0, 10, 10, 200, SECOND, MINUTE]),
            is_lost: one_in(12) || setting.is_deaf && known > 0,
        }
    }
}

/// A ticket with a character changed, or one too many.
fn forge(ticket: &str, place: usize) -> String {
    let changed = |(index, c)| match (index == place, c) {
        (true, 'A') => 'Q',
        (true, _) => 'A',
        (false, c) => c,
    };
    ticket.chars().enumerate().map(changed).chain((place == 44).then_some('A')).collect()
}

/// Sends a request to a node, and does with the response what browsers do.
pub(super) async fn send(world: World, node: Arc<Node>, jar: SharedJar, plan: Plan) {
    world.sleep(plan.starts_after).await;
    let (no, request) = begin(&world, &node, &jar, &plan);
    let patience = world.clone();
    let hang_up = async move {
        match plan.hangs_up_after {
            Some(after) => patience.sleep(after.max(1)).await,
            None => std::future::pending().await,
        }
    };
    let Either::Left((response, _)) = select(node.call(no, request), Box::pin(hang_up)).await else {
        let mut state = world.at();
        state.figures.hang_ups += 1;
        state.tell(|_| format!("r{no} hangs up"));
        state.model.hung_up(no);
        let now = state.now();
        return state.model.settle(no, Fate::Doubtful, now);
    };
    let Ok(response) = response;
    let cookie = answered(&mut world.at(), no, &response);
    world.sleep(plan.arrives_after).await;
    let mut state = world.at();
    if plan.is_lost {
        state.figures.lost_responses += 1;
        return;
    }
    match cookie {
        Cookie::Kept => {}
        Cookie::Removed => lock(&jar).remove(),
        Cookie::Set(ticket, max_age) => lock(&jar).keep(ticket, max_age, state.now()),
    }
}

fn begin(world: &World, node: &Node, jar: &SharedJar, plan: &Plan) -> (No, Request<()>) {
    let mut state = world.at();
    let sent = state.moment();
    let mut tickets = match &plan.presents {
        Presents::Tickets(tickets) => tickets.clone(),
        Presents::Jar | Presents::JarOr(_) => {
            let mut jar = lock(jar);
            state.figures.expired_cookies += u64::from(jar.expire(sent.at));
            let copied = if let Presents::JarOr(ticket) = plan.presents { Some(ticket) } else { None };
            jar.ticket().or(copied).into_iter().collect()
        }
        Presents::Forged(..) | Presents::Nothing => Vec::new(),
    };
    tickets.dedup();
    let text = |ticket: &usize| state.model.tickets[*ticket].text.clone();
    let mut values: Vec<String> = tickets.iter().map(text).collect();
    if let Presents::Forged(ticket, place) = plan.presents {
        values.push(forge(&text(&ticket), place));
    }
    let header: Vec<String> = values.iter().map(|value| format!("__Host-id={value}")).collect();
    let has_cookie = !header.is_empty();
    let no = state.model.visits.len() as No;
    let mut request = Request::builder().method(if plan.cross_site { "POST" } else { "GET" });
    if has_cookie {
        request = request.header(COOKIE, format!("theme=dark; {}", header.join("; ")));
    }
    request = request.header("sec-fetch-mode", if plan.navigates { "navigate" } else { "cors" });
    request = request.header("sec-fetch-site", if plan.cross_site { "cross-site" } else { "same-origin" });
    let errand = Errand { no, route: plan.route, remembers: plan.remembers };
    #[allow(clippy::expect_used, reason = "its parts are valid")]
    let request = request.extension(errand).body(()).expect("a request");

    state.tell(|_| format!("r{no} {:?} with {tickets:?}: {plan:?}", plan.route));
    state.figures.requests += 1;
    state.figures.ambiguous_requests += u64::from(tickets.len() > 1);
    state.model.visits.push(Visit {
        route: plan.route,
        navigates: plan.navigates,
        cross_site: plan.cross_site,
        has_cookie,
        tickets,
        offset: node.offset,
        sent,
        read: None,
        handled: None,
        saw: None,
        saw_own: None,
        edits: Vec::new(),
        flags: Vec::new(),
        wrote: false,
        destroyed: false,
        remembered: false,
        rotated: false,
        slept: 0,
        operations: 0,
        loads: 0,
        loads_while_handled: 0,
        faults: 0,
        answered: None,
    });
    (no, request)
}

/// Tells the model what a client is told, and holds it against the rules.
fn answered(state: &mut State, no: No, response: &Response<Body>) -> Cookie {
    let moment = state.moment();
    let error = response.body().0.clone();
    let status = response.status().as_u16();
    let visit = state.model.visit(no);
    visit.answered = Some(moment);
    let fate = match &error {
        None if status >= 500 => Fate::Refused(moment.seq),
        error => fate(error.as_ref(), moment.seq),
    };
    let pending = (visit.edits.len() + visit.flags.len()) as u64;
    match fate {
        Fate::Acknowledged(_) => state.figures.acknowledged_edits += pending,
        Fate::Doubtful => state.figures.doubtful_edits += pending,
        Fate::Refused(_) => state.figures.refused_edits += pending,
    }
    state.model.settle(no, fate, moment.at);
    let cookie = match cookie(state, response) {
        Ok(cookie) => cookie,
        Err(broken) => {
            state.hold(Err(broken));
            Cookie::Kept
        }
    };
    let says = |name, word: &str| {
        let lines = response.headers().get_all(name).iter();
        lines.filter_map(|line| line.to_str().ok()).any(|line| line.to_ascii_lowercase().contains(word))
    };
    let answer =
        Answer { status, error, cookie, no_store: says(CACHE_CONTROL, "no-store"), vary: says(VARY, "cookie") };
    state.tell(|_| format!("r{no} is answered {status} {:?}, cookie {cookie:?}", answer.error));
    let verdict = state.model.may_answer(no, &answer);
    state.hold(verdict);

    let visit = &state.model.visits[no as usize];
    let newest = visit.saw_own.map(|ticket| &state.model.tickets[ticket].key);
    let is_newest = newest.and_then(|key| state.witness.held(key)).is_some_and(|held| held.kind == Kind::Record);
    let followed = visit.tickets.len() == 1 && matches!(visit.saw, Some(Some(_))) && visit.saw_own.is_none();
    state.figures.pointers_followed += u64::from(followed);
    let error = answer.error.as_ref();
    let is_late = matches!(error, Some(cloakroom_store::SessionError::Commit(cloakroom_core::CommitError::TooLate)));
    state.figures.too_late += u64::from(is_late);
    if visit.destroyed {
        state.figures.acknowledged_ends += state.model.ended(no, &answer, moment.seq) as u64;
    }
    state.model.served(no, &answer, is_newest);
    cookie
}

/// Reads the `Set-Cookie` line of a response. Its ticket must be for something that was stored.
fn cookie(state: &mut State, response: &Response<Body>) -> Result<Cookie, super::rules::Broken> {
    let mut lines = response.headers().get_all(SET_COOKIE).iter();
    let Some(line) = lines.next() else { return Ok(Cookie::Kept) };
    let line = Line::read(line.to_str().unwrap_or_default())?;
    if lines.next().is_some() {
        broken("cookie's attributes", "two lines of one name")?;
    }
    if line.removes() {
        return Ok(Cookie::Removed);
    }
    let session = key_of(&line.value).and_then(|key| {
        let held = state.witness.held(&key)?;
        Some((key, held.session?, held.no))
    });
    let Some((key, session, order)) = session else {
        broken("I7 honest cookies", "a ticket is set for nothing that was stored")?;
        return Ok(Cookie::Kept);
    };
    state.figures.tickets += 1;
    Ok(Cookie::Set(state.model.publish(line.value, session, key, order), line.max_age))
}

/// Returns the key that a ticket stands for.
fn key_of(ticket: &str) -> Option<StoreKey> {
    static SCHEMES: OnceLock<Option<(SignedTokens, HashedKeys)>> = OnceLock::new();
    let schemes = SCHEMES.get_or_init(|| {
        let tokens = SignedTokens::new(&ring(false), EngineBuilder::NAME, "__Host-id");
        Some((tokens, HashedKeys::new(EngineBuilder::NAME, HashedKeys::PREFIX).ok()?))
    });
    let (tokens, keys) = schemes.as_ref()?;
    Some(keys.store_key(&tokens.verify(ticket.as_bytes()).ok()?.id))
}

pub(super) fn lock(jar: &SharedJar) -> MutexGuard<'_, Jar> {
    jar.lock().unwrap_or_else(PoisonError::into_inner)
}
