//! Merging the session's headers into a response.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, Entry, SET_COOKIE, VARY},
};

/// Directives beside which `no-store` could be overlooked or is void (RFC 9111, section 5.2.2).
const PERMISSIVE: [&str; 7] =
    ["immutable", "max-age", "must-understand", "public", "s-maxage", "stale-if-error", "stale-while-revalidate"];

/// Merges one header of the session's.
pub(crate) fn merge(headers: &mut HeaderMap, name: &str, value: &str) {
    // This one goes with every response of a session that was used: no copy of it.
    let value = if value == "Cookie" { Ok(HeaderValue::from_static("Cookie")) } else { HeaderValue::from_str(value) };
    // The engine writes visible ASCII only, so that this does not fail.
    let Ok(mut value) = value else { return };
    match name {
        "set-cookie" => {
            value.set_sensitive(true);
            // Never two of one name (RFC 6265bis, section 4.1.1): ours is the one that counts.
            let ours = name_of(&value).to_vec();
            let others: Vec<_> =
                headers.get_all(SET_COOKIE).iter().filter(|line| name_of(line) != ours).cloned().collect();
            headers.insert(SET_COOKIE, value);
            others.into_iter().for_each(|line| {
                headers.append(SET_COOKIE, line);
            });
        }
        "vary" => {
            merge_list(headers, VARY, value, |member| member == "*" || member.eq_ignore_ascii_case("cookie"), |_| true);
        }
        "cache-control" => {
            let keeps = |member: &str| {
                let directive = member.split('=').next().unwrap_or_default().trim_end();
                !PERMISSIVE.iter().any(|permissive| directive.eq_ignore_ascii_case(permissive))
            };
            merge_list(headers, CACHE_CONTROL, value, |_| false, keeps);
        }
        _ => {}
    }
}

/// The name of the cookie that a line sets.
fn name_of(line: &HeaderValue) -> &[u8] {
    line.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// Copies what a refused response said of cookies and caching to the response in its place.
pub(crate) fn carry_over(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [CACHE_CONTROL, SET_COOKIE, VARY] {
        for value in from.get_all(&name) {
            to.append(&name, value.clone());
        }
    }
}

/// Adds a member to a list header, in one line, unless a member says it already; drops the members that are not kept.
fn merge_list(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
    says_it: impl Fn(&str) -> bool,
    keeps: impl Fn(&str) -> bool,
) {
    let mut entry = match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
            return;
        }
        Entry::Occupied(occupied) => occupied,
    };
    let lines: Vec<String> = entry.iter().map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect();
    let members: Vec<&str> =
        lines.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty()).collect();
    if members.iter().any(|member| says_it(member)) {
        return;
    }
    let added = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let kept = members.into_iter().filter(|member| keeps(member) && !member.eq_ignore_ascii_case(&added));
    let merged = kept.chain([added.as_str()]).collect::<Vec<_>>().join(", ");
    // A handler's line that was no ASCII gives way to ours.
    entry.insert(HeaderValue::from_str(&merged).unwrap_or(value));
}
