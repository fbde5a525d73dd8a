//! The hosts of the lab: what runs on them, and what is done to them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rehome::parts::store::{OpenOptions, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::network::Network;
use super::pacemaker::Pacemaker;
use super::{Fault, PATIENCE};
use crate::commands::program_with;

/// So many hosts.
pub(super) const COUNT: usize = 3;
/// The address that goes where the group goes.
pub(super) const FLOATING: &str = "10.77.0.50";
/// The port of the store.
pub(super) const PORT: u16 = 7403;
/// Names of the nodes.
pub(super) const NAMES: [&str; COUNT] = ["a", "b", "c"];
/// Timing of etcd, in milliseconds: as documented for one room, but for the
/// election.
const ETCD_HEARTBEAT: &str = "100";
const ETCD_ELECTION: &str = "500";
/// With this exit code a node ends that does not reach etcd when it starts.
const ETCD_IS_NOT_THERE: i32 = 3;
/// Files that hold locks on the shared disk. Each host has its own, as on storage whose locks do
/// not reach other hosts: what is left against two owners is the lease and the epoch.
const LOCKS: [&str; 2] = [".owner", "store/lock"];

/// One host while it has power.
#[derive(Debug, Default)]
struct Host {
    etcd: Option<Child>,
    node: Option<Child>,
    /// What was stopped by [`Hosts::pause`].
    paused: Vec<u32>,
}

/// The hosts, their network and their shared disk; all end when this is dropped.
#[derive(Debug)]
pub(super) struct Hosts {
    network: Network,
    hosts: Vec<Host>,
    folder: PathBuf,
    program: PathBuf,
    /// Where the cluster is, seen from the client.
    clients: String,
    /// What runs the cluster, if it is not our own.
    pacemaker: Option<Pacemaker>,
}

/// What is missing on this machine, if anything.
pub(super) fn impossible() -> Option<String> {
    let found = Command::new("etcd").arg("--version").stdout(Stdio::null()).status();
    found.err().map(|error| format!("etcd does not start ({error}); install etcd-server"))
}

impl Hosts {
    /// Sets everything up and waits until the group is served.
    pub(super) fn set_up(
        folder: &Path,
        lease_ms: u64,
        token_ms: Option<u64>,
    ) -> Result<Self, String> {
        let program = program_with("etcd")?;
        fs::create_dir_all(folder.join("shared")).map_err(|error| error.to_string())?;
        let network = Network::set_up(COUNT)?;
        let endpoints: Vec<String> = (1..=COUNT).map(|i| format!("10.77.0.{i}:2379")).collect();
        let clients = format!("etcd://{}/lab", endpoints.join(","));
        let hosts = (0..COUNT).map(|_| Host::default()).collect();
        let pacemaker = token_ms.map(|token_ms| Pacemaker::new(folder, token_ms)).transpose()?;
        let folder = folder.to_owned();
        let mut hosts = Self { network, hosts, folder, program, clients, pacemaker };
        hosts.make_store()?;
        if hosts.pacemaker.is_none() {
            for host in 0..COUNT {
                hosts.start_etcd(host)?;
            }
            hosts.configure(lease_ms)?;
        }
        for host in 0..COUNT {
            hosts.start_node(host)?;
        }
        hosts.configure_pacemaker()?;
        hosts.wait_healthy()?;
        Ok(hosts)
    }

