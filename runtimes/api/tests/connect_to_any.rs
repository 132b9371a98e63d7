//! Connecting to a host that has several addresses.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Mutex,
};

use cloakroom_runtime::connect_to_any;

use self::common::block_on;

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[test]
fn every_address_is_tried_in_turn_until_one_answers() {
    let tried = Mutex::new(Vec::new());
    let connect = async |address: SocketAddr| {
        tried.lock().unwrap().push(address.port());
        if address.port() < 3 { Err(io::Error::from(ErrorKind::ConnectionRefused)) } else { Ok(address.port()) }
    };
    assert_eq!(block_on(connect_to_any([1, 2, 3, 4].map(address), connect)).unwrap(), 3);
    assert_eq!(*tried.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn the_last_error_is_told() {
    let connect = async |address: SocketAddr| -> io::Result<()> {
        Err(if address.port() == 2 { ErrorKind::TimedOut } else { ErrorKind::ConnectionRefused }.into())
    };
    assert_eq!(block_on(connect_to_any([1, 2].map(address), connect)).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(block_on(connect_to_any([], connect)).unwrap_err().kind(), ErrorKind::NotFound);
}
