//! Looks whether the server keeps what it is given.

use redis::{Pipeline, Value as Answer, cmd};

use crate::connection::Connection;

/// Warns, where the server says how it is set up and that may lose sessions. One that does not say is left alone.
pub(crate) async fn warn(connection: &Connection) {
    let (mut config, mut questions) = (cmd("CONFIG"), Pipeline::with_capacity(3));
    config.arg("GET").arg("save");
    let info = |section: &str| cmd("INFO").arg(section).take();
    questions.add_command(info("memory")).add_command(info("persistence")).add_command(config);
    let Ok(answers) = connection.exec(&questions).await else { return };
    let [memory, persistence, save] = answers.as_slice() else { return };
    if let Some(policy) = evicts(memory) {
        tracing::warn!(
            maxmemory_policy = policy,
            "Redis may evict sessions when it is full; set maxmemory-policy noeviction"
        );
    }
    if keeps_nothing(persistence, save) {
        tracing::warn!("Redis keeps nothing on disk: sessions end when it restarts; set appendonly or save");
    }
}

/// Returns the policy by which a server with a limit evicts.
fn evicts(memory: &Answer) -> Option<&str> {
    let text = text(memory)?;
    field(text, "maxmemory").filter(|&limit| limit != "0")?;
    field(text, "maxmemory_policy").filter(|&policy| policy != "noeviction")
}

fn keeps_nothing(persistence: &Answer, save: &Answer) -> bool {
    let never_saves = match save {
        Answer::Array(pair) => matches!(pair.get(1), Some(Answer::BulkString(points)) if points.is_empty()),
        _ => false,
    };
    never_saves && text(persistence).and_then(|text| field(text, "aof_enabled")) == Some("0")
}

fn text(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::BulkString(bytes) => str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.trim_end().split_once(':').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use redis::Value as Answer;

    use super::{evicts, keeps_nothing};

    fn bulk(text: &str) -> Answer {
        Answer::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn only_a_server_with_a_limit_evicts() {
        let memory = |limit: &str, policy: &str| {
            bulk(&format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_human:x\r\nmaxmemory_policy:{policy}\r\n"))
        };
        assert_eq!(evicts(&memory("1048576", "volatile-lru")), Some("volatile-lru"));
        assert_eq!(evicts(&memory("1048576", "noeviction")), None);
        assert_eq!(evicts(&memory("0", "allkeys-lru")), None);
        assert_eq!(evicts(&Answer::Nil), None);
    }

    #[test]
    fn a_server_keeps_nothing_without_log_and_snapshots() {
        let persistence = |aof: u8| bulk(&format!("# Persistence\r\nloading:0\r\naof_enabled:{aof}\r\n"));
        let save = |points: &str| Answer::Array(vec![bulk("save"), bulk(points)]);
        assert!(keeps_nothing(&persistence(0), &save("")));
        assert!(!keeps_nothing(&persistence(1), &save("")));
        assert!(!keeps_nothing(&persistence(0), &save("3600 1")));
        assert!(!keeps_nothing(&persistence(0), &Answer::Nil), "a server that does not say is left alone");
    }
}