    /// Gives Pacemaker its configuration, once it takes one.
    fn configure_pacemaker(&self) -> Result<(), String> {
        let Some(pacemaker) = &self.pacemaker else { return Ok(()) };
        let text = pacemaker.configuration(&self.program, &self.folder.join("shared"));
        let file = self.folder.join("pacemaker.crm");
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let started = Instant::now();
        let file = file.display().to_string();
        loop {
            // The cluster has its parts when its three nodes are there.
            let online = self.inside(0, &["crm_mon", "-1"]).is_ok_and(|said| {
                said.lines().any(|line| line.contains("Online:") && line.contains(" a b c "))
            });
            match online.then(|| self.inside(0, &["crm", "configure", "load", "replace", &file])) {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) if started.elapsed() > PATIENCE => return Err(error),
                None if started.elapsed() > PATIENCE => return Err("no three nodes".to_owned()),
                _ => thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    /// How many hosts have the floating address at this moment.
    pub(super) fn address_holders(&self) -> usize {
        let has = |host: &usize| {
            let name = self.network.host(*host);
            let shown = super::network::ip(&["-n", &name, "-4", "addr", "show", "dev", "eth0"]);
            shown.is_ok_and(|shown| shown.contains(&format!(" {FLOATING}/")))
        };
        (0..COUNT).filter(has).count()
    }

    /// Runs a program as if on the host, beside what is its first process.
    fn inside(&self, host: usize, args: &[&str]) -> Result<String, String> {
        let first = self.hosts[host].node.as_ref().map(Child::id);
        let first = first.and_then(first_child).ok_or("the host does not run")?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &first.to_string(), "-a", "--"]).args(args).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("nsenter: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// A host that runs.
    fn any_running(&self) -> Option<usize> {
        (0..COUNT).find(|host| self.hosts[*host].node.is_some())
    }

    fn make_store(&self) -> Result<(), String> {
        let shared = self.folder.join("shared");
        fs::create_dir_all(shared.join("store")).map_err(|error| error.to_string())?;
        let options = OpenOptions { owner: "the lab".to_owned(), ..OpenOptions::default() };
        let store = Store::create_at(&shared.join("store"), options);
        store.and_then(Store::close).map_err(|error| format!("no store: {error}"))?;
        for lock in LOCKS {
            let places = (0..COUNT).map(|host| self.own_lock(host, lock));
            for place in places.chain([shared.join(lock)]) {
                let made = place.parent().map_or(Ok(()), fs::create_dir_all);
                made.and_then(|()| File::options().append(true).create(true).open(&place))
                    .map_err(|error| format!("{}: {error}", place.display()))?;
            }
        }
        Ok(())
    }

    fn own_lock(&self, host: usize, lock: &str) -> PathBuf {
        self.host_folder(host).join("locks").join(lock.replace('/', "-"))
    }

    fn host_folder(&self, host: usize) -> PathBuf {
        self.folder.join(NAMES[host])
    }

    fn log(&self, host: usize, what: &str) -> Result<Stdio, String> {
        let folder = self.host_folder(host);
        let file = folder.join(format!("{what}.log"));
        let opened = fs::create_dir_all(&folder)
            .and_then(|()| File::options().append(true).create(true).open(file));
        opened.map(Stdio::from).map_err(|error| error.to_string())
    }

    fn start_etcd(&mut self, host: usize) -> Result<(), String> {
        let own = |port: u16| format!("http://10.77.0.{}:{port}", host + 1);
        let peers: Vec<String> =
            (0..COUNT).map(|i| format!("{}=http://10.77.0.{}:2380", NAMES[i], i + 1)).collect();
        let data = self.host_folder(host).join("etcd");
        let clients = format!("{},http://127.0.0.1:2379", own(2379));
        let mut command = self.network.command(&self.network.host(host));
        command
            .args(["etcd", "--name", NAMES[host], "--log-level", "warn", "--data-dir"])
            .arg(data);
        command.args(["--listen-peer-urls", &own(2380), "--listen-client-urls", &clients]);
        command.args(["--initial-advertise-peer-urls", &own(2380)]);
        command.args(["--advertise-client-urls", &own(2379)]);
        command.args(["--initial-cluster", &peers.join(","), "--initial-cluster-state", "new"]);
        command.args(["--heartbeat-interval", ETCD_HEARTBEAT, "--election-timeout", ETCD_ELECTION]);
        // Without it, who comes back from a cut makes the others elect anew.
        command.arg("--pre-vote=true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.log(host, "etcd")?);
        self.hosts[host].etcd = Some(command.spawn().map_err(|error| format!("etcd: {error}"))?);
        Ok(())
    }

    /// Where the cluster is, seen from a host: its own member first.
    fn place(&self, host: usize) -> String {
        let others = (0..COUNT).filter(|other| *other != host);
        let others: Vec<String> = others.map(|i| format!("10.77.0.{}:2379", i + 1)).collect();
        format!("etcd://127.0.0.1:2379,{}/lab", others.join(","))
    }

    fn start_node(&mut self, host: usize) -> Result<(), String> {
        let command = match &self.pacemaker {
            Some(pacemaker) => {
                let shared = self.folder.join("shared");
                let pair = |lock| [self.own_lock(host, lock), shared.join(lock)];
                let locks: Vec<PathBuf> = LOCKS.into_iter().flat_map(pair).collect();
                pacemaker.host(self.network.command(&self.network.host(host)), host, &locks)
            }
            None => self.node_command(host),
        };
        let mut command = command;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.log(host, "node")?);
        self.hosts[host].node = Some(command.spawn().map_err(|error| format!("node: {error}"))?);
        Ok(())
    }

    fn node_command(&self, host: usize) -> Command {
        let mut script = String::new();
        for lock in LOCKS {
            let (own, shared) = (self.own_lock(host, lock), self.folder.join("shared").join(lock));
            script += &format!("mount --bind '{}' '{}' && ", own.display(), shared.display());
        }
        script += "exec \"$@\"";
        let mut command = self.network.command(&self.network.host(host));
        command.args(["sh", "-c", &script, "sh"]).arg(&self.program);
        command.args(["cluster", "node", "--quorum", &self.place(host), "--name", NAMES[host]]);
        command
    }

    /// Runs the program in the client's namespace and returns what it says.
    fn rehome(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.network.command(&self.network.client());
        let output = command.arg(&self.program).args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("rehome does not start: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("rehome {}: {}", args.join(" "), said.trim()))
            }
        }
    }

    /// Tries until it works: etcd takes a moment to come up.
    fn patiently(&self, args: &[&str]) -> Result<String, String> {
        let started = Instant::now();
        loop {
            match self.rehome(args) {
                Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(100)),
                done => return done,
            }
        }
    }

