//! An endpoint is shown as one writes it.

use cloakroom_runtime::Endpoint;

#[test]
fn an_endpoint_is_shown_as_host_and_port_or_as_its_path() {
    for (endpoint, shown) in [
        (Endpoint::Host("sessions.example".to_owned(), 6379), "sessions.example:6379"),
        (Endpoint::Host("::1".to_owned(), 80), "[::1]:80"),
        (Endpoint::Tcp(([127, 0, 0, 1], 11211).into()), "127.0.0.1:11211"),
        (Endpoint::Unix("/run/redis.sock".into()), "/run/redis.sock"),
    ] {
        assert_eq!(endpoint.to_string(), shown);
    }
}
