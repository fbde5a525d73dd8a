//! Agents made up for the occasion, in Debian's layout.

use super::*;
use crate::program_file::write_program;
use crate::resources::Families;

/// An agent below `root`, made of its `case` branches.
fn agent(root: &Path, branches: &str) -> ResourceConfig {
    let folder = root.join("resource.d/test");
    fs::create_dir_all(&folder).unwrap();
    let description = "<parameter name=\"ip\" unique=\"1\" required=\"1\">\
                       <parameter name=\"nic\" required=\"0\">";
    let text = format!(
        "#!/bin/sh\ncase $1 in\n{branches}\nmeta-data) echo '{description}';;\n\
         validate-all) [ \"$OCF_RESKEY_ip\" != bad ] || {{ \
         echo 'ocf-exit-reason:bad address' >&2; exit 6; }};;\n*) exit 3;;\nesac\n"
    );
    let program = folder.join("Address");
    write_program(&program, &text);
    let kind = ResourceKind::Ocf {
        provider: "test".to_owned(),
        agent: "Address".to_owned(),
        parameters: [("ip".to_owned(), "127.0.0.9".to_owned())].into(),
        root: root.to_owned(),
        timeout_ms: 20_000,
    };
    ResourceConfig::new(ResourceName::new("address").unwrap(), kind)
}

#[track_caller]
fn check(change: impl FnOnce(&mut ResourceKind), expected: Option<&str>) {
    let root = tempfile::tempdir().unwrap();
    let mut resource = agent(root.path(), "");
    change(&mut resource.kind);
    let refused = check_agent(&resource).err().map(|error| error.to_string());
    match (refused, expected) {
        (Some(refused), Some(expected)) => assert!(refused.contains(expected), "{refused}"),
        (refused, expected) => assert_eq!(refused.as_deref(), expected),
    }
}

fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut ResourceKind) {
    move |kind| {
        if let ResourceKind::Ocf { parameters, .. } = kind {
            parameters.insert(name.to_owned(), value.to_owned());
        }
    }
}

#[test]
fn what_an_agent_needs_is_asked_for_before_it_is_configured() {
    check(|_| {}, None);
    check(set("ip", "bad"), Some("validate-all ended with 6"));
    check(set("ip", "bad"), Some("bad address"));
    // Its value is known on the node only.
    check(set("ip", "{address}"), None);
    let forget = |kind: &mut ResourceKind| {
        if let ResourceKind::Ocf { parameters, .. } = kind {
            parameters.clear();
        }
    };
    check(forget, Some("requires the parameter \"ip\""));
    let other = |kind: &mut ResourceKind| {
        if let ResourceKind::Ocf { agent, .. } = kind {
            *agent = "Nowhere".to_owned();
        }
    };
    check(other, Some("No such file"));
}

/// Stops an agent that was started, with a short patience.
fn stop(branches: &str) -> Result<(), ResourceError> {
    let root = tempfile::tempdir().unwrap();
    let mut config = agent(root.path(), branches);
    if let ResourceKind::Ocf { timeout_ms, .. } = &mut config.kind {
        *timeout_ms = 300;
    }
    let fill = |text: &str| Ok::<_, AgentError>(text.to_owned());
    let calls = Calls::new(&config.kind, &config.name, fill).unwrap();
    let clock = Arc::new(rehome_log::ManualClock::default());
    let timing = crate::configuration::Timing { lease_ms: 1_000, heartbeat_ms: 100, margin_ms: 50 };
    let gate = Arc::new(Gate::new(Arc::new(crate::lease::Lease::new(clock, timing))));
    let mut agent = Agent::new(config.kind);
    let family = Families::new("agent-test").family(&config.name);
    agent.running = Some((Arc::new(Run { calls, family }), gate, 1));
    agent.stop()
}

#[test]
fn an_agent_that_hangs_on_stop_is_ended_and_asked_what_is_left() {
    stop("stop) exit 0;;").unwrap();
    stop("stop) sleep 1000;;\nmonitor) exit 7;;").unwrap();
    let error = stop("stop) sleep 1000;;\nmonitor) exit 0;;").unwrap_err().to_string();
    assert!(error.contains("took more than 300 ms") && error.contains("fence"), "{error}");
    let error = stop("stop) exit 1;;\nmonitor) sleep 1000;;").unwrap_err().to_string();
    assert!(error.contains("ended with 1") && error.contains("fence"), "{error}");
}
