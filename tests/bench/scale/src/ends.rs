//! The end of all sessions of a user, by how many there are.

use std::time::Instant;

use bench_kit::Figure;
use cloakroom_core::{Engine, KeyId, Keyring, Login, RequestInfo, Which};
use cloakroom_store::{Finish, KeyringExt as _, Session, Sessions, StoreFailure};
use cloakroom_tokio::Tokio;

use crate::place::Place;

pub(crate) async fn ends(name: &str, sizes: &[u64]) -> anyhow::Result<()> {
    let place = Place::open(name, None).await?;
    let engine = Engine::new(Keyring::generate(KeyId::new(1))?);
    let sessions = Sessions::builder(engine, place.store(), Tokio).build();
    for &count in sizes {
        let user = format!("user with {count}");
        for _ in 0..count {
            let session = sessions.open([], &RequestInfo::new(), StoreFailure::default());
            session.login(&user, Login::new()).await?;
            Session::commit(&session, Finish::Keep).await.result()?;
        }
        let began = Instant::now();
        let ended = sessions.of_user(&user)?.end(Which::All).await?;
        let time = began.elapsed();
        assert_eq!(ended, count, "all are ended");
        let bench = format!("end all of {count}");
        Figure::new(&bench, name, "time", time.as_nanos() as f64, "ns").print();
        Figure::new(&bench, name, "time for each", time.as_nanos() as f64 / count.max(1) as f64, "ns/session").print();
    }
    Ok(())
}
