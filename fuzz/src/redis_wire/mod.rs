mod operation;
mod server;

use core::{error::Error as _, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use cloakroom_redis::{RedisConfig, RedisStore};
use cloakroom_sim::Sim;

use self::{
    operation::{ask, judge},
    server::{Reply, serve},
};
use super::entry::key;

#[derive(Arbitrary)]
struct Program {
    seed: u8,
    is_cluster: bool,
    ops: [u8; 3],
    replies: Vec<Reply>,
}

/// Whatever a server says, and however it breaks off: every operation ends within its deadline, what is found is what was
/// sent, and only an error of the server proves that a write that was sent did not happen.
pub fn redis_wire(data: &[u8]) {
    let Ok(Program { seed, is_cluster, ops, replies }) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    // Where one answer may be taken for another's, nobody can tell.
    let is_in_step = !replies.iter().any(|reply| matches!(reply, Reply::Raw(_)));
    let sim = Sim::new(u64::from(seed));
    let log = serve(&sim, replies, is_cluster);
    let scheme = if is_cluster { "redis+cluster" } else { "redis" };
    let store = RedisStore::lazy(&format!("{scheme}://127.0.0.1:6379"), sim.runtime()).expect("a URL");
    for op in ops {
        let (before, began) = (log.lock().expect("a log").len(), sim.elapsed());
        let (told, error) = sim.block_on(ask(&store, op));
        assert!(sim.elapsed() - began <= RedisConfig::DEADLINE + Duration::from_millis(1), "it took too long");
        if is_in_step {
            let all = log.lock().expect("a log");
            let ours =
                |(name, _): &&(String, Reply)| matches!(&**name, "EVAL" | "EVALSHA" | "GET" | "PTTL" | "SET" | "ZREM");
            let said: Vec<&Reply> = all[before..].iter().filter(ours).map(|(_, reply)| reply).collect();
            judge(op, &told, &said, error.as_ref());
        }
        if let Some(error) = error {
            let words = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
            let is_named = |number| words.contains(key(number).as_str());
            assert!(!is_named(1) && !is_named(2), "an error names a key");
        }
    }
}
