//! The description of the service.

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("openapi.json");

/// Returns the document that is true of this service: with or without authentication.
pub(super) fn document(has_auth: bool) -> anyhow::Result<Bytes> {
    let mut document: Value = serde_json::from_str(TEMPLATE).context("the description of the service")?;
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    // Who must show a token may come by any name, and who need not, by none but this machine's.
    let untrue = if has_auth { "421" } else { "401" };
    if !has_auth {
        for name in ["/security", "/components/securitySchemes"] {
            remove(&mut document, name);
        }
    }
    for path in document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut()) {
        for operation in path.as_object_mut().into_iter().flat_map(|operations| operations.values_mut()) {
            if !has_auth {
                remove(operation, "/security");
            }
            remove(operation, &format!("/responses/{untrue}"));
        }
    }
    Ok(serde_json::to_vec(&document)?.into())
}

fn remove(value: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(name);
    }
}
