//! Writing cookies: what browsers would drop or change is an error, and the removal fits what was set.

use std::time::Duration;

use cloakroom_core::{
    ConfigError, CookieChange, CookieError, CookieName, CookiePolicy, Engine, Loaded, SameSite, limits,
};

use crate::common::{DAY, SetCookie, World, add, ring};

fn named(name: &str) -> CookiePolicy {
    CookiePolicy::named(CookieName::new(name).unwrap())
}

#[test]
fn the_default_line_is_exactly_this() {
    let policy = CookiePolicy::default();
    assert_eq!(policy.set("v", None).unwrap(), "__Host-id=v; HttpOnly; SameSite=Lax; Secure; Path=/");
    let mut w = World::new();
    let done = w.request("", add(1));
    let CookieChange::Set(line) = done.cookie() else { panic!("no ticket") };
    let rest = line.strip_prefix("__Host-id=").unwrap();
    assert_eq!(&rest[44..], "; HttpOnly; SameSite=Lax; Secure; Path=/");
}

#[test]
fn persistent_cookies_have_a_max_age_in_whole_seconds() {
    let policy = CookiePolicy::default();
    let max_age = |age| SetCookie::parse(&policy.set("v", Some(age)).unwrap()).attribute("max-age").unwrap().to_owned();
    assert_eq!(max_age(DAY), "86400");
    assert_eq!(max_age(Duration::from_millis(1999)), "1");
    assert_ne!(max_age(Duration::from_millis(1)), "0", "that would remove the cookie");
    assert_eq!(max_age(400 * DAY), "34560000");
    assert_eq!(policy.set("v", Some(400 * DAY + Duration::from_secs(1))), Err(CookieError::MaxAge));
    assert_eq!(policy.set("v", Some(Duration::MAX)), Err(CookieError::MaxAge));
}

#[test]
fn prefixes_hold_their_promises_in_any_case_of_letters() {
    for host in ["__Host-x", "__host-x", "__HOST-X", "__hOsT-"] {
        assert_eq!(named(host).check(), Ok(()), "{host}");
        assert_eq!(named(host).dangerous_insecure().check(), Err(CookieError::PrefixNeedsSecure), "{host}");
        assert_eq!(named(host).dangerous_domain("example.org").check(), Err(CookieError::HostPrefix), "{host}");
        assert_eq!(named(host).path("/app").check(), Err(CookieError::HostPrefix), "{host}");
    }
    for secure in ["__Secure-x", "__secure-x", "__SECURE-X"] {
        assert_eq!(named(secure).dangerous_domain("example.org").path("/app").check(), Ok(()), "{secure}");
        assert_eq!(named(secure).dangerous_insecure().check(), Err(CookieError::PrefixNeedsSecure), "{secure}");
    }
    for plain in ["id", "_Host-x", "__Hostx", "x__Host-x", "__Secure"] {
        let policy = named(plain).dangerous_insecure().dangerous_domain("example.org").path("/app");
        assert_eq!(policy.check(), Ok(()), "{plain}");
    }
}

#[test]
fn same_site_none_and_partitioned_need_secure() {
    let policy = named("id").same_site(SameSite::None);
    assert!(policy.set("v", None).unwrap().contains("; SameSite=None; Secure"));
    assert_eq!(policy.dangerous_insecure().check(), Err(CookieError::SameSiteNoneNeedsSecure));
    let policy = named("id").partitioned();
    assert!(policy.set("v", None).unwrap().split("; ").any(|part| part == "Partitioned"));
    assert_eq!(policy.dangerous_insecure().check(), Err(CookieError::PartitionedNeedsSecure));
    assert_eq!(CookiePolicy::default().partitioned().check(), Ok(()));
    assert!(named("id").same_site(SameSite::Strict).set("v", None).unwrap().contains("SameSite=Strict"));
}

#[test]
fn the_engine_refuses_what_browsers_would_drop() {
    for (policy, error) in [
        (CookiePolicy::default().dangerous_insecure(), CookieError::PrefixNeedsSecure),
        (CookiePolicy::default().path("/app"), CookieError::HostPrefix),
        (CookiePolicy::default().path("no slash"), CookieError::HostPrefix),
        (named("id").path("no slash"), CookieError::InvalidPath),
        (named("id").dangerous_domain("a b"), CookieError::InvalidDomain),
    ] {
        assert_eq!(Engine::builder(ring()).cookie(policy).build().unwrap_err(), ConfigError::Cookie(error));
    }
}

