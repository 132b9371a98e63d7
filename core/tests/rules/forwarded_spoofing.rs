//! Whoever stands left of the trusted proxies can neither choose the address nor take it away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cloakroom_core::{
    AddressError,
    ForwardedHeader::{self, Forwarded, XForwardedFor},
    TrustedProxies,
    forwarded::Network,
};

use crate::common::Seeded;

fn trusted() -> [Network; 2] {
    ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap())
}

fn client(proxies: &TrustedProxies, lines: &[Vec<u8>]) -> Result<IpAddr, AddressError> {
    proxies.client(Some(Ipv4Addr::new(10, 0, 0, 1).into()), |_| lines.iter().map(Vec::as_slice))
}

/// What an attacker may send, to be put together in any way.
const PIECES: [&[u8]; 28] = [
    b"for=",
    b"for=6.6.6.6",
    b"6.6.6.6",
    b"10.0.0.9",
    b"for=10.0.0.9",
    b"for=\"",
    b"=\"",
    b"\"",
    b"\"",
    b"\"",
    b",",
    b",",
    b", ",
    b";",
    b"; ",
    b"\\",
    b"\\",
    b"\\\"",
    b"=",
    b" ",
    b"\t",
    b"unknown",
    b"_x",
    b"[",
    b"]:80",
    b"\xff",
    b"\r\n",
    b"\0",
];

fn junk(random: &mut Seeded) -> Vec<u8> {
    (0..random.below(12)).flat_map(|_| PIECES[random.below(PIECES.len())].to_vec()).collect()
}

/// An element that names the address, in one of the forms that proxies write.
fn element(random: &mut Seeded, header: ForwardedHeader, address: IpAddr) -> Vec<u8> {
    let port = ["", ":80", ":65535"][random.below(3)];
    let (is_v4, form) = (address.is_ipv4(), random.below(3));
    if header == XForwardedFor {
        return match (is_v4, form) {
            (true, _) => format!("{address}{port}"),
            (false, 0) => address.to_string(),
            (false, _) => format!("[{address}]{port}"),
        }
        .into();
    }
    let node = match (is_v4, form) {
        (true, 0) => format!("{address}"),
        (true, 1) => format!("\"{address}{port}\""),
        (true, _) => format!("\"{}\"", address.to_string().replace('.', "\\.")),
        (false, _) => format!("\"[{address}]{port}\""),
    };
    let other =
        ["", "by=_x;", "ext=\",\";", "ext=\"\\\\\" ; ", "ext=\"\\\", for=6.6.6.6;\";", "e=\"=\\\"\";"][random.below(6)];
    let last = ["", ";proto=https", "; ext=\"a,b\"", ";ext=\"\\\\\\\\\"", ";ext=\"\\\\\\\"\"", ";"][random.below(6)];
    format!("{other}{}={node}{last}", ["for", "For", "FOR"][random.below(3)]).into()
}

fn address(random: &mut Seeded, is_trusted: bool) -> IpAddr {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    match (is_trusted, random.below(2)) {
        (true, 0) => Ipv4Addr::from_bits(10 << 24 | bits as u32 >> 8).into(),
        (true, _) => Ipv6Addr::from_bits(0xfd << 120 | bits >> 8).into(),
        (false, 0) => Ipv4Addr::from_bits(203 << 24 | bits as u32 >> 8).into(),
        (false, _) => Ipv6Addr::from_bits(0x2001 << 112 | bits >> 16).into(),
    }
}

#[test]
fn an_attacker_left_of_the_proxies_changes_nothing() {
    let mut random = Seeded(32);
    for _ in 0..40_000 {
        let header = [Forwarded, XForwardedFor][random.below(2)];
        let hops = random.below(4);
        let by_networks = TrustedProxies::by_networks(header, trusted());
        let by_count = TrustedProxies::by_count(header, hops as u8 + 1);
        let expected = address(&mut random, false);
        let mut lines: Vec<Vec<u8>> = (0..random.below(3)).map(|_| junk(&mut random)).collect();
        for hop in 0..=hops {
            let appended = if hop == 0 { expected } else { address(&mut random, true) };
            let appended = element(&mut random, header, appended);
            match lines.last_mut().filter(|_| random.below(3) > 0) {
                Some(line) => line.extend([&b", "[..], &appended].concat()),
                None => lines.push(appended),
            }
        }
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(client(&by_networks, &lines), Ok(expected), "{shown:?}");
        assert_eq!(client(&by_count, &lines), Ok(expected), "{shown:?}");
    }
}