    fn configure(&self, lease_ms: u64) -> Result<(), String> {
        let place = self.clients.as_str();
        let lease = lease_ms.to_string();
        let nodes: Vec<String> =
            (0..COUNT).map(|i| format!("{}={}", NAMES[i], self.host_folder(i).display())).collect();
        let mut create = vec!["cluster", "create", place, "--name", "lab", "--lease-ms", &lease];
        nodes.iter().for_each(|node| create.extend(["--node", node]));
        self.patiently(&create)?;
        let shared = format!("path={}", self.folder.join("shared").display());
        let address = format!("address={FLOATING}/24");
        let listen = format!("arg.6=0.0.0.0:{PORT}");
        let kinds: [(&str, &str, &[&str]); 3] = [
            ("disk", "folder", &[&shared]),
            ("address", "ip", &[&address, "device=eth0"]),
            (
                "store",
                "process",
                &[
                    "arg.1=serve",
                    "arg.2=store",
                    "arg.3=--dir",
                    "arg.4={folder}/store",
                    "arg.5=--listen",
                    &listen,
                    "arg.7=--server",
                    "arg.8=LAB",
                    "arg.9=--epoch",
                    "arg.10={epoch}",
                    "arg.11=--while-stdin",
                ],
            ),
        ];
        for (name, kind, set) in kinds {
            let mut add = vec!["cluster", "add-resource", place, "--group", "mail", "--name", name];
            add.extend(["--kind", kind, "--online", "--restarts", "1000"]);
            set.iter().for_each(|one| add.extend(["--set", one]));
            if name == "store" {
                add.extend(["--depends-on", "disk"]);
            }
            self.rehome(&add)?;
        }
        Ok(())
    }

