use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cloakroom_core::{
    AddressError::{self, Hidden, Malformed, Missing, TooLong},
    ForwardedHeader::{self, Forwarded, XForwardedFor},
    TrustedProxies,
    limits::{MAX_FORWARDED_BYTES, MAX_FORWARDED_ELEMENTS, MAX_FORWARDED_NODE},
};

/// The client's address is what a naive reading finds, and nothing to the left of what our proxies wrote changes it.
///
/// The first byte has the header and how many proxies are counted; the second repeats the rest as in `cookie_header`. A
/// line feed parts the lines.
pub fn forwarded(data: &[u8]) {
    let [choice, times, rest @ ..] = data else { return };
    let header = if choice & 1 == 0 { Forwarded } else { XForwardedFor };
    let count = choice >> 1 & 3;
    let times = usize::from(times.saturating_sub(191)).max(1);
    let lines = rest.split(|&byte| byte == b'\n').collect::<Vec<_>>().repeat(times);
    let lines: Vec<Vec<u8>> = lines.into_iter().map(<[u8]>::to_vec).collect();
    let (read, expected) = (client(header, count, &lines), naive(header, usize::from(count), &lines));
    // Where a line that is cut has no element, it may be seen to be malformed before it is seen to be cut.
    let is_either = header == Forwarded && (read, expected) == (Err(Malformed), Err(TooLong));
    assert!(read == expected || is_either, "{read:?}, not {expected:?}");
    nothing_to_the_left_counts(header, &lines);
}

fn client(header: ForwardedHeader, count: u8, lines: &[Vec<u8>]) -> Result<IpAddr, AddressError> {
    let proxies = match count {
        0 => {
            let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
            TrustedProxies::by_networks(header, networks)
        }
        _ => TrustedProxies::by_count(header, count),
    };
    proxies.client(Some([10, 0, 0, 1].into()), |_| lines.iter().map(Vec::as_slice))
}

/// What our proxies append to the line, or as lines of their own, is all that counts.
fn nothing_to_the_left_counts(header: ForwardedHeader, lines: &[Vec<u8>]) {
    let ours: &[[&[u8]; 2]] = match header {
        Forwarded => &[
            [b"for=203.0.113.7", b"for=10.0.0.2;by=_x"],
            [b"ext=\"\\\\\";FOR=\"203.0.113.7:80\"", b"for=\"[fd00::1]:80\";ext=\"\\\",\""],
        ],
        _ => &[[b"203.0.113.7", b"10.0.0.2:80"], [b"[::ffff:203.0.113.7]:80", b"fd00::1"]],
    };
    for [left, right] in ours {
        for joins in 0..4 {
            let mut lines = lines.to_vec();
            for (place, element) in [left, right].into_iter().enumerate() {
                match lines.last_mut().filter(|_| joins >> place & 1 == 1) {
                    Some(line) => line.extend([b", ", *element].concat()),
                    None => lines.push(element.to_vec()),
                }
            }
            for count in [0, 2] {
                let found = client(header, count, &lines);
                assert_eq!(found, Ok([203, 0, 113, 7].into()), "what stands to the left changed the answer");
            }
        }
    }
}

