//! A floating address: given to an interface by netlink, announced by ARP, and taken away again by
//! whoever is left.
//!
//! A process of its own holds it. When the node's program dies, hangs or loses its lease, that
//! process takes the address away; when it is that process which dies, the node does.

mod announce;
mod link;

use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

/// When it is announced after the first time, in milliseconds after the announcement before.
const AGAIN_MS: [u64; 5] = [50, 150, 300, 500, 1_000];

/// How often it is announced from then on.
const RENEW: Duration = Duration::from_secs(30);

/// An IPv4 address with the length of its network, as in `192.0.2.7/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloatingAddress {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
}

/// Why a floating address cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum FloatingError {
    /// It cannot be understood.
    #[error("{text:?} is no floating address; write it as 192.0.2.7/24")]
    Malformed {
        /// The text.
        text: String,
    },
    /// There is no such interface.
    #[error("there is no interface {device:?} here: {source}; name one that every node has")]
    NoDevice {
        /// The interface.
        device: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refuses.
    #[error(
        "{address} cannot be {action} {device}: {source}; it takes the right to change addresses"
    )]
    System {
        /// The address.
        address: Ipv4Addr,
        /// What was tried.
        action: &'static str,
        /// The interface.
        device: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FromStr for FloatingAddress {
    type Err = FloatingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || FloatingError::Malformed { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').ok_or_else(malformed)?;
        let address = address.parse().map_err(|_| malformed())?;
        let prefix = prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix));
        Ok(Self { address, prefix: prefix.ok_or_else(malformed)? })
    }
}

impl FloatingAddress {
    /// Gives it to an interface; it may be there already.
    pub(crate) fn add(self, device: &str) -> Result<(), FloatingError> {
        self.change(device, link::Change::Add, "given to")
    }

    /// Takes it away from an interface; it may be gone already.
    pub(crate) fn remove(self, device: &str) -> Result<(), FloatingError> {
        self.change(device, link::Change::Remove, "taken from")
    }

    fn change(
        self,
        device: &str,
        change: link::Change,
        action: &'static str,
    ) -> Result<(), FloatingError> {
        let socket = link::open().map_err(|source| self.system(device, action, source))?;
        let index = link::index(&socket, device)
            .map_err(|source| FloatingError::NoDevice { device: device.to_owned(), source })?;
        link::change(&socket, change, index, self)
            .map_err(|source| self.system(device, action, source))
    }

    fn system(self, device: &str, action: &'static str, source: std::io::Error) -> FloatingError {
        let (address, device) = (self.address, device.to_owned());
        FloatingError::System { address, action, device, source }
    }

    /// Whether this machine has it.
    pub(crate) fn is_here(self) -> bool {
        UdpSocket::bind((self.address, 0)).is_ok()
    }
}

/// Holds a floating address until `input` ends, says `quit`, or its `lease <ms>` is over. Says
/// `ready {json}` on `out` when it is there.
///
/// # Errors
///
/// [`FloatingError`] if it cannot be given to the interface or taken away again.
pub fn hold_address(
    address: FloatingAddress,
    device: &str,
    out: &mut dyn Write,
    input: impl BufRead + Send + 'static,
) -> Result<(), FloatingError> {
    address.add(device)?;
    let held = json!({ "address": address.address, "device": device, "pid": std::process::id() });
    // Who does not announce is found a little later: by who asks for the address.
    let _heard = announce::announce(address.address, device);
    drop(writeln!(out, "ready {held}").and_then(|()| out.flush()));
    let (sender, lines) = channel();
    // Without the thread the input has ended: the sender is gone.
    drop(thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        for line in input.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    }));
    wait_for_end(address, device, &lines);
    address.remove(device)
}

/// Announces the address and waits until it is to be held no more.
fn wait_for_end(address: FloatingAddress, device: &str, lines: &Receiver<String>) {
    let mut until: Option<Instant> = None;
    let mut again = AGAIN_MS.into_iter().map(Duration::from_millis);
    let mut announces = Instant::now() + again.next().unwrap_or(RENEW);
    loop {
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return;
        }
        if now >= announces {
            let _heard = announce::announce(address.address, device);
            announces = now + again.next().unwrap_or(RENEW);
        }
        let next = until.map_or(announces, |until| until.min(announces));
        match lines.recv_timeout(next.saturating_duration_since(now)) {
            Ok(line) if line.trim() == "quit" => return,
            Ok(line) => until = crate::lease::line_deadline(&line).or(until),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, u8)>) {
        let found = text.parse::<FloatingAddress>().ok();
        let found = found.map(|one| (one.address.to_string(), one.prefix));
        assert_eq!(found, expected.map(|(address, prefix)| (address.to_owned(), prefix)));
    }

    #[test]
    fn an_address_has_the_length_of_its_network() {
        check("192.0.2.7/24", Some(("192.0.2.7", 24)));
        check("192.0.2.7", None);
        check("192.0.2.7/33", None);
        check("192.0.2.7/0", None);
        check("2001:db8::1/64", None);
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let address: FloatingAddress = "192.0.2.7/24".parse().unwrap();
        let error = address.add("nosuch0").unwrap_err().to_string();
        assert!(error.contains("nosuch0"), "{error}");
        assert!(!address.is_here());
    }
}
