//! Another server: its pages have a link and a form that lead to any place, and it tells which cookies reached it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// It serves until the program ends.
pub(crate) struct Elsewhere {
    port: u16,
    /// Of each request the method, and the cookies.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Elsewhere {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::default());
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                // A browser opens connections that it does not use.
                thread::spawn(move || serve(&stream.unwrap(), &kept));
            }
        });
        Self { port, seen }
    }

    /// Returns where a page of it is: on `127.0.0.1`, which is another site than `localhost`, or on `localhost`, which is
    /// the same site and another origin. Its link and its form lead to `target`, the form with these fields.
    pub(crate) fn page(&self, host: &str, target: &str, fields: &[(&str, &str)]) -> String {
        let fields: String = fields.iter().map(|(name, value)| format!(";{name}={value}")).collect();
        format!("http://{host}:{}/?{target}{fields}", self.port)
    }

    /// Returns a place of it that looks at what reaches it.
    pub(crate) fn place(&self, host: &str) -> String {
        format!("http://{host}:{}/seen", self.port)
    }

    /// Takes the cookies that came to that place, with the methods.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<(String, String)>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let (mut cookies, mut length) = (String::new(), 0);
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
            Some((name, value)) if name == "cookie" => value.clone_into(&mut cookies),
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let (method, rest) = first.split_once(' ').unwrap();
    let path = rest.split(' ').next().unwrap();
    let page = match path.split_once('?') {
        Some((_, asked)) => linking(asked),
        None => {
            if path == "/seen" {
                seen.lock().unwrap().push((method.to_owned(), cookies));
            }
            "<p>seen</p>".to_owned()
        }
    };
    // What is not read would cut the answer short: the forms here are empty or are sent elsewhere.
    assert_eq!(length, 0);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
    let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len());
}

fn linking(asked: &str) -> String {
    let mut parts = asked.split(';');
    let target = parts.next().unwrap();
    let fields = parts.filter_map(|field| field.split_once('='));
    let fields: String = fields.map(|(name, value)| format!("<input name='{name}' value='{value}'>")).collect();
    format!("<a href='{target}'>link</a><form method='post' action='{target}'>{fields}<button>post</button></form>")
}