#[test]
fn paths_and_domains_inject_nothing() {
    let long = format!("/{}", "x".repeat(limits::MAX_COOKIE_ATTRIBUTE));
    for path in
        ["", "app", "/a;b", "/a; Domain=evil.example", "/a\r\nSet-Cookie: x=y", "/\0", "/\x7f", "/é", "/a ", &long]
    {
        assert_eq!(named("id").path(path).check(), Err(CookieError::InvalidPath), "{path:?}");
    }
    for path in ["/", "/app", "/a/b/", "/a=b,c", "/%7Ea/-._~!$&'()*+:@", &long[..limits::MAX_COOKIE_ATTRIBUTE]] {
        let policy = named("id").path(path);
        assert_eq!(policy.check(), Ok(()), "{path:?}");
        assert_eq!(SetCookie::parse(&policy.set("v", None).unwrap()).attribute("path"), Some(path));
    }
    let label = "x".repeat(64);
    for domain in [
        "",
        ".",
        ".example.org",
        "example..org",
        "a;b",
        "a; Path=/",
        "a\r\nb",
        "a b",
        "a,b",
        "é.org",
        "-a.org",
        "a-.org",
        "a\0",
        "a.",
        &label,
        "http://a.org",
        "a.org:80",
        "a.org/",
        "*.a.org",
    ] {
        assert_eq!(named("id").dangerous_domain(domain).check(), Err(CookieError::InvalidDomain), "{domain:?}");
    }
    for domain in ["example.org", "a.b.c", "xn--e1afmkfd.org", "localhost", &label[1..]] {
        let policy = named("id").dangerous_domain(domain);
        assert_eq!(policy.check(), Ok(()), "{domain:?}");
        assert_eq!(SetCookie::parse(&policy.set("v", None).unwrap()).attribute("domain"), Some(domain));
    }
}

#[test]
fn a_path_that_no_request_has_is_refused() {
    for path in ["/a?b", "/a#b", "/a b", "/a\"b", "/<a>", "/a\\b", "/a^b", "/a`b", "/{a}", "/a|b", "/[a]"] {
        assert_eq!(named("id").path(path).check(), Err(CookieError::InvalidPath), "{path:?}");
    }
}

#[test]
fn no_line_is_written_for_a_policy_that_browsers_would_drop() {
    for (policy, error) in [
        (CookiePolicy::default().dangerous_insecure(), CookieError::PrefixNeedsSecure),
        (CookiePolicy::default().dangerous_domain("example.org"), CookieError::HostPrefix),
        (named("id").path("/; Domain=evil.example"), CookieError::InvalidPath),
        (named("id").dangerous_domain("a; Path=/"), CookieError::InvalidDomain),
    ] {
        assert_eq!(policy.set("v", None), Err(error));
        assert_eq!(policy.removal(), Err(error));
    }
}

#[test]
fn names_and_values_inject_nothing() {
    for name in ["", " ", "a b", "a=b", "a;b", "a,b", "a\tb", "\"a\"", "a\r\nb", "a\0", "é", "a/b", "(a)", "a@b", "[a]"]
    {
        assert!(CookieName::new(name).is_err(), "{name:?}");
    }
    for name in ["a", "__Host-a", "!#$%&'*+-.^_`|~09azAZ"] {
        assert_eq!(CookieName::new(name).unwrap().as_str(), name);
    }
    let policy = CookiePolicy::default();
    for value in ["", "a b", "a;b", "a,b", "a\"b", "a\\b", "\"a\"", "a\r\nb", "a\0", "a\x7f", "é", "a\t"] {
        assert_eq!(policy.set(value, None), Err(CookieError::InvalidValue), "{value:?}");
    }
    let octets: String = (0x21..0x7f).map(char::from).filter(|c| !"\",;\\".contains(*c)).collect();
    assert_eq!(SetCookie::parse(&policy.set(&octets, None).unwrap()).value, octets);
}

#[test]
fn name_and_value_have_4096_bytes_at_most() {
    let policy = CookiePolicy::default();
    let fits = 4096 - "__Host-id".len();
    assert!(policy.set(&"x".repeat(fits), None).is_ok());
    assert_eq!(policy.set(&"x".repeat(fits + 1), None), Err(CookieError::TooLarge { len: 4097 }));
    assert!(CookieName::new("x".repeat(4097)).is_err());
}

