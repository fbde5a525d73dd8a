//! The node: the program that runs what the policy decides.

mod keys;
mod publisher;
mod shell;
mod worker;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rehome_log::Clock;
use serde_json::json;

use crate::configuration::Configuration;
use crate::coordinator::{Coordinator, CoordinatorError, Entrance, Heartbeat, Owner};
use crate::ids::NodeName;
use crate::lease::{Gate, Keeper, Lease};
use crate::metrics::Metrics;
use crate::registry::REGISTRY_DIR;
use crate::resources::Families;
use shell::{Message, Parts, Shell};

/// What a node needs to run.
pub struct NodeOptions {
    /// What the nodes agree through.
    pub coordinator: Arc<dyn Coordinator>,
    /// Which of the configured nodes this is.
    pub name: NodeName,
    /// Its own folder, as configured.
    pub state_dir: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Set to stop in order.
    pub stop: Arc<AtomicBool>,
    /// Stop in order at end of file on standard input as well.
    pub while_stdin: bool,
    /// What process resources run unless they name a program.
    pub program: PathBuf,
    /// Where metrics are handed out in the text form of Prometheus, if anywhere.
    pub metrics: Option<std::net::SocketAddr>,
    /// Where the line `ready {json}` goes when the node takes part.
    pub ready_out: Box<dyn Write + Send>,
}

/// Why a node could not run, or could not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node is not configured.
    #[error("node {name:?} is not in the configuration; add it, or start one of: {known}")]
    NotConfigured {
        /// The name given.
        name: NodeName,
        /// The names configured.
        known: String,
    },
    /// Another process runs this node.
    #[error("node {name:?} runs already ({holder}); one node is one process; stop that one first")]
    AlreadyRunning {
        /// The node.
        name: NodeName,
        /// What the other one wrote about itself.
        holder: String,
    },
    /// The shared state cannot be used.
    #[error("node {name:?} cannot start: {source}")]
    Coordinator {
        /// The node.
        name: NodeName,
        /// Why.
        source: CoordinatorError,
    },
    /// A folder of the node cannot be used.
    #[error("node {name:?} cannot use {place}: {source}; make it writable for this account")]
    Local {
        /// The node.
        name: NodeName,
        /// Where.
        place: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Metrics cannot be handed out there.
    #[error(
        "node {name:?} cannot listen for metrics on {at}: {source}; it was not started; choose \
         another address and port, or none"
    )]
    Metrics {
        /// The node.
        name: NodeName,
        /// Where.
        at: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something could not be stopped, so the group was not released.
    #[error(
        "node {name:?} ended with resources that would not stop: {resources}; their group was \
         not released and moves only after the lease; look for what is left of them"
    )]
    NotStopped {
        /// The node.
        name: NodeName,
        /// Which.
        resources: String,
    },
}

/// A node.
pub struct Node;

