//! The client's address in its header: which forms are an address, which are none, and who is asked at all.

use std::{collections::BTreeSet, net::IpAddr};

use cloakroom_core::{
    AddressError::{self, Hidden, Malformed, Missing, NoPeer, TooLong},
    ForwardedHeader::{self, Forwarded, XForwardedFor},
    TrustedProxies, limits,
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What proxies in `10.0.0.0/8` and `fd00::/8` let us know.
fn client(header: ForwardedHeader, lines: &[&str]) -> Result<IpAddr, AddressError> {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
    let proxies = TrustedProxies::by_networks(header, networks);
    proxies.client(Some(ip("10.0.0.1")), |name| {
        assert_eq!(name, header.name());
        lines.iter().map(|line| line.as_bytes())
    })
}

fn counted(header: ForwardedHeader, count: u8, lines: &[&str]) -> Result<IpAddr, AddressError> {
    TrustedProxies::by_count(header, count).client(None, |_| lines.iter().map(|line| line.as_bytes()))
}

#[track_caller]
fn assert_address(header: ForwardedHeader, element: &str, address: &str) {
    assert_eq!(client(header, &[element]), Ok(ip(address)), "{element:?}");
    assert_eq!(counted(header, 1, &[element]), Ok(ip(address)), "{element:?}");
}

#[track_caller]
fn assert_none(header: ForwardedHeader, element: &str, why: AddressError) {
    assert_eq!(client(header, &[element]), Err(why), "{element:?}");
    assert_eq!(counted(header, 1, &[element]), Err(why), "{element:?}");
}

#[test]
fn the_examples_of_rfc_7239_are_read() {
    assert_address(Forwarded, "for=\"_gazonk\", For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17");
    assert_address(Forwarded, "for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60");
    assert_eq!(client(Forwarded, &["for=192.0.2.43, for=198.51.100.17"]), Ok(ip("198.51.100.17")));
    assert_eq!(counted(Forwarded, 2, &["for=192.0.2.43, for=198.51.100.17"]), Ok(ip("192.0.2.43")));
    let combined = "for=192.0.2.43, for=\"[2001:db8:cafe::17]\", for=unknown";
    assert_none(Forwarded, combined, Hidden);
    let several = ["for=192.0.2.43", "for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"];
    assert_eq!(counted(Forwarded, 1, &several), Ok(ip("198.51.100.17")));
    assert_eq!(counted(Forwarded, 2, &several), Ok(ip("192.0.2.43")));
    assert_address(Forwarded, "for=\"192.0.2.43:47011\"", "192.0.2.43");
    assert_address(Forwarded, "for=\"[2001:db8:cafe::17]:47011\"", "2001:db8:cafe::17");
    assert_none(Forwarded, "for=_hidden, for=_SEVKISEK", Hidden);
    assert_eq!(client(XForwardedFor, &["192.0.2.43, 2001:db8:cafe::17"]), Ok(ip("2001:db8:cafe::17")));
}

#[test]
fn forwarded_has_an_address_in_these_forms() {
    for (element, address) in [
        ("for=1.2.3.4", "1.2.3.4"),
        ("FOR=1.2.3.4", "1.2.3.4"),
        ("for=\"1.2.3.4\"", "1.2.3.4"),
        ("for=\"1.2.3.4:80\"", "1.2.3.4"),
        ("for=\"1.2.3.4:_x.Y-1_\"", "1.2.3.4"),
        ("for=\"[2001:db8::1]\"", "2001:db8::1"),
        ("for=\"[2001:DB8::1]:65535\"", "2001:db8::1"),
        ("for=\"[::ffff:1.2.3.4]:80\"", "1.2.3.4"),
        ("for=\"\\1.2.3\\.\\4\"", "1.2.3.4"),
        ("for=\"\\[2001:db8::1\\]\\:80\"", "2001:db8::1"),
        (" \tfor=1.2.3.4\t ", "1.2.3.4"),
        ("by=_x ; for=1.2.3.4 ; proto=https", "1.2.3.4"),
        (";for=1.2.3.4;;", "1.2.3.4"),
        ("ext=\"a, for=6.6.6.6\";for=1.2.3.4", "1.2.3.4"),
        ("for=1.2.3.4;ext=\"a;for=6.6.6.6\"", "1.2.3.4"),
        ("for=1.2.3.4;ext=\"\\\", for=6.6.6.6\"", "1.2.3.4"),
        ("for=1.2.3.4;ext=\"\\\\\"", "1.2.3.4"),
        ("for=1.2.3.4;ext=\"\"", "1.2.3.4"),
        ("for=1.2.3.4;ext=\"\ta\\\tb\"", "1.2.3.4"),
        ("forx=6.6.6.6;for=1.2.3.4;xfor=6.6.6.6", "1.2.3.4"),
        ("for=6.6.6.6,for=1.2.3.4", "1.2.3.4"),
        ("for=6.6.6.6 \t,\t for=1.2.3.4", "1.2.3.4"),
    ] {
        assert_address(Forwarded, element, address);
    }
}

#[test]
fn forwarded_has_no_address_in_these_forms() {
    for element in [
        "",
        " ",
        ";",
        "for",
        "for=",
        "for=\"\"",
        "=1.2.3.4",
        "1.2.3.4",
        "for=1.2.3",
        "for=1.2.3.4.5",
        "for=1.2.3.256",
        "for=01.2.3.4",
        "for=0x1020304",
        "for=16909060",
        "for =1.2.3.4",
        "for= 1.2.3.4",
        "for=1.2.3.4 80",
        "for=1.2.3.4 proto=http",
        "for=1.2.3.4:80",
        "for=[2001:db8::1]",
        "for=2001:db8::1",
        "for=\"2001:db8::1\"",
        "for=\"2001:db8::1:80\"",
        "for=\"[2001:db8::1\"",
        "for=\"2001:db8::1]\"",
        "for=\"[2001:db8::1]80\"",
        "for=\"[[2001:db8::1]]\"",
        "for=\"[1.2.3.4]\"",
        "for=\"[]\"",
        "for=\"[fe80::1%eth0]\"",
        "for=\"[fe80::1%2]:80\"",
        "for=\"[fe80::1%252]\"",
        "for=\"1.2.3.4:\"",
        "for=\"1.2.3.4:x\"",
        "for=\"1.2.3.4:+80\"",
        "for=\"1.2.3.4:65536\"",
        "for=\"1.2.3.4:000080\"",
        "for=\"1.2.3.4:80:80\"",
        "for=\"1.2.3.4:_\"",
        "for=\"1.2.3.4:_a b\"",
        "for=\" 1.2.3.4\"",
        "for=\"1.2.3.4 \"",
        "for=\"1.2.3.4, 5.6.7.8\"",
        "for=\"1.2.3.4",
        "for=1.2.3.4\"",
        "for=\"1.2.3.4\"\"",
        "for=\"1.2.3.4\"x",
        "for=\"1.2.3.4\\\"",
        "for=\"1.2.3.4\\\\\"\"",
        "for='1.2.3.4'",
        "for=\"unknown:x\"",
        "for=\"_\"",
        "for=_a!",
        "for=\"_é\"",
        "for=\"\u{ff11}.2.3.4\"",
        "for=1.2.3.4;ext=\"é\"",
        "for=1.2.3.4;ext=\"\\é\"",
        "for=1.2.3.4;ext=\"\u{7f}\"",
        "for=1.2.3.4;ext=\"\r\n\"",
        "for=1.2.3.4;ext=\"\\\0\"",
        "for=1.2.3.4\0",
        "for=1.2.3.4\r",
        "for=1.2.3.4;ext",
        "for=1.2.3.4;ext=",
        "for=1.2.3.4;=x",
        "for=1.2.3.4;ext=a=b",
        "for=1.2.3.4;ext=a\"b\"",
        "for=1.2.3.4;e xt=a",
        "for=1.2.3.4;for=1.2.3.4",
        "for=1.2.3.4;proto=http;For=\"5.6.7.8\"",
        "for=example.com",
        "for=localhost",
    ] {
        assert_none(Forwarded, element, Malformed);
        assert_none(Forwarded, &format!("for=6.6.6.6, {element}"), Malformed);
    }
    assert_none(Forwarded, "for=1.2.3.4,", Malformed);
}

#[test]
fn a_hidden_address_is_none() {
    for element in [
        "for=unknown",
        "for=Unknown",
        "for=\"unknown:80\"",
        "for=_x",
        "for=\"_x.Y-1_:_y\"",
        "proto=http",
        "by=1.2.3.4;;",
    ] {
        assert_none(Forwarded, element, Hidden);
        assert_none(Forwarded, &format!("for=6.6.6.6, {element}"), Hidden);
    }
    for element in ["unknown", "_x", "UNKNOWN:80"] {
        assert_none(XForwardedFor, element, Hidden);
        assert_none(XForwardedFor, &format!("6.6.6.6, {element}"), Hidden);
    }
}

#[test]
fn x_forwarded_for_has_an_address_in_these_forms() {
    for (element, address) in [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:80", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::1:80", "2001:db8::1:80"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::ffff:102:304]:80", "1.2.3.4"),
        ("\t 1.2.3.4 \t", "1.2.3.4"),
        ("6.6.6.6,1.2.3.4", "1.2.3.4"),
        ("6.6.6.6 , \t1.2.3.4", "1.2.3.4"),
        (",,\",1.2.3.4", "1.2.3.4"),
    ] {
        assert_address(XForwardedFor, element, address);
    }
}

