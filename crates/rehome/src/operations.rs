//! Every action and every condition of a plan, done and found out with our own parts.

mod checks;
mod group;
mod install;
mod intake;
mod moving;
mod reversing;
mod safekeeping;
mod site_work;
mod trouble;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use rehome_executor::{
    CheckOutcome, Flow, Gate, GateAnswer, OperationError, Operations, Performed, Progress,
};
use rehome_planner::{Action, Check, Outcome, Plan, Step, Undo};

use crate::clients::Names;
use crate::error::Error;
use crate::event::Observe;
use crate::gates::Gates;
use crate::memory::Memory;
use crate::names;
use crate::process::{Process, Start};
use crate::services;
use crate::session::{ServicesAfter, Session};
use crate::site_file::SiteFile;
use crate::summary::{LockTimes, Summary, TrafficCounts};
use crate::traffic::Traffic;
use crate::work::Work;

use group::Tell;
use rehome_cluster::{Cluster, Target};
use trouble::{Done, failed, for_a_person, from_error};

/// The site as the operations find and change it.
pub(crate) struct World<'a> {
    session: &'a Session,
    site: &'a SiteFile,
    work: &'a Work,
    plan: &'a Plan,
    gates: &'a Gates,
    memory: Memory,
    names: Names,
    old_server: Option<Process>,
    nodes: BTreeMap<String, Process>,
    cluster: OnceCell<Rc<Cluster>>,
    traffic: Option<Traffic>,
}

impl<'a> World<'a> {
    /// Looks at what earlier runs left, and starts what was meant to run.
    pub(crate) fn new(
        session: &'a Session,
        site: &'a SiteFile,
        work: &'a Work,
        plan: &'a Plan,
        gates: &'a Gates,
    ) -> Result<Self, Error> {
        let memory = Memory::open(work.world())?;
        let mut world = World {
            session,
            site,
            work,
            plan,
            gates,
            memory,
            names: Names::new(work.names()),
            old_server: None,
            nodes: BTreeMap::new(),
            cluster: OnceCell::new(),
            traffic: None,
        };
        world.resume().map_err(Error::needs_human)?;
        Ok(world)
    }

    /// Starts what an earlier run had running when it ended, or takes it over if it stayed; ends
    /// what stayed though it was to be ended.
    fn resume(&mut self) -> Result<(), OperationError> {
        let old = self.plan.inventory.old_server.clone();
        match self.memory.facts().nodes_run {
            true => self.ensure_nodes()?,
            false => self.end_services(&self.plan.inventory.cluster.nodes)?,
        }
        match self.memory.facts().old_server_runs {
            true => self.ensure_old_server()?,
            false => self.end_services(&[old])?,
        }
        Ok(())
    }

    fn end_services(&self, names: &[String]) -> Result<(), OperationError> {
        services::end(self.work, names).map_err(from_error)
    }

    /// Whether the services stay when this run has ended.
    pub(crate) fn services_stay(&self) -> bool {
        match self.session.services {
            ServicesAfter::BySite => !self.site.site.clients.simulate,
            ServicesAfter::Stay => true,
            ServicesAfter::End => false,
        }
    }

    /// Starts a service, or takes it over if it stayed since an earlier run.
    fn start_service(
        &self,
        name: &str,
        what: &str,
        args: Vec<String>,
        log: PathBuf,
    ) -> Result<Process, OperationError> {
        let record = self.work.service(name);
        let stays = self.services_stay().then(|| record.clone());
        let what = what.to_owned();
        let start = Start { what, program: &self.session.program, args, log, stays };
        Process::start_patiently(&start, &record)
            .map_err(|error| failed(&start.what, error, "see its log, then run this again"))
    }

    /// Begins to deliver and read mail, until the world ends.
    pub(crate) fn begin_traffic(&mut self) -> Result<(), Error> {
        let mailboxes = self.site.mail_folders().into_iter().map(|(name, _)| name).collect();
        let server = self.plan.inventory.old_server.clone();
        let names = self.names.clone().with_successor(&self.target_server());
        let traffic = Traffic::begin(self.session, self.work, names, &server, mailboxes)?;
        self.traffic = Some(traffic);
        Ok(())
    }

