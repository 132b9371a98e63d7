//! Ranges of addresses: which texts are one, and which addresses are in one.

use std::net::IpAddr;

use cloakroom_core::forwarded::{InvalidNetwork, Network};

use crate::common::Seeded;

fn network(text: &str) -> Result<Network, InvalidNetwork> {
    text.parse()
}

#[test]
fn a_range_reads_and_writes_the_same() {
    for text in ["10.0.0.0/8", "10.0.0.1/32", "128.0.0.0/1", "2001:db8::/32", "::1/128", "8000::/1", "fe80::/10"] {
        assert_eq!(network(text).unwrap().to_string(), text);
    }
    assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
    assert_eq!(network("::1").unwrap().to_string(), "::1/128");
    assert_eq!(network("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
    assert_eq!(network("::ffff:10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
}

#[test]
fn bits_beyond_the_prefix_are_refused_and_named() {
    for (text, range) in [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.128.0.0/8", "10.0.0.0/8"),
        ("192.168.1.129/25", "192.168.1.128/25"),
        ("1.2.3.5/31", "1.2.3.4/31"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("2001:db8::1/127", "2001:db8::/127"),
        ("::ffff:10.0.0.1/104", "::ffff:10.0.0.0/104"),
        ("::ffff:0.0.0.0/95", "::fffe:0.0.0.0/95"),
    ] {
        let (address, prefix) = text.split_once('/').unwrap();
        let range: IpAddr = range.split_once('/').unwrap().0.parse().unwrap();
        let (address, prefix) = (address.parse().unwrap(), prefix.parse().unwrap());
        let error = network(text).unwrap_err();
        assert_eq!(error, InvalidNetwork::HostBits { address, prefix, network: range }, "{text}");
        let message = format!("{address}/{prefix} has bits beyond its prefix: the range is {range}/{prefix}");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_range_of_everybody_is_refused() {
    for text in ["0.0.0.0/0", "::/0", "1.2.3.4/0", "::ffff:0.0.0.0/96"] {
        assert_eq!(network(text), Err(InvalidNetwork::Everybody), "{text}");
    }
}

#[test]
fn a_prefix_longer_than_the_address_is_refused() {
    for (text, bits) in [("10.0.0.0/33", 32), ("10.0.0.0/128", 32), ("::/129", 128), ("::/256", 128), ("::/999", 128)] {
        assert_eq!(network(text), Err(InvalidNetwork::Prefix { bits }), "{text}");
    }
}

#[test]
fn what_is_no_range_is_refused_and_named() {
    for text in [
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/8/8",
        "10.0.0.0/ 8",
        "10.0.0.0 /8",
        " 10.0.0.0/8",
        "10.0.0.0/+8",
        "10.0.0.0/-8",
        "10.0.0.0/0008",
        "10.0.0.0/255.0.0.0",
        "10/8",
        "10.0.0/24",
        "010.0.0.0/8",
        "[::1]",
        "::1%lo",
        "fe80::1%1/64",
        "localhost",
        "10.0.0.0-10.0.0.9",
        "10.0.0.*",
        "10.0.0.0/٨",
        "10.0.0.1:80",
        "10.0.0.1,10.0.0.2",
    ] {
        let error = network(text).unwrap_err();
        assert_eq!(error, InvalidNetwork::Syntax { text: text.into() }, "{text}");
        assert_eq!(error.to_string(), format!("{text:?} is neither an address nor address/prefix"));
    }
}

#[test]
fn an_address_of_one_kind_is_in_no_range_of_the_other() {
    for range in ["128.0.0.0/1", "0.0.0.0/1", "1.2.3.4"] {
        for address in ["::", "::1.2.3.4", "8000::", "102:304::", "2002:102:304::"] {
            assert!(!network(range).unwrap().contains(address.parse().unwrap()), "{range} {address}");
        }
    }
    for range in ["::/1", "8000::/1", "::/64", "::1"] {
        for address in ["0.0.0.0", "0.0.0.1", "128.0.0.0", "::ffff:1.2.3.4"] {
            assert!(!network(range).unwrap().contains(address.parse().unwrap()), "{range} {address}");
        }
    }
    assert!(network("1.2.3.4").unwrap().contains("::ffff:1.2.3.4".parse().unwrap()));
}

/// An address as text of zeros and ones.
fn digits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().map(|octet| format!("{octet:08b}")).concat(),
        IpAddr::V6(v6) => v6.octets().map(|octet| format!("{octet:08b}")).concat(),
    }
}

#[test]
fn the_range_agrees_with_a_comparison_of_digits() {
    let mut random = Seeded(31);
    let mut hits = [0; 2];
    for _ in 0..40_000 {
        let is_v4 = random.below(2) == 0;
        let bits = if is_v4 { 32 } else { 128 };
        let mut draw = || u128::from(random.next()) << 64 | u128::from(random.next());
        let (one, flip) = (draw(), draw());
        let prefix = draw() as usize % bits + 1;
        let of = |number: u128| -> IpAddr {
            if is_v4 { ((number >> 96) as u32).to_be_bytes().into() } else { number.to_be_bytes().into() }
        };
        let kept = u128::MAX << (128 - prefix);
        let range = Network::new(of(one & kept), prefix as u8).unwrap();
        // Another one, that is the same in the first bits, or in all but one of them.
        let place = flip as usize % 130;
        let other = of((one & kept | flip & !kept) ^ 1_u128.checked_shl(127 - (place as u32).min(127)).unwrap());
        let expected = digits(of(one))[..prefix] == digits(other)[..prefix];
        assert_eq!(range.contains(other), expected, "{range} {other}");
        hits[usize::from(expected)] += 1;
    }
    assert!(hits.iter().all(|&hits| hits > 10_000), "{hits:?}");
}