#[test]
fn a_quote_left_open_reaches_over_no_comma_that_a_proxy_wrote() {
    let proxies = TrustedProxies::by_networks(Forwarded, trusted());
    let expected = Ok([1, 2, 3, 4].into());
    for attack in ["for=\"", "for=6.6.6.6;ext=\"", "for=\"6.6.6.6\\", "\\", "\"\\\"", "for=6.6.6.6;ext=\"a\\\\\\"] {
        for proxy in ["for=1.2.3.4", "for=\"1.2.3.4:80\"", "for=1.2.3.4;ext=\",\"", "for=1.2.3.4, for=\"10.0.0.2:1\""] {
            assert_eq!(client(&proxies, &[format!("{attack}, {proxy}").into()]), expected, "{attack} {proxy}");
            assert_eq!(client(&proxies, &[attack.into(), proxy.into()]), expected, "{attack} {proxy}");
        }
    }
}

#[test]
fn only_the_chosen_header_is_asked_for() {
    for (header, name) in [(Forwarded, "forwarded"), (XForwardedFor, "x-forwarded-for")] {
        for proxies in [TrustedProxies::by_networks(header, trusted()), TrustedProxies::by_count(header, 1)] {
            let mut asked = Vec::new();
            let client = proxies.client(Some([10, 0, 0, 1].into()), |name| {
                asked.push(name);
                [&b"x"[..]]
            });
            assert_eq!((client, asked), (Err(AddressError::Malformed), vec![name]));
        }
    }
}

/// The elements of a line from the right, each the shortest end of what is left that is one; `None` where there is none.
fn naive_elements(header: ForwardedHeader, line: &[u8]) -> Vec<Option<Vec<u8>>> {
    if header == XForwardedFor {
        return line.rsplit(|&byte| byte == b',').map(|element| Some(element.to_vec())).collect();
    }
    let mut starts = (0..line.len()).rev().filter(|&comma| line[comma] == b',').map(|comma| comma + 1).chain([0]);
    let Some(start) = starts.find(|&start| naive_pairs(&line[start..]).is_some()) else { return vec![None] };
    let mut elements = vec![Some(line[start..].to_vec())];
    if start > 0 {
        elements.extend(naive_elements(header, &line[..start - 1]));
    }
    elements
}