/// Reads each line as Latin-1 text from its end, where an element is the shortest end that is well-formed.
fn naive(header: ForwardedHeader, count: usize, lines: &[Vec<u8>]) -> Result<IpAddr, AddressError> {
    let (mut bytes, mut elements, mut last) = (MAX_FORWARDED_BYTES, 0, Err(Missing));
    for line in lines.iter().rev() {
        let text: Vec<char> = line.iter().map(|&byte| char::from(byte)).collect();
        let mut end = Some(text.len());
        while let Some(stop) = end {
            elements += 1;
            let starts = || (1..=stop).rev().filter(|&start| text[start - 1] == ',').chain([0]);
            let is_whole = |start: &usize| {
                header == XForwardedFor || pairs(&text[*start..stop].iter().collect::<String>()).is_some()
            };
            // No more is looked at than may be read, but for the comma.
            let start = starts().take_while(|start| stop - start < bytes + 1).find(is_whole);
            if elements > MAX_FORWARDED_ELEMENTS || start.is_none_or(|start| stop - start + start.min(1) > bytes) {
                let is_cut = stop > bytes || elements > MAX_FORWARDED_ELEMENTS;
                return Err(if is_cut { TooLong } else { Malformed });
            }
            let start = start.ok_or(Malformed)?;
            let address = address(header, &text[start..stop].iter().collect::<String>())?;
            (bytes, end) = (bytes - (stop - start + start.min(1)), start.checked_sub(1));
            last = Ok(address);
            let is_trusted = match address {
                IpAddr::V4(v4) => v4.octets()[0] == 10,
                IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
            };
            if if count == 0 { !is_trusted } else { count == elements } {
                return last;
            }
        }
    }
    if count == 0 { last } else { Err(Missing) }
}

fn address(header: ForwardedHeader, element: &str) -> Result<IpAddr, AddressError> {
    let blank = [' ', '\t'];
    if header == XForwardedFor {
        let text = element.trim_matches(blank);
        return text.parse().map(|v6: Ipv6Addr| IpAddr::from(v6).to_canonical()).or_else(|_| node(text, false));
    }
    let pairs = pairs(element).filter(|pairs| !pairs.is_empty()).ok_or(Malformed)?;
    let nodes: Vec<_> = pairs.iter().filter(|(name, _)| name.to_lowercase() == "for").collect();
    match nodes[..] {
        [] => Err(Hidden),
        [(_, value)] if value.len() <= MAX_FORWARDED_NODE => node(value, true),
        _ => Err(Malformed),
    }
}

/// The pairs of an element of `Forwarded`, with their values unescaped.
fn pairs(element: &str) -> Option<Vec<(String, String)>> {
    let is_token = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    let (mut pairs, mut rest) = (Vec::new(), element);
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(';') {
            let (name, after) = rest.split_once('=').filter(|(name, _)| is_token(name))?;
            let mut value = String::new();
            if let Some(inside) = after.strip_prefix('"') {
                let mut chars = inside.chars();
                loop {
                    let char = match chars.next()? {
                        '"' => break,
                        '\\' => chars.next()?,
                        char => char,
                    };
                    value.push(Some(char).filter(|c| c.is_ascii_graphic() || [' ', '\t'].contains(c))?);
                }
                rest = chars.as_str();
            } else {
                let end = after.find([' ', '\t', ';']).unwrap_or(after.len());
                value = Some(after[..end].to_owned()).filter(|token| is_token(token))?;
                rest = &after[end..];
            }
            pairs.push((name.to_owned(), value));
            rest = rest.trim_start_matches([' ', '\t']);
        }
        match rest.strip_prefix(';') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(pairs),
        }
    }
}

/// A node, by trying every place at which its port may start.
fn node(text: &str, has_names: bool) -> Result<IpAddr, AddressError> {
    let is_name = |text: &str| {
        text.len() > 1 && text.starts_with('_') && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let is_port = |text: &str| {
        let digits = text.strip_prefix(':').unwrap_or("x");
        let is_number =
            digits.chars().all(|c| c.is_ascii_digit()) && digits.len() <= 5 && digits.parse::<u16>().is_ok();
        text.is_empty() || is_number || has_names && is_name(digits)
    };
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for name in places.filter(|&at| is_port(&text[at..])).map(|at| &text[..at]) {
        if name.eq_ignore_ascii_case("unknown") || is_name(name) {
            return Err(Hidden);
        }
        let inside = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let v6 = inside.and_then(|inside| inside.parse::<Ipv6Addr>().ok()).map(IpAddr::from);
        if let Some(address) = name.parse::<Ipv4Addr>().ok().map(IpAddr::from).or(v6) {
            return Ok(address.to_canonical());
        }
    }
    Err(Malformed)
}