    /// Ends the traffic and says what there was, if there was any.
    pub(crate) fn end_traffic(&mut self) -> Option<TrafficCounts> {
        self.traffic.take().map(Traffic::end)
    }

    /// The registry of names.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// For how long these mailboxes were locked when they were taken back.
    pub(crate) fn back_locks(&self, mailboxes: &[String]) -> LockTimes {
        let locks = &self.memory.facts().back_lock_ms;
        LockTimes::of(mailboxes.iter().filter_map(|name| locks.get(name).copied()).collect())
    }

    /// Compares everything once more after the last step, and sums up.
    pub(crate) fn summary(
        &mut self,
        outcome: &Outcome,
        observe: Observe<'_>,
    ) -> Result<Summary, Error> {
        site_work::summary(self, outcome, observe)
    }

    /// Takes the group offline in order and ends every process, unless they stay.
    pub(crate) fn end(&mut self) {
        self.traffic = None;
        if !self.services_stay() {
            self.stop_nodes();
            self.stop_old_server();
        }
    }

    fn stop_nodes(&mut self) {
        // The second node is told to end before the first has, so that nothing fails over.
        let mut nodes: Vec<Process> = std::mem::take(&mut self.nodes).into_values().collect();
        for node in &mut nodes {
            node.ask_to_end();
        }
        for node in &mut nodes {
            node.end();
        }
    }

    fn stop_old_server(&mut self) {
        if let Some(mut old) = self.old_server.take() {
            old.end();
        }
    }

    /// Starts the nodes that are not running.
    fn ensure_nodes(&mut self) -> Result<(), OperationError> {
        let mut started = false;
        for node in &self.site.site.cluster.nodes {
            let name = node.to_string();
            if self.nodes.get_mut(&name).is_some_and(Process::is_running) {
                continue;
            }
            let quorum = self.work.quorum().display().to_string();
            let args = ["cluster", "node", "--quorum", &quorum, "--name", &name];
            let args = args.map(ToOwned::to_owned).to_vec();
            let log = self.work.node(&name).join("log").join("node.log");
            let process = self.start_service(&name, &format!("node {name}"), args, log)?;
            self.nodes.insert(name, process);
            started = true;
        }
        if started { self.wait_until_settled() } else { Ok(()) }
    }

    fn group_name(&self, name: &str) -> Result<rehome_cluster::GroupName, OperationError> {
        names::group(name).map_err(|error| for_a_person("group", error, "correct the site file"))
    }

    fn node_name(&self, name: &str) -> Result<rehome_cluster::NodeName, OperationError> {
        names::node(name).map_err(|error| for_a_person("node", error, "correct the site file"))
    }

    /// Carries one action out.
    fn act(&mut self, action: &Action, tell: Tell<'_>) -> Done {
        match action {
            Action::TakeIn { server } => self.take_in(server, tell),
            Action::LogOn { account } => self.log_on(account),
            Action::StartServer { server } => self.start_server(server),
            Action::StopServer { server } => self.stop_server(server),
            Action::UpgradeServer { server, to_version } => self.upgrade(server, to_version),
            Action::WipeComputer { computer } => self.wipe(computer),
            Action::InstallNodes { nodes } => self.install_nodes(nodes),
            Action::CreateCluster { cluster, nodes, service_account } => {
                self.create_cluster(cluster, nodes, service_account)
            }
            Action::RemoveCluster { .. } => self.remove_cluster(),
            Action::ConfigureGroup { group, network_name, address } => {
                self.configure_group(group, network_name, address)
            }
            Action::RemoveGroup { group } => self.remove_group(group),
            Action::BringGroupOnline { group } => self.group_target(group, Target::Online, tell),
            Action::TakeGroupOffline { group } => self.group_target(group, Target::Offline, tell),
            Action::BringOnline { resource, .. } => self.bring_online(*resource, tell),
            Action::TakeOffline { resource, .. } => {
                self.resource_target(*resource, Target::Offline, tell)
            }
            Action::UpdateNode { group, node } => self.update_node(group, node),
            Action::FailOver { group, to } => self.fail_over(group, to, tell),
            other => self.act_on_server(other, tell),
        }
    }

