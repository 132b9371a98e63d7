mod user_agent;
mod visit;
mod wish;

use arbitrary::{Arbitrary as _, Unstructured};
use cloakroom_core::{
    Engine,
    cookie::{Scan, Scanner},
};

use self::{user_agent::UserAgent, visit::visit, wish::Wish};
use super::ring;

/// A line that is written says to a user agent exactly what was meant, comes back as it was, and its removal removes it;
/// what a user agent would drop, cut or change is an error.
pub fn set_cookie(data: &[u8]) {
    let Ok(wish) = Wish::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let Some(policy) = wish.policy() else { return };
    let (host, value) = (wish.host(), wish.value());
    let place = wish.place(&host);
    let engine = Engine::builder(ring(1)).cookie(policy.clone()).build();
    assert_eq!(policy.check().is_ok(), engine.is_ok(), "an engine is built for what browsers keep");
    let (line, removal) = (policy.set(&value, wish.max_age()), policy.removal());
    assert_eq!(removal.is_ok(), engine.is_ok(), "what can be set can be removed");
    if let Ok(engine) = engine {
        visit(&engine, place);
    }
    let (Ok(line), Ok(removal)) = (line, removal) else { return };

    let mut agent = UserAgent::default();
    let kept = agent.receive(line.as_bytes(), place).expect("what is written is kept");
    assert_eq!(kept, Some(wish.meant(policy.name())), "what is kept is what was meant");
    let header = agent.header(place).expect("it comes back");
    let mut found = Vec::new();
    let end = Scanner::new(policy.name()).scan([&*header], |value| found.push(value.to_vec()));
    assert_eq!((end, found), (Scan::Complete, vec![value.into_bytes()]), "it comes back as it was");
    assert_eq!(agent.receive(removal.as_bytes(), place), Ok(None), "the removal is no cookie");
    assert!(agent.kept.is_empty(), "the removal removes it");
}