#[test]
fn x_forwarded_for_has_no_address_in_these_forms() {
    for element in [
        "",
        " ",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.04",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:65536",
        "1.2.3.4:000001",
        "1.2.3.4:_x",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4;5.6.7.8",
        "1.2.3.4/32",
        "2001:db8:0:0:0:0:0:1:80",
        "2001:db8::1::80",
        "2001:db8::1]:80",
        "[2001:db8::1",
        "[2001:db8::1]:",
        "[2001:db8::1]80",
        "[2001:db8::1]:_x",
        "[2001:db8::1]]",
        "[1.2.3.4]",
        "fe80::1%eth0",
        "[fe80::1%1]:80",
        "\"1.2.3.4\"",
        "\"[2001:db8::1]:80\"",
        "for=1.2.3.4",
        "example.com",
        "_",
        "é",
        "1.2.3.4\u{a0}",
        "1.2.3.4\r",
        "1.2.3.4\0",
    ] {
        assert_none(XForwardedFor, element, Malformed);
        assert_none(XForwardedFor, &format!("6.6.6.6, {element}"), Malformed);
    }
    assert_none(XForwardedFor, "1.2.3.4,", Malformed);
}

#[test]
fn trusted_hops_are_passed_over_from_the_right_over_all_lines() {
    let lines = ["6.6.6.6", "7.7.7.7, 1.2.3.4, 10.9.9.9", "[fd00::2]:443 ,::ffff:10.0.0.3"];
    assert_eq!(client(XForwardedFor, &lines), Ok(ip("1.2.3.4")));
    let lines = ["for=6.6.6.6", "for=1.2.3.4;by=10.9.9.9, For=10.9.9.9", "for=\"[fd00::2]:443\" , for=\"10.0.0.3:1\""];
    assert_eq!(client(Forwarded, &lines), Ok(ip("1.2.3.4")));
    assert_eq!(client(XForwardedFor, &["10.0.0.9", "10.0.0.8, 10.0.0.7"]), Ok(ip("10.0.0.9")), "the leftmost");
    for lines in [["1.2.3.4", "x, 10.0.0.7"], ["1.2.3.4", ", 10.0.0.7"], ["1.2.3.4, _x", "10.0.0.7"], ["1.2.3.4", ""]] {
        assert!(client(XForwardedFor, &lines).is_err(), "{lines:?}: no hop is passed over unread");
    }
    assert_eq!(client(XForwardedFor, &[]), Err(Missing));
}