    /// Carries an action out that concerns the installed server, its data or the site.
    fn act_on_server(&mut self, action: &Action, tell: Tell<'_>) -> Done {
        match action {
            Action::InstallServer { group, server, node, mode, service_account } => {
                self.install_server(group, server, node, *mode, service_account)
            }
            Action::UninstallServer { server, .. } => self.uninstall_server(server),
            Action::CheckSetupResult { node, .. } => self.check_setup(node),
            Action::Tune { group, .. } => self.tune(group, tell),
            Action::RefreshCheckpoints { .. } => self.refresh_checkpoints(),
            Action::InspectCheckpoints { resource, .. } => self.inspect_checkpoints(*resource),
            Action::RemoveCheckpoint { resource, key, .. } => {
                self.remove_checkpoint(*resource, *key)
            }
            Action::AddCheckpoint { resource, key, .. } => self.add_checkpoint(*resource, *key),
            Action::ConfirmCheckpoints { group } => self.confirm_checkpoints(group),
            Action::BackUp { server, label, kind } => self.back_up(server, label, kind, tell),
            Action::CheckBackup { label } => self.check_backup(label, tell),
            Action::Restore { group, labels, part, .. } => self.restore(group, labels, *part, tell),
            Action::WaitDirectoryReplication { from, to } => self.replicate(from, to),
            Action::MoveMailboxes { from, to, mailboxes } => {
                self.move_mailboxes(from, to, mailboxes, tell)
            }
            Action::MovePublicFolders { from, to, folders } => {
                self.move_public_folders(from, to, folders)
            }
            Action::MoveFirstServerRoles { from, to, roles } => self.move_roles(from, to, roles),
            Action::WaitPublicFolderReplication { server, folders } => {
                self.wait_for_folders(server, folders)
            }
            Action::UseCircularLog { server } => self.use_circular_log(server),
            Action::CheckSystemFolders { server } => self.check_system_folders(server),
            Action::WaitLogons { server, mailboxes } => self.wait_for_logons(server, mailboxes),
            Action::TrialWithout { server } => self.trial_without(server),
            Action::RemoveServer { server, through } => self.remove_server(server, through),
            Action::DeleteComputerAccount { computer } => self.delete_computer_account(computer),
            Action::Verify { server, scope } => self.verify(server, *scope, tell),
            other => Err(for_a_person(
                "this program",
                format!("it does not know how to {}", other.kind()),
                "use the version that made the plan",
            )),
        }
    }
}

impl Operations for World<'_> {
    fn check(&mut self, check: &Check) -> Result<CheckOutcome, OperationError> {
        checks::check(self, check)
    }

    fn perform(
        &mut self,
        step: &Step,
        _attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError> {
        self.act(&step.action, progress)
    }

    fn undo(
        &mut self,
        step: &Step,
        _attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError> {
        match &step.undo {
            Undo::By { action: Action::MoveMailboxes { from, to, mailboxes } } => {
                self.move_back(from, to, mailboxes, progress)
            }
            Undo::By { action } => self.act(action, progress),
            Undo::NotNeeded => Ok(Performed::default()),
            Undo::Impossible { why } => {
                Err(for_a_person(step.id.as_str(), why, "go on instead of back"))
            }
        }
    }

    fn gate(&mut self, step: &Step) -> Result<Gate, OperationError> {
        let id = step.id.as_str();
        let rule = crate::gates::rule_for(&self.site.site.gates, id);
        let answer = self.gates.confirms(id).then(|| GateAnswer {
            by: self.gates.who(),
            said: format!("confirmed in advance: {}", step.title),
        });
        Ok(Gate {
            owners: rule.map(|rule| rule.owners.clone()).unwrap_or_default(),
            until_us: rule.and_then(|rule| rule.until_us),
            how: crate::gates::how(id, rule),
            answer,
        })
    }
}

/// Makes what was found out durable.
fn remember(
    memory: &mut Memory,
    change: impl FnOnce(&mut crate::memory::Facts),
) -> Result<(), OperationError> {
    memory.change(change).map_err(from_error)
}
