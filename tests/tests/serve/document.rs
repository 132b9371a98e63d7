//! The OpenAPI document is true.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use cloakroom_tests::servers::{Require, Service, ServiceOptions};
use serde_json::Value;

tests! {
    it_lists_every_route_and_method,
    every_reference_leads_somewhere,
    it_tells_of_the_token_where_there_is_one,
}

/// Tests that need schemathesis.
pub(crate) const CHECKED: &[(&str, fn())] = &[
    ("schemathesis_finds_nothing", schemathesis_finds_nothing),
    ("an_untrue_document_is_caught", an_untrue_document_is_caught),
];

const TOKEN: &str = "one-0123456789.abcdef";
const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

fn document(service: &Service) -> Value {
    let said = service.send("GET", "/openapi.json", &[], b"");
    assert_eq!((said.status, said.header("content-type")), (200, "application/json"));
    serde_json::from_str(said.text()).unwrap()
}

fn it_lists_every_route_and_method() {
    let service = Service::start(ServiceOptions::new("memory:"));
    let document = document(&service);
    let paths = document["paths"].as_object().unwrap();
    let listed: BTreeSet<_> = paths.keys().map(String::as_str).collect();
    let all = ["/health", "/indexes/{index}/members", "/indexes/{index}/members/{member}", "/metrics", "/openapi.json"];
    assert_eq!(listed, all.into_iter().chain(["/sessions/{key}"]).collect());
    for (path, operations) in paths {
        let path = path.replace("{key}", "a").replace("{index}", "i").replace("{member}", "m");
        for method in METHODS {
            let status = service.send(&method.to_uppercase(), &path, &[], b"").status;
            assert_eq!(operations.get(method).is_none(), status == 405, "{method} {path}: {status}");
            let responses = &operations[method]["responses"];
            assert!(status == 405 || responses.get(status.to_string()).is_some(), "{method} {path}: {status}");
        }
    }
}

fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, document)),
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
                }
                fields.values().for_each(|field| walk(field, document));
            }
            _ => {}
        }
    }
    for options in [ServiceOptions::new("memory:"), ServiceOptions::new("memory:").token(TOKEN)] {
        let document = document(&Service::start(options));
        walk(&document, &document);
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}

fn it_tells_of_the_token_where_there_is_one() {
    for has_token in [false, true] {
        let options = ServiceOptions::new("memory:");
        let service = Service::start(if has_token { options.token(TOKEN) } else { options });
        let document = document(&service);
        assert_eq!(document.get("security").is_some(), has_token);
        assert_eq!(document["components"].get("securitySchemes").is_some(), has_token);
        let responses = &document["paths"]["/sessions/{key}"]["get"]["responses"];
        assert_eq!((responses.get("401").is_some(), responses.get("421").is_some()), (has_token, !has_token));
    }
}

/// Where schemathesis is, which `tests/run needs` installs.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis/bin/schemathesis");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::split_paths(&path).map(|folder| folder.join("schemathesis"));
    path.chain([target]).find(|program| program.is_file()).unwrap_or_default()
}

/// What the tests do that need it.
pub(crate) fn schemathesis() -> Require {
    match program().is_file() {
        true => Require::Available,
        false => Require::check("schemathesis"),
    }
}

/// Checks a service against a document; returns whether nothing was found, and what was said.
fn check(document: &str, arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis.toml");
    let mut command = Command::new(program());
    command.arg("--config-file").arg(config).args(["run", document, "--checks", "all", "--max-examples", "20"]);
    // One seed, so that a run can be repeated.
    command.args(["--seed", "1", "--warnings", "off", "--no-color", "--generation-database", "none"]);
    let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    (output.status.success(), said)
}

fn schemathesis_finds_nothing() {
    let open = Service::start(ServiceOptions::new("memory:"));
    let (is_true, said) = check(&format!("{}/openapi.json", open.url()), &[]);
    assert!(is_true, "{said}");
    // Every operation was tried, and those that succeed were met.
    assert!(said.contains("Tested: 9"), "{said}");
    for (operation, outcome) in
        [("create", "done"), ("replace", "done"), ("touch", "done"), ("remove", "done"), ("load", "found")]
    {
        let name = format!("cloakroom_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}}");
        assert!(open.counter(&name) > 0, "{name}: {said}");
    }
    let closed = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let line = format!("Authorization: Bearer {TOKEN}");
    let (is_true, said) = check(&format!("{}/openapi.json", closed.url()), &["--header", &line]);
    assert!(is_true, "{said}");
}

fn an_untrue_document_is_caught() {
    let service = Service::start(ServiceOptions::new("memory:"));
    let truth = document(&service);
    let lies: [(&str, &str, Value); 5] = [
        ("a status", "/paths/~1sessions~1{key}/get/responses/404", Value::Null),
        ("a header", "/components/responses/Absent/headers/Cloakroom-Outcome/schema/const", "missing".into()),
        ("a schema", "/components/schemas/Error/properties/error/pattern", "^[0-9]+$".into()),
        ("a type", "/components/responses/Absent/content", serde_json::json!({ "text/html": {} })),
        ("a bound", "/components/parameters/Limit/schema/maximum", 9_999_999.into()),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, place, lie) in lies {
        let mut document = truth.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(name).is_some(), "{place}");
        if !lie.is_null() {
            parent.insert(name.to_owned(), lie);
        }
        let path = folder.path().join("openapi.json");
        fs::write(&path, document.to_string()).unwrap();
        let (is_true, said) = check(
            path.to_str().unwrap(),
            &["--url", &service.url(), "--max-failures", "1", "--phases", "coverage,fuzzing"],
        );
        assert!(!is_true, "{what}: {said}");
    }
}
