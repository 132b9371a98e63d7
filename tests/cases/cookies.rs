//! What we read of a `Cookie` header: one case for each thing that one may hold.
//!
//! The field's grammar is that of RFC 6265bis, section 4.2.1; what arrives is whatever user agents serialise by its
//! section 5.8.3, and whatever else a client sends. Ours is the reading of `scan`: split on `;` alone, trim spaces and
//! tabs, the first `=` splits, everything else is a byte like any other.

/// A header and what we read of it.
pub(crate) struct Case {
    /// What it is about.
    pub(crate) about: &'static str,
    /// The lines, in order.
    pub(crate) lines: &'static [&'static [u8]],
    /// What we look for and what we find, in order.
    pub(crate) reads: &'static [(&'static str, &'static [&'static [u8]])],
}

macro_rules! cases {
    ($($about:literal: [$($line:literal),*] => { $($name:literal: [$($value:literal),*]),+ $(,)? }),+ $(,)?) => {
        &[$(Case { about: $about, lines: &[$($line),*], reads: &[$(($name, &[$($value),*])),+] }),+]
    };
}

/// What is between the bounds.
pub(crate) const CASES: &[Case] = cases![
    // The grammar's own forms.
    "one pair": [b"id=abc"] => { "id": [b"abc"] },
    "several pairs": [b"a=1; id=2; b=3"] => { "a": [b"1"], "b": [b"3"], "id": [b"2"] },
    "every character of a name": [b"!#$%&'*+-.^_`|~09azAZ=x"] => { "!#$%&'*+-.^_`|~09azAZ": [b"x"] },
    "every character of a value": [b"id=!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"]
        => { "id": [b"!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"] },
    "a value in quotes": [b"id=\"abc\""] => { "id": [b"\"abc\""] },
    "an empty value": [b"id="] => { "id": [b""] },
    "an empty value between others": [b"a=1; id=; b=2"] => { "a": [b"1"], "b": [b"2"], "id": [b""] },
    "a name of one character": [b"i=d"] => { "i": [b"d"], "d": [], "id": [] },
    "a token of ours": [b"__Host-id=AQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgIC"]
        => { "__Host-id": [b"AQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgIC"] },

    // What is not there.
    "an empty header": [b""] => { "id": [] },
    "no header at all": [] => { "id": [] },
    "blanks alone": [b" \t "] => { "id": [] },
    "semicolons alone": [b";;;;"] => { "id": [] },
    "semicolons and blanks": [b" ; ;\t; "] => { "id": [] },

    // Separators.
    "no space after the semicolon": [b"a=1;id=2;b=3"] => { "a": [b"1"], "b": [b"3"], "id": [b"2"] },
    "many spaces after the semicolon": [b"a=1;      id=2"] => { "a": [b"1"], "id": [b"2"] },
    "a tab after the semicolon": [b"a=1;\tid=2"] => { "a": [b"1"], "id": [b"2"] },
    "spaces before the semicolon": [b"a=1   ; id=2"] => { "a": [b"1"], "id": [b"2"] },
    "a semicolon first": [b"; id=1"] => { "id": [b"1"] },
    "a semicolon last": [b"id=1;"] => { "id": [b"1"] },
    "empty pairs between": [b"a=1;;; ;id=2;;"] => { "a": [b"1"], "id": [b"2"] },
    "a comma does not separate": [b"a=1, id=2"] => { "a": [b"1, id=2"], "id": [] },
    "a comma without a space neither": [b"a=1,id=2"] => { "a": [b"1,id=2"], "id": [] },
    "a comma in front of the name": [b"a=1; ,id=2"] => { "a": [b"1"], "id": [] },
    "an ampersand does not separate": [b"a=1&id=2"] => { "a": [b"1&id=2"], "id": [] },
    "a space does not separate": [b"a=1 id=2"] => { "a": [b"1 id=2"], "id": [] },
    "a tab does not separate": [b"a=1\tid=2"] => { "a": [b"1\tid=2"], "id": [] },
    "a line end does not separate": [b"a=1\r\nid=2"] => { "a": [b"1\r\nid=2"], "id": [] },
    "a line feed alone neither": [b"a=1\nid=2"] => { "a": [b"1\nid=2"], "id": [] },
    "a full-width semicolon does not separate": [b"a=1\xef\xbc\x9bid=2"] => { "a": [b"1\xef\xbc\x9bid=2"], "id": [] },
    "a Greek question mark does not separate": [b"a=1\xcd\xbeid=2"] => { "a": [b"1\xcd\xbeid=2"], "id": [] },

    // Blanks around and within.
    "blanks around the pair": [b"  id=x  "] => { "id": [b"x"] },
    "blanks around the equals sign": [b"id \t = \t x"] => { "id": [b"x"] },
    "blanks within the value": [b"id=x y\tz"] => { "id": [b"x y\tz"] },
    "blanks within quotes": [b"id=\" x \""] => { "id": [b"\" x \""] },
    "a value of blanks": [b"id=   "] => { "id": [b""] },
    "a blank within the name": [b"i d=x; id=y"] => { "id": [b"y"] },
    "a no-break space is no blank": [b"\xa0id=x; id=\xa0y"] => { "id": [b"\xa0y"] },
    "an en space is no blank": [b"\xe2\x80\x82id=x; id=\xe2\x80\x82y"] => { "id": [b"\xe2\x80\x82y"] },
    "a byte order mark is no blank": [b"\xef\xbb\xbfid=x"] => { "id": [] },

    // Equals signs and names that are missing.
    "equals signs within the value": [b"id=a=b=c"] => { "id": [b"a=b=c"] },
    "equals signs at the end, as of base64": [b"id=YQ=="] => { "id": [b"YQ=="] },
    "a second equals sign at once": [b"id==x"] => { "id": [b"=x"] },
    "an equals sign alone": [b"="] => { "id": [] },
    "equals signs alone": [b"===; =; =="] => { "id": [] },
    "a pair without an equals sign": [b"id"] => { "id": [] },
    "one without among others": [b"a=1; id; b=2"] => { "a": [b"1"], "b": [b"2"], "id": [] },
    "a value without a name": [b"=id"] => { "id": [] },
    "a value without a name that looks like a pair": [b"=id=x"] => { "id": [] },
    "the same with a blank for a name": [b" =id=x; \t=id=y"] => { "id": [] },
    "two equals signs before the name": [b"==id=x"] => { "id": [] },
    "a nameless value with our prefix": [b"=__Host-id=x; __Host-id"] => { "__Host-id": [] },

    // Quotes.
    "a quote that does not end": [b"id=\"x; a=1"] => { "a": [b"1"], "id": [b"\"x"] },
    "a quote within": [b"id=x\"y"] => { "id": [b"x\"y"] },
    "quotes do not hold a semicolon": [b"a=\"1; id=x; b=2\""] => { "a": [b"\"1"], "b": [b"2\""], "id": [b"x"] },
    "quotes around an equals sign": [b"id=\"a=b\""] => { "id": [b"\"a=b\""] },
    "quotes around a pair": [b"\"id=x\"; id=y"] => { "id": [b"y"] },
    "quotes around the name": [b"\"id\"=x"] => { "id": [] },
    "single quotes": [b"id='x'; 'id'=y"] => { "id": [b"'x'"], "'id'": [b"y"] },
    "empty quotes": [b"id=\"\""] => { "id": [b"\"\""] },
    "two quoted strings": [b"id=\"x\" \"y\""] => { "id": [b"\"x\" \"y\""] },
    "an escaped quote": [b"id=\"a\\\"b\"; c=1"] => { "c": [b"1"], "id": [b"\"a\\\"b\""] },
    "octal escapes": [b"id=\"\\073\\075\""] => { "id": [b"\"\\073\\075\""] },
    "a backslash before the semicolon": [b"a=1\\; id=x"] => { "a": [b"1\\"], "id": [b"x"] },

    // Nothing is decoded.
    "percent-encoding in a value": [b"id=%3B%3d%20%00"] => { "id": [b"%3B%3d%20%00"] },
    "percent-encoding in a name": [b"%69d=x; i%64=y; %5F%5FHost-id=z"] => { "id": [], "i%64": [b"y"], "__Host-id": [] },
    "a percent sign that encodes nothing": [b"id=%zz%"] => { "id": [b"%zz%"] },
    "a plus sign": [b"id=a+b; c+d=e"] => { "id": [b"a+b"], "c+d": [b"e"] },
    "JSON": [b"id={\"a\":[1,2],\"b\":\"c\"}"] => { "id": [b"{\"a\":[1,2],\"b\":\"c\"}"] },
    "an entity": [b"id=&#59;a=1"] => { "id": [b"&#59"], "a": [b"1"] },

    // Several of one name.
    "twice": [b"id=1; id=2"] => { "id": [b"1", b"2"] },
    "twice the same": [b"id=1; a=0; id=1"] => { "a": [b"0"], "id": [b"1", b"1"] },
    "an empty one and one that is not": [b"id=; id=x; id="] => { "id": [b"", b"x", b""] },
    "in other letters": [b"ID=1; Id=2; id=3; iD=4"] => { "id": [b"3"], "ID": [b"1"], "Id": [b"2"], "iD": [b"4"] },

    // Several lines.
    "two lines": [b"a=1; id=2", b"id=3; b=4"] => { "a": [b"1"], "b": [b"4"], "id": [b"2", b"3"] },
    "an empty line between": [b"id=1", b"", b"id=2"] => { "id": [b"1", b"2"] },
    "a pair does not go on in the next line": [b"id", b"=x", b"id=", b"y"] => { "id": [b""] },
    "quotes do not go on in the next line": [b"a=\"1", b"id=x\""] => { "a": [b"\"1"], "id": [b"x\""] },

    // Names that are nearly ours.
    "longer and shorter names": [b"id2=1; i=2; xid=3; id_=4; id.=5"] => { "id": [], "id2": [b"1"], "id_": [b"4"] },
    "brackets after the name": [b"id[]=1; id[0]=2; id[a]=3"] => { "id": [] },
    "the prefix in other letters": [b"__HOST-id=1; __host-id=2; __Host-ID=3"]
        => { "__Host-id": [], "__HOST-id": [b"1"], "__host-id": [b"2"] },
    "the prefix mangled": [b"..Host-id=1; __Host_id=2; __Host.id=3; _Host-id=4; __Host-=5"] => { "__Host-id": [] },
    "the prefix with a blank in it": [b"__Host- id=1; __ Host-id=2"] => { "__Host-id": [] },
    "the prefix after other characters": [b"x__Host-id=1; \"__Host-id=2; .__Host-id=3; [__Host-id=4"] => { "__Host-id": [] },
    "the name in other scripts' letters": [b"\xd1\x96d=x; i\xc4\x91=y; \xef\xbd\x89\xef\xbd\x84=z"] => { "id": [] },
    "our name as a value": [b"a=id; b=\"id=x\"; c=;id=y"] => { "a": [b"id"], "b": [b"\"id=x\""], "c": [b""], "id": [b"y"] },

    // The attributes of older standards (RFC 2109, RFC 2965) are pairs like all others.
    "$Version first": [b"$Version=1; id=x; $Path=/; $Domain=a.example"]
        => { "$Version": [b"1"], "$Path": [b"/"], "$Domain": [b"a.example"], "id": [b"x"] },
    "$Version in quotes, with commas": [b"$Version=\"1\", id=\"x\", $Path=\"/\""]
        => { "$Version": [b"\"1\", id=\"x\", $Path=\"/\""], "id": [] },
    "our name behind a dollar sign": [b"$id=x"] => { "id": [], "$id": [b"x"] },
    "names of attributes": [b"path=/; Secure; HttpOnly; expires=Thu, 01 Jan 1970 00:00:00 GMT; id=x"]
        => { "path": [b"/"], "expires": [b"Thu, 01 Jan 1970 00:00:00 GMT"], "Secure": [], "id": [b"x"] },
    "the header's own name": [b"Cookie: id=x; id=y"] => { "id": [b"y"] },

    // Control characters and other bytes.
    "NUL in a value": [b"id=a\0b; c=1"] => { "c": [b"1"], "id": [b"a\0b"] },
    "NUL after the name": [b"id\0=x"] => { "id": [] },
    "NUL before the name": [b"\0id=x; id=y"] => { "id": [b"y"] },
    "NUL alone": [b"\0; id=x; \0=\0"] => { "id": [b"x"] },
    "control characters in a value": [b"id=\x01\x07\x08\x0b\x0c\x1b\x1f\x7f"] => { "id": [b"\x01\x07\x08\x0b\x0c\x1b\x1f\x7f"] },
    "control characters around a value stay": [b"id=\rx\n"] => { "id": [b"\rx\n"] },
    "control characters before the name": [b"\rid=1; \nid=2; \x0bid=3; \x7fid=4; id=5"] => { "id": [b"5"] },
    "a folded line": [b"a=1;\r\n id=x"] => { "a": [b"1"], "id": [] },
    "a response split into the header": [b"id=x\r\nSet-Cookie: id=y"] => { "id": [b"x\r\nSet-Cookie: id=y"] },
    "UTF-8 in a value": [b"id=\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\xaa"] => { "id": [b"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\xaa"] },
    "UTF-8 in a name": [b"\xc3\xa4=1; id\xc3\xa4=2; id=3"] => { "id": [b"3"] },
    "Latin-1 in a value": [b"id=\xe4\xf6\xfc\xff"] => { "id": [b"\xe4\xf6\xfc\xff"] },
    "Latin-1 in a name": [b"id\xe4=1; \xe4id=2; id=3"] => { "id": [b"3"] },
    "bytes that are no text in any way": [b"\xff\xfe=\xc0\xaf; id=\xed\xa0\x80\x80; \xf8"] => { "id": [b"\xed\xa0\x80\x80"] },
    "an overlong semicolon and equals sign": [b"a=1\xc0\xbbid=2; id\xc0\xbdx"] => { "a": [b"1\xc0\xbbid=2"], "id": [] },

    // What browsers and servers of every day send.
    "a header of every day": [b"_ga=GA1.2.3.4; theme=\"dark\"; id=x; consent={\"a\":1}; _gid=GA1.2; csrftoken=abc"]
        => { "_ga": [b"GA1.2.3.4"], "_gid": [b"GA1.2"], "csrftoken": [b"abc"], "id": [b"x"], "theme": [b"\"dark\""] },
    "a time with commas and colons": [b"seen=Mon, 1 Jan 2024 10:00:00; id=x"] => { "seen": [b"Mon, 1 Jan 2024 10:00:00"], "id": [b"x"] },
    "a URL": [b"back=https://a.example/?x=1&y=2#z; id=x"] => { "back": [b"https://a.example/?x=1&y=2#z"], "id": [b"x"] },
];
