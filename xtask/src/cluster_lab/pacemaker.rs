//! The same hosts under Pacemaker and Corosync: what other people use, for comparison.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::hosts::{FLOATING, NAMES, PORT};

/// What runs as the first process of a host.
const SCRIPT: &str = include_str!("pacemaker-host.sh");

/// How Pacemaker is set up.
#[derive(Debug)]
pub(super) struct Pacemaker {
    script: PathBuf,
    /// Corosync's token timeout, in milliseconds.
    token_ms: u64,
    /// How often the service is looked at, in milliseconds.
    monitor_ms: u64,
}

/// What is missing on this machine, if anything.
pub(super) fn impossible() -> Option<String> {
    let missing = ["corosync", "pacemakerd", "crm", "crm_mon"].into_iter().find(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err()
    });
    missing.map(|program| format!("{program} does not start; install pacemaker, corosync, crmsh"))
}

impl Pacemaker {
    pub(super) fn new(folder: &Path, token_ms: u64) -> Result<Self, String> {
        let script = folder.join("pacemaker-host.sh");
        fs::write(&script, SCRIPT).map_err(|error| error.to_string())?;
        Ok(Self { script, token_ms, monitor_ms: 1_000 })
    }

    /// Turns a command that runs in a host's namespace into one that is the host.
    pub(super) fn host(&self, mut command: Command, host: usize, locks: &[PathBuf]) -> Command {
        command.args(["unshare", "-u", "-m", "-p", "-i", "--fork", "--kill-child", "bash"]);
        command.arg(&self.script).args([NAMES[host], &self.token_ms.to_string()]).args(locks);
        command
    }

    /// The configuration, for `crm configure load replace`.
    pub(super) fn configuration(&self, program: &Path, shared: &Path) -> String {
        let (every, program) = (self.monitor_ms, program.display());
        let store = shared.join("store").display().to_string();
        let timeouts = "op start timeout=20s op stop timeout=20s";
        let monitor = format!("op monitor interval={every}ms timeout=20s {timeouts}");
        let serve = format!("serve store --dir {store} --listen 0.0.0.0:{PORT} --server LAB");
        format!(
            "property stonith-enabled=false\n\
             rsc_defaults resource-stickiness=100 migration-threshold=1000 failure-timeout=60s\n\
             primitive address ocf:heartbeat:IPaddr2 \
             params ip={FLOATING} cidr_netmask=24 nic=eth0 {monitor}\n\
             primitive store ocf:heartbeat:anything params binfile={program} \
             cmdline_options=\"{serve}\" pidfile=/run/store.pid logfile=/run/store.log {monitor}\n\
             group mail address store\n"
        )
    }

    /// Whether what `crm_mon -1` says is a healthy cluster.
    pub(super) fn is_healthy(said: &str) -> bool {
        let online = said.lines().find(|line| line.contains("Online:")).unwrap_or_default();
        let all = NAMES.iter().all(|node| online.split_whitespace().any(|word| word == *node));
        let started = ["address", "store"].iter().all(|resource| {
            said.lines().any(|line| line.contains(resource) && line.contains("Started"))
        });
        all && started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_healthy_when_all_nodes_are_there_and_both_resources_run() {
        let said = "  * Online: [ a b c ]\n  * address (ocf:x:IPaddr2):\t Started a\n  * store \
                    (ocf:x:anything):\t Started a\n";
        assert!(Pacemaker::is_healthy(said));
        assert!(!Pacemaker::is_healthy(&said.replace("a b c", "a b")));
        assert!(!Pacemaker::is_healthy(
            &said.replace("anything):\t Started", "anything):\t Stopped")
        ));
    }
}
