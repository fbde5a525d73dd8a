//! An address that clients use, claimed by listening on it.
//!
//! Two listeners cannot have the same address and port, so on one machine the claim excludes.
//! Whoever connects is told in one JSON line who has the address.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::lease::{Ends, Gate};

/// How long the holder of an address is given to say who it is.
const ASK_MS: u64 = 300;

pub(super) struct Address {
    address: String,
    port: u16,
    claim: Option<Claim>,
}

struct Claim {
    listening: Arc<Listening>,
    thread: Option<JoinHandle<()>>,
    gate: Arc<Gate>,
    ticket: u64,
}

/// The part of a claim that the guard of the lease can end.
struct Listening {
    at: SocketAddr,
    ended: AtomicBool,
}

impl Ends for Listening {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; it then sees that it is over and drops the listener.
        drop(TcpStream::connect_timeout(&self.at, Duration::from_millis(ASK_MS)));
    }
}

impl Address {
    pub(super) fn new(address: &str, port: u16) -> Self {
        Self { address: address.to_owned(), port, claim: None }
    }

    fn name(&self) -> String {
        format!("address {}:{}", self.address, self.port)
    }
}

impl Resource for Address {
    fn online(&mut self, context: &Context, _: &Reporter) -> Result<Started, ResourceError> {
        let name = self.name();
        let ip: IpAddr = self.address.parse().map_err(|error| {
            ResourceError::Failed(format!("{name}: {error}; write an IPv4 or IPv6 address"))
        })?;
        let at = SocketAddr::new(ip, self.port);
        let answer = json!({
            "address": self.address, "port": self.port, "node": context.node,
            "group": context.group, "resource": context.resource, "epoch": context.epoch,
        });
        let entered = context.gate.enter(context.generation, |register| {
            let listener = TcpListener::bind(at)?;
            let listening = Arc::new(Listening { at, ended: AtomicBool::new(false) });
            let ticket = register.add(listening.clone());
            let thread = serve(listener, listening.clone(), format!("{answer}\n"))?;
            std::io::Result::Ok((listening, ticket, thread))
        });
        let Some(bound) = entered else {
            return Err(ResourceError::Failed(format!("{name}: the lease was lost meanwhile")));
        };
        match bound {
            Ok((listening, ticket, thread)) => {
                let gate = context.gate.clone();
                self.claim = Some(Claim { listening, thread: Some(thread), gate, ticket });
                Ok(Started::Online(Some(answer)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                Err(ResourceError::Held { what: name, holder: ask(at) })
            }
            Err(error) => Err(ResourceError::Failed(format!(
                "{name} cannot be bound: {error}; give the host that address or choose another"
            ))),
        }
    }

    fn offline(&mut self, _: u64) -> Result<(), ResourceError> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<(), ResourceError> {
        let Some(mut claim) = self.claim.take() else { return Ok(()) };
        claim.listening.end();
        claim.gate.forget(claim.ticket);
        if let Some(thread) = claim.thread.take() {
            let ended = thread.join();
            ended
                .map_err(|_| ResourceError::Failed(format!("{}: its thread broke", self.name())))?;
        }
        Ok(())
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        let running = |thread: &JoinHandle<()>| !thread.is_finished();
        match &self.claim {
            Some(claim) if claim.thread.as_ref().is_some_and(running) => Ok(()),
            _ => Err(ResourceError::Failed(format!("{} is not listened on", self.name()))),
        }
    }
}

fn serve(
    listener: TcpListener,
    listening: Arc<Listening>,
    answer: String,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("address".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            if listening.ended.load(Ordering::SeqCst) {
                return;
            }
            match stream {
                Ok(mut stream) => {
                    // The answer fits the socket's buffer, so a slow client holds nobody up.
                    drop(stream.write_all(answer.as_bytes()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

/// Asks whoever has the address who it is.
fn ask(at: SocketAddr) -> String {
    let wait = Duration::from_millis(ASK_MS);
    let ask = || -> std::io::Result<String> {
        let stream = TcpStream::connect_timeout(&at, wait)?;
        stream.set_read_timeout(Some(wait))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    };
    match ask() {
        Ok(line) if !line.is_empty() => line,
        _ => "a process that does not say who it is".to_owned(),
    }
}
