//! What a store prints of itself.

use super::{Held, bench::Bench, ensure};

pub(super) async fn prints_no_key_and_no_value(bench: Bench) -> Held {
    let store = bench.store();
    let (key, value) = (bench.key(), bench.value());
    store.put(&key, &value).await?;
    let printed = format!("{store:?} {store:#?}");
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    // In whatever way bytes are printed.
    for secret in [key.as_str().to_owned(), format!("{:?}", key.as_bytes()), text, format!("{:?}", value.as_bytes())] {
        ensure(!printed.contains(&secret), "a store's `Debug` prints no key and no value")?;
    }
    Ok(())
}
