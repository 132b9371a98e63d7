//! What a server says in its errors, for those who read them.

use std::net::Ipv6Addr;

use cloakroom_core::StoreKey;

/// The longest words of a server that are passed on, in bytes.
const MAX_WORDS: usize = 200;
/// The characters of a run that may be a session's key: the digests that the engine makes have 22.
const MIN_KEY: usize = 20;
/// The same at the end of the words: a server may have cut them off.
const MIN_PART_OF_KEY: usize = 8;
/// What stands in place of what was cut out.
const CUT: &str = "..";

/// Keeps of a server's words what names no key and no value.
pub(crate) fn of_server(words: &str, asked: &[&StoreKey]) -> String {
    // First, and whatever they are: of those with quotation marks in them the rest would leave something.
    let words = asked.iter().fold(words.to_owned(), |words, key| words.replace(key.as_str(), CUT));
    let mut words = without_keys(&without_quotations(&words));
    words.truncate(words.ceil_char_boundary(MAX_WORDS));
    words.truncate(words.trim_end().len());
    words
}

/// Cuts out what is quoted: arguments of the command, that is keys and values.
fn without_quotations(words: &str) -> String {
    let mut kept = String::with_capacity(words.len());
    // Redis cuts these off within a quotation.
    let mut rest = words.split(", with args").next().unwrap_or_default();
    while let Some(open) = rest.find(['\'', '"', '`']) {
        let (before, quoted) = rest.split_at(open);
        kept.push_str(before);
        let mark = &quoted[..1];
        rest = &quoted[1..];
        if before.ends_with(char::is_alphanumeric) {
            // An apostrophe.
            kept.push_str(mark);
        } else {
            // What is quoted may have such marks of its own.
            kept.push_str(CUT);
            rest = rest.rfind(mark).map_or("", |close| &rest[close + 1..]);
        }
    }
    kept.push_str(rest);
    kept
}

/// Cuts out what may be the key of a session, whichever it is.
fn without_keys(words: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || "_-:+/=".contains(c);
    let mut kept = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        let of_key = is_of_key(first);
        let (run, after) = rest.split_at(rest.find(|c| is_of_key(c) != of_key).unwrap_or(rest.len()));
        let min = if after.is_empty() { MIN_PART_OF_KEY } else { MIN_KEY };
        let is_key = of_key && run.len() >= min && !is_address(run) && !run.split(['-', '_', ':']).all(is_word);
        kept.push_str(if is_key { CUT } else { run });
        rest = after;
    }
    kept
}

/// Tells of a part of a name of a host or an option, or of a port.
fn is_word(part: &str) -> bool {
    let (bytes, is_small) = (part.as_bytes(), u8::is_ascii_lowercase);
    match bytes {
        [first, rest @ ..] if first.is_ascii_alphabetic() => {
            rest.iter().all(is_small) || bytes.iter().all(u8::is_ascii_uppercase)
        }
        digits => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
    }
}

fn is_address(run: &str) -> bool {
    let is_v6 = |host: &str| host.parse::<Ipv6Addr>().is_ok();
    is_v6(run) || run.rsplit_once(':').is_some_and(|(host, _)| is_v6(host))
}

#[cfg(test)]
mod tests {
    use cloakroom_core::StoreKey;

    use super::{MAX_WORDS, MIN_KEY, MIN_PART_OF_KEY, of_server};

    fn kept(words: &str) -> String {
        of_server(words, &[])
    }

    #[test]
    fn what_may_be_a_key_is_cut_out() {
        for (said, kept_of_it) in [
            ("", ""),
            ("no cloakroom:0123456789abcdef0123456789abcdef here", "no .. here"),
            ("no cloakroom:0000000000000000000002, none", "no .., none"),
            ("(A1b_c-D2e3F4g5H6i7J8k9)", "(..)"),
            ("a key is \u{e9}cloakroom:0123456789abcdef\u{e9} so", "a key is \u{e9}..\u{e9} so"),
            // A server cut it off.
            ("no session: {app}A1b_c-D2", "no session: {app}.."),
        ] {
            assert_eq!(kept(said), kept_of_it, "{said}");
        }
        let run = |len| "7".repeat(len);
        assert_eq!(kept(&format!("{}.", run(MIN_KEY - 1))), format!("{}.", run(MIN_KEY - 1)));
        assert_eq!(kept(&format!("{}.", run(MIN_KEY))), "...");
        assert_eq!(kept(&run(MIN_PART_OF_KEY - 1)), run(MIN_PART_OF_KEY - 1));
        assert_eq!(kept(&run(MIN_PART_OF_KEY)), "..");
    }

    #[test]
    fn hosts_options_and_codes_stay() {
        for said in [
            "CLUSTERDOWN",
            "ERR Unrecognized",
            "MISCONF (stop-writes-on-bgsave-error option)",
            "MOVED 1 2001:db8:85a3:0:0:8a2e:370:7334",
            "MOVED 1 2001:db8:85a3:0:0:8a2e:370:7334:6379",
            "MOVED 1 redis-1.example.com:6379",
            "MOVED 1 redis-cluster-headless-0.ns:6379",
            "MOVED 1 192.168.100.200:65535",
            "timeout (mc_res_connect_timeout) of production-sessions-0001-001",
        ] {
            assert_eq!(kept(said), said);
        }
    }

    #[test]
    fn what_a_server_quotes_is_cut_out() {
        for (said, kept_of_it) in [
            (
                "ERR unknown command 'EVALSHA', with args beginning with: 'a1b2' '1' 'key' '{\"n\":1}' ",
                "ERR unknown command ..",
            ),
            ("ERR unknown command 'EVALSHA', with args beginning with: 'key' 'sec", "ERR unknown command .."),
            ("ERR no such 'key", "ERR no such .."),
            ("ERR value \"x\" is `y` wrong", "ERR value .. is .. wrong"),
            ("ERR bad 'it's {\"a\": 'b'}' there", "ERR bad .. there"),
            ("MISCONF but it's unable", "MISCONF but it's unable"),
            ("WEIRD ", "WEIRD"),
        ] {
            assert_eq!(kept(said), kept_of_it, "{said}");
        }
    }

    #[test]
    fn a_key_that_was_asked_for_is_cut_out_whatever_it_is() {
        let far = "far. ".repeat(MAX_WORDS / 5);
        for key in ["n:1", "App_Production.EU_West_1.k3j4", "it's-'mine'-1"] {
            let asked = StoreKey::new(key).unwrap();
            for (said, kept) in [
                (format!("ERR {key} is no key"), "ERR .. is no key"),
                (format!("ERR unknown command 'GET', with args beginning with: '{key}' "), "ERR unknown command .."),
                (format!("{far}{key}"), far.trim_end()),
            ] {
                assert_eq!(of_server(&said, &[&asked]), kept, "{said}");
            }
        }
    }

    #[test]
    fn words_have_a_bound_between_characters_and_are_cut_off_last() {
        let said = kept(&"\u{e4}".repeat(MAX_WORDS));
        assert!((MAX_WORDS..MAX_WORDS + 2).contains(&said.len()), "{}", said.len());
        let said = kept(&format!("{}cloakroom:0123456789abcdef", "no such key: ".repeat(MAX_WORDS / 13)));
        assert!(said.len() <= MAX_WORDS && !said.contains("cloak"), "{said}");
    }
}
