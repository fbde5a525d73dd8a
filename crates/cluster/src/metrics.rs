//! What a node does, in the text form of Prometheus, and a listener that hands it out.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::status::{NodeStatus, ResourceState};

/// How long somebody who asks may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two attempts to accept a connection, where one failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// The states that a resource is counted in.
const STATES: [ResourceState; 5] = [
    ResourceState::Offline,
    ResourceState::OnlinePending,
    ResourceState::Online,
    ResourceState::OfflinePending,
    ResourceState::Failed,
];

/// The metrics of a node, as they were last told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    text: Arc<Mutex<String>>,
}

impl Metrics {
    /// What the node does now.
    pub(crate) fn tell(&self, status: &NodeStatus, lease_left_ms: u64) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = render(status, lease_left_ms);
    }

    /// Answers whoever asks at `at`, until the process ends. Returns where that is.
    pub(crate) fn serve(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(at)?;
        let at = listener.local_addr()?;
        let metrics = self.clone();
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                // Without file handles to spare every accept fails; it is tried again a little
                // later.
                let Ok(stream) = stream else {
                    thread::park_timeout(ACCEPT_AGAIN);
                    continue;
                };
                // Who does not listen misses it.
                let _gone = metrics.answer(stream);
            }
        })?;
        Ok(at)
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut request = Vec::new();
        // Read to its end: closing with a part unread would cut the answer off.
        while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
            let mut bytes = [0; 1024];
            match stream.read(&mut bytes)? {
                0 => break,
                read => request.extend_from_slice(&bytes[..read]),
            }
        }
        let asked = String::from_utf8_lossy(&request);
        let path = asked.split_whitespace().nth(1).unwrap_or_default();
        let (code, text) = match path {
            "/metrics" | "/" => {
                ("200 OK", self.text.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
            _ => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        };
        write!(
            stream,
            "HTTP/1.1 {code}\r\nContent-Type: text/plain; version=0.0.4\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )
    }
}

/// Names hold no character that would need escaping.
fn render(status: &NodeStatus, lease_left_ms: u64) -> String {
    let mut text = String::new();
    let node = &status.node;
    let mut metric = |name: &str, help: &str, kind: &str, lines: Vec<(String, f64)>| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP rehome_cluster_{name} {help}");
        let _ = writeln!(text, "# TYPE rehome_cluster_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "rehome_cluster_{name}{{node=\"{node}\"{labels}}} {value}");
        }
    };
    let exact = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    metric(
        "configuration_revision",
        "Revision that the node works by.",
        "gauge",
        vec![(String::new(), exact(status.revision))],
    );
    let left = exact(lease_left_ms) / 1e3;
    metric(
        "lease_left_seconds",
        "Until when the node may act.",
        "gauge",
        vec![(String::new(), left)],
    );
    let groups = || status.groups.iter();
    let epochs = groups().map(|(name, group)| (format!(",group=\"{name}\""), exact(group.epoch)));
    metric("group_epoch", "Epoch under which the node owns the group.", "gauge", epochs.collect());
    let failovers =
        groups().map(|(name, group)| (format!(",group=\"{name}\""), f64::from(group.failovers)));
    metric(
        "group_failovers",
        "Fail-overs that count against the budget.",
        "gauge",
        failovers.collect(),
    );
    let resources = || {
        groups().flat_map(|(group, owned)| {
            owned
                .resources
                .iter()
                .map(move |(name, one)| (format!(",group=\"{group}\",resource=\"{name}\""), one))
        })
    };
    let states = resources().flat_map(|(labels, one)| {
        STATES.map(|state| {
            (format!("{labels},state=\"{state}\""), f64::from(u8::from(one.state == state)))
        })
    });
    metric("resource_state", "1 for the state that the resource is in.", "gauge", states.collect());
    let since = resources().map(|(labels, one)| (labels, exact(one.for_ms) / 1e3));
    metric("resource_state_seconds", "How long it is in that state.", "gauge", since.collect());
    let restarts = resources().map(|(labels, one)| (labels, f64::from(one.restarts)));
    metric(
        "resource_restarts",
        "Restarts that count against the budget.",
        "gauge",
        restarts.collect(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupName, NodeName, ResourceName};
    use crate::status::{OwnedGroup, ResourceStatus};

    fn status() -> NodeStatus {
        let store = ResourceStatus {
            state: ResourceState::Online,
            for_ms: 1_500,
            reason: "it said that it is online".to_owned(),
            detail: None,
            progress: None,
            restarts: 2,
        };
        let resources = [(ResourceName::new("store").unwrap(), store)].into();
        let group = OwnedGroup { epoch: 7, resources, failovers: 1 };
        NodeStatus {
            node: NodeName::new("a").unwrap(),
            incarnation: "1".to_owned(),
            pid: 1,
            revision: 3,
            groups: [(GroupName::new("mail").unwrap(), group)].into(),
        }
    }

    #[test]
    fn a_scrape_finds_every_resource_and_its_state() {
        let metrics = Metrics::default();
        metrics.tell(&status(), 1_250);
        let at = metrics.serve("127.0.0.1:0".parse().unwrap()).unwrap();
        let ask = |path: &str| {
            let mut stream = TcpStream::connect(at).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let answer = ask("/metrics");
        for line in [
            "rehome_cluster_lease_left_seconds{node=\"a\"} 1.25",
            "rehome_cluster_group_epoch{node=\"a\",group=\"mail\"} 7",
            "rehome_cluster_resource_state{node=\"a\",group=\"mail\",resource=\"store\",\
             state=\"online\"} 1",
            "rehome_cluster_resource_restarts{node=\"a\",group=\"mail\",resource=\"store\"} 2",
        ] {
            assert!(answer.lines().any(|found| found == line), "{line} is not in {answer}");
        }
        assert!(ask("/else").starts_with("HTTP/1.1 404"));
    }
}
