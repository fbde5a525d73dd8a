//! A cluster's state as a table.

use std::time::Duration;

use rehome_cluster::{ClusterStatus, ResourceStatus};

/// The table of a cluster's state.
pub(super) fn of(status: &ClusterStatus) -> String {
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut row = |cells: [&str; 4]| rows.push(cells.map(ToOwned::to_owned));
    for (name, node) in &status.nodes {
        let state = match (node.drained, node.paused) {
            (true, _) => format!("{:?}, drained", node.liveness),
            (false, true) => format!("{:?}, paused", node.liveness),
            (false, false) => format!("{:?}", node.liveness),
        };
        let pid = node.pid.map(|pid| format!("process {pid}")).unwrap_or_default();
        row([&format!("node {name}"), &state, "", &pid]);
    }
    for (name, group) in &status.groups {
        let owner = group.owner.as_ref().map_or("nobody", |owner| owner.as_str());
        let state = format!("{:?} on {owner}, epoch {}", group.state, group.epoch);
        row([&format!("group {name}"), &state, "", &group.reason]);
        for (resource, one) in &group.resources {
            let state = one.state.to_string();
            row([&format!("  {resource}"), &state, &shown(one.for_ms), &reason(one)]);
        }
    }
    let care = if status.maintenance { ", in maintenance" } else { "" };
    let mut text = format!("cluster {} (configuration {}{care})\n", status.name, status.revision);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    for [what, state, time, reason] in &rows {
        let [one, two, three] = widths;
        let line = format!("{what:<one$}  {state:<two$}  {time:>three$}  {reason}");
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    text
}

fn reason(one: &ResourceStatus) -> String {
    let mut text = one.reason.clone();
    if let Some(progress) = &one.progress {
        text.push_str(&format!("; progress {progress}"));
    }
    if one.restarts > 0 {
        text.push_str(&format!("; failed {} times", one.restarts));
    }
    text
}

/// How long, in the largest unit that says something.
fn shown(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
