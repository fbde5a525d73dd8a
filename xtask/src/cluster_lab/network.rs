//! The wires of the lab: namespaces, two bridges, and ways to cut them.
//!
//! Hosts and the client are on the network `10.77.0.0/24`. A second one, `10.78.0.0/24`, is for the
//! probe alone: it reaches a host that is cut off.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

/// How the names of namespaces begin, before the number of the process that made them.
const STEM: &str = "rehome";
/// Address of the client.
const CLIENT: u8 = 100;

/// The namespaces of one lab; they go when this is dropped.
#[derive(Debug)]
pub(super) struct Network {
    stem: String,
    count: usize,
}

/// Why there can be no namespaces, if there can be none.
pub(super) fn impossible() -> Option<String> {
    let name = format!("rehome-try-{}", std::process::id());
    if let Err(why) = ip(&["netns", "add", &name]) {
        return Some(format!("no network namespaces ({why}); it takes root and iproute2"));
    }
    let link = ip(&["-n", &name, "link", "add", "br0", "type", "bridge"]);
    // It was made just now, and holds nothing.
    let _gone = ip(&["netns", "del", &name]);
    link.err().map(|why| format!("no bridges ({why})"))
}

/// Runs `ip` and returns what it says.
pub(super) fn ip(args: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip does not start: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip {}: {}", args.join(" "), said.trim()))
        }
    }
}

impl Network {
    /// Makes the namespaces and connects them.
    pub(super) fn set_up(count: usize) -> Result<Self, String> {
        clear_leftovers();
        let network = Self { stem: format!("{STEM}{}", std::process::id()), count };
        let switch = network.switch();
        ip(&["netns", "add", &switch])?;
        for bridge in ["br0", "br1"] {
            ip(&["-n", &switch, "link", "add", bridge, "type", "bridge"])?;
            ip(&["-n", &switch, "link", "set", bridge, "up"])?;
        }
        for host in 0..count {
            network.add(&network.host(host), host, u8::try_from(host + 1).unwrap_or(1))?;
        }
        network.add(&network.client(), count, CLIENT)?;
        Ok(network)
    }

    fn add(&self, name: &str, port: usize, address: u8) -> Result<(), String> {
        let switch = self.switch();
        ip(&["netns", "add", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        for (number, net) in [(0, 77), (1, 78)] {
            let (device, peer) = (format!("eth{number}"), format!("p{number}-{port}"));
            let veth = ["link", "add", &device, "netns", name, "type", "veth", "peer", "name"];
            ip(&[&veth[..], &[&peer, "netns", &switch]].concat())?;
            ip(&["-n", &switch, "link", "set", &peer, "master", &format!("br{number}")])?;
            ip(&["-n", &switch, "link", "set", &peer, "up"])?;
            let address = format!("10.{net}.0.{address}/24");
            ip(&["-n", name, "addr", "add", &address, "dev", &device])?;
            ip(&["-n", name, "link", "set", &device, "up"])?;
        }
        Ok(())
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.stem)
    }

    pub(super) fn host(&self, host: usize) -> String {
        format!("{}-{}", self.stem, host + 1)
    }

    pub(super) fn client(&self) -> String {
        format!("{}-client", self.stem)
    }

    /// A command that runs in a namespace.
    pub(super) fn command(&self, namespace: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]);
        command
    }

    /// Cuts or mends the wire of a host to the others, or to the probe as well.
    pub(super) fn wire(&self, host: usize, probe_too: bool, up: bool) -> Result<(), String> {
        let state = if up { "up" } else { "down" };
        for number in if probe_too { 0..2 } else { 0..1 } {
            let peer = format!("p{number}-{host}");
            ip(&["-n", &self.switch(), "link", "set", &peer, state])?;
        }
        Ok(())
    }

    /// Every process in a host's namespace.
    pub(super) fn processes(&self, host: usize) -> Vec<u32> {
        processes_in(&self.host(host))
    }
}

/// Takes down what labs have left that were killed themselves: their names say which process made
/// them.
fn clear_leftovers() {
    let maker = |name: &str| name.strip_prefix(STEM)?.split_once('-')?.0.parse::<u32>().ok();
    let listed = ip(&["netns", "list"]).unwrap_or_default();
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        if maker(name).is_some_and(|pid| !fs::exists(format!("/proc/{pid}")).unwrap_or(true)) {
            processes_in(name).into_iter().for_each(super::hosts::kill);
            // What cannot be taken down is in nobody's way.
            let _left = ip(&["netns", "del", name]);
        }
    }
}

/// Every process in a namespace.
fn processes_in(name: &str) -> Vec<u32> {
    let Ok(own) = fs::metadata(format!("/run/netns/{name}")) else { return Vec::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let here = |pid: &u32| {
        let namespace = fs::metadata(format!("/proc/{pid}/ns/net"));
        namespace.is_ok_and(|one| one.ino() == own.ino() && one.dev() == own.dev())
    };
    pids.filter(here).collect()
}

impl Drop for Network {
    fn drop(&mut self) {
        let hosts = (0..self.count).map(|host| self.host(host));
        for name in hosts.chain([self.client(), self.switch()]) {
            // One that was never made is not there to be taken away.
            let _gone = ip(&["netns", "del", &name]);
        }
    }
}