impl Node {
    /// Runs the node until it is told to stop, then takes its groups offline and releases them.
    ///
    /// # Errors
    ///
    /// [`NodeError`]; see its variants.
    pub fn run(options: NodeOptions) -> Result<(), NodeError> {
        let NodeOptions { name, state_dir, clock, .. } = &options;
        let shared = options.coordinator.clone();
        let coordinator = |source| NodeError::Coordinator { name: name.clone(), source };
        let configuration = shared.configuration(0).map_err(coordinator)?;
        let missing = || coordinator(CoordinatorError::Missing { place: shared.place().into() });
        let configuration = configuration.ok_or_else(missing)?;
        check_configured(name, &configuration)?;
        prepare_folders(name, state_dir)?;
        let metrics = Metrics::default();
        if let Some(at) = options.metrics {
            let failed = |source| NodeError::Metrics { name: name.clone(), at, source };
            metrics.serve(at).map_err(failed)?;
        }
        let incarnation = format!("{:x}-{:x}", clock.wall_us(), std::process::id());
        let me = Owner { node: name.clone(), incarnation };
        let first = first_heartbeat(&me);
        let only_one = match shared.enter(&first, &configuration.timing).map_err(coordinator)? {
            Entrance::Entered(held) => held,
            Entrance::Taken(holder) => {
                return Err(NodeError::AlreadyRunning { name: name.clone(), holder });
            }
        };
        let (sender, messages) = channel();
        let lease = Arc::new(Lease::new(clock.clone(), configuration.timing));
        let gate = Arc::new(Gate::new(lease.clone()));
        let parts = Parts {
            me: me.clone(),
            coordinator: shared.clone(),
            clock: clock.clone(),
            state_dir: state_dir.clone(),
            program: options.program.clone(),
            metrics,
            lease: lease.clone(),
            gate: gate.clone(),
            families: Arc::new(Families::new(&me.incarnation)),
            messages,
            sender: sender.clone(),
        };
        let woken = sender.clone();
        let watch = shared.watch(Arc::new(move || drop(woken.send(Message::Look))));
        let keeper = start_keeper(name, &lease, &gate, &shared, first.clone(), sender.clone())?;
        let stop = options.stop.clone();
        if options.while_stdin {
            watch_stdin(stop.clone(), sender);
        }
        say_ready(options.ready_out, &me);
        let stuck = Shell::new(parts).run(&stop);
        drop((keeper, watch));
        if !stuck.is_empty() {
            let resources: Vec<&str> = stuck.iter().map(|resource| resource.as_str()).collect();
            return Err(NodeError::NotStopped { name: me.node, resources: resources.join(", ") });
        }
        // A word to the others that nothing is left to wait for; without it they wait the lease.
        drop(shared.beat(&Heartbeat { counter: u64::MAX, leaving: true, ..first }));
        drop(only_one);
        Ok(())
    }
}

fn check_configured(name: &NodeName, configuration: &Configuration) -> Result<(), NodeError> {
    if configuration.node(name).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = configuration.nodes.iter().map(|node| node.name.as_str()).collect();
    Err(NodeError::NotConfigured { name: name.clone(), known: known.join(", ") })
}

fn prepare_folders(name: &NodeName, state_dir: &Path) -> Result<(), NodeError> {
    let registry = state_dir.join(REGISTRY_DIR);
    fs::create_dir_all(&registry).map_err(|source| NodeError::Local {
        name: name.clone(),
        place: registry,
        source,
    })
}

fn first_heartbeat(me: &Owner) -> Heartbeat {
    Heartbeat {
        node: me.node.clone(),
        incarnation: me.incarnation.clone(),
        counter: 1,
        pid: std::process::id(),
        leaving: false,
    }
}

fn start_keeper(
    name: &NodeName,
    lease: &Arc<Lease>,
    gate: &Arc<Gate>,
    shared: &Arc<dyn Coordinator>,
    first: Heartbeat,
    sender: Sender<Message>,
) -> Result<Keeper, NodeError> {
    let wake = Arc::new(move || drop(sender.send(Message::Wake)));
    let keeper = Keeper::start(lease.clone(), gate.clone(), shared.clone(), first, wake);
    keeper.map_err(|source| NodeError::Local {
        name: name.clone(),
        place: PathBuf::from("a thread for the lease"),
        source,
    })
}

/// Sets `stop` at the end of standard input.
fn watch_stdin(stop: Arc<AtomicBool>, sender: Sender<Message>) {
    let watch = move || {
        let mut buffer = [0; 256];
        let mut stdin = std::io::stdin().lock();
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        stop.store(true, Ordering::SeqCst);
        drop(sender.send(Message::Wake));
    };
    // Without the thread the end of input is not seen; the stop flag still works.
    drop(thread::Builder::new().name("stdin".to_owned()).spawn(watch));
}

fn say_ready(mut out: Box<dyn Write + Send>, me: &Owner) {
    let ready = json!({
        "node": me.node, "incarnation": me.incarnation, "pid": std::process::id(),
    });
    // Nobody may be listening; the node serves all the same.
    drop(writeln!(out, "ready {ready}").and_then(|()| out.flush()));
}
