//! The demo's blog in a real browser: what no client of ours can show, as it holds cookies, leaves sites and comes back.
//!
//! `CLOAKROOM_SCREENSHOTS=FOLDER` keeps pictures of the pages.

#![cfg(unix)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod driver;
mod elsewhere;

use std::{process::ExitCode, sync::Arc};

use cloakroom_tests::{demo::Demo, servers::Require};
use driver::{Browser, Driver};
use elsewhere::Elsewhere;
use libtest_mimic::{Arguments, Completion};
use serde_json::{Value, json};

type Case = fn(&Driver);

fn main() -> ExitCode {
    let cases: [(&str, Case); 10] = [
        ("a_form_of_another_origin_is_refused_also_where_the_cookie_comes_along", forms_of_another_origin),
        ("a_form_of_another_site_is_anonymous_and_leaves_the_cookie_alone", forms_of_another_site),
        ("a_link_of_another_site_finds_one_signed_in", links_of_another_site),
        ("a_message_is_shown_once_and_the_login_leads_back", messages_and_the_way_back),
        ("one_device_ends_another", devices),
        ("one_session_comes_back_from_several_cookies", several_cookies),
        ("posts_are_written_and_edited", posts),
        ("the_back_button_shows_nothing_private_after_the_logout", the_back_button),
        ("the_browser_holds_the_cookie_as_it_should", the_cookie),
        ("who_changes_the_password_signs_the_other_devices_out", the_password),
    ];
    let arguments = Arguments::from_args();
    let require = Require::check("chromium");
    let is_asked = !arguments.list && require == Require::Available;
    let driver = is_asked.then(|| Arc::new(Driver::start()));
    let trials = cases.map(|(rule, case)| {
        let driver = driver.clone();
        require.trial(rule, move || {
            case(&driver.unwrap());
            Ok(Completion::Completed)
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    // An exit would leave the browsers behind.
    drop(driver);
    conclusion.exit_code()
}

/// A demo as browsers see it, on `localhost`, where they take cookies that are `Secure`.
struct Site {
    demo: Demo,
    origin: String,
}

impl Site {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        let demo = Demo::start(options);
        let port = demo.address().rsplit(':').next().unwrap().to_owned();
        Self { origin: format!("http://localhost:{port}"), demo }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Opens a browser and signs a user in.
    fn device(&self, driver: &Driver, user: &str) -> Browser {
        let browser = driver.browser();
        browser.open(&self.at("/blog"));
        self.sign_in(&browser, user);
        browser.shows(&format!("You are signed in as {user}."));
        browser
    }

    /// Fills in the login page.
    fn sign_in(&self, browser: &Browser, user: &str) {
        browser.fill("user", user);
        browser.fill("password", self.demo.password(user));
        browser.press("Sign in");
    }
}

fn the_cookie(driver: &Driver) {
    let site = Site::start();
    let browser = driver.browser();
    browser.open(&site.at("/blog/login"));
    let before = only_cookie(&browser);
    browser.picture("login");
    site.sign_in(&browser, "alice");
    browser.shows("You are signed in as alice.");
    let cookie = only_cookie(&browser);
    assert_ne!(before["value"], cookie["value"], "the ticket of before the login is another");
    let attributes = ["name", "domain", "path", "secure", "httpOnly", "sameSite"].map(|name| cookie[name].clone());
    let expected = [json!("__Host-id"), json!("localhost"), json!("/"), json!(true), json!(true), json!("Lax")];
    assert_eq!(attributes, expected, "{cookie}");
    assert_eq!(cookie.get("expiry"), None, "it ends with the browser");
    assert_eq!(browser.run("return document.cookie"), "", "no script sees it");

    browser.press("Sign out");
    browser.shows("Remember me");
    browser.tick("remember");
    site.sign_in(&browser, "alice");
    browser.shows("You are signed in as alice.");
    let days = (only_cookie(&browser)["expiry"].as_u64().unwrap() - now()) as f64 / 86_400.0;
    assert!((29.9..30.1).contains(&days), "{days} days");
}

fn messages_and_the_way_back(driver: &Driver) {
    let site = Site::start();
    let browser = driver.browser();
    browser.open(&site.at("/blog/devices"));
    assert_eq!(browser.place(), site.at("/blog/login?return_to=/blog/devices"));
    browser.fill("user", "bob");
    browser.fill("password", "wrong");
    browser.press("Sign in");
    browser.shows("The user or the password is wrong.");
    browser.picture("login_wrong");
    // Who it was stands there, and the way back is kept.
    browser.fill("password", site.demo.password("bob"));
    browser.press("Sign in");
    browser.shows("You are signed in as bob.");
    assert_eq!(browser.place(), site.at("/blog/devices"));
    browser.reload();
    assert!(!browser.shows("Your devices").contains("You are signed in as bob."));

    let stranger = driver.browser();
    stranger.open(&site.at("/blog/login?return_to=//127.0.0.1/evil"));
    site.sign_in(&stranger, "bob");
    stranger.shows("You are signed in as bob.");
    assert_eq!(stranger.place(), site.at("/blog"), "no way leads to another site");
}

fn posts(driver: &Driver) {
    let site = Site::start();
    let browser = site.device(driver, "alice");
    browser.picture("posts");
    browser.press("Write a post");
    browser.fill("title", "<b>bold</b>");
    browser.fill("text", "first line\nsecond line");
    browser.picture("writing");
    browser.press("Publish");
    let shown = browser.shows("“<b>bold</b>” is published.");
    assert!(shown.contains("first line\nsecond line"), "{shown}");
    browser.click("//article[contains(., 'bold')]//a[.='Edit']");
    browser.fill("title", "plain");
    browser.press("Save");
    let shown = browser.shows("“plain” is changed.");
    assert!(shown.contains("first line\nsecond line") && !shown.contains("<b>"), "{shown}");
    let bob = site.device(driver, "bob");
    bob.shows("plain");
    assert_eq!(bob.run("return document.querySelectorAll('article a').length"), 1, "only one's own is edited");
}

fn devices(driver: &Driver) {
    let site = Site::start();
    let (laptop, phone) = (site.device(driver, "alice"), site.device(driver, "alice"));
    laptop.press("Your devices");
    laptop.shows("this device");
    assert_eq!(laptop.run("return document.querySelectorAll('.devices li').length"), 2);
    laptop.picture("devices");
    laptop.resize(420, 900);
    laptop.picture("devices_narrow");
    laptop.click("//li[not(contains(., 'this device'))]//button");
    laptop.shows("That session is ended.");
    assert_eq!(laptop.run("return document.querySelectorAll('.devices li').length"), 1);
    phone.press("Your devices");
    phone.shows("Remember me");
    assert_eq!(phone.place(), site.at("/blog/login?return_to=/blog/devices"));
    laptop.reload();
    laptop.shows("Signed in as alice");
}

fn several_cookies(driver: &Driver) {
    let site = Site::with(&["--store", "cookie+memory:"]);
    let browser = site.device(driver, "alice");
    // Sixteen kilobytes: the demo keeps numbers, so that the names are long.
    let put = "const name = n => String(n).padStart(2, '0') + 'k'.repeat(1000);
        for (let n = 0; n < 16; n++) {
            const request = new XMLHttpRequest();
            request.open('PUT', '/api/session/' + name(n), false);
            request.send(String(n));
            if (request.status != 200) return request.responseText;
        }
        const request = new XMLHttpRequest();
        request.open('GET', '/api/session', false);
        request.send();
        const data = JSON.parse(request.responseText).data;
        return Array.from({ length: 16 }, (_, n) => data[name(n)]).join();";
    browser.let_scripts_ask();
    browser.open(&site.at("/api/session"));
    assert_eq!(browser.run(put), "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15");
    let mut names: Vec<_> =
        browser.cookies().iter().map(|cookie| cookie["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names[..3], ["__Host-id", "__Host-id-1", "__Host-id-2"]);
    assert!(names.len() >= 5, "{names:?}");
    browser.open(&site.at("/blog"));
    browser.shows("Sign out");
    browser.press("Sign out");
    browser.shows("Remember me");
    assert_eq!(browser.cookies().len(), 1, "the login page has a token, and no piece is left");
}

fn the_password(driver: &Driver) {
    let site = Site::start();
    let (laptop, phone) = (site.device(driver, "alice"), site.device(driver, "alice"));
    let before = only_cookie(&laptop);
    laptop.open(&site.at("/blog/sudo?return_to=/blog/password"));
    laptop.picture("sudo");
    laptop.fill("password", site.demo.password("alice"));
    laptop.press("Go on");
    laptop.shows("New password");
    let elevated = only_cookie(&laptop);
    assert_ne!(before["value"], elevated["value"]);
    laptop.picture("password");
    for field in ["new", "again"] {
        laptop.fill(field, "correct horse battery");
    }
    laptop.press("Change the password");
    laptop.shows("The password is changed, and your other sessions are ended.");
    assert_ne!(only_cookie(&laptop)["value"], elevated["value"]);
    phone.reload();
    phone.shows("Remember me");
    site.sign_in(&phone, "alice");
    phone.shows("The user or the password is wrong.");
}

fn the_back_button(driver: &Driver) {
    let site = Site::start();
    let browser = site.device(driver, "alice");
    browser.press("Your devices");
    browser.shows("this device");
    browser.press("Sign out");
    browser.shows("Remember me");
    for _ in 0..3 {
        browser.back();
        let shown = browser.shows("Cloakroom");
        assert!(!shown.contains("Signed in as") && !shown.contains("Your devices"), "{shown}");
    }
}

fn forms_of_another_site(driver: &Driver) {
    let (site, elsewhere) = (Site::start(), Elsewhere::start());
    let browser = site.device(driver, "alice");
    let before = only_cookie(&browser);
    for path in
        ["/blog/logout", "/blog/devices/end-all", "/end", "/api/logout", "/api/sessions/end-all", "/api/destroy"]
    {
        browser.open(&elsewhere.page("127.0.0.1", &site.at(path), &[]));
        browser.press("post");
        browser.shows("cross_site");
        assert_eq!(browser.place(), site.at(path));
    }
    browser.picture("refused");
    // Its cookie did not come along: another server on the same host would have seen it.
    let recorder = Elsewhere::start();
    browser.open(&elsewhere.page("127.0.0.1", &recorder.place("localhost"), &[]));
    browser.press("post");
    browser.shows("seen");
    assert_eq!(recorder.take(), [("POST".to_owned(), String::new())]);
    browser.open(&site.at("/blog"));
    browser.shows("Signed in as alice");
    assert_eq!(only_cookie(&browser), before);
    assert!(!site.demo.client().presenting(&ticket(&before)).session().opens_nothing());
}

fn forms_of_another_origin(driver: &Driver) {
    let (site, elsewhere, recorder) = (Site::start(), Elsewhere::start(), Elsewhere::start());
    let browser = site.device(driver, "alice");
    let before = only_cookie(&browser);
    // Ports make origins, not sites: SameSite does not help here.
    browser.open(&elsewhere.page("localhost", &recorder.place("localhost"), &[]));
    browser.press("post");
    browser.shows("seen");
    assert_eq!(recorder.take(), [("POST".to_owned(), ticket(&before))]);
    let post = [("title", "forged"), ("text", "forged"), ("csrf_token", "forged")];
    for (path, fields) in [("/blog/logout", &[][..]), ("/blog/new", &post), ("/api/sessions/end-all", &[])] {
        browser.open(&elsewhere.page("localhost", &site.at(path), fields));
        browser.press("post");
        browser.shows("cross_site");
    }
    browser.open(&site.at("/blog"));
    assert!(!browser.shows("Signed in as alice").contains("forged"));
    // Nor can it sign one in as somebody else.
    let mallory = [("user", "bob"), ("password", site.demo.password("bob"))];
    browser.open(&elsewhere.page("localhost", &site.at("/blog/login"), &mallory));
    browser.press("post");
    browser.shows("cross_site");
    browser.open(&site.at("/blog"));
    browser.shows("Signed in as alice");
    assert_eq!(only_cookie(&browser), before);
}

fn links_of_another_site(driver: &Driver) {
    let (site, elsewhere, recorder) = (Site::start(), Elsewhere::start(), Elsewhere::start());
    let browser = site.device(driver, "alice");
    browser.open(&elsewhere.page("127.0.0.1", &site.at("/blog"), &[]));
    browser.press("link");
    browser.shows("Signed in as alice");
    browser.open(&elsewhere.page("127.0.0.1", &recorder.place("localhost"), &[]));
    browser.press("link");
    browser.shows("seen");
    assert_eq!(recorder.take(), [("GET".to_owned(), ticket(&only_cookie(&browser)))]);
    // The session's own page as well, for those who look.
    browser.open(&site.at("/"));
    browser.shows("Your session");
    browser.resize(1500, 1100);
    browser.picture("session");
}

/// The only cookie that the browser holds for this page.
#[track_caller]
fn only_cookie(browser: &Browser) -> Value {
    let mut cookies = browser.cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    cookies.remove(0)
}

fn ticket(cookie: &Value) -> String {
    format!("{}={}", cookie["name"].as_str().unwrap(), cookie["value"].as_str().unwrap())
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
