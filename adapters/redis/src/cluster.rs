//! A cluster: each slot of keys has its master.

use std::{
    collections::BTreeSet,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use cloakroom_store::Fault;
use futures_util::future::try_join_all;
use redis::{ServerErrorKind, Value as Answer};

use crate::{
    agree,
    connection::Connection,
    dial::Dial,
    env::Env,
    failure::{Failure, code_of},
    pool::{Pool, Progress},
    resp::{Ask, Commands},
    server::Server,
    slot,
};

/// How often one request lets itself be sent on.
const MAX_REDIRECTS: usize = 5;
/// The shortest time between two looks at the map.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many nodes are asked for the map at a time.
const MAX_ASKED: usize = 7;
/// How long a request waits that is sent on for the second time.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Cluster {
    env: Arc<Env>,
    seeds: Vec<Arc<Node>>,
    map: Mutex<Map>,
    /// Whether something showed that the map is out of date.
    is_stale: AtomicBool,
    /// When the map was last looked at; held while it is.
    looked: async_lock::Mutex<Option<SystemTime>>,
    turn: AtomicUsize,
}

/// Which node has which slot, as far as is known.
#[derive(Default)]
struct Map {
    nodes: Vec<Arc<Node>>,
    /// Places in `nodes`; empty until the map was looked at.
    slots: Vec<Option<u16>>,
}

struct Node {
    server: Server,
    pool: Pool,
}

impl Cluster {
    pub(crate) fn new(env: Arc<Env>, seeds: Vec<Server>) -> Self {
        let seeds = seeds.into_iter().map(|seed| Arc::new(Node::new(&env, seed))).collect();
        Self {
            env,
            seeds,
            map: Mutex::default(),
            is_stale: AtomicBool::new(true),
            looked: async_lock::Mutex::new(None),
            turn: AtomicUsize::new(0),
        }
    }

    /// Sees that there is a cluster.
    pub(crate) async fn connect(&self) -> Result<(), Failure> {
        self.look().await?;
        let first = self.map().nodes.first().cloned();
        match first {
            Some(node) => node.pool.connect().await.map(drop),
            None => Err(Failure::unsent(Fault::Unavailable, "the cluster has no masters")),
        }
    }

    /// Makes a connection to every master that has slots.
    pub(crate) async fn connections(&self) -> Result<Vec<Arc<Connection>>, Failure> {
        self.look().await?;
        let masters = self.map().masters();
        try_join_all(masters.iter().map(|node| node.pool.connect())).await
    }

