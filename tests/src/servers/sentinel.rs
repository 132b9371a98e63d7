//! A master with replicas, watched by three sentinels.

use std::{net::SocketAddr, time::Duration};

use super::{
    redis::{Kind, Options, Redis, fields},
    resp::Reply,
};
use crate::demo::eventually;

/// What the sentinels call the master.
const NAME: &str = "mymaster";
/// How many sentinels have to agree.
const QUORUM: usize = 2;

/// How master, replicas and sentinels are set up.
#[derive(Clone, Debug)]
#[must_use = "start them with it"]
pub struct SentinelOptions {
    replicas: usize,
    down_after: Duration,
    nodes: Options,
}

impl SentinelOptions {
    /// One replica; a master that is silent for a second counts as down.
    pub fn new() -> Self {
        Self { replicas: 1, down_after: Duration::from_secs(1), nodes: Options::new() }
    }

    /// Sets how many replicas there are.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets how long a node is silent until it counts as down.
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }

    /// Sets up the master and the replicas.
    pub fn nodes(mut self, options: Options) -> Self {
        self.nodes = options;
        self
    }
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A master, its replicas and three sentinels.
#[derive(Debug)]
pub struct Sentinel {
    /// The master of the beginning is the first.
    nodes: Vec<Redis>,
    sentinels: Vec<Redis>,
}

impl Sentinel {
    /// Starts them, and waits until the sentinels know each other and every replica follows.
    pub fn start(options: SentinelOptions) -> Self {
        let mut nodes = vec![Redis::start(options.nodes.clone())];
        let master = nodes[0].port().to_string();
        let replica = options.nodes.set("replicaof", &format!("127.0.0.1 {master}"));
        nodes.extend((0..options.replicas).map(|_| Redis::start(replica.clone())));
        let watch = Options::new()
            .kind(Kind::Sentinel)
            .set("sentinel monitor", &format!("{NAME} 127.0.0.1 {master} {QUORUM}"))
            .set("sentinel down-after-milliseconds", &format!("{NAME} {}", options.down_after.as_millis()))
            // How long until a failover that came to nothing is tried again is twice this.
            .set("sentinel failover-timeout", &format!("{NAME} {}", (options.down_after * 4).as_millis()));
        let sentinels = (0..3).map(|_| Redis::start(watch.clone())).collect();
        let all = Self { nodes, sentinels };
        eventually("replicas that follow, and sentinels that know each other", || {
            all.follow(0) && all.sentinels.iter().all(|sentinel| all.is_known(sentinel))
        });
        all
    }

    /// Returns the name of the master, to ask the sentinels for.
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// Returns the URLs of the sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Redis::url).collect()
    }

    /// Returns all in one URL.
    pub fn url(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{NAME}", sentinels.join(","))
    }

    /// Returns the sentinels.
    pub fn sentinels(&mut self) -> &mut [Redis] {
        &mut self.sentinels
    }

    /// Returns master and replicas, in the order in which they were started, which no failover changes.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Returns where the master is, as the first sentinel that runs has it.
    pub fn master(&self) -> SocketAddr {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.pid().is_some()).expect("a sentinel runs");
        let answer = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        let [host, port] = answer.array() else { panic!("no address: {answer:?}") };
        format!("{}:{}", host.text(), port.text()).parse().unwrap()
    }

    /// Returns which of the nodes is the master, as the sentinels have it.
    pub fn master_number(&self) -> usize {
        let master = self.master();
        self.nodes.iter().position(|node| node.address() == master).expect("the master is one of the nodes")
    }

    /// Returns the node that is the master, as the sentinels have it.
    pub fn master_node(&mut self) -> &mut Redis {
        let number = self.master_number();
        &mut self.nodes[number]
    }

    /// Kills the master, and returns its number; the sentinels need their time to replace it.
    pub fn kill_master(&mut self) -> usize {
        let number = self.master_number();
        self.nodes[number].kill();
        number
    }

    /// Waits until every sentinel names another node than this one as master, which it is. Returns its number.
    pub fn promoted(&self, former: usize) -> usize {
        let former = self.nodes[former].address();
        let mut number = None;
        eventually("a failover", || {
            number = self.nodes.iter().position(|node| {
                node.address() != former && node.pid().is_some() && self.is_master_for_all(node) && is_master(node)
            });
            number.is_some()
        });
        number.unwrap()
    }

    /// Kills the master and waits until another node is. Returns the numbers of both.
    pub fn fail_over(&mut self) -> (usize, usize) {
        let former = self.kill_master();
        (former, self.promoted(former))
    }

    /// Starts a node that was killed as a replica, and waits until it follows the master that is. One that is merely
    /// started takes itself for a master until the sentinels see to it, which takes them up to half a minute.
    pub fn rejoin(&mut self, number: usize) {
        let master = self.master_number();
        self.nodes[number].reconfigure(&format!("replicaof 127.0.0.1 {}", self.nodes[master].port()));
        self.nodes[number].restart();
        eventually("a replica that follows again", || self.follow(master));
    }

    /// Tells whether all nodes that run are in step with the master.
    fn follow(&self, master: usize) -> bool {
        self.nodes.iter().enumerate().filter(|(number, node)| *number != master && node.pid().is_some()).all(
            |(_, replica)| {
                let info = replica.info("replication");
                info.get("master_link_status").is_some_and(|status| status == "up")
                    && info.get("master_port") == Some(&self.nodes[master].port().to_string())
            },
        )
    }

    /// Tells whether a sentinel knows all the others and all replicas.
    fn is_known(&self, sentinel: &Redis) -> bool {
        let info = fields(&sentinel.ask(&["INFO", "sentinel"]).text());
        let master = info.get("master0").cloned().unwrap_or_default();
        let is = |field: &str, number: usize| master.split(',').any(|had| had == format!("{field}={number}"));
        master.contains("status=ok") && is("slaves", self.nodes.len() - 1) && is("sentinels", self.sentinels.len())
    }

    fn is_master_for_all(&self, node: &Redis) -> bool {
        self.sentinels.iter().filter(|sentinel| sentinel.pid().is_some()).all(|sentinel| {
            let answer = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
            answer.array().get(1).is_some_and(|port| port.text() == node.port().to_string())
        })
    }
}

fn is_master(node: &Redis) -> bool {
    matches!(node.ask(&["ROLE"]).array().first(), Some(Reply::Text(role)) if role == b"master")
}
