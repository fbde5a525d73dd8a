//! Agents: scripts and OCF agents, called for each action.
//!
//! What an agent needs is asked for when it is configured (`validate-all`, and what its description
//! requires), so that it does not turn out at a fail-over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::call::{Answer, call, call_in};
use super::family::Family;
use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::configuration::{ResourceConfig, ResourceKind};
use crate::ids::ResourceName;
use crate::lease::{Ends, Gate};
use crate::policy::Report;
use crate::template::Template;

/// How long what an agent started is waited for when it is killed.
const KILL_WAIT_MS: u64 = 2_000;

/// How often, and with which growing pauses, an agent is asked what is left after that.
const ASKED_AFTER_KILL: u64 = 3;
const ASK_PAUSE_MS: u64 = 50;

/// The exit code by which `monitor` says that nothing runs.
const NOT_RUNNING: i32 = 7;

/// The exit code by which an agent says that it does not know an action.
const NOT_KNOWN: i32 = 3;

/// Why a resource with an agent is refused. Nothing is configured then.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no such program, or it cannot be run.
    #[error(
        "resource {resource:?}: {place}: {cause}, so it could not be started on a fail-over \
         either; install it on every node, or name another"
    )]
    Missing {
        /// The resource.
        resource: ResourceName,
        /// The program.
        place: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The agent says that it cannot work as configured.
    #[error(
        "resource {resource:?}: {place} {action} {how}, so it could not be started on a fail-over \
         either; mend that and configure it again"
    )]
    Refused {
        /// The resource.
        resource: ResourceName,
        /// The program.
        place: PathBuf,
        /// What it was asked.
        action: &'static str,
        /// How it ended.
        how: String,
    },
    /// A parameter that the agent requires is not given.
    #[error(
        "resource {resource:?}: agent {place} requires the parameter {parameter:?}, which is not \
         given; give it, as in --set {parameter}=VALUE"
    )]
    Parameter {
        /// The resource.
        resource: ResourceName,
        /// The program.
        place: PathBuf,
        /// The parameter.
        parameter: String,
    },
}

/// How an agent is called: everything but the action, placeholders filled.
#[derive(Debug, Clone)]
struct Calls {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    timeout_ms: u64,
}

