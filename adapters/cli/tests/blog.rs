//! The blog, by its forms, without a browser.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{Answer, Client, Demo, eventually};
use serde_json::{Value, json};

/// The token in the first form of a page.
fn token(page: &str) -> &str {
    page.split_once("name=\"csrf_token\" value=\"").unwrap().1.split_once('"').unwrap().0
}

#[track_caller]
fn leads_to(answer: &Answer, place: &str) {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), place);
}

fn page(client: &mut Client, path: &str) -> String {
    let answer = client.visit("GET", path, None);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body.matches("csrf_token").count(), answer.body.matches("<form").count());
    answer.body
}

/// Signs in by the form.
fn sign_in(demo: &Demo, user: &str, more: &str) -> (Client, Answer) {
    let mut client = demo.client();
    let answer = client.post_form("/blog/login", &format!("user={user}&password={}{more}", demo.password(user)));
    (client, answer)
}

#[test]
fn who_is_not_signed_in_is_sent_to_the_login_page_and_from_there_back() {
    let demo = Demo::start();
    for (path, back) in
        [("/blog", "/blog"), ("/blog/devices", "/blog/devices"), ("/blog/posts/1?a=b", "/blog/posts/1%3Fa%3Db")]
    {
        let answer = demo.client().visit("GET", path, None).expect(303, "", "keep");
        leads_to(&answer, &format!("/blog/login?return_to={back}"));
        let mut client = demo.client();
        let login = page(&mut client, answer.header("location"));
        assert!(login.contains(&format!("name=\"return_to\" value=\"{path}\"")), "{login}");
    }
    leads_to(&sign_in(&demo, "alice", "&return_to=/blog/devices").1, "/blog/devices");
    leads_to(&sign_in(&demo, "alice", "").1, "/blog");
    for elsewhere in ["//evil.example", "https://evil.example", "/%5Cevil.example", "javascript:alert(1)", "%0d%0ax"] {
        leads_to(&sign_in(&demo, "alice", &format!("&return_to={elsewhere}")).1, "/blog");
        let login = page(&mut demo.client(), &format!("/blog/login?return_to={elsewhere}"));
        assert!(login.contains("name=\"return_to\" value=\"/blog\""), "{login}");
    }
    let (mut client, _) = sign_in(&demo, "alice", "");
    leads_to(&client.visit("GET", "/blog/login?return_to=/blog/new", None), "/blog/new");
    for round in ["/blog/login", "/blog/login%3Freturn_to=/blog/new"] {
        leads_to(&client.visit("GET", &format!("/blog/login?return_to={round}"), None), "/blog");
    }
}

#[test]
fn a_form_without_its_token_does_nothing_unless_the_browser_says_where_it_is_from() {
    let demo = Demo::start();
    let credentials = format!("user=alice&password={}", demo.password("alice"));
    let mut client = demo.client();
    client.post_silently("/blog/login", &credentials).expect(403, "", "keep");
    let login = page(&mut client, "/blog/login");
    leads_to(&client.post_silently("/blog/login", &format!("{credentials}&csrf_token={}", token(&login))), "/blog");
    // A token of before the login is none of after it.
    let stale = format!("csrf_token={}", token(&login));
    for path in ["/blog/logout", "/blog/devices/end-all", "/blog/devices/end-others", "/blog/new", "/blog/sudo"] {
        for body in ["", &stale] {
            assert_eq!(client.post_silently(path, body).status, 403, "{path}");
        }
        let foreign = [common::FORM, ("sec-fetch-site", "cross-site")];
        assert_eq!(client.send("POST", path, &foreign, Some("")).expect(403, "", "keep").status, 403);
    }
    assert_eq!(client.me(), "alice");
    let posts = page(&mut client, "/blog");
    leads_to(&client.post_silently("/blog/logout", &format!("csrf_token={}", token(&posts))), "/blog/login");
    assert_eq!(client.me(), Value::Null);
}

#[test]
fn a_message_is_shown_once() {
    let demo = Demo::start();
    let (mut client, _) = sign_in(&demo, "bob", "");
    assert!(page(&mut client, "/blog").contains("You are signed in as bob."));
    assert!(!page(&mut client, "/blog").contains("You are signed in as bob."));
}

