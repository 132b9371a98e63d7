//! What a server says in its errors, for those who read them.

/// The characters of a word that may be a session's key: the digests that the engine makes have more.
const MIN_KEY: usize = 20;

/// Cuts out of a server's words what may be a session's key, whichever it is and also where it is cut off: `..` stands for each
/// run of 20 and more letters, digits and `_-:+/=` that are not all small letters and hyphens, as an option's name is.
///
/// For stores, whose errors must name no key. A key that is shorter is known to nobody but who asked for it: look for that one.
pub fn without_keys(words: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || "_-:+/=".contains(c);
    let may_be_key = |run: &str| run.len() >= MIN_KEY && !run.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let mut kept = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        let of_key = is_of_key(first);
        let (run, after) = rest.split_at(rest.find(|c| is_of_key(c) != of_key).unwrap_or(rest.len()));
        kept.push_str(if of_key && may_be_key(run) { ".." } else { run });
        rest = after;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{MIN_KEY, without_keys};

    #[test]
    fn what_may_be_a_key_is_cut_out_and_the_words_stay() {
        for (said, kept) in [
            ("", ""),
            ("no cloakroom:0123456789abcdef0123456789abcdef here", "no .. here"),
            ("cloakroom:0000000000000000000002", ".."),
            ("(A1b_c-D2e3F4g5H6i7J8k9)", "(..)"),
            ("a key is \u{e9}cloakroom:0123456789abcdef\u{e9} so", "a key is \u{e9}..\u{e9} so"),
            ("MISCONF (stop-writes-on-bgsave-error option)", "MISCONF (stop-writes-on-bgsave-error option)"),
            ("MOVED 1 redis-1.example.com:6379", "MOVED 1 redis-1.example.com:6379"),
        ] {
            assert_eq!(without_keys(said), kept, "{said}");
        }
        let key = |len| "7".repeat(len);
        assert_eq!(without_keys(&key(MIN_KEY - 1)), key(MIN_KEY - 1));
        assert_eq!(without_keys(&key(MIN_KEY)), "..");
    }
}
