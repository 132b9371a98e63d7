//! The corpus of `Set-Cookie` lines against what we write.

use std::{collections::BTreeMap, time::Duration};

use cloakroom_core::{CookieName, CookiePolicy, SameSite};
use serde_json::Value;

use crate::user_agent::{self, Place, UserAgent};

/// A reason to write or refuse otherwise than a case has it, and the cases where we do.
struct Difference {
    reason: &'static str,
    ours: Ours,
    cases: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ours {
    Refuses,
    Writes,
}
use Ours::{Refuses, Writes};

const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "an attribute that is wrong is dropped there; here it is an error, as the application asked for it",
        ours: Refuses,
        cases: &["golang/go-005", "golang/go-006", "golang/go-008"],
    },
    Difference {
        reason: "a leading dot of a domain means nothing, and is no host name",
        ours: Refuses,
        cases: &["golang/go-003", "jshttp/cookie-072", "jshttp/cookie-074"],
    },
    Difference {
        reason: "an international domain is encoded there; here it is given encoded",
        ours: Refuses,
        cases: &["pallets/werkzeug-140"],
    },
    Difference {
        reason: "times are written as Max-Age; Expires is on a removal alone, for agents that know no Max-Age",
        ours: Refuses,
        cases: &["golang/go-009", "golang/go-010", "golang/go-011", "jshttp/cookie-101"],
    },
    Difference {
        reason: "a cookie without time left or without a value is a removal, which is another function",
        ours: Refuses,
        cases: &["golang/go-024", "jshttp/cookie-100"],
    },
    Difference {
        reason: "SameSite=None without Secure is written there, and user agents drop it",
        ours: Refuses,
        cases: &["golang/go-014"],
    },
    Difference {
        reason: "Partitioned adds Secure by itself there; here what weakens the cookie must be taken back by name",
        ours: Refuses,
        cases: &["pallets/werkzeug-136"],
    },
    Difference {
        reason: "a value that no cookie can have is put in quotes there, and read back by some without them",
        ours: Refuses,
        cases: &[
            "golang/go-016",
            "golang/go-017",
            "golang/go-018",
            "golang/go-019",
            "golang/go-020",
            "golang/go-021",
            "golang/go-022",
            "golang/go-023",
        ],
    },
    Difference {
        reason: "bytes that a value or path cannot have are deleted there; here they are an error",
        ours: Refuses,
        cases: &["golang/go-030", "golang/go-031", "golang/go-032", "golang/go-033", "golang/go-035"],
    },
    Difference {
        reason: "a name is a token (RFC 6265bis, section 4.1.1), and nothing that some agents take beside that",
        ours: Refuses,
        cases: &[
            "jshttp/cookie-051",
            "jshttp/cookie-052",
            "jshttp/cookie-053",
            "jshttp/cookie-054",
            "jshttp/cookie-055",
            "jshttp/cookie-056",
            "jshttp/cookie-057",
            "jshttp/cookie-058",
            "jshttp/cookie-059",
            "jshttp/cookie-060",
            "jshttp/cookie-061",
            "jshttp/cookie-062",
            "jshttp/cookie-063",
        ],
    },
    Difference {
        reason: "a path without a slash in front is replaced by user agents (section 5.6.4)",
        ours: Refuses,
        cases: &["jshttp/cookie-089", "jshttp/cookie-090"],
    },
    Difference {
        reason: "no request has a path with such characters, unless encoded (RFC 3986): the cookie would never come back",
        ours: Refuses,
        cases: &["golang/go-034", "jshttp/cookie-086", "jshttp/cookie-087"],
    },
    Difference {
        reason: "__Host- without a path is dropped by user agents; ours always says Path=/",
        ours: Writes,
        cases: &["httpwg/http-extensions-112", "httpwg/http-extensions-116", "httpwg/http-extensions-120"],
    },
    Difference {
        reason: "the limit counts the attributes there; user agents count name and value",
        ours: Writes,
        cases: &["pallets/werkzeug-139"],
    },
];

pub(crate) fn we_write_what_is_expected_or_refuse(records: &[Value]) {
    let mut differing = BTreeMap::new();
    for record in records {
        let id = record["id"].as_str().unwrap();
        let (ours, expected) = (write(&record["input"]), &record["expected"]);
        if !agrees(&ours, expected) {
            let what = if ours.is_ok() { Writes } else { Refuses };
            differing.insert(id.to_owned(), what);
            if !is_told(id, what) {
                println!("{id}: {what:?} {}, expected {expected}", show(&ours));
            }
        }
    }
    let mut told = BTreeMap::new();
    for Difference { reason, ours, cases } in DIFFERENCES {
        for case in *cases {
            assert_eq!(told.insert((*case).to_owned(), *ours), None, "{case} is there twice: {reason}");
        }
    }
    assert_eq!(differing, told, "left: what differs; right: what the table says");
    println!("corpora: {} Set-Cookie records, {} deliberate differences", records.len(), differing.len());
}

fn is_told(id: &str, what: Ours) -> bool {
    DIFFERENCES.iter().any(|difference| difference.ours == what && difference.cases.contains(&id))
}