#[test]
fn what_is_wrong_is_said_in_the_form_and_what_was_typed_stays() {
    let demo = Demo::start();
    let mut client = demo.client();
    let answer = client.post_form("/blog/login", "user=al%22ice&password=wrong&return_to=/blog/new");
    assert_eq!(answer.status, 401);
    for part in ["the user or the password is wrong", "value=\"al&quot;ice\"", "value=\"/blog/new\""] {
        assert!(answer.body.contains(part), "{part}");
    }
    assert!(!answer.body.contains("wrong\""), "the password is not repeated");
    let (mut client, _) = sign_in(&demo, "alice", "");
    for (form, error) in [
        ("title=+&text=kept+text", "a post needs a title"),
        ("title=kept+text&text=", "a post needs a text"),
        (&*format!("title={}&text=kept+text", "x".repeat(121)), "a title has at most 120 characters"),
    ] {
        for path in ["/blog/new", "/blog/posts/2"] {
            let answer = client.post_form(path, form);
            assert_eq!(answer.status, 400);
            assert!(answer.body.contains(error) && answer.body.contains("kept text"), "{error}");
        }
    }
}

#[test]
fn posts_are_written_and_edited_by_their_authors_alone() {
    let demo = Demo::start();
    let ((mut alice, _), (mut bob, _)) = (sign_in(&demo, "alice", ""), sign_in(&demo, "bob", ""));
    leads_to(&alice.post_form("/blog/new", "title=%3Cb%3Emine&text=one%0D%0Atwo"), "/blog");
    let posts = page(&mut bob, "/blog");
    assert!(posts.contains("&lt;b&gt;mine") && !posts.contains("<b>mine"));
    assert!(!posts.contains("/blog/posts/3") && page(&mut alice, "/blog").contains("/blog/posts/3"));
    assert!(page(&mut alice, "/blog/posts/3").contains(">\none\r\ntwo</textarea>"));
    for answer in [bob.get("/blog/posts/3"), bob.post_form("/blog/posts/3", "title=his&text=his")] {
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains("<code>not_yours</code>"));
    }
    leads_to(&alice.post_form("/blog/posts/3", "title=changed&text=three"), "/blog");
    let posts = page(&mut bob, "/blog");
    assert!(posts.contains("changed") && posts.contains("three") && !posts.contains("mine"), "{posts}");
    for path in ["/blog/posts/99", "/blog/posts/99?a"] {
        assert_eq!(alice.get(path).status, 404);
    }
    assert_eq!(alice.get("/blog/posts/x").status, 400);
    for number in 0..120 {
        leads_to(&bob.post_form("/blog/new", &format!("title=n{number}&text=t")), "/blog");
    }
    let posts = page(&mut bob, "/blog");
    assert_eq!(posts.matches("<article").count(), 100);
    assert!(posts.contains("<h3>n119</h3>") && !posts.contains("<h3>n19</h3>"));
}

#[test]
fn devices_are_shown_and_ended() {
    let demo = Demo::start();
    let ((mut phone, _), (mut laptop, _)) = (sign_in(&demo, "alice", ""), sign_in(&demo, "alice", ""));
    let handle = phone.session()["handle"].as_str().unwrap().to_owned();
    let devices = page(&mut laptop, "/blog/devices");
    assert_eq!((devices.matches("End this one").count(), devices.matches("this device").count()), (2, 1));
    assert!(devices.contains(&handle));
    leads_to(&laptop.post_form("/blog/devices/end", &format!("handle={handle}")), "/blog/devices");
    assert_eq!((phone.me(), laptop.me()), (Value::Null, json!("alice")));
    leads_to(&phone.visit("GET", "/blog", None), "/blog/login?return_to=/blog");
    assert!(page(&mut laptop, "/blog/devices").contains("That session is ended."));
    for gone in [&*handle, "nonsense"] {
        leads_to(&laptop.post_form("/blog/devices/end", &format!("handle={gone}")), "/blog/devices");
        assert!(page(&mut laptop, "/blog/devices").contains("That session had ended before."));
    }
    let (phone, _) = sign_in(&demo, "alice", "");
    leads_to(&laptop.post_form("/blog/devices/end-others", ""), "/blog/devices");
    assert_eq!((phone.me(), laptop.me()), (Value::Null, json!("alice")));
    let handle = laptop.session()["handle"].as_str().unwrap().to_owned();
    leads_to(&laptop.post_form("/blog/devices/end", &format!("handle={handle}")), "/blog/login");
    assert_eq!((laptop.me(), laptop.cookie), (Value::Null, None));
    let ((mut one, _), (two, _)) = (sign_in(&demo, "bob", ""), sign_in(&demo, "bob", ""));
    leads_to(&one.post_form("/blog/devices/end-all", ""), "/blog/login");
    assert_eq!((one.me(), two.me()), (Value::Null, Value::Null));
}

