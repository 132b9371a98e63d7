//! Finds the server to connect to, and sees that it is the right one.

use std::{fmt, str};

use cloakroom_runtime::Endpoint;
use cloakroom_store::Fault;
use redis::Value as Answer;

use crate::{
    agree,
    connection::{Connection, ask},
    env::Env,
    failure::Failure,
    resp::Commands,
    server::Server,
};

/// How a link finds its server.
#[derive(Debug)]
pub(crate) enum Dial {
    /// It stays where it is.
    Fixed(Server),
    /// Sentinels know where the master is.
    Master(Sentinels),
}

/// Who watches over a master.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    /// The name by which they know it.
    pub(crate) master: String,
    pub(crate) sentinels: Vec<Server>,
    /// How to log in at the master; its endpoint is that of a sentinel.
    pub(crate) template: Server,
}

impl Dial {
    /// Connects; returns where as well.
    pub(crate) async fn open(&self, env: &Env) -> Result<(Connection, Endpoint), Failure> {
        match self {
            Self::Fixed(server) => Ok((greet(env, server).await?, server.endpoint.clone())),
            Self::Master(sentinels) => sentinels.open_master(env).await,
        }
    }
}

/// Shows where it looks, not how to log in.
impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(server) => server.fmt(f),
            Self::Master(Sentinels { master, sentinels, .. }) => {
                write!(f, "the master {master} of the sentinels {sentinels:?}")
            }
        }
    }
}

async fn greet(env: &Env, server: &Server) -> Result<Connection, Failure> {
    match Connection::open(env, server, &Commands::of(&["PING"])).await? {
        // A user without the right to ping may have all others; a server that cannot save can be read.
        (connection, Answer::ServerError(error)) if matches!(error.code(), "MISCONF" | "NOPERM") => Ok(connection),
        (_, Answer::ServerError(error)) => Err(Failure::refusal(&error).of_another()),
        (connection, _) => Ok(connection),
    }
}

impl Sentinels {
    async fn open_master(&self, env: &Env) -> Result<(Connection, Endpoint), Failure> {
        let master = self.find_master(env).await?;
        match Connection::open(env, &master, &Commands::of(&["ROLE"])).await? {
            (_, Answer::ServerError(error)) => Err(Failure::refusal(&error).of_another()),
            (connection, role) if is_master(&role) => Ok((connection, master.endpoint)),
            // The sentinels do not know yet, or this server does not.
            _ => Err(Failure::unsent(Fault::Unavailable, "the server that the sentinels name is no master")),
        }
    }

    /// Asks the sentinels where the master is.
    async fn find_master(&self, env: &Env) -> Result<Server, Failure> {
        let get = Commands::of(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.master]);
        let questions = self.sentinels.iter().map(async |sentinel| named(sentinel, &ask(env, sentinel, &get).await?));
        let (host, port) = agree::most(&*env.runtime, env.settings.deadline / 4, questions).await?;
        self.template.moved(&host, port).ok_or_else(|| Failure::unsent(Fault::Internal, "the sentinels name no host"))
    }
}

/// Reads what a sentinel says.
fn named(sentinel: &Server, answer: &Answer) -> Result<(String, u16), Failure> {
    if matches!(answer, Answer::Nil) {
        return Err(Failure::unsent(Fault::Refused, "the sentinels know no master of this name"));
    }
    let address = match answer {
        Answer::Array(parts) => match parts.as_slice() {
            [Answer::BulkString(host), Answer::BulkString(port)] => address_of(host, port),
            _ => None,
        },
        _ => None,
    };
    address.ok_or_else(|| Failure::unsent(Fault::Internal, &format!("{sentinel:?} does not answer as a sentinel does")))
}

fn address_of(host: &[u8], port: &[u8]) -> Option<(String, u16)> {
    Some((str::from_utf8(host).ok()?.to_owned(), str::from_utf8(port).ok()?.parse().ok()?))
}

fn is_master(role: &Answer) -> bool {
    matches!(role, Answer::Array(parts) if matches!(parts.first(), Some(Answer::BulkString(name)) if name == b"master"))
}
