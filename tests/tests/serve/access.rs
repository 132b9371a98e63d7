//! Who is served.

use std::{fs, process::Output};

use cloakroom_tests::{
    demo::tool,
    servers::{Certificates, Service, ServiceOptions},
};

tests! {
    nobody_without_the_token_is_served,
    each_of_several_tokens_is_taken,
    a_token_is_never_told,
    only_this_machine_is_served_without_a_token,
    a_page_of_another_name_is_refused_without_a_token,
    a_token_that_can_be_guessed_is_refused,
    a_certificate_needs_its_key,
}

const TOKEN: &str = "one-0123456789.abcdef";
const OTHER: &str = "two-0123456789.abcdef";
const TTL: (&str, &str) = ("cloakroom-ttl", "60000");

fn nobody_without_the_token_is_served() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let right = format!("Bearer {TOKEN}");
    let create = [("if-none-match", "*"), TTL];
    let with = |line: &str| {
        let mut headers = create.to_vec();
        headers.push(("authorization", line));
        service.send("PUT", "/sessions/a", &headers, b"x")
    };
    let prefix = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    for line in [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        TOKEN,
        &prefix,
        &format!("{right}x"),
        &format!("Basic {TOKEN}"),
        &format!("Bearer  {TOKEN}"),
    ] {
        let said = with(line).expect(401, "refused");
        assert_eq!(said.header("www-authenticate"), "Bearer realm=\"cloakroom\"", "{line}");
    }
    service.send("PUT", "/sessions/a", &create, b"x").expect(401, "refused");
    let both = [("authorization", right.as_str()), ("authorization", &right), create[0], TTL];
    service.send("PUT", "/sessions/a", &both, b"x").expect(401, "refused");
    // What is no path of ours tells no more to strangers than to others, and what is wrong comes after who asks.
    for (method, path) in [
        ("GET", "/sessions/a"),
        ("DELETE", "/sessions/a"),
        ("PATCH", "/sessions/a"),
        ("POST", "/sessions/a"),
        ("GET", "/indexes/u/members"),
        ("PUT", "/indexes/u/members/a"),
        ("GET", "/metrics"),
    ] {
        service.send(method, path, &[], b"").expect(401, "refused");
    }
    for path in ["/health", "/openapi.json"] {
        assert_eq!(service.send("GET", path, &[], b"").status, 200, "{path}");
    }
    let right = [("authorization", right.as_str())];
    service.send("GET", "/sessions/a", &right, b"").expect(404, "absent");
    with(&format!("bearer {TOKEN}")).expect(201, "done");
    service.send("GET", "/sessions/a", &right, b"").expect(200, "found");
}

fn each_of_several_tokens_is_taken() {
    let service = Service::start(ServiceOptions::new("memory:").token(TOKEN).token(OTHER));
    for token in [TOKEN, OTHER] {
        let line = format!("Bearer {token}");
        service.send("GET", "/sessions/a", &[("authorization", &line)], b"").expect(404, "absent");
    }
    service.send("GET", "/sessions/a", &[("authorization", "Bearer three-0123456789")], b"").expect(401, "refused");
}

fn a_token_is_never_told() {
    let mut service = Service::start(ServiceOptions::new("memory:").token(TOKEN).set("--log", "debug"));
    let right = format!("Bearer {TOKEN}");
    let headers = [("authorization", right.as_str()), ("if-none-match", "*"), TTL];
    service.send("PUT", "/sessions/the-key", &headers, b"the-value").expect(201, "done");
    service.send("GET", "/sessions/the-key", &[("authorization", &format!("Bearer {OTHER}"))], b"");
    service.stop();
    let log = service.log();
    assert!(log.contains("a bearer token") && log.contains("operation=\"create\""), "{log}");
    for secret in [TOKEN, OTHER, "the-key", "the-value"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

/// Runs the tool, which must refuse its options.
fn refused(args: &[&str], token: Option<&str>) -> String {
    let mut command = tool(&["serve", "--store", "memory:"]);
    command.args(args).envs(token.map(|token| ("TOKEN", token)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{args:?}");
    String::from_utf8(stderr).unwrap()
}

fn only_this_machine_is_served_without_a_token() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = refused(&["--listen", address], None);
        assert!(said.contains("needs --auth env:NAME"), "{said}");
    }
}

fn a_page_of_another_name_is_refused_without_a_token() {
    let open = Service::start(ServiceOptions::new("memory:"));
    for host in ["evil.example", "evil.example:80", "192.0.2.1", "localhost.evil.example", "127.0.0.1.evil.example"] {
        for path in ["/sessions/a", "/metrics", "/indexes/u/members"] {
            open.send("GET", path, &[("host", host)], b"").expect(421, "refused");
        }
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:80"] {
        open.send("GET", "/sessions/a", &[("host", host)], b"").expect(404, "absent");
    }
    let closed = Service::start(ServiceOptions::new("memory:").token(TOKEN));
    let right = format!("Bearer {TOKEN}");
    let headers = [("host", "sessions.example"), ("authorization", right.as_str())];
    closed.send("GET", "/sessions/a", &headers, b"").expect(404, "absent");
}

fn a_token_that_can_be_guessed_is_refused() {
    let long = "a".repeat(1025);
    for token in ["", "short", "fifteen-letters", "spaces are not taken at all", "ümlaut-0123456789", &long] {
        let said = refused(&["--auth", "env:TOKEN"], Some(token));
        assert!(said.contains("--auth: the token in TOKEN must have 16 to 1024"), "{said}");
        assert!(token.is_empty() || !said.contains(token), "{said}");
    }
    assert!(refused(&["--auth", "env:NO_SUCH_TOKEN"], None).contains("NO_SUCH_TOKEN has no token"));
    // The token itself, where the name of its variable belongs.
    let said = refused(&["--auth", TOKEN], None);
    assert!(said.contains("env:NAME") && !said.contains(TOKEN), "{said}");
}

fn a_certificate_needs_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let one = Certificates::make(folder.path());
    let (certificate, key) = (one.certificate(), one.key());
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    assert!(refused(&["--tls-cert", certificate], None).contains("--tls-key"));
    assert!(refused(&["--tls-key", key], None).contains("--tls-cert"));
    assert!(refused(&["--tls-cert", "/no/such", "--tls-key", key], None).contains("cannot read /no/such"));
    assert!(refused(&["--tls-cert", key, "--tls-key", key], None).contains("has no certificate"));
    assert!(refused(&["--tls-cert", certificate, "--tls-key", certificate], None).contains("--tls-key: cannot read"));
    let other = tempfile::tempdir().unwrap();
    let other = Certificates::make(other.path());
    let said = refused(&["--tls-cert", certificate, "--tls-key", other.key().to_str().unwrap()], None);
    assert!(said.contains("they do not fit"), "{said}");
    drop(fs::read(key));
}
