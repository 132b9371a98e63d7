//! Which of several servers has a key.
//!
//! The points are those of libmemcached with `KETAMA_WEIGHTED`: what pylibmc calls `ketama_weighted` and PHP
//! `OPT_LIBKETAMA_COMPATIBLE`. A server stands on the ring with 40 hashes for each of its shares, four points a hash: the MD5 of
//! `HOST-N`, or of `HOST:PORT-N` where the port is not 11211, cut into four numbers, the lowest byte first. A key is MD5's
//! first four bytes, and belongs to the first point that is not below it.

use std::num::NonZeroU32;

use md5::{Digest, Md5};

/// Hashes for a server with one share.
const HASHES: f32 = 40.0;
/// Points of a hash.
const POINTS: usize = 4;

/// A ring of servers.
#[derive(Debug)]
pub(crate) struct Ring {
    /// In the order of the ring: a point, and which server stands there.
    points: Vec<(u32, usize)>,
}

impl Ring {
    /// Takes the servers' names, with the share of each.
    pub(crate) fn new<'a>(
        servers: impl IntoIterator<Item = (&'a str, NonZeroU32), IntoIter: ExactSizeIterator + Clone>,
    ) -> Self {
        let servers = servers.into_iter();
        let total: u64 = servers.clone().map(|(_, weight)| u64::from(weight.get())).sum();
        let count = servers.len();
        let mut points = Vec::with_capacity(count * HASHES as usize * POINTS);
        for (server, (name, weight)) in servers.enumerate() {
            for number in 0..hashes(weight, total, count) {
                let digest = Md5::digest(format!("{name}-{number}"));
                let (words, _) = digest.as_chunks();
                points.extend(words.iter().map(|&word| (u32::from_le_bytes(word), server)));
            }
        }
        // As there, servers with equal points stand in no order that anybody could rely on; here in theirs.
        points.sort_unstable();
        Self { points }
    }

    /// Returns the server of a key, by its place in the list.
    pub(crate) fn server_of(&self, key: &[u8]) -> usize {
        let [a, b, c, d, ..] = Md5::digest(key).0;
        let hash = u32::from_le_bytes([a, b, c, d]);
        let at = self.points.partition_point(|&(point, _)| point < hash);
        self.points.get(at).or_else(|| self.points.first()).map_or(0, |&(_, server)| server)
    }
}

/// How many hashes a server has, in the arithmetic of libmemcached: in single precision, some counts come out one less.
fn hashes(weight: NonZeroU32, total: u64, count: usize) -> u32 {
    let share = weight.get() as f32 / total as f32;
    let product = share * (HASHES * POINTS as f32) / POINTS as f32 * count as f32;
    (f64::from(product) + 0.000_000_000_1).floor() as u32
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use md5::{Digest, Md5};

    use super::Ring;

    /// What libmemcached 1.0.16 (pylibmc 1.6.3, `ketama_weighted`) asked for 2,000 keys: the first 64, the last digit of each
    /// server's place, and the MD5 of all places.
    #[track_caller]
    fn agrees(servers: &[(String, u32)], first: &str, all: &str) {
        let ring = Ring::new(servers.iter().map(|(name, weight)| (name.as_str(), NonZeroU32::new(*weight).unwrap())));
        let places: Vec<u8> =
            (0..2000).map(|number| ring.server_of(format!("cloakroom:{number:022}").as_bytes()) as u8).collect();
        let digits: String = places[..64].iter().map(|place| char::from(b'0' + place % 10)).collect();
        assert_eq!(digits, first);
        let digest: String = Md5::digest(&places).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, all);
    }

    fn even<const N: usize>(names: [&str; N]) -> Vec<(String, u32)> {
        names.map(|name| (name.to_owned(), 1)).to_vec()
    }

    #[test]
    fn keys_are_where_libmemcached_has_them() {
        agrees(
            &even(["127.0.11.1", "127.0.11.2"]),
            "0101001000001100010110111100100011111000111010110010100000101110",
            "ef2d9963a5d5124bbd3d566df1265782",
        );
        agrees(
            &even(["127.0.11.1", "127.0.11.2:11212", "127.0.11.3:22122"]),
            "2122101111122200022120210020220210122020120011010220101220102210",
            "1234b9e9edbf509567ef9e87c68d97ea",
        );
        let seven: Vec<_> = (1..8).map(|n| (format!("127.0.12.{n}:{}", 11300 + n), 1)).collect();
        agrees(
            &seven,
            "1134613640514442520353104115206130152210340332514460004544615223",
            "c4b19d9a7b3accdf052e97230cd789ae",
        );
    }

    #[test]
    fn shares_are_those_of_libmemcached_to_the_last_rounding() {
        agrees(
            &[("127.0.11.1".to_owned(), 1), ("127.0.11.2:11212".to_owned(), 3)],
            "1111101111111101111110110111100010101011110011111111111110110010",
            "aa161d972c17b621939a7abc04bb5fd7",
        );
        agrees(
            &[("127.0.14.1".to_owned(), 3), ("127.0.14.2".to_owned(), 7), ("127.0.14.3:11213".to_owned(), 1)],
            "0111101111011110101211111110110111111211111110211121001101111111",
            "e7866542ddebe9844362d0b33af05567",
        );
        // In exact numbers, each of 25 would have 40 hashes; it has 39.
        let many: Vec<_> = (1..26).map(|n| (format!("127.0.13.{n}"), 1)).collect();
        agrees(
            &many,
            "0621089007962054441456764077893412632707124722039613973625118727",
            "015ff511855a7658885c40a0809d684a",
        );
    }

    #[test]
    fn a_server_more_takes_its_share_and_moves_no_other_key() {
        let names = ["a", "b", "c", "d"];
        let ring = |count: usize| Ring::new(names[..count].iter().map(|&name| (name, NonZeroU32::MIN)));
        let (three, four) = (ring(3), ring(4));
        let mut moved = 0;
        for number in 0..10_000 {
            let key = format!("key{number}");
            let (before, after) = (three.server_of(key.as_bytes()), four.server_of(key.as_bytes()));
            assert!(before == after || after == 3, "{key}");
            moved += usize::from(before != after);
        }
        assert!((1_500..3_500).contains(&moved), "{moved}");
    }

    #[test]
    fn one_server_has_all_keys() {
        let ring = Ring::new([("a", NonZeroU32::MAX)]);
        assert!((0..100).all(|number| ring.server_of(&[number]) == 0));
    }
}
