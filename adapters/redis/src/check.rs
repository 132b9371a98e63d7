//! Looks whether the server keeps what it is given.

use redis::Value as Answer;

use crate::{connection::Connection, resp::Commands};

/// Warns, where the server says how it is set up and that may lose sessions, or bring back what was ended. Tells whether it
/// answered; one that does not say is left alone.
pub(crate) async fn warn(connection: &Connection) -> bool {
    let mut questions = Commands::of(&["INFO", "memory"]);
    questions.append(&Commands::of(&["INFO", "persistence"]));
    questions.append(&Commands::of(&["CONFIG", "GET", "save"]));
    let Ok(answers) = connection.exec(&questions.ask()).await else { return false };
    let [memory, persistence, save] = answers.as_slice() else { return true };
    if let Some(policy) = evicts(memory) {
        tracing::warn!(
            maxmemory_policy = policy,
            "Redis may evict sessions when it is full; set maxmemory-policy noeviction"
        );
    }
    match keeps(persistence, save) {
        Some(Keeps::Nothing) => {
            tracing::warn!("Redis keeps nothing on disk: sessions end when it restarts; set appendonly yes");
        }
        Some(Keeps::Snapshots) => tracing::warn!(
            "Redis keeps snapshots alone: after a crash, sessions that were ended since the last one come back; set \
             appendonly yes"
        ),
        None => {}
    }
    true
}

/// What a server without a log keeps on disk.
#[derive(Debug, Eq, PartialEq)]
enum Keeps {
    Nothing,
    Snapshots,
}

/// Returns the policy by which a server with a limit evicts.
fn evicts(memory: &Answer) -> Option<&str> {
    let text = text(memory)?;
    field(text, "maxmemory").filter(|&limit| limit != "0")?;
    field(text, "maxmemory_policy").filter(|&policy| policy != "noeviction")
}

/// Returns what is wrong with what it keeps, if it says.
fn keeps(persistence: &Answer, save: &Answer) -> Option<Keeps> {
    text(persistence).and_then(|text| field(text, "aof_enabled")).filter(|&enabled| enabled == "0")?;
    match save {
        Answer::Array(pair) => match text(pair.get(1)?)? {
            "" => Some(Keeps::Nothing),
            _ => Some(Keeps::Snapshots),
        },
        _ => None,
    }
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

    use super::{Keeps, evicts, keeps};

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
    fn without_a_log_nothing_or_too_little_is_kept() {
        let persistence = |aof: u8| bulk(&format!("# Persistence\r\nloading:0\r\naof_enabled:{aof}\r\n"));
        let save = |points: &str| Answer::Array(vec![bulk("save"), bulk(points)]);
        assert_eq!(keeps(&persistence(0), &save("")), Some(Keeps::Nothing));
        assert_eq!(keeps(&persistence(0), &save("3600 1")), Some(Keeps::Snapshots));
        assert_eq!(keeps(&persistence(1), &save("")), None);
        assert_eq!(keeps(&persistence(1), &save("3600 1")), None);
        assert_eq!(keeps(&persistence(0), &Answer::Nil), None, "a server that does not say is left alone");
    }
}