    pub(crate) async fn exec(&self, key: &[u8], ask: &Ask<'_>, progress: &Progress) -> Result<Vec<Answer>, Failure> {
        let slot = slot::of(key);
        let mut node = self.master(slot).await?;
        let (mut asking, mut has_looked) = (None, false);
        for redirects in 0..=MAX_REDIRECTS {
            if redirects > 1 {
                // The nodes do not agree yet.
                self.env.runtime.sleep(PAUSE).await;
            }
            let said = async {
                match &asking {
                    None => node.pool.exec(ask, progress).await,
                    Some(asking) => node.pool.exec(&Commands::ask(asking), progress).await,
                }
            };
            let answers = match self.watched(said).await {
                Ok(answers) => answers,
                // Nothing was asked yet, and another may be the master by now.
                Err(failure) if !failure.is_sent && !mem::replace(&mut has_looked, true) => {
                    let master = self.master(slot).await?;
                    if Arc::ptr_eq(&master, &node) {
                        return Err(failure);
                    }
                    (node, asking) = (master, None);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let Some(redirect) = answers.iter().find_map(redirect_of) else {
                if answers.iter().any(is_out_of_date) {
                    self.is_stale.store(true, Ordering::Relaxed);
                }
                return Ok(if asking.is_some() { without_asking(answers) } else { answers });
            };
            progress.refused();
            asking = redirect.is_ask.then(|| Commands::asked(ask).asking());
            node = match self.follow(slot, &redirect, &node) {
                Some(node) => node,
                None => self.master(slot).await?,
            };
        }
        Err(Failure::unsent(Fault::Unavailable, "the nodes of the cluster send each other on"))
    }

    /// Takes the map for out of date when there are no answers; also when nobody waits for them any more, after a while.
    async fn watched<T>(&self, exec: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut doubt = Doubt { cluster: self, since: Some(self.env.runtime.now()) };
        let answers = exec.await;
        doubt.since = None;
        if answers.is_err() {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        answers
    }

    /// Returns who has the slot, and looks before where the map may be out of date.
    async fn master(&self, slot: u16) -> Result<Arc<Node>, Failure> {
        let known = match self.map().master(slot) {
            Some(master) if !self.is_stale.load(Ordering::Relaxed) => return Ok(master),
            known => known,
        };
        match self.look().await {
            Ok(()) => self.map().master(slot).ok_or_else(unassigned),
            Err(failure) => known.ok_or(failure),
        }
    }

    /// Asks some nodes for the map; not more often than is of use.
    async fn look(&self) -> Result<(), Failure> {
        let mut looked = self.looked.lock().await;
        let now = self.env.runtime.now();
        if looked.is_some_and(|last| now.duration_since(last).is_ok_and(|since| since < LOOK_AGAIN)) {
            return match self.map().slots.is_empty() {
                false => Ok(()),
                true => Err(Failure::unsent(Fault::Unavailable, "no node of the cluster could be reached")),
            };
        }
        *looked = Some(now);
        let slots = Commands::of(&["CLUSTER", "SLOTS"]);
        let known = self.map().nodes.clone();
        let is_known = |seed: &Arc<Node>| known.iter().any(|node| node.server.endpoint == seed.server.endpoint);
        let seeds = self.seeds.iter().filter(|seed| !is_known(seed));
        let mut asked: Vec<_> = known.iter().chain(seeds).cloned().collect();
        // Others each time, where there are many.
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % asked.len().max(1);
        asked.rotate_left(first);
        asked.truncate(MAX_ASKED);
        let questions = asked.iter().map(async |node| {
            let answers = node.pool.exec(&slots.ask(), &Progress::default()).await.map_err(Failure::of_another)?;
            chart(&node.server, answers.first())
        });
        let ranges = agree::most(&*self.env.runtime, self.env.settings.deadline / 4, questions).await?;
        let map = self.draw(ranges, known.iter().chain(&self.seeds))?;
        *self.map() = map;
        self.is_stale.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a map, and keeps the nodes that are known.
    fn draw<'a>(&self, ranges: Vec<Range>, known: impl Iterator<Item = &'a Arc<Node>> + Clone) -> Result<Map, Failure> {
        let mut map = Map { nodes: Vec::new(), slots: vec![None; usize::from(slot::SLOTS)] };
        for Range { first, last, host, port } in ranges {
            let seed = self.seeds.first().ok_or_else(strange)?;
            let server = seed.server.moved(&host, port).ok_or_else(strange)?;
            let place = map.place(&server).unwrap_or_else(|| {
                let node = known.clone().find(|node| node.server.endpoint == server.endpoint).cloned();
                map.nodes.push(node.unwrap_or_else(|| Arc::new(Node::new(&self.env, server))));
                map.nodes.len() - 1
            });
            let place = u16::try_from(place).map_err(|_| strange())?;
            map.slots.get_mut(first..=last).ok_or_else(strange)?.fill(Some(place));
        }
        Ok(map)
    }

    /// Returns the node that a redirection names, if it does. A slot that has moved is noted at once.
    fn follow(&self, slot: u16, redirect: &Redirect, teller: &Node) -> Option<Arc<Node>> {
        if !redirect.is_ask {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        let host = match redirect.host.as_str() {
            // It does not know by which name it is reached.
            "?" => return None,
            "" => teller.server.host()?,
            host => host,
        };
        let server = teller.server.moved(host, redirect.port)?;
        let mut map = self.map();
        let place = map.place(&server).unwrap_or_else(|| {
            map.nodes.push(Arc::new(Node::new(&self.env, server)));
            map.nodes.len() - 1
        });
        if !redirect.is_ask
            && let Some(entry) = map.slots.get_mut(usize::from(slot))
        {
            *entry = u16::try_from(place).ok();
        }
        map.nodes.get(place).cloned()
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn master(&self, slot: u16) -> Option<Arc<Node>> {
        let place = self.slots.get(usize::from(slot)).copied().flatten()?;
        self.nodes.get(usize::from(place)).cloned()
    }

    /// Returns who has any slots.
    fn masters(&self) -> Vec<Arc<Node>> {
        let places: BTreeSet<_> = self.slots.iter().copied().flatten().collect();
        places.into_iter().filter_map(|place| self.nodes.get(usize::from(place)).cloned()).collect()
    }

    fn place(&self, server: &Server) -> Option<usize> {
        self.nodes.iter().position(|node| node.server.endpoint == server.endpoint)
    }
}

impl Node {
    fn new(env: &Arc<Env>, server: Server) -> Self {
        Self { pool: Pool::new(env, Dial::Fixed(server.clone())), server }
    }
}

struct Redirect {
    host: String,
    is_ask: bool,
    port: u16,
}

fn redirect_of(answer: &Answer) -> Option<Redirect> {
    let Answer::ServerError(error) = answer else { return None };
    let is_ask = match error.kind() {
        Some(ServerErrorKind::Ask) => true,
        Some(ServerErrorKind::Moved) => false,
        _ => return None,
    };
    // "3999 127.0.0.1:6381"; an IPv6 address has no brackets.
    let (host, port) = error.details()?.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
    Some(Redirect { host: host.to_owned(), is_ask, port: port.parse().ok()? })
}

/// A request without an answer, since some time. Given up after a while, it puts the map in doubt.
struct Doubt<'a> {
    cluster: &'a Cluster,
    since: Option<SystemTime>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        let Some(since) = self.since else { return };
        let env = &self.cluster.env;
        // A clock that was set back tells nothing; a look more costs little.
        if env.runtime.now().duration_since(since).map_or(true, |waited| waited >= env.settings.deadline / 2) {
            self.cluster.is_stale.store(true, Ordering::Relaxed);
        }
    }
}

/// Tells of an error that may be over once the map is looked at again.
fn is_out_of_date(answer: &Answer) -> bool {
    matches!(answer, Answer::ServerError(error) if matches!(code_of(error), "CLUSTERDOWN" | "MASTERDOWN" | "READONLY"))
}

/// Every other answer is that to `ASKING`.
fn without_asking(answers: Vec<Answer>) -> Vec<Answer> {
    answers.into_iter().skip(1).step_by(2).collect()
}

/// Slots in a row, and where their master is.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Range {
    first: usize,
    last: usize,
    host: String,
    port: u16,
}

/// Reads what a node answers to `CLUSTER SLOTS`.
fn chart(teller: &Server, answer: Option<&Answer>) -> Result<Vec<Range>, Failure> {
    let parts = match answer {
        Some(Answer::Array(parts)) => parts,
        Some(Answer::ServerError(error)) => return Err(Failure::refusal(error).of_another()),
        _ => return Err(strange()),
    };
    let ranges: Option<Vec<_>> = parts.iter().map(|part| range_of(teller, part)).collect();
    let mut ranges = ranges.filter(|ranges| !ranges.is_empty()).ok_or_else(strange)?;
    ranges.sort_unstable();
    Ok(ranges)
}

/// Reads `[first, last, [host, port, id, ["ip", ..]], replicas..]`.
fn range_of(teller: &Server, range: &Answer) -> Option<Range> {
    let Answer::Array(parts) = range else { return None };
    let [Answer::Int(first), Answer::Int(last), Answer::Array(master), ..] = parts.as_slice() else { return None };
    let host = match master.first().and_then(text) {
        // It has no host name to tell, or does not know by which it is reached.
        None | Some("?") => ip_of(master.get(3)).or_else(|| teller.host())?,
        Some("") => teller.host()?,
        Some(host) => host,
    };
    let Some(Answer::Int(port)) = master.get(1) else { return None };
    let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
    Some(Range { first, last, host: host.to_owned(), port: u16::try_from(*port).ok()? })
}

fn ip_of(metadata: Option<&Answer>) -> Option<&str> {
    let Some(Answer::Array(pairs)) = metadata else { return None };
    let pair = pairs.chunks_exact(2).find(|pair| text(&pair[0]) == Some("ip"))?;
    text(&pair[1]).filter(|ip| !ip.is_empty())
}

fn text(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::BulkString(bytes) => str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn strange() -> Failure {
    Failure::unsent(Fault::Internal, "a node does not answer as those of a cluster do")
}

fn unassigned() -> Failure {
    Failure::unsent(Fault::Unavailable, "no node of the cluster has the slot of the key")
}
