//! One connection through the proxy: a thread that owns both of its sockets, so that it closes them as it says.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_linger,
};

use super::{
    Counters, Direction, Fault, Plan,
    flow::{Cut, Flow},
};
use crate::demo::PATIENCE;

/// What is done to an open connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Finish,
    Heal,
    Hold,
    Reset,
    Strike(Direction, u64, Fault),
    Swallow,
}

/// A handle of a connection's thread.
#[derive(Clone, Debug)]
pub(super) struct Link {
    commands: mpsc::Sender<(Command, mpsc::Sender<()>)>,
    wakeup: Arc<Wakeup>,
    is_alive: Arc<AtomicBool>,
}

impl Link {
    /// Starts the thread, which connects to the server unless all is to be swallowed from the start.
    pub(super) fn open(
        client: TcpStream,
        server: SocketAddr,
        plan: &Plan,
        first: Option<Command>,
        counters: &Arc<Counters>,
    ) -> Self {
        let flows = [Direction::ToClient, Direction::ToServer].map(|direction| {
            let faults = plan.0.iter().filter(|(of, ..)| *of == direction);
            Flow::new(faults.map(|(_, offset, fault)| (*offset, *fault)))
        });
        let (commands, received) = mpsc::channel();
        let wakeup = Arc::new(Wakeup::new());
        let is_alive = Arc::new(AtomicBool::new(true));
        counters.connections.fetch_add(1, Ordering::SeqCst);
        counters.open.fetch_add(1, Ordering::SeqCst);
        let alive = Alive { is_alive: Arc::clone(&is_alive), counters: Arc::clone(counters), is_open: true };
        let own = Arc::clone(&wakeup);
        thread::spawn(move || {
            let is_swallowed = matches!(first, Some(Command::Swallow));
            let server = if is_swallowed { None } else { Some(TcpStream::connect_timeout(&server, PATIENCE)) };
            let Ok(server) = server.transpose() else {
                reset(&client);
                return;
            };
            let mut connection =
                Connection { ends: [Some(client), server], flows, cut: None, commands: received, wakeup: own, alive };
            if let Some(first) = first {
                connection.obey(first);
            }
            connection.run();
        });
        Self { commands, wakeup, is_alive }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::SeqCst)
    }

    /// Gives a command. What is returned receives when it has taken it, or ends when the connection has.
    pub(super) fn tell(&self, command: Command) -> mpsc::Receiver<()> {
        let (take, taken) = mpsc::channel();
        let _ = self.commands.send((command, take));
        self.wakeup.wake();
        taken
    }
}

/// Counts a connection as open until it is cut or over.
struct Alive {
    is_alive: Arc<AtomicBool>,
    counters: Arc<Counters>,
    is_open: bool,
}

