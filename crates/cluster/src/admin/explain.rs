//! Why things are as they are: a sentence for each fact that decides.

use serde::{Deserialize, Serialize};

use super::{Cluster, ClusterError};
use crate::configuration::{Configuration, ConfigurationError, GroupConfig, ResourceConfig};
use crate::ids::NodeName;
use crate::journal::LogEntry;
use crate::status::{ClusterStatus, GroupView, Liveness, ResourceStatus};

/// So many lines of the cluster log are told.
const ENTRIES_MAX: usize = 8;

/// Why something is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What it is about: `node a`, `group mail`, `resource store`.
    pub about: String,
    /// Sentences, the one that decides first.
    pub because: Vec<String>,
    /// What the nodes wrote about it to the cluster log last, oldest first.
    pub log: Vec<LogEntry>,
}

impl Cluster {
    /// Explains what has that name, or everything without a name.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`] if nothing has that name.
    pub fn explain(&self, name: Option<&str>) -> Result<Vec<Explanation>, ClusterError> {
        let (configuration, status) = (self.configuration()?, self.status()?);
        let log = self.whole_log()?;
        let wanted = |other: &str| name.is_none_or(|name| name == other);
        let mut found = Vec::new();
        for node in configuration.nodes.iter().filter(|node| wanted(node.name.as_str())) {
            found.push(Explanation {
                about: format!("node {}", node.name),
                because: about_node(&status, &node.name),
                log: last(&log, |entry| entry.node == node.name && entry.group.is_none()),
            });
        }
        for group in &configuration.groups {
            let Some(view) = status.groups.get(&group.name) else { continue };
            if wanted(group.name.as_str()) {
                found.push(Explanation {
                    about: format!("group {}", group.name),
                    because: about_group(&configuration, &status, group, view),
                    log: last(&log, |entry| {
                        entry.group.as_ref() == Some(&group.name) && entry.resource.is_none()
                    }),
                });
            }
            for resource in group.resources.iter().filter(|one| wanted(one.name.as_str())) {
                let Some(state) = view.resources.get(&resource.name) else { continue };
                found.push(Explanation {
                    about: format!("resource {}", resource.name),
                    because: about_resource(resource, state),
                    log: last(&log, |entry| entry.resource.as_ref() == Some(&resource.name)),
                });
            }
        }
        if let (Some(name), true) = (name, found.is_empty()) {
            return Err(unknown(&configuration, name).into());
        }
        Ok(found)
    }

    /// What all nodes wrote to the cluster log, by their wall clocks.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`] if a file cannot be read.
    pub fn whole_log(&self) -> Result<Vec<LogEntry>, ClusterError> {
        let mut entries = Vec::new();
        for node in &self.configuration()?.nodes {
            entries.extend(self.log(&node.name)?);
        }
        entries.sort_by_key(|entry| entry.wall_us);
        Ok(entries)
    }
}

fn unknown(configuration: &Configuration, name: &str) -> ConfigurationError {
    let nodes = configuration.nodes.iter().map(|node| node.name.as_str());
    let groups = configuration.groups.iter().map(|group| group.name.as_str());
    let resources = configuration.groups.iter().flat_map(|group| &group.resources);
    let all: Vec<&str> =
        nodes.chain(groups).chain(resources.map(|resource| resource.name.as_str())).collect();
    let what = "node, group or resource";
    ConfigurationError::Unknown { what, name: name.to_owned(), known: all.join(", ") }
}

fn last(log: &[LogEntry], about: impl Fn(&LogEntry) -> bool) -> Vec<LogEntry> {
    let mut found: Vec<LogEntry> =
        log.iter().rev().filter(|entry| about(entry)).take(ENTRIES_MAX).cloned().collect();
    found.reverse();
    found
}

fn about_node(status: &ClusterStatus, name: &NodeName) -> Vec<String> {
    let Some(node) = status.nodes.get(name) else { return Vec::new() };
    let mut because = vec![match node.liveness {
        Liveness::Alive => "it is alive: its heartbeat counter moves".to_owned(),
        Liveness::Dead => {
            "it counts as dead: its counter stood still for the lease and the margin, or it said \
             good-bye"
                .to_owned()
        }
        Liveness::NeverSeen => "it never wrote a heartbeat: its program was not started".to_owned(),
    }];
    if node.drained {
        because.push("it is drained: it hands what it owns to others and takes nothing".to_owned());
    } else if node.paused {
        because.push("it is paused: it keeps what it has and takes nothing new".to_owned());
    }
    let owned = status.groups.iter().filter(|(_, group)| group.owner.as_ref() == Some(name));
    let owned: Vec<&str> = owned.map(|(group, _)| group.as_str()).collect();
    because.push(match owned.is_empty() {
        true => "it owns no group".to_owned(),
        false => format!("it owns {}", owned.join(", ")),
    });
    because
}

fn about_group(
    configuration: &Configuration,
    status: &ClusterStatus,
    group: &GroupConfig,
    view: &GroupView,
) -> Vec<String> {
    let mut because = vec![match &view.owner {
        Some(owner) => format!("{owner} owns it under epoch {}: {}", view.epoch, view.reason),
        None => format!("no living node owns it: {}", view.reason),
    }];
    if configuration.maintenance {
        because.push("the cluster is in maintenance: nothing is started, stopped or moved".into());
    }
    for node in &configuration.nodes {
        let name = &node.name;
        let alive = status.alive(name);
        let bars = group.resources.iter().find(|resource| {
            !resource.possible_owners.is_empty() && !resource.possible_owners.contains(name)
        });
        let verdict = if view.owner.as_ref() == Some(name) {
            "has it".to_owned()
        } else if let Some(bar) = bars {
            format!("cannot take it: it is no possible owner of {}", bar.name)
        } else if node.paused {
            "would not take it: it is paused".to_owned()
        } else if !alive {
            "cannot take it: it is not alive".to_owned()
        } else {
            "could take it".to_owned()
        };
        because.push(format!("{name} {verdict}"));
    }
    if let Some(asked) = group.move_request.as_ref().filter(|a| a.from_epoch == view.epoch) {
        because.push(format!("a move to {} was asked for and is not done yet", asked.to));
    }
    because
}

fn about_resource(resource: &ResourceConfig, state: &ResourceStatus) -> Vec<String> {
    let seconds = state.for_ms / 1_000;
    let mut because = vec![format!("it is {} for {seconds} s now: {}", state.state, state.reason)];
    if let Some(progress) = &state.progress {
        because.push(format!("its last sign of progress: {progress}"));
    }
    if !resource.depends_on.is_empty() {
        let names: Vec<&str> = resource.depends_on.iter().map(|name| name.as_str()).collect();
        because.push(format!("it needs {} to be online first", names.join(", ")));
    }
    because.push(format!(
        "{} of {} restarts within {} s are used up; after that: {:?}",
        state.restarts,
        resource.restart_threshold,
        resource.restart_period_ms / 1_000,
        resource.restart_action
    ));
    because
}
