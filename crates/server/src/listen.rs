//! Accepts connections, a thread for each, with a bound, and ends them all on request.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::wire::{Answer, Connection, ErrorCode, Refusal, Reply, WireError};

/// A connection on which nothing moves for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How long the end of connections is waited for.
const END_MAX: Duration = Duration::from_secs(10);

/// The same when nobody is left to wait for them.
const END_AT_ONCE: Duration = Duration::from_millis(200);

/// Something that answers requests.
pub(crate) trait Service: Send + Sync {
    /// Begins to serve one connection.
    fn session(self: Arc<Self>) -> Box<dyn Session>;
}

/// What one connection's requests have in common.
pub(crate) trait Session {
    /// Answers a request whose body has been read.
    fn answer(&mut self, request: Value, body: Vec<u8>) -> Answer<Reply>;

    /// Has the process end: somebody asked for it, and was answered if that was possible.
    fn end(&self) {}

    /// Tells whether the request of that name is followed or answered by a transfer stream.
    fn streams(&self, op: &str) -> bool {
        let _ = op;
        false
    }

    /// Answers such a request. An error ends the connection.
    fn stream(
        &mut self,
        request: Value,
        body: Vec<u8>,
        connection: &mut Connection,
    ) -> Result<(), WireError> {
        let _ = (request, body);
        connection.refuse(&Refusal::bad_request("no request of this service has a stream"))
    }
}

/// A service that is being served.
pub(crate) struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    next: u64,
    open: HashMap<u64, TcpStream>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves connections until [`Listening::stop`].
pub(crate) fn serve(
    listener: TcpListener,
    connections_max: usize,
    service: Arc<dyn Service>,
) -> std::io::Result<Listening> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::default());
    let accepting = thread::Builder::new().name("accept".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || accept(&listener, connections_max, &service, &shared)
    })?;
    Ok(Listening { address, shared, accepting: Some(accepting) })
}

impl Listening {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, ends all connections, and waits until they have ended.
    pub(crate) fn stop(&mut self) {
        self.stop_within(END_MAX);
    }

    /// The same in a hurry: a request that takes longer is left to the end of the process.
    pub(crate) fn stop_at_once(&mut self) {
        self.stop_within(END_AT_ONCE);
    }

    fn stop_within(&mut self, most: Duration) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.state().stopping = true;
        // The thread wakes up with a connection, ours or another's; if ours fails it is gone.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        drop(accepting.join());
        let begun = Instant::now();
        let mut state = self.shared.state();
        state.open.values().for_each(close);
        while !state.open.is_empty() && begun.elapsed() < most {
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(20));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop();
    }
}

fn close(stream: &TcpStream) {
    // One that is closed already is what was wanted.
    drop(stream.shutdown(std::net::Shutdown::Both));
}

fn accept(
    listener: &TcpListener,
    connections_max: usize,
    service: &Arc<dyn Service>,
    shared: &Arc<Shared>,
) {
    for stream in listener.incoming() {
        if shared.state().stopping {
            return;
        }
        // Without file handles to spare every accept fails; it is tried again a little later.
        let Ok(stream) = stream else {
            thread::park_timeout(Duration::from_millis(10));
            continue;
        };
        admit(stream, connections_max, service, shared);
    }
}

/// Gives a connection its thread, or refuses it.
fn admit(
    stream: TcpStream,
    connections_max: usize,
    service: &Arc<dyn Service>,
    shared: &Arc<Shared>,
) {
    let Ok(handle) = stream.try_clone() else { return };
    let number = {
        let mut state = shared.state();
        if state.open.len() >= connections_max {
            drop(state);
            refuse_busy(stream, connections_max);
            return;
        }
        state.next += 1;
        let number = state.next;
        state.open.insert(number, handle);
        number
    };
    let (service, at_end) = (Arc::clone(service), Arc::clone(shared));
    let serving = move || {
        let _end = End { shared: at_end, number };
        if let Ok(connection) = Connection::new(stream, IDLE_MAX) {
            converse(connection, service.session().as_mut());
        }
    };
    if thread::Builder::new().name(format!("connection {number}")).spawn(serving).is_err() {
        shared.state().open.remove(&number);
    }
}

/// Takes a connection off the list when its thread ends, in whatever way.
struct End {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.state().open.remove(&self.number);
        self.shared.changed.notify_all();
    }
}

fn refuse_busy(stream: TcpStream, connections_max: usize) {
    let text = format!("there are {connections_max} connections already; try again in a moment");
    if let Ok(mut connection) = Connection::new(stream, Duration::from_secs(1)) {
        // A client that is gone needs no refusal.
        drop(connection.refuse(&Refusal::new(ErrorCode::Busy, text)));
    }
}

/// Answers requests until the other side ends, or says what cannot be understood.
fn converse(mut connection: Connection, session: &mut dyn Session) {
    loop {
        let answered = match connection.read_line() {
            Ok(None) => return,
            Ok(Some(line)) => one_request(&mut connection, session, line),
            Err(error) => Err(error),
        };
        match answered {
            Ok(()) => {}
            Err(WireError::Garbage { cause, .. }) => {
                let text = format!("{cause}; the connection is closed");
                drop(connection.refuse(&Refusal::bad_request(text)));
                connection.close();
                return;
            }
            Err(WireError::Io { .. }) => {
                connection.close();
                return;
            }
        }
    }
}

fn one_request(
    connection: &mut Connection,
    session: &mut dyn Session,
    mut line: Map<String, Value>,
) -> Result<(), WireError> {
    let len = connection.body_len(&mut line)?;
    let mut body = connection.read_body(len)?;
    if line.remove("long").is_some() {
        let more: Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| connection.garbage(format!("the long request: {error}")))?;
        line.extend(more);
        body = Vec::new();
    }
    let op = line.get("op").and_then(Value::as_str).unwrap_or_default();
    if session.streams(op) {
        return session.stream(Value::Object(line), body, connection);
    }
    let answer = session.answer(Value::Object(line), body);
    let ends = answer.as_ref().is_ok_and(|reply| reply.ends);
    let answered = connection.answer(answer);
    if ends {
        session.end();
    }
    answered
}

/// Lets a service say that somebody asked the process to end.
#[derive(Clone)]
pub(crate) struct Signal(Arc<dyn Fn() + Send + Sync>);

impl Signal {
    /// `raise` is called each time somebody asks.
    pub(crate) fn new(raise: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(raise))
    }

    /// Passes the wish on.
    pub(crate) fn raise(&self) {
        (self.0)();
    }
}

/// Reads a request out of its line.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(request: Value) -> Answer<T> {
    serde_json::from_value(request)
        .map_err(|error| Refusal::bad_request(format!("the request is not understood: {error}")))
}

#[cfg(test)]
mod tests;
