//! Why a request has no answer, and what that says of the operation.

use std::sync::Arc;

use cloakroom_core::OpKind;
use cloakroom_store::{Fault, StoreError};

use crate::answer::in_doubt;

/// A request that was not answered.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    fault: Fault,
    /// Whether the service may have done, or may yet do, what the request asks.
    pub(crate) is_sent: bool,
    words: Arc<str>,
}

impl Failure {
    /// No byte of the request left.
    pub(crate) fn unsent(fault: Fault, words: &str) -> Self {
        Self { fault, is_sent: false, words: words.into() }
    }

    /// The request may have arrived.
    pub(crate) fn sent(fault: Fault, words: &str) -> Self {
        Self { is_sent: true, ..Self::unsent(fault, words) }
    }

    /// Says what it means for an operation.
    pub(crate) fn into_error(self, op: OpKind) -> StoreError {
        match self.is_sent {
            false => StoreError::failed(self.fault).with_source(&*self.words),
            true => in_doubt(op, self.fault, self.words.to_string()),
        }
    }
}
