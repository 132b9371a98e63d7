//! A Redis Cluster of three masters.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    redis::{Kind, Options, Redis},
    resp::Reply,
};
use crate::demo::eventually;

const MASTERS: usize = 3;
const SLOTS: u16 = 16_384;

/// How a cluster is set up.
#[derive(Clone, Debug)]
#[must_use = "start a cluster with it"]
pub struct ClusterOptions {
    replicas: bool,
    node_timeout: Duration,
    nodes: Options,
}

impl ClusterOptions {
    /// No replicas; a node that is silent for a second counts as down.
    pub fn new() -> Self {
        Self { replicas: false, node_timeout: Duration::from_secs(1), nodes: Options::new() }
    }

    /// Gives each master a replica that takes its place.
    pub fn replicas(mut self) -> Self {
        self.replicas = true;
        self
    }

    /// Sets how long a node is silent until it counts as down.
    pub fn node_timeout(mut self, silence: Duration) -> Self {
        self.node_timeout = silence;
        self
    }

    /// Sets up the nodes.
    pub fn nodes(mut self, options: Options) -> Self {
        self.nodes = options;
        self
    }
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A cluster of three masters, with a replica each if asked for.
#[derive(Debug)]
pub struct Cluster {
    /// The masters of the beginning, then their replicas in the same order.
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts one, and waits until all nodes take it to be well.
    pub fn start(options: ClusterOptions) -> Self {
        let timeout = options.node_timeout.as_millis().to_string();
        let node = options.nodes.kind(Kind::Cluster).set("cluster-node-timeout", &timeout);
        // A replica takes over however long it was cut off.
        let node = node.set("cluster-replica-validity-factor", "0");
        let count = if options.replicas { 2 * MASTERS } else { MASTERS };
        let cluster = Self { nodes: (0..count).map(|_| Redis::start(node.clone())).collect() };
        for (number, master) in cluster.nodes[..MASTERS].iter().enumerate() {
            let slots = Self::slots_at_first(number);
            master.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            master.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots.start().to_string(), &slots.end().to_string()]);
        }
        let (first, others) = cluster.nodes.split_first().unwrap();
        for node in others {
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &node.bus().to_string()]);
        }
        eventually("nodes that know each other", || cluster.nodes.iter().all(|node| cluster.is_complete(node)));
        for (replica, master) in cluster.nodes[MASTERS..].iter().zip(&cluster.nodes) {
            replica.ask(&["CLUSTER", "REPLICATE", &id(master)]);
        }
        cluster.is_well();
        cluster
    }

    /// Returns the URLs of the masters of the beginning.
    pub fn urls(&self) -> Vec<String> {
        self.nodes[..MASTERS].iter().map(Redis::url).collect()
    }

    /// Returns all of them in one URL.
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.nodes[..MASTERS].iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// Returns the nodes: the masters of the beginning, then their replicas in the same order.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Returns which node serves a slot, as the first node that runs has it.
    pub fn master_of(&self, slot: u16) -> usize {
        let port = self.running().next().and_then(|node| port_of(node, slot));
        let serves = |node: &Redis| Some(i64::from(node.port())) == port;
        self.nodes.iter().position(serves).unwrap_or_else(|| panic!("nobody serves slot {slot}"))
    }

    /// Returns which node serves a key.
    pub fn master_of_key(&self, key: &str) -> usize {
        self.master_of(slot_of(key))
    }

    /// Begins to move a slot: from here on, `from` redirects keys that it lacks to `to` (`ASK`).
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), id(&self.nodes[from]), id(&self.nodes[to]));
        self.nodes[to].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        self.nodes[from].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    }

    /// Moves at most so many keys of a slot that is being moved; returns how many it moved.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, at_most: usize) -> usize {
        let keys = self.nodes[from].ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &at_most.to_string()]);
        let port = self.nodes[to].port().to_string();
        for key in keys.array() {
            self.nodes[from].ask(&["MIGRATE", "127.0.0.1", &port, &key.text(), "0", "5000"]);
        }
        keys.array().len()
    }

    /// Ends the move of a slot whose keys were moved: from here on, all but `to` redirect to it (`MOVED`).
    pub fn end_move(&self, slot: u16, to: usize) {
        let (slot, target) = (slot.to_string(), id(&self.nodes[to]));
        // The new owner first, so that somebody owns it at any time.
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != to).map(|(_, node)| node);
        for node in [&self.nodes[to]].into_iter().chain(others).filter(|node| node.pid().is_some()) {
            // A replica takes it from its master.
            if is_master(node) {
                node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
            }
        }
    }

    /// Moves a slot with all its keys.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let from = self.master_of(slot);
        self.begin_move(slot, from, to);
        while self.move_keys(slot, from, to, 100) > 0 {}
        self.end_move(slot, to);
    }

    /// Kills a node.
    pub fn kill(&mut self, number: usize) {
        self.nodes[number].kill();
    }

    /// Waits until every node that runs has another node than this one serve a slot. Returns its number.
    pub fn promoted(&self, slot: u16, former: usize) -> usize {
        let former = i64::from(self.nodes[former].port());
        eventually("a failover", || self.running().all(|node| port_of(node, slot).is_some_and(|port| port != former)));
        self.is_well();
        self.master_of(slot)
    }

    /// Waits until every node that runs takes all slots to be served, and every replica follows.
    pub fn is_well(&self) {
        eventually("a cluster that is well", || {
            self.running().all(|node| {
                let replication = node.info("replication");
                node.ask(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok")
                    && (replication["role"] == "master" || replication["master_link_status"] == "up")
            })
        });
    }

    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.pid().is_some())
    }

    fn slots_at_first(master: usize) -> RangeInclusive<u16> {
        let bound = |number: usize| (usize::from(SLOTS) * number / MASTERS) as u16;
        bound(master)..=bound(master + 1) - 1
    }

    /// Tells whether a node knows all others, and which slots each has.
    fn is_complete(&self, node: &Redis) -> bool {
        let nodes = cluster_nodes(node);
        let is_known =
            |other: &Redis| nodes.lines().any(|entry| entry.contains(&format!("127.0.0.1:{}@", other.port())));
        self.nodes.iter().all(is_known)
            && !nodes.contains("handshake")
            && node.ask(&["CLUSTER", "INFO"]).text().contains(&format!("cluster_slots_assigned:{SLOTS}"))
    }
}

/// Returns the slot of a key: CRC-16 of the key, or of what its first braces hold.
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

/// Returns the port of the node that serves a slot, as a node has it.
fn port_of(node: &Redis, slot: u16) -> Option<i64> {
    let slots = node.ask(&["CLUSTER", "SLOTS"]);
    let mut ranges = slots.array().iter().map(Reply::array);
    let range = ranges.find(|range| (range[0].integer()..=range[1].integer()).contains(&i64::from(slot)))?;
    Some(range[2].array()[1].integer())
}

fn id(node: &Redis) -> String {
    node.ask(&["CLUSTER", "MYID"]).text()
}

fn is_master(node: &Redis) -> bool {
    node.info("replication")["role"] == "master"
}

fn cluster_nodes(node: &Redis) -> String {
    node.ask(&["CLUSTER", "NODES"]).text()
}

#[cfg(test)]
mod tests {
    use super::slot_of;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of("123456789"), 0x31c3);
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("{user1000}.following"), slot_of("user1000"));
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
        assert_eq!(slot_of("foo{}{bar}"), 8_363);
    }
}
