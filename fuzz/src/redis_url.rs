use arbitrary::{Arbitrary, Unstructured};
use cloakroom_redis::RedisConfig;

const SCHEMES: [&str; 8] =
    ["redis", "rediss", "redis+unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel", "http"];
const PASSWORD: &str = "Wq7xJ2sZ";

#[derive(Arbitrary)]
struct Parts<'a> {
    scheme: u8,
    user: &'a str,
    rest: &'a str,
}

/// Any text is a URL or an error, and nothing that is printed of either repeats a password.
pub fn redis_url(data: &[u8]) {
    let Ok(Parts { scheme, user, rest }) = Parts::arbitrary_take_rest(Unstructured::new(data)) else { return };
    if user.contains(PASSWORD) || rest.contains(PASSWORD) {
        return;
    }
    let user: String = user.chars().filter(|c| !"/?#@".contains(*c)).collect();
    let scheme = SCHEMES[usize::from(scheme) % SCHEMES.len()];
    for url in [
        format!("{scheme}://{user}:{PASSWORD}@{rest}"),
        format!("{scheme}://{rest}?pass={PASSWORD}"),
        format!("{scheme}://{rest}?sentinel_user={user}&sentinel_password={PASSWORD}"),
        rest.to_owned(),
    ] {
        for config in [
            RedisConfig::new(&url),
            RedisConfig::cluster(url.split(' ')),
            RedisConfig::sentinel(url.split(' '), "main"),
            RedisConfig::new("redis://127.0.0.1").and_then(|config| config.key_prefix(&url)),
        ] {
            let printed = match &config {
                Ok(config) => format!("{config:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            let is_prefix = printed.contains(&format!("key_prefix: {url:?}"));
            assert!(is_prefix || !printed.contains(PASSWORD), "{url}: a password is printed: {printed}");
        }
    }
}