#[test]
fn by_count_exactly_that_element_is_the_client() {
    let lines = ["5.5.5.5, 4.4.4.4", "3.3.3.3, 2.2.2.2", "1.1.1.1"];
    for count in 1..=5 {
        let nth = ip(&[count; 4].map(|n: u8| n.to_string()).join("."));
        assert_eq!(counted(XForwardedFor, count, &lines), Ok(nth));
    }
    for count in [6, 7, u8::MAX] {
        assert_eq!(counted(XForwardedFor, count, &lines), Err(Missing));
    }
    assert_eq!(counted(XForwardedFor, 2, &["5.5.5.5, x, 1.1.1.1"]), Err(Malformed));
    assert_eq!(counted(XForwardedFor, 2, &["5.5.5.5, x"]), Err(Malformed), "the ones passed over are addresses");
    assert_eq!(counted(XForwardedFor, 1, &[]), Err(Missing));
    assert_eq!(counted(XForwardedFor, 0, &lines), Err(NoPeer), "nobody is trusted");
}

#[test]
fn an_untrusted_peer_is_the_client_and_no_header_is_asked_for() {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
    let by_networks = TrustedProxies::by_networks(Forwarded, networks);
    let nobody = TrustedProxies::by_networks(XForwardedFor, []);
    let count = TrustedProxies::by_count(XForwardedFor, 0);
    for proxies in [&TrustedProxies::none(), &TrustedProxies::default(), &by_networks, &nobody, &count] {
        let client = |peer| proxies.client(peer, |_| -> [&[u8]; 0] { panic!("a header was asked for") });
        for peer in ["9.255.255.255", "11.0.0.0", "fe00::", "::", "127.0.0.1"] {
            assert_eq!(client(Some(ip(peer))), Ok(ip(peer)));
        }
        assert_eq!(client(Some(ip("::ffff:1.2.3.4"))), Ok(ip("1.2.3.4")));
        assert_eq!(client(None), Err(NoPeer));
    }
}

