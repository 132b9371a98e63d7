//! What most of those say who are asked the same.

use std::time::Duration;

use cloakroom_runtime::Runtime;
use cloakroom_store::Fault;
use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream::FuturesUnordered,
};

use crate::failure::Failure;

/// Asks all at once, each for as long as the limit says, and believes more than half of them, or else most of those that
/// answer: a single one may be cut off from what happens, or gone.
pub(crate) async fn most<T: PartialEq>(
    runtime: &dyn Runtime,
    limit: Duration,
    questions: impl IntoIterator<Item = impl Future<Output = Result<T, Failure>>>,
) -> Result<T, Failure> {
    let ask = async |question| match select(Box::pin(question), runtime.sleep(limit)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Failure::unsent(Fault::TimedOut, "nobody answered in time")),
    };
    let mut answers: FuturesUnordered<_> = questions.into_iter().map(ask).collect();
    let asked = answers.len();
    let mut said: Vec<(T, usize)> = Vec::new();
    let mut last = Failure::unsent(Fault::Unavailable, "there is nobody to ask");
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => {
                let place = said.iter().position(|(known, _)| *known == answer).unwrap_or_else(|| {
                    said.push((answer, 0));
                    said.len() - 1
                });
                said[place].1 += 1;
                if 2 * said[place].1 > asked {
                    break;
                }
            }
            Err(failure) => last = failure,
        }
    }
    // Of equal numbers the first.
    said.into_iter().rev().max_by_key(|(_, votes)| *votes).map(|(answer, _)| answer).ok_or(last)
}
