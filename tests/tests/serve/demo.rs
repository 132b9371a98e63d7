//! The tool keeps its sessions in a service.

use cloakroom_tests::{
    demo::{Demo, tool},
    servers::{Service, ServiceOptions},
};
use serde_json::{Value, json};

tests! {
    a_demo_keeps_its_sessions_in_a_service,
    a_demo_without_the_token_says_so,
    sessions_in_a_service_are_listed_and_revoked,
}

const TOKEN: &str = "one-0123456789.abcdef";

fn a_demo_keeps_its_sessions_in_a_service() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let env = [("CLOAKROOM_HTTP_TOKEN", TOKEN)];
    let demo = Demo::with(&["--store", &service.url()], &env);
    let mut visitor = demo.visitor("n", &json!(1));
    let login = json!({ "user": "alice", "password": demo.password("alice") }).to_string();
    assert_eq!(visitor.visit("POST", "/api/login", Some(&login)).status, 200);
    let devices = visitor.visit("GET", "/api/sessions", None);
    assert_eq!(devices.json().as_array().unwrap().len(), 1, "the service keeps the index, too");
    let right = [("authorization", &*format!("Bearer {TOKEN}"))];
    let counted = service.send("GET", "/metrics", &right, b"");
    for (operation, outcome) in [("create", "done"), ("enroll", "done"), ("list", "listed")] {
        let line = format!("cloakroom_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}} ");
        assert!(counted.text().contains(&line), "{line}: {}", counted.text());
    }
}

fn a_demo_without_the_token_says_so() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    for token in [None, Some("another-0123456789")] {
        // Nobody listens there, so that it ends whatever it takes the answer for.
        let mut command = tool(&["demo", "--listen", "192.0.2.1:0", "--store", &service.url()]);
        let output = command.envs(token.map(|token| ("CLOAKROOM_HTTP_TOKEN", token))).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&service.url()) && said.contains("401: unauthorized"), "{said}");
        assert!(!said.contains("another-0123456789"), "{said}");
    }
}

fn sessions_in_a_service_are_listed_and_revoked() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let demo = Demo::with(&["--store", &service.url()], &[("CLOAKROOM_HTTP_TOKEN", TOKEN)]);
    let mut visitor = demo.client();
    let login = json!({ "user": "alice", "password": demo.password("alice") }).to_string();
    assert_eq!(visitor.visit("POST", "/api/login", Some(&login)).status, 200);
    let sessions = |options: &[&str], token| {
        let mut command = tool(&["sessions"]);
        command.args(options).args(["--user", "alice", "--store", &service.url()]).env("CLOAKROOM_HTTP_TOKEN", token);
        command.output().unwrap()
    };
    let listed: Value = serde_json::from_slice(&sessions(&["list", "--json"], TOKEN).stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let refused = sessions(&["revoke", "--all"], "another-0123456789");
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(visitor.send("GET", "/api/me", None).status, 200);
    let revoked = sessions(&["revoke", "--all"], TOKEN);
    assert!(revoked.status.success(), "{revoked:?}");
    assert_eq!(visitor.send("GET", "/api/me", None).status, 401);
}