#[test]
fn a_mapped_peer_is_an_ipv4_peer() {
    let proxies = TrustedProxies::by_networks(XForwardedFor, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(proxies.client(Some(ip("::ffff:10.0.0.1")), |_| [&b"1.2.3.4"[..]]), Ok(ip("1.2.3.4")));
}

#[test]
fn elements_and_bytes_have_bounds_from_the_right() {
    let most = limits::MAX_FORWARDED_ELEMENTS;
    let hops = |n: usize| vec!["10.0.0.1"; n].join(",");
    assert_eq!(client(XForwardedFor, &[&hops(most)]), Ok(ip("10.0.0.1")));
    assert_eq!(client(XForwardedFor, &[&hops(most + 1)]), Err(TooLong));
    assert_eq!(client(XForwardedFor, &[&hops(1), &hops(most)]), Err(TooLong));
    assert_eq!(client(XForwardedFor, &["1.2.3.4", &hops(most - 1)]), Ok(ip("1.2.3.4")));
    let bytes = limits::MAX_FORWARDED_BYTES;
    for header in [Forwarded, XForwardedFor] {
        let (name, trusted) = if header == Forwarded { ("for=", "for=10.0.0.1") } else { ("", "10.0.0.1") };
        let padded = |n: usize| format!("{name}{:n$}", "1.2.3.4", n = n - name.len());
        assert_eq!(client(header, &[&padded(bytes)]), Ok(ip("1.2.3.4")));
        assert_eq!(client(header, &[&padded(bytes + 1)]), Err(TooLong));
        assert_eq!(client(header, &[&padded(bytes - trusted.len()), trusted]), Ok(ip("1.2.3.4")));
        assert_eq!(client(header, &[&padded(bytes - trusted.len() + 1), trusted]), Err(TooLong));
        let pair = format!("{trusted},{trusted}");
        assert_eq!(client(header, &[&padded(bytes - pair.len()), &pair]), Ok(ip("1.2.3.4")));
        assert_eq!(client(header, &[&padded(bytes - pair.len() + 1), &pair]), Err(TooLong));
        let one = |n: usize| format!("{},{trusted}", padded(n));
        assert_eq!(client(header, &[&one(bytes - trusted.len() - 1)]), Ok(ip("1.2.3.4")));
        assert_eq!(client(header, &[&one(bytes - trusted.len())]), Err(TooLong));
        assert_eq!(client(header, &[&"x".repeat(bytes * 4), &padded(bytes)]), Ok(ip("1.2.3.4")));
        assert_eq!(client(header, &[&format!("{},{}", "x".repeat(bytes * 4), padded(bytes - 1))]), Ok(ip("1.2.3.4")));
    }
    let name = |n: usize| format!("for=_{}", "x".repeat(n - 1));
    assert_eq!(client(Forwarded, &[&name(limits::MAX_FORWARDED_NODE)]), Err(Hidden));
    assert_eq!(client(Forwarded, &[&name(limits::MAX_FORWARDED_NODE + 1)]), Err(Malformed));
}

#[test]
fn a_string_that_is_cut_is_too_long_and_never_read_in_part() {
    let bytes = limits::MAX_FORWARDED_BYTES;
    for inside in ["\\\"", "\\\\", "x", ", for=1.2.3.4;ext="] {
        let line = format!("ext=\"{}\";for=1.2.3.4", inside.repeat(bytes));
        for spaces in 0..4 {
            assert_eq!(client(Forwarded, &[&format!("{line}{:spaces$}", "")]), Err(TooLong), "{inside}");
        }
    }
}

#[test]
fn reading_allocates_nothing() {
    let networks = ["10.0.0.0/8".parse().unwrap()];
    let proxies = TrustedProxies::by_networks(Forwarded, networks);
    let line = b"for=6.6.6.6, for=\"[2001:db8::1]:80\";ext=\"\\\",\", for=\"10.0.0.2:1\"";
    let (peer, mut client) = (ip("10.0.0.1"), None);
    let used = allocation_counter::measure(|| client = proxies.client(Some(peer), |_| [&line[..]]).ok());
    assert_eq!((client, used.count_total), (Some(ip("2001:db8::1")), 0));
}

#[test]
fn each_reason_has_a_name_of_its_own() {
    let reasons = [Hidden, Malformed, Missing, NoPeer, TooLong];
    assert_eq!(reasons.map(AddressError::name), ["hidden", "malformed", "missing", "no_peer", "too_long"]);
    let texts: BTreeSet<String> = reasons.iter().map(ToString::to_string).collect();
    assert!(texts.len() == reasons.len() && texts.iter().all(|text| text.len() > 20), "{texts:?}");
}
