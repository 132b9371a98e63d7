//! A crowd that changes one session takes turns, so that nobody gives up.

use std::time::Duration;

use cloakroom_core::{OpKind, RequestInfo, StoreKey, Stored, Value, Version};
use cloakroom_store::{
    Created, DynDirectory, Finish, MemoryStore, Removed, Session, Sessions, Store, StoreError, StoreFailure, Written,
};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::common::{DEADLINE, TestRuntime, Trouble, World, add_one, cookie, ring};

const CROWD: usize = 100;

/// A store that is a millisecond away.
#[derive(Debug)]
struct Away(MemoryStore);

async fn travel() {
    sleep(Duration::from_millis(1)).await;
}

impl Store for Away {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        travel().await;
        let found = Store::load(&self.0, key).await;
        travel().await;
        found
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        travel().await;
        Store::create(&self.0, key, value, ttl).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        travel().await;
        let written = Store::replace(&self.0, key, version, value, ttl).await;
        travel().await;
        written
    }

    async fn touch(
        &self,
        key: &StoreKey,
        version: &Version,
        value: &Value,
        ttl: Duration,
    ) -> Result<Written, StoreError> {
        Store::touch(&self.0, key, version, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, version: &Version) -> Result<Removed, StoreError> {
        Store::remove(&self.0, key, version).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Store::directory(&self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_crowd_nobody_gives_up_and_few_lose_often() {
    let runtime = TestRuntime::new();
    let sessions = Sessions::new(ring(), Away(MemoryStore::new(runtime.clone())), runtime);
    let open = |line: &str| sessions.open([line.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
    let first = open("");
    first.insert("n", &0).await.unwrap();
    let report = Session::commit(&first, Finish::Keep).await;
    let ticket = cookie(&report).unwrap();

    let reports = join_all((0..CROWD).map(async |_| {
        let session = open(&ticket);
        session.update("n", add_one).await.unwrap();
        Session::commit(&session, Finish::Keep).await
    }))
    .await;
    for report in &reports {
        report.result().unwrap();
        let replaces = report.ops().iter().filter(|&kind| kind == OpKind::Replace).count();
        assert!(replaces <= 4, "{replaces} tries");
    }
    assert_eq!(open(&ticket).get::<usize>("n").await.unwrap(), Some(CROWD));
    assert!(format!("{sessions:?}").contains("Turns { keys: 0 }"), "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_waited_for_no_longer_than_an_operation() {
    let w = World::new();
    let ticket = w.sign_in(1).await;
    let [holder, other] = [(); 2].map(|()| w.open(&ticket));
    for session in [&holder, &other] {
        session.update("n", add_one).await.unwrap();
    }
    // It loses once and has its turn; then neither its second try nor its look is answered.
    w.store.once(OpKind::Replace, Trouble::Overtaken);
    w.store.once(OpKind::Replace, Trouble::Hang);
    w.store.once(OpKind::Load, Trouble::Hang);
    let began = Instant::now();
    let (held, waited) = tokio::join!(
        async {
            let report = Session::commit(&holder, Finish::Keep).await;
            (report.result(), began.elapsed())
        },
        async {
            sleep(DEADLINE / 10).await;
            let report = Session::commit(&other, Finish::Keep).await;
            (report.result(), began.elapsed())
        }
    );
    assert!(held.0.is_err() && held.1 >= 2 * DEADLINE, "{held:?}");
    assert!(waited.0.is_ok() && (DEADLINE..DEADLINE * 3 / 2).contains(&waited.1), "{waited:?}");
}