fn agrees(ours: &Result<SetCookie, String>, expected: &Value) -> bool {
    let is_refused = ["error", "ua"].iter().any(|field| expected.get(field).is_some());
    match (ours, expected.as_str()) {
        (Err(_), _) => is_refused,
        (Ok(_), Some(verdict)) if verdict.starts_with("accepted") => true,
        (Ok(ours), Some(line)) => *ours == with_defaults(&SetCookie::parse(line)),
        (Ok(ours), None) => match (expected["sanitized_path"].as_str(), expected["length"].as_u64()) {
            (Some(path), _) => ours.attributes.get("path").is_some_and(|ours| ours == path),
            // Of the whole line as it is written there.
            (None, Some(len)) => u64::try_from(ours.name.len() + "=; Path=/".len() + ours.value.len()) == Ok(len),
            (None, None) => false,
        },
    }
}

fn show(ours: &Result<SetCookie, String>) -> String {
    match ours {
        Ok(cookie) => {
            let value: String = cookie.value.chars().take(40).collect();
            format!("{}={value}; {}", cookie.name, cookie.attributes().join("; "))
        }
        Err(error) => error.clone(),
    }
}

/// Writes a case's cookie by our builder; the error says what cannot be had.
fn write(input: &Value) -> Result<SetCookie, String> {
    let text = |field: &str| input[field].as_str();
    let is_set = |field: &str| input[field].as_bool().unwrap_or(false);
    let name = CookieName::new(text("name").unwrap()).map_err(|error| error.to_string())?;
    let mut policy = CookiePolicy::named(name);
    if let Some(domain) = text("domain") {
        policy = policy.dangerous_domain(domain);
    }
    if let Some(path) = text("path") {
        policy = policy.path(path);
    }
    if !is_set("secure") {
        policy = policy.dangerous_insecure();
    }
    if !is_set("http_only") {
        policy = policy.dangerous_script_readable();
    }
    if is_set("partitioned") {
        policy = policy.partitioned();
    }
    policy = match text("same_site").or_else(|| text("samesite")) {
        None | Some("Lax") => policy,
        Some("None") => policy.same_site(SameSite::None),
        Some("Strict") => policy.same_site(SameSite::Strict),
        Some(other) => return Err(format!("no SameSite: {other}")),
    };
    if ["expires", "expires_unix"].iter().any(|field| input.get(field).is_some()) {
        return Err("only a removal has Expires".to_owned());
    }
    let max_age = match input.get("max_age") {
        None | Some(Value::Null) => None,
        Some(seconds) => {
            let seconds = seconds.as_u64().filter(|&seconds| seconds > 0);
            Some(Duration::from_secs(seconds.ok_or("only a removal has no time left")?))
        }
    };
    let line = policy.check().and_then(|()| policy.set(text("value").unwrap(), max_age));
    line.map(|line| SetCookie::parse(&line).kept(&line)).map_err(|error| error.to_string())
}

/// We always say a path and a `SameSite`, so that no cookie depends on the page that it comes with.
fn with_defaults(cookie: &SetCookie) -> SetCookie {
    let mut cookie = cookie.clone();
    for (name, value) in [("path", "/"), ("samesite", "Lax")] {
        cookie.attributes.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    cookie
}

/// A line taken apart as user agents do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// By their names in lower case.
    attributes: BTreeMap<String, String>,
}

impl SetCookie {
    /// Panics on a line that user agents ignore, and on one with an attribute twice, which no writer may write.
    pub(crate) fn parse(line: &str) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let parsed = user_agent::parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why:?}: {line}"));
        let mut attributes = BTreeMap::new();
        for (name, value) in parsed.attributes {
            assert_eq!(attributes.insert(name, text(value)), None, "an attribute twice: {line}");
        }
        Self { name: text(parsed.name), value: text(parsed.value), attributes }
    }

    /// Checks that a user agent keeps the line that it is of, and all that it says.
    pub(crate) fn kept(self, line: &str) -> Self {
        let host = self.attributes.get("domain").map_or("a.example", String::as_str);
        let place = Place { host, path: "/", secure: true, now: 1_800_000_000 };
        let kept = UserAgent::default().receive(line.as_bytes(), place);
        let kept = kept.unwrap_or_else(|why| panic!("{why:?}: {line}")).unwrap_or_else(|| panic!("expired: {line}"));
        assert_eq!((kept.name.as_slice(), kept.value.as_slice()), (self.name.as_bytes(), self.value.as_bytes()));
        assert_eq!(Some(&kept.path), self.attributes.get("path"), "{line}");
        assert_eq!(kept.host_only, !self.attributes.contains_key("domain"), "{line}");
        let seconds = self.attributes.get("max-age").map(|seconds| seconds.parse().unwrap());
        assert_eq!(kept.expires.map(|at| at - place.now), seconds, "{line}");
        for (is_set, name) in [(kept.secure, "secure"), (kept.http_only, "httponly"), (kept.partitioned, "partitioned")]
        {
            assert_eq!(is_set, self.attributes.contains_key(name), "{line}");
        }
        self
    }

    /// Takes an attribute away.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.attributes.remove(name)
    }

    /// Returns the attributes as text, ordered by name.
    pub(crate) fn attributes(&self) -> Vec<String> {
        let text = |(name, value): (&String, &String)| match value.as_str() {
            "" => name.clone(),
            value => format!("{name}={value}"),
        };
        self.attributes.iter().map(text).collect()
    }
}
