//! Fence agents: programs that switch a node's power off, as ClusterLabs describes them.
//!
//! An agent reads `name=value` lines from standard input and ends with 0 if it did what `action`
//! says. Debian's `fence-agents` has them for most power switches and hypervisors.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::configuration::FenceConfig;
use crate::ids::NodeName;
use crate::resources::call::{Answer, call_with};
use crate::resources::required;

/// Where agents are that are named without a path.
const AGENTS: &str = "/usr/sbin";

/// Parameters that describe the call and not the device: not asked for.
const OURS: [&str; 1] = ["action"];

/// Why a fence agent cannot be used. Nothing is configured then.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// It cannot be called.
    #[error(
        "node {node:?}: fence agent {agent} cannot be called: {cause}; nothing was configured; \
         install the package that has it on every node, or name another"
    )]
    Missing {
        /// The node.
        node: NodeName,
        /// The program.
        agent: PathBuf,
        /// Why not.
        cause: String,
    },
    /// It needs to be told something that it is not.
    #[error(
        "node {node:?}: fence agent {agent} requires the parameter {parameter:?}, which is not \
         given; nothing was configured; give it, as in --set {parameter}=VALUE"
    )]
    Parameter {
        /// The node.
        node: NodeName,
        /// The program.
        agent: PathBuf,
        /// The parameter.
        parameter: String,
    },
    /// It does not reach the device.
    #[error(
        "node {node:?}: fence agent {agent} does not reach its device: its action `monitor` \
         {cause}; nothing was configured; see to its parameters and to the device"
    )]
    Device {
        /// The node.
        node: NodeName,
        /// The program.
        agent: PathBuf,
        /// How it ended.
        cause: String,
    },
}

fn program(agent: &Path) -> PathBuf {
    // A path stays as it is when it is absolute.
    match agent.components().count() {
        1 => Path::new(AGENTS).join(agent),
        _ => agent.to_owned(),
    }
}

fn ask(fence: &FenceConfig, action: &str) -> std::io::Result<Answer> {
    let mut input = format!("action={action}\n");
    for (name, value) in &fence.parameters {
        input += &format!("{name}={value}\n");
    }
    call_with(&mut Command::new(program(&fence.agent)), &input, fence.timeout_ms)
}

/// Makes sure that an agent is there, is told what it requires, and reaches its device.
pub(crate) fn check_fence(node: &NodeName, fence: &FenceConfig) -> Result<(), FenceError> {
    let agent = program(&fence.agent);
    let missing =
        |cause: String| FenceError::Missing { node: node.clone(), agent: agent.clone(), cause };
    let described = ask(fence, "metadata").map_err(|error| missing(error.to_string()))?;
    if described.code != Some(0) || !described.said.contains("<action name=\"off\"") {
        let how = described.how(fence.timeout_ms);
        return Err(missing(format!("it does not describe an action `off`, and {how}")));
    }
    let given =
        |name: &String| fence.parameters.contains_key(name) || OURS.contains(&name.as_str());
    if let Some(parameter) = required(&described.said).into_iter().find(|name| !given(name)) {
        return Err(FenceError::Parameter { node: node.clone(), agent, parameter });
    }
    let monitored = ask(fence, "monitor").map_err(|error| missing(error.to_string()))?;
    match monitored.code {
        Some(0) => Ok(()),
        _ => {
            let (node, cause) = (node.clone(), monitored.how(fence.timeout_ms));
            Err(FenceError::Device { node, agent, cause })
        }
    }
}

/// Has the power switched off; `Err` says why it is not known to be.
pub(crate) fn switch_off(fence: &FenceConfig) -> Result<(), String> {
    let agent = fence.agent.display();
    let answer = ask(fence, "off").map_err(|error| format!("{agent}: {error}"))?;
    match answer.code {
        Some(0) => Ok(()),
        _ => Err(format!("{agent} {}", answer.how(fence.timeout_ms))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program_file::write_program;

    const AGENT: &str = r#"#!/bin/sh
while read -r line; do
    case "$line" in action=*) action=${line#action=};; plug=*) plug=${line#plug=};; esac
done
case "$action" in
metadata) echo '<parameters><parameter name="plug" required="1"></parameters><action name="off"/>';;
monitor) [ "$plug" != broken ] || { echo "no such plug" >&2; exit 1; };;
off) echo "$plug" >> "$0.off"; [ "$plug" != stuck ];;
*) exit 1;;
esac
"#;

    fn agent(folder: &Path) -> PathBuf {
        let path = folder.join("fence_test");
        write_program(&path, AGENT);
        path
    }

    fn config(agent: &Path, plug: Option<&str>) -> FenceConfig {
        let parameters = plug.map(|plug| ("plug".to_owned(), plug.to_owned()));
        let (agent, parameters) = (agent.to_owned(), parameters.into_iter().collect());
        FenceConfig { agent, parameters, timeout_ms: 20_000 }
    }

    #[track_caller]
    fn check(agent: &Path, plug: Option<&str>, expected: Result<(), &str>) {
        let node = NodeName::new("a").unwrap();
        match (check_fence(&node, &config(agent, plug)), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn an_agent_is_asked_before_it_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let there = agent(folder.path());
        check(&there, Some("7"), Ok(()));
        check(&there, None, Err("requires the parameter \"plug\""));
        check(&there, Some("broken"), Err("no such plug"));
        check(&folder.path().join("nowhere"), Some("7"), Err("cannot be called"));
        check(Path::new("fence_no_such_agent"), Some("7"), Err("/usr/sbin/fence_no_such_agent"));
        check(Path::new("/bin/true"), Some("7"), Err("does not describe an action"));
    }

    #[test]
    fn the_power_is_off_only_if_the_agent_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let there = agent(folder.path());
        assert_eq!(switch_off(&config(&there, Some("7"))), Ok(()));
        assert!(switch_off(&config(&there, Some("stuck"))).is_err());
        let told = std::fs::read_to_string(folder.path().join("fence_test.off")).unwrap();
        assert_eq!(told, "7\nstuck\n");
    }
}