/// Every policy of these attributes that browsers keep.
fn policies() -> Vec<CookiePolicy> {
    let mut policies = Vec::new();
    for name in ["id", "__Secure-id", "__Host-id"] {
        for bits in 0..32 {
            for same_site in [SameSite::Lax, SameSite::None, SameSite::Strict] {
                let mut policy = named(name).same_site(same_site);
                policy = if bits & 1 == 0 { policy } else { policy.dangerous_insecure() };
                policy = if bits & 2 == 0 { policy } else { policy.dangerous_script_readable() };
                policy = if bits & 4 == 0 { policy } else { policy.partitioned() };
                policy = if bits & 8 == 0 { policy } else { policy.path("/app") };
                policy = if bits & 16 == 0 { policy } else { policy.dangerous_domain("example.org") };
                if policy.check().is_ok() {
                    policies.push(policy);
                }
            }
        }
    }
    policies
}

#[test]
fn a_line_reads_back_as_it_was_meant_and_no_attribute_stands_twice() {
    let policies = policies();
    assert!(policies.len() > 50);
    for policy in policies {
        for age in [None, Some(DAY)] {
            let line = policy.set("value", age).unwrap();
            let cookie = SetCookie::parse(&line);
            assert_eq!((cookie.name.as_str(), cookie.value.as_str()), (policy.name().as_str(), "value"));
            assert_eq!(cookie.attribute("max-age").is_some(), age.is_some());
            assert_eq!(cookie.attribute("expires"), None);
            let mut names: Vec<_> = cookie.attributes.iter().map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), cookie.attributes.len(), "{line}");
        }
    }
}

#[test]
fn the_removal_has_the_attributes_of_what_it_removes() {
    for policy in policies() {
        let set = SetCookie::parse(&policy.set("value", Some(DAY)).unwrap());
        let removal = SetCookie::parse(&policy.removal().unwrap());
        let lasting = |cookie: &SetCookie| -> Vec<(String, String)> {
            let is_lasting = |name: &str| name != "max-age" && name != "expires";
            cookie.attributes.iter().filter(|(name, _)| is_lasting(name)).cloned().collect()
        };
        assert_eq!(lasting(&removal), lasting(&set));
        assert_eq!((removal.name.as_str(), removal.value.as_str()), (policy.name().as_str(), ""));
        assert_eq!(removal.attribute("max-age"), Some("0"));
        assert!(removal.attribute("expires").is_none_or(|date| date == "Thu, 01 Jan 1970 00:00:00 GMT"));
    }
}

#[test]
fn the_engine_removes_with_the_attributes_that_it_sets() {
    for policy in policies() {
        let mut w = World::with(|builder| builder.cookie(policy));
        let set = w.request("", add(1));
        let CookieChange::Set(set) = set.cookie() else { panic!("no ticket") };
        let removal = w.request(set.split(';').next().unwrap(), Loaded::destroy);
        let CookieChange::Clear(removal) = removal.cookie() else { panic!("no removal") };
        let (set, removal) = (SetCookie::parse(set), SetCookie::parse(removal));
        assert!(set.attributes.iter().all(|attribute| removal.attributes.contains(attribute)));
        assert_eq!(set.name, removal.name);
    }
}

#[test]
fn a_cookie_under_another_name_is_another_session() {
    let mut w = World::with(|builder| builder.cookie(named("sid")));
    let done = w.request("__Host-id=x", add(1));
    let CookieChange::Set(line) = done.cookie() else { panic!("no ticket") };
    assert!(line.starts_with("sid="));
    assert_eq!(done.events().iter().map(cloakroom_core::Event::name).collect::<Vec<_>>(), ["created"]);
}

#[test]
fn a_cookie_that_scripts_may_read_says_so_and_has_no_name_that_forbids_it() {
    let line = named("id").dangerous_script_readable().set("v", None).unwrap();
    assert_eq!(line, "id=v; SameSite=Lax; Secure; Path=/");
    for name in ["__Http-id", "__Host-Http-id", "__http-id"] {
        assert!(named(name).set("v", None).is_ok());
        let readable = named(name).dangerous_script_readable();
        assert_eq!(readable.check(), Err(CookieError::HttpPrefix), "{name}");
        assert_eq!(readable.set("v", None), Err(CookieError::HttpPrefix), "{name}");
    }
}