impl Alive {
    fn close(&mut self) {
        if self.is_open {
            self.is_open = false;
            self.counters.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.close();
        self.is_alive.store(false, Ordering::SeqCst);
    }
}

const CLIENT: usize = 0;
const SERVER: usize = 1;
/// By the number of a direction: the end that it comes from, and the one that it goes to.
const WAYS: [(usize, usize); 2] = [(SERVER, CLIENT), (CLIENT, SERVER)];

struct Connection {
    ends: [Option<TcpStream>; 2],
    /// By the number of a direction.
    flows: [Flow; 2],
    cut: Option<Cut>,
    commands: mpsc::Receiver<(Command, mpsc::Sender<()>)>,
    wakeup: Arc<Wakeup>,
    // After the ends, which are closed first.
    alive: Alive,
}

/// The connection is to be reset.
struct Broken;

impl Connection {
    fn run(mut self) {
        for end in self.ends.iter().flatten() {
            let _ = end.set_nodelay(true);
            let _ = end.set_nonblocking(true);
        }
        if self.ends[SERVER].is_none() {
            self.flows[Direction::ToClient as usize].end();
        }
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Broken) => {
                    self.ends.iter().flatten().for_each(reset);
                    return;
                }
            }
        }
    }

    /// Does what can be done, and waits. Tells whether there will be more.
    fn turn(&mut self) -> Result<bool, Broken> {
        while let Ok((command, taken)) = self.commands.try_recv() {
            if let Command::Reset = command {
                return Err(Broken);
            }
            self.obey(command);
            let _ = taken.send(());
        }
        let is_blocked = self.write()?;
        if self.flows.iter().all(Flow::is_flushed) {
            match self.cut.take() {
                None => {}
                Some(Cut::Reset) => return Err(Broken),
                Some(Cut::Finish) => {
                    for end in self.ends.iter().flatten() {
                        let _ = end.shutdown(Shutdown::Write);
                    }
                    self.flows.iter_mut().for_each(Flow::swallow);
                    self.alive.close();
                }
            }
        }
        if self.flows.iter().all(Flow::is_over) {
            return Ok(false);
        }
        let readable = self.wait(is_blocked);
        self.wakeup.clear();
        for (flow, is_readable) in readable.into_iter().enumerate() {
            if is_readable {
                self.read(flow)?;
            }
        }
        Ok(true)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Finish => self.cut = Some(Cut::Finish),
            Command::Heal => self.flows.iter_mut().for_each(Flow::heal),
            Command::Hold => self.flows.iter_mut().for_each(Flow::hold),
            Command::Reset => self.cut = Some(Cut::Reset),
            Command::Strike(direction, after, fault) => self.flows[direction as usize].strike(after, fault),
            Command::Swallow => self.flows.iter_mut().for_each(Flow::swallow),
        }
    }

    /// Writes what is due. Tells for each direction whether its receiver takes no more.
    fn write(&mut self) -> Result<[bool; 2], Broken> {
        let mut is_blocked = [false; 2];
        for (number, flow) in self.flows.iter_mut().enumerate() {
            let Some(to) = &mut self.ends[WAYS[number].1] else { continue };
            while let Some(bytes) = flow.due(Instant::now()) {
                // Counted before they pass: who has received them finds them counted.
                let (counter, due) = (&self.alive.counters.bytes[number], bytes.len());
                counter.fetch_add(due as u64, Ordering::SeqCst);
                let written = to.write(bytes);
                counter.fetch_sub((due - written.as_ref().map_or(0, |count| *count)) as u64, Ordering::SeqCst);
                match written {
                    Ok(count) => flow.sent(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        is_blocked[number] = true;
                        break;
                    }
                    Err(_) => return Err(Broken),
                }
            }
            if flow.shuts() {
                let _ = to.shutdown(Shutdown::Write);
            }
        }
        Ok(is_blocked)
    }

    /// Waits until something can be done. Tells for each direction whether there is something to read.
    fn wait(&self, is_blocked: [bool; 2]) -> [bool; 2] {
        let mut interests = [PollFlags::empty(); 2];
        for (number, (from, to)) in WAYS.into_iter().enumerate() {
            // What comes after a cut is of no interest.
            if self.flows[number].has_room() && self.cut.is_none() {
                interests[from] |= PollFlags::IN;
            }
            if is_blocked[number] {
                interests[to] |= PollFlags::OUT;
            }
        }
        let next = (0..2).filter(|&number| !is_blocked[number]).filter_map(|number| self.flows[number].next()).min();
        let timeout = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_micros(100));
        let mut fds = vec![PollFd::new(&*self.wakeup, PollFlags::IN)];
        let mut polled = Vec::new();
        for (number, end) in self.ends.iter().enumerate() {
            // An end of no interest is left out: that it hung up would be told over and over.
            if let Some(end) = end.as_ref().filter(|_| !interests[number].is_empty()) {
                fds.push(PollFd::new(end, interests[number]));
                polled.push(number);
            }
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return [false; 2];
        }
        let has_news = |end: usize| {
            let place = polled.iter().position(|&number| number == end);
            let events = place.map(|place| fds[place + 1].revents()).unwrap_or(PollFlags::empty());
            interests[end].contains(PollFlags::IN) && events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
        };
        WAYS.map(|(from, _)| has_news(from))
    }

    fn read(&mut self, number: usize) -> Result<(), Broken> {
        let flow = &mut self.flows[number];
        let Some(from) = &mut self.ends[WAYS[number].0] else { return Ok(()) };
        let mut bytes = vec![0; flow.to_read()];
        match from.read(&mut bytes) {
            Ok(0) => flow.end(),
            Ok(count) => {
                let (met, cut) = flow.take(&bytes[..count]);
                self.alive.counters.faults.fetch_add(met, Ordering::SeqCst);
                self.cut = self.cut.or(cut);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Where nothing passes, nobody hears of it.
            Err(_) if flow.is_silent() => flow.end(),
            Err(_) => return Err(Broken),
        }
        Ok(())
    }
}

/// Makes closing a socket a reset.
fn reset(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

/// Wakes a thread that polls.
#[derive(Debug)]
pub(super) struct Wakeup {
    sender: Mutex<UnixStream>,
    receiver: UnixStream,
}

impl Wakeup {
    pub(super) fn new() -> Self {
        let (sender, receiver) = UnixStream::pair().unwrap();
        sender.set_nonblocking(true).unwrap();
        receiver.set_nonblocking(true).unwrap();
        Self { sender: Mutex::new(sender), receiver }
    }

    pub(super) fn wake(&self) {
        // One that is full wakes already.
        let _ = self.sender.lock().unwrap().write(&[0]);
    }

    /// Forgets all calls so far.
    pub(super) fn clear(&self) {
        while matches!((&self.receiver).read(&mut [0; 64]), Ok(count) if count > 0) {}
    }

    /// Waits for a call.
    pub(super) fn wait(&self, at_most: Option<Duration>) {
        let timeout = at_most.and_then(|timeout| Timespec::try_from(timeout).ok());
        let _ = poll(&mut [PollFd::new(&self.receiver, PollFlags::IN)], timeout.as_ref());
        self.clear();
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