/// The pairs of an element, by a machine that looks at one byte after the other.
fn naive_pairs(element: &[u8]) -> Option<Vec<(String, String)>> {
    #[derive(PartialEq)]
    enum State {
        Before,
        Name,
        Value,
        Token,
        Quoted,
        Escaped,
        After,
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut state = State::Before;
    for &byte in element {
        let char = char::from(byte);
        let is_token = char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
        let is_text = char == '\t' || char == ' ' || char.is_ascii_graphic();
        state = match (state, char) {
            (State::Before, ' ' | '\t') => State::Before,
            (State::Before | State::After | State::Token, ';') => State::Before,
            (State::Token | State::After, ' ' | '\t') => State::After,
            (State::Name, '=') => State::Value,
            (State::Value, '"') => State::Quoted,
            (State::Quoted, '"') => State::After,
            (State::Quoted, '\\') => State::Escaped,
            (State::Before, _) if is_token => {
                pairs.push((char.into(), String::new()));
                State::Name
            }
            (State::Name, _) if is_token => {
                pairs.last_mut()?.0.push(char);
                State::Name
            }
            (State::Value | State::Token, _) if is_token => {
                pairs.last_mut()?.1.push(char);
                State::Token
            }
            (State::Quoted | State::Escaped, _) if is_text => {
                pairs.last_mut()?.1.push(char);
                State::Quoted
            }
            _ => return None,
        };
    }
    let is_whole = matches!(state, State::Before | State::Token | State::After);
    (is_whole && !pairs.is_empty()).then_some(pairs)
}

/// The address of a node, by trying every place at which its port may start.
fn naive_node(header: ForwardedHeader, text: &str) -> Result<IpAddr, AddressError> {
    let is_obfuscated = |name: &str| {
        name.len() > 1 && name.starts_with('_') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let is_port = |port: &str| {
        let digits: String = port.chars().skip(1).filter(char::is_ascii_digit).collect();
        port.is_empty()
            || port == format!(":{digits}") && digits.len() <= 5 && digits.parse::<u32>().is_ok_and(|port| port < 65536)
            || header == Forwarded && port.starts_with(':') && is_obfuscated(&port[1..])
    };
    for (at, _) in text.char_indices().chain([(text.len(), ' ')]).filter(|&(at, _)| is_port(&text[at..])) {
        let name = &text[..at];
        if name.to_lowercase() == "unknown" || is_obfuscated(name) {
            return Err(AddressError::Hidden);
        }
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(address.into());
        }
        if let Some(inside) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'))
            && let Ok(address) = inside.parse::<Ipv6Addr>()
        {
            return Ok(IpAddr::V6(address).to_canonical());
        }
    }
    match text.parse::<Ipv6Addr>() {
        Ok(address) if header == XForwardedFor => Ok(IpAddr::V6(address).to_canonical()),
        _ => Err(AddressError::Malformed),
    }
}

/// The rules again, as plainly as can be.
fn naive(header: ForwardedHeader, lines: &[Vec<u8>], count: Option<usize>) -> Result<IpAddr, AddressError> {
    let elements = lines.iter().rev().flat_map(|line| naive_elements(header, line));
    let addresses = elements.map(|element| {
        let element = element.ok_or(AddressError::Malformed)?;
        if header == XForwardedFor {
            let text: String = element.iter().map(|&byte| char::from(byte)).collect();
            return naive_node(header, text.trim_matches([' ', '\t']));
        }
        let pairs = naive_pairs(&element).ok_or(AddressError::Malformed)?;
        let nodes: Vec<_> = pairs.iter().filter(|(name, _)| name.to_lowercase() == "for").collect();
        match nodes[..] {
            [] => Err(AddressError::Hidden),
            [(_, node)] => naive_node(header, node),
            _ => Err(AddressError::Malformed),
        }
    });
    let is_trusted = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
    };
    let mut last = Err(AddressError::Missing);
    for (at, address) in addresses.enumerate() {
        let address = address?;
        last = Ok(address);
        if count == Some(at + 1) || count.is_none() && !is_trusted(&address) {
            return last;
        }
    }
    if count.is_some() { Err(AddressError::Missing) } else { last }
}

#[test]
fn the_reading_agrees_with_a_naive_one_of_generated_headers() {
    let mut random = Seeded(33);
    let mut seen = [0; 4];
    for _ in 0..40_000 {
        let header = [Forwarded, XForwardedFor][random.below(2)];
        let lines: Vec<Vec<u8>> = (0..random.below(4))
            .map(|_| {
                let elements = (0..random.below(4)).map(|_| match random.below(8) {
                    0 => junk(&mut random),
                    1 => {
                        let trusted = random.below(2) == 0;
                        let address = address(&mut random, trusted);
                        let mut whole = element(&mut random, header, address);
                        let place = random.below(whole.len());
                        whole[place] = PIECES[random.below(PIECES.len())][0];
                        whole
                    }
                    kind => {
                        let address = address(&mut random, kind > 3);
                        element(&mut random, header, address)
                    }
                });
                elements.collect::<Vec<_>>().join(&b", "[..])
            })
            .collect();
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        for count in [None, Some(1), Some(3)] {
            let proxies = match count {
                None => TrustedProxies::by_networks(header, trusted()),
                Some(count) => TrustedProxies::by_count(header, count as u8),
            };
            let expected = naive(header, &lines, count);
            assert_eq!(client(&proxies, &lines), expected, "{header:?} {count:?} {shown:?}");
            seen[match expected {
                Ok(_) => 0,
                Err(AddressError::Hidden) => 1,
                Err(AddressError::Malformed) => 2,
                _ => 3,
            }] += 1;
        }
    }
    assert!(seen.iter().all(|&times| times > 200), "{seen:?}");
}
