//! Chromium, driven through ChromeDriver by the WebDriver protocol: JSON over HTTP.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloakroom_tests::demo::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ureq::{Agent, http::Request};

/// A browser takes its time to start where many others run.
const PATIENCE: Duration = Duration::from_secs(120);
/// The key under which an element's id stands.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running ChromeDriver on a free port. Dropping it ends it, and with it the browsers that are left.
pub(crate) struct Driver {
    child: Child,
    /// A shell that asks it to end as soon as its own input ends, which this process holds, however it ends.
    guard: Child,
    url: String,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "chromedriver names no port");
            if let Some((_, port)) = line.trim_end_matches(['.', '\n']).split_once("successfully on port ") {
                break port.to_owned();
            }
        };
        thread::spawn(move || out.read_to_end(&mut Vec::new()));
        let mut guard = Command::new("sh");
        guard.args(["-c", r#"trap "" INT TERM; read -r _; kill "$1""#, "sh", &child.id().to_string()]);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child, guard: guard.spawn().unwrap(), url: format!("http://127.0.0.1:{port}") }
    }

    /// Opens a browser with a profile of its own: another device.
    pub(crate) fn browser(&self) -> Browser {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let mut browser = Browser { agent: config.build().into(), url: format!("{}/session", self.url) };
        // Root, as in a container, has no sandbox; and nothing is to be asked of the network.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--window-size=1100,900",
        ];
        let options = json!({ "args": arguments });
        let asked = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = browser.ask("POST", "", Some(&asked)).unwrap();
        browser.url = format!("{}/{}", browser.url, session["sessionId"].as_str().unwrap());
        browser
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The guard first: once the driver is waited for, its id may be another's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let _ = self.child.wait();
    }
}

/// A browser with one window. Dropping it closes it.
pub(crate) struct Browser {
    agent: Agent,
    url: String,
}

impl Browser {
    /// Opens a page, and waits until it is there.
    pub(crate) fn open(&self, url: &str) {
        self.ask("POST", "/url", Some(&json!({ "url": url }))).unwrap();
    }

    /// Presses the browser's button to go back.
    pub(crate) fn back(&self) {
        self.ask("POST", "/back", Some(&json!({}))).unwrap();
    }

    pub(crate) fn reload(&self) {
        self.ask("POST", "/refresh", Some(&json!({}))).unwrap();
    }

    /// Types into a field of this name, over what stands there.
    pub(crate) fn fill(&self, name: &str, text: &str) {
        let field = self.find(&format!("//*[@name='{name}' and not(@type='hidden')]"));
        self.ask("POST", &format!("/element/{field}/clear"), Some(&json!({}))).unwrap();
        self.ask("POST", &format!("/element/{field}/value"), Some(&json!({ "text": text }))).unwrap();
    }

    /// Ticks a box.
    pub(crate) fn tick(&self, name: &str) {
        self.click(&format!("//input[@type='checkbox' and @name='{name}']"));
    }

    /// Presses the first button, or follows the first link, of this text.
    pub(crate) fn press(&self, text: &str) {
        self.click(&format!("//*[(self::button or self::a) and normalize-space()='{text}']"));
    }

    /// Clicks the first element that an XPath finds.
    pub(crate) fn click(&self, path: &str) {
        let element = self.find(path);
        self.ask("POST", &format!("/element/{element}/click"), Some(&json!({}))).unwrap();
    }

    /// Waits until the page shows a text; returns all that it shows.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        let mut shown = String::new();
        eventually(&format!("a page with “{text}”"), || {
            shown = self.text();
            shown.contains(text)
        });
        shown
    }

    /// What the page shows.
    pub(crate) fn text(&self) -> String {
        // A page that is about to be left may have no body.
        self.run("return document.body ? document.body.innerText : ''").as_str().unwrap_or_default().to_owned()
    }

    /// Returns where it is.
    pub(crate) fn place(&self) -> String {
        self.ask("GET", "/url", None).unwrap().as_str().unwrap().to_owned()
    }

    /// Runs a script in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", Some(&json!({ "script": script, "args": [] }))).unwrap_or_default()
    }

    /// Lets scripts of the test ask the server from the next page on, whatever the page's policy says.
    pub(crate) fn let_scripts_ask(&self) {
        let command = json!({ "cmd": "Page.setBypassCSP", "params": { "enabled": true } });
        self.ask("POST", "/goog/cdp/execute", Some(&command)).unwrap();
    }

    /// Returns the cookies that it would send to this page, as it holds them.
    pub(crate) fn cookies(&self) -> Vec<Value> {
        self.ask("GET", "/cookie", None).unwrap().as_array().unwrap().clone()
    }

    /// Writes what the window shows into the folder of `CLOAKROOM_SCREENSHOTS`, if there is one.
    pub(crate) fn picture(&self, name: &str) {
        if let Some(folder) = env::var_os("CLOAKROOM_SCREENSHOTS") {
            let picture = self.ask("GET", "/screenshot", None).unwrap();
            let bytes = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
            fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
        }
    }

    /// Sets the size of the window.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.ask("POST", "/window/rect", Some(&json!({ "width": width, "height": height }))).unwrap();
    }

    #[track_caller]
    fn find(&self, path: &str) -> String {
        let asked = json!({ "using": "xpath", "value": path });
        let mut found = None;
        eventually(path, || {
            found = self.ask("POST", "/element", Some(&asked)).ok();
            found.is_some()
        });
        found.unwrap()[ELEMENT].as_str().unwrap().to_owned()
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let answer = match body {
            Some(body) => self.agent.run(request.body(body.to_string()).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        // A picture is large.
        let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string().unwrap();
        let value = serde_json::from_str::<Value>(&text).unwrap()["value"].take();
        if answer.status().is_success() { Ok(value) } else { Err(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // One that broke is the driver's to end.
        let _ = self.agent.run(Request::builder().method("DELETE").uri(&self.url).body(()).unwrap());
    }
}