    fn status(&self) -> Result<Value, String> {
        let said = self.rehome(&["--json", "cluster", "status", &self.clients])?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }

    /// Waits until every node is alive and the group is online.
    pub(super) fn wait_healthy(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            self.start_again()?;
            let (healthy, seen) = match &self.pacemaker {
                Some(_) => self.pacemaker_health(),
                None => self.health(),
            };
            match healthy {
                true => return Ok(()),
                false if started.elapsed() > PATIENCE => {
                    return Err(format!("the cluster did not become healthy; last seen: {seen}"));
                }
                false => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Starts nodes that ended because etcd was not there yet, as a service manager does.
    fn start_again(&mut self) -> Result<(), String> {
        for host in 0..COUNT {
            let node = self.hosts[host].node.as_mut();
            let ended = node.and_then(|node| node.try_wait().ok().flatten());
            if ended.is_some_and(|status| status.code() == Some(ETCD_IS_NOT_THERE)) {
                self.start_node(host)?;
            }
        }
        Ok(())
    }

    /// Whether all is well, and what was seen.
    fn health(&self) -> (bool, String) {
        let status = match self.status() {
            Ok(status) => status,
            Err(error) => return (false, error),
        };
        let alive = NAMES.iter().all(|node| status["nodes"][node]["liveness"] == "alive");
        let online = status["groups"]["mail"]["state"] == "online";
        (alive && online, status.to_string())
    }

    fn pacemaker_health(&self) -> (bool, String) {
        let said = self.any_running().map(|host| self.inside(host, &["crm_mon", "-1"]));
        match said.unwrap_or_else(|| Err("no host runs".to_owned())) {
            Ok(said) => (Pacemaker::is_healthy(&said), said),
            Err(error) => (false, error),
        }
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// What a member of etcd says of itself, in JSON.
    fn etcd_status(&self, host: usize) -> Value {
        let mut command = self.network.command(&self.network.host(host));
        command.env("ETCDCTL_API", "3").args(["etcdctl", "endpoint", "status"]);
        let output = command.args(["--write-out", "json"]).stderr(Stdio::null()).output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        let status: Value = serde_json::from_slice(&output).unwrap_or_default();
        status[0]["Status"].clone()
    }

    /// The host whose member leads etcd.
    pub(super) fn etcd_leader(&self) -> Option<usize> {
        let own = self.pacemaker.is_none().then_some(0..COUNT);
        own.into_iter().flatten().find(|host| {
            let status = self.etcd_status(*host);
            !status["leader"].is_null() && status["leader"] == status["header"]["member_id"]
        })
    }

    /// Has the member of a host lead etcd, as far as etcd goes along.
    pub(super) fn lead_etcd(&self, host: usize) {
        let Some(leader) = self.etcd_leader().filter(|leader| *leader != host) else { return };
        let Some(id) = self.etcd_status(host)["header"]["member_id"].as_u64() else { return };
        let mut command = self.network.command(&self.network.host(leader));
        command.env("ETCDCTL_API", "3").args(["etcdctl", "move-leader", &format!("{id:x}")]);
        // Who leads is looked at again, and shown.
        let _asked = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// When another node than `owner` claimed the group after `at_us`, by its own log.
    pub(super) fn claimed_us(&self, owner: usize, at_us: u64) -> Option<u64> {
        if self.pacemaker.is_some() {
            return None;
        }
        let said = self.rehome(&["--json", "cluster", "log", &self.clients]).ok()?;
        let entries: Vec<Value> = serde_json::from_str(&said).ok()?;
        let claims = entries.iter().filter(|entry| {
            entry["action"] == "claim" && entry["node"] != NAMES[owner] && entry["group"] == "mail"
        });
        claims.filter_map(|entry| entry["wall_us"].as_u64()).filter(|us| *us > at_us).min()
    }

    /// Processes of a host that were started by its node: all but etcd.
    fn of_node(&self, host: usize) -> Vec<u32> {
        let etcd = self.hosts[host].etcd.as_ref().map(Child::id);
        self.network.processes(host).into_iter().filter(|pid| Some(*pid) != etcd).collect()
    }

    pub(super) fn kill_store(&self, host: usize) -> Result<(), String> {
        let is_store = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"serve")
        };
        let found = self.of_node(host).into_iter().find(is_store);
        signal(found.ok_or("the owner runs no store")?, Signal::KILL);
        Ok(())
    }

    /// Kills the node's program; of Pacemaker, what says who is a member.
    pub(super) fn kill_daemon(&mut self, host: usize) -> Result<(), String> {
        if self.pacemaker.is_some() {
            let is_it = |pid: &u32| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm"));
                name.is_ok_and(|name| name.trim() == "corosync")
            };
            let found = self.of_node(host).into_iter().find(is_it);
            signal(found.ok_or("the owner runs no corosync")?, Signal::KILL);
            return Ok(());
        }
        let mut node = self.hosts[host].node.take().ok_or("the owner has no node")?;
        node.kill().and_then(|()| node.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Everything on the host is killed, its links are down, and what it had of addresses is gone.
    pub(super) fn power_off(&mut self, host: usize) -> Result<(), String> {
        let pids = self.network.processes(host);
        pids.iter().for_each(|pid| signal(*pid, Signal::KILL));
        self.network.wire(host, true, false)?;
        let name = self.network.host(host);
        // It is gone already if the store's host did not have it.
        let address = format!("{FLOATING}/24");
        let _gone = super::network::ip(&["-n", &name, "addr", "del", &address, "dev", "eth0"]);
        let children = [self.hosts[host].node.take(), self.hosts[host].etcd.take()];
        for mut child in children.into_iter().flatten() {
            child.wait().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    pub(super) fn cut(&self, host: usize) -> Result<(), String> {
        self.network.wire(host, false, false)
    }

    pub(super) fn pause(&mut self, host: usize) -> Result<(), String> {
        let pids = self.of_node(host);
        pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
        self.hosts[host].paused = pids;
        Ok(())
    }

    pub(super) fn resume(&mut self, host: usize) {
        for pid in std::mem::take(&mut self.hosts[host].paused) {
            signal(pid, Signal::CONT);
        }
    }

    pub(super) fn move_group(&self, to: usize) -> Result<(), String> {
        self.rehome(&["cluster", "move", &self.clients, "mail", NAMES[to]]).map(drop)
    }

    /// Gives the host back what the fault took.
    pub(super) fn restore(&mut self, fault: Fault, host: usize) -> Result<(), String> {
        if self.pacemaker.is_some() && fault == Fault::Daemon {
            // What is left of it is of no use: the host is started anew, as its power button does.
            self.power_off(host)?;
        }
        self.network.wire(host, true, true)?;
        if fault == Fault::Power && self.pacemaker.is_none() {
            self.start_etcd(host)?;
        }
        if matches!(fault, Fault::Power | Fault::Daemon) {
            self.start_node(host)?;
        }
        if self.pacemaker.is_some() {
            let live = self.any_running().ok_or("no host runs")?;
            // Failures that are forgotten too early are only told again.
            let _told = self.inside(live, &["crm_resource", "-C", "-r", "mail"]);
        }
        Ok(())
    }
}

/// The only child of a process that waits for it.
fn first_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

pub(super) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that is gone needs no signal.
        let _gone = kill_process(pid, signal);
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..COUNT {
            self.resume(host);
            self.network.processes(host).into_iter().for_each(|pid| signal(pid, Signal::KILL));
            for child in [self.hosts[host].node.take(), self.hosts[host].etcd.take()] {
                // It was killed above.
                let _gone = child.map(|mut child| child.wait());
            }
        }
    }
}