#[test]
fn the_password_changes_and_all_others_end() {
    let demo = Demo::start();
    let ((mut client, _), (other, _)) = (sign_in(&demo, "alice", ""), sign_in(&demo, "alice", ""));
    assert!(page(&mut client, "/blog/password").contains("memory of this process"));
    for (form, error) in [
        ("new=12345678&again=12345679", "the two are not the same"),
        ("new=1234567&again=1234567", "a password has 8 to 128 characters"),
    ] {
        let answer = client.post_form("/blog/password", form);
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(error), "{error}");
    }
    let before = client.clone();
    leads_to(&client.post_form("/blog/password", "new=12345678&again=12345678"), "/blog/password");
    assert!(page(&mut client, "/blog/password").contains("your other sessions are ended"));
    assert_eq!((before.me(), other.me(), client.me()), (Value::Null, Value::Null, json!("alice")));
    assert_eq!(sign_in(&demo, "alice", "").1.status, 401);
    assert_eq!(demo.client().login("alice", "12345678").status, 200);
}

#[test]
fn a_password_that_is_given_again_leads_on_under_a_new_ticket() {
    let demo = Demo::start();
    let (mut client, _) = sign_in(&demo, "alice", "");
    page(&mut client, "/blog/sudo");
    let answer = client.post_form("/blog/sudo", "password=wrong&return_to=/blog/password");
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("the password is wrong") && answer.body.contains("value=\"/blog/password\""));
    let before = client.clone();
    let form = format!("password={}&return_to=/blog/password", demo.password("alice"));
    leads_to(&client.post_form("/blog/sudo", &form), "/blog/password");
    assert_eq!((before.me(), client.me()), (Value::Null, json!("alice")));
}

#[test]
fn a_password_that_was_given_too_long_ago_is_asked_for_before_it_is_changed() {
    let demo = Demo::with(&["--sudo", "0s"], &[]);
    let (mut client, _) = sign_in(&demo, "alice", "");
    // It counts within the millisecond.
    eventually("the next millisecond", || client.get("/api/me").json()["sudo"] == false);
    let sudo = "/blog/sudo?return_to=/blog/password";
    leads_to(&client.visit("GET", "/blog/password", None), sudo);
    leads_to(&client.post_form("/blog/password", "new=12345678&again=12345678"), sudo);
    assert!(page(&mut client, sudo).contains("name=\"return_to\" value=\"/blog/password\""));
    assert_eq!(demo.client().login("alice", demo.password("alice")).status, 200);
}

#[test]
fn a_form_that_comes_after_the_end_leads_to_nothing_and_says_so() {
    let demo = Demo::start();
    let (mut client, _) = sign_in(&demo, "alice", "");
    let mut late = client.clone();
    client.post_form("/blog/logout", "");
    for path in ["/blog/new", "/blog/password", "/blog/devices/end-all", "/blog/posts/2"] {
        let answer = late.post_form(path, "title=a&text=b&new=12345678&again=12345678");
        assert_eq!(answer.status, 401);
        assert!(answer.body.contains("<code>not_signed_in</code>") && answer.body.contains("href=\"/blog/login\""));
    }
}