impl Calls {
    /// `fill` fills placeholders in.
    fn new<E>(
        kind: &ResourceKind,
        resource: &ResourceName,
        mut fill: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Self, E> {
        match kind {
            ResourceKind::Script { program, args, timeout_ms } => {
                let args = args.iter().map(|arg| fill(arg)).collect::<Result<_, _>>()?;
                let (program, timeout_ms) = (program.clone(), *timeout_ms);
                Ok(Self { program, args, env: Vec::new(), timeout_ms })
            }
            ResourceKind::Ocf { provider, agent, parameters, root, timeout_ms } => {
                let mut env = ocf_environment(root, provider, agent, resource, *timeout_ms);
                for (name, value) in parameters {
                    env.push((format!("OCF_RESKEY_{name}"), fill(value)?));
                }
                let program = root.join("resource.d").join(provider).join(agent);
                Ok(Self { program, args: Vec::new(), env, timeout_ms: *timeout_ms })
            }
            _ => {
                let (args, env) = (Vec::new(), Vec::new());
                Ok(Self { program: PathBuf::new(), args, env, timeout_ms: 0 })
            }
        }
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(action);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn call(&self, action: &str) -> Result<Answer, ResourceError> {
        let answer = call(&mut self.command(action), self.timeout_ms);
        answer.map_err(|error| self.not_called(action, &error))
    }

    fn not_called(&self, action: &str, error: &std::io::Error) -> ResourceError {
        let program = self.program.display();
        ResourceError::Failed(format!("{program} {action} cannot be called: {error}"))
    }

    /// Has it start; what it starts is of `family`.
    fn start(&self, family: &Family) -> Result<(), ResourceError> {
        let answer = call_in(family, &mut self.command("start"), self.timeout_ms);
        self.done("start", answer.map_err(|error| self.not_called("start", &error))?)
    }

    /// Calls it, and makes anything but success an error.
    fn order(&self, action: &str) -> Result<(), ResourceError> {
        self.done(action, self.call(action)?)
    }

    /// Whether it says that nothing runs.
    fn says_gone(&self) -> bool {
        self.call("monitor").is_ok_and(|answer| answer.code == Some(NOT_RUNNING))
    }

    fn done(&self, action: &str, answer: Answer) -> Result<(), ResourceError> {
        if answer.code == Some(0) {
            return Ok(());
        }
        let (program, how) = (self.program.display(), answer.how(self.timeout_ms));
        Err(ResourceError::Failed(format!("{program} {action} {how}")))
    }
}

/// What every OCF agent finds in its environment (resource agent API 1.0, `ocf-shellfuncs`).
fn ocf_environment(
    root: &Path,
    provider: &str,
    agent: &str,
    resource: &ResourceName,
    timeout_ms: u64,
) -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    [
        ("OCF_ROOT", root.display().to_string()),
        ("OCF_RA_VERSION_MAJOR", "1".to_owned()),
        ("OCF_RA_VERSION_MINOR", "0".to_owned()),
        ("OCF_RESOURCE_INSTANCE", resource.to_string()),
        ("OCF_RESOURCE_TYPE", agent.to_owned()),
        ("OCF_RESOURCE_PROVIDER", provider.to_owned()),
        ("OCF_CHECK_LEVEL", "0".to_owned()),
        ("OCF_RESKEY_CRM_meta_timeout", timeout_ms.to_string()),
        ("OCF_RESKEY_CRM_meta_name", resource.to_string()),
        ("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Checks that the agent of a resource is there and content; other kinds have none.
pub(crate) fn check_agent(resource: &ResourceConfig) -> Result<(), AgentError> {
    let ocf = matches!(resource.kind, ResourceKind::Ocf { .. });
    if !ocf && !matches!(resource.kind, ResourceKind::Script { .. }) {
        return Ok(());
    }
    let fill = |text: &str| Ok::<_, AgentError>(text.to_owned());
    let calls = Calls::new(&resource.kind, &resource.name, fill)?;
    let name = &resource.name;
    let missing = |cause: String| AgentError::Missing {
        resource: name.clone(),
        place: calls.program.clone(),
        cause,
    };
    let found = fs::metadata(&calls.program).map_err(|error| missing(error.to_string()))?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        return Err(missing("it is no program".to_owned()));
    }
    let ResourceKind::Ocf { parameters, .. } = &resource.kind else { return Ok(()) };
    let ask = |action: &'static str| {
        let refused = |how| AgentError::Refused {
            resource: name.clone(),
            place: calls.program.clone(),
            action,
            how,
        };
        let answer = calls.call(action).map_err(|error| refused(error.to_string()))?;
        let content = matches!(answer.code, Some(0 | NOT_KNOWN));
        if content { Ok(answer) } else { Err(refused(answer.how(calls.timeout_ms))) }
    };
    let described = ask("meta-data")?;
    if let Some(parameter) =
        required(&described.said).into_iter().find(|name| !parameters.contains_key(name))
    {
        let (resource, place) = (name.clone(), calls.program.clone());
        return Err(AgentError::Parameter { resource, place, parameter });
    }
    // Where a value depends on the node there is nothing to validate yet.
    let literal = |value: &String| Template::parse(value).is_ok_and(|text| text.is_literal());
    if parameters.values().all(literal) {
        ask("validate-all")?;
    }
    Ok(())
}

/// The parameters that an agent's description requires.
pub(crate) fn required(description: &str) -> Vec<String> {
    let attribute = |element: &str, name: &str| {
        let (_, rest) = element.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let elements = description.split("<parameter ").skip(1);
    let elements = elements.map(|rest| rest.split('>').next().unwrap_or_default());
    elements
        .filter(|element| attribute(element, "required").as_deref() == Some("1"))
        .filter_map(|element| attribute(element, "name"))
        .collect()
}

/// A resource that an agent runs.
pub(super) struct Agent {
    kind: ResourceKind,
    running: Option<(Arc<Run>, Arc<Gate>, u64)>,
}

/// What was started, as the guard of the lease knows it.
struct Run {
    calls: Calls,
    family: Family,
}

impl Run {
    /// Kills what it started; `Err` says what may be left.
    fn end_by_force(&self) -> Result<(), String> {
        self.family.end(KILL_WAIT_MS)?;
        // A process that was killed just now may be seen until its new parent has taken note.
        let gone = (0..ASKED_AFTER_KILL).any(|round| {
            thread::sleep(Duration::from_millis(round * ASK_PAUSE_MS));
            self.calls.says_gone()
        });
        let left = || "it may still run, though all that it started was killed".to_owned();
        gone.then_some(()).ok_or_else(left)
    }
}

impl Ends for Run {
    /// Kills what it started and begins to stop it; the policy has it stopped again and waits for
    /// that.
    fn end(&self) {
        self.family.kill();
        let mut command = self.calls.command("stop");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            // Reaped by a thread of its own; without one it is reaped with the node.
            drop(thread::Builder::new().spawn(move || child.wait()));
        }
    }
}

impl Agent {
    pub(super) fn new(kind: ResourceKind) -> Self {
        Self { kind, running: None }
    }

    /// Stops it; one that hangs is ended, and is then asked what is left. What it started and
    /// did not stop is killed.
    fn stop(&mut self) -> Result<(), ResourceError> {
        let Some((started, gate, ticket)) = &self.running else { return Ok(()) };
        if let Err(error) = started.calls.order("stop")
            && !started.calls.says_gone()
            && let Err(left) = started.end_by_force()
        {
            return Err(ResourceError::Failed(format!(
                "{error}; {left}. Its group stays here; stop it by hand, or fence this node \
                 (switch its power off) to have the group served elsewhere"
            )));
        }
        gate.forget(*ticket);
        self.running = None;
        Ok(())
    }
}

impl Resource for Agent {
    fn online(&mut self, context: &Context, reporter: &Reporter) -> Result<Started, ResourceError> {
        let calls = Calls::new(&self.kind, &context.resource, |text| context.fill(text));
        let calls = calls.map_err(|error| ResourceError::Failed(error.to_string()))?;
        let family = context.families.family(&context.resource);
        let started = Arc::new(Run { calls, family });
        let entered = context.gate.enter(context.generation, |register| {
            let ticket = register.add(started.clone());
            let (reporter, begun) = (reporter.clone(), started.clone());
            let start = move || {
                let report = match begun.calls.start(&begun.family) {
                    Ok(()) => Report::Online(None),
                    Err(error) => Report::Failed { why: error.to_string(), gone: false },
                };
                reporter(report);
            };
            thread::Builder::new().name("agent-start".to_owned()).spawn(start).map(|_| ticket)
        });
        match entered {
            Some(Ok(ticket)) => {
                self.running = Some((started, context.gate.clone(), ticket));
                Ok(Started::Pending)
            }
            Some(Err(error)) => Err(ResourceError::Failed(format!("no thread for it: {error}"))),
            None => Err(ResourceError::Failed("the lease was lost meanwhile".to_owned())),
        }
    }

    fn offline(&mut self, _: u64) -> Result<(), ResourceError> {
        self.stop()
    }

    fn terminate(&mut self) -> Result<(), ResourceError> {
        self.stop()
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        match &self.running {
            Some((started, ..)) => started.calls.order("monitor"),
            None => Err(ResourceError::Failed("it was not started".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
