//! A plan in the making: steps in any order, and how they depend on each other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::action::Action;
use crate::check::Condition;
use crate::estimate::{self, Loads};
use crate::inventory::Inventory;
use crate::plan::{Estimate, Owner, Step, StepId, Undo, Why};

/// Steps of one route before they are put into order.
pub(crate) struct Draft<'a> {
    pub(crate) inventory: &'a Inventory,
    /// What is to be moved, summed up once.
    pub(crate) loads: Loads<'a>,
    steps: Vec<Step>,
}

/// The last step that was added, to be completed.
pub(crate) struct Added<'d>(&'d mut Step);

impl<'a> Draft<'a> {
    pub(crate) fn new(inventory: &'a Inventory) -> Self {
        Self { inventory, loads: Loads::of(inventory), steps: Vec::new() }
    }

    /// Adds a step. Until something else is said, the machine carries it out and nothing has to
    /// be undone.
    pub(crate) fn step(
        &mut self,
        id: &str,
        page_ref: &str,
        title: &str,
        action: Action,
    ) -> Added<'_> {
        let id = StepId::from(id);
        let estimate_seconds = estimate::step(self.inventory, &self.loads, &id, &action);
        self.steps.push(Step {
            id,
            page_ref: page_ref.to_owned(),
            title: title.to_owned(),
            action,
            preconditions: Vec::new(),
            postconditions: Vec::new(),
            undo: Undo::NotNeeded,
            depends_on: Vec::new(),
            owner: Owner::Machine,
            estimate_seconds,
            past_point_of_no_return: false,
            why: None,
        });
        Added(self.steps.last_mut().expect("a step was pushed"))
    }

    /// Replaces the estimate of a step that was added.
    pub(crate) fn takes(&mut self, id: &str, seconds: Estimate) {
        if let Some(step) = self.steps.iter_mut().rfind(|step| step.id.as_str() == id) {
            step.estimate_seconds = seconds;
        }
    }

    /// Has a step that was added undone by `action`.
    pub(crate) fn undone_by(&mut self, id: &str, action: Action) {
        if let Some(step) = self.steps.iter_mut().rfind(|step| step.id.as_str() == id) {
            step.undo = Undo::By { action };
        }
    }

    /// Puts the steps into order: what a step depends on comes before it, and among those that
    /// could be next, the one that was added first. Marks all from `no_return` on.
    pub(crate) fn in_order(self, no_return: &str) -> Vec<Step> {
        let order = order(&graph(&self.steps));
        let mut slots: Vec<Option<Step>> = self.steps.into_iter().map(Some).collect();
        let mut steps: Vec<Step> = order.into_iter().filter_map(|at| slots[at].take()).collect();
        assert!(slots.iter().all(Option::is_none), "the routes are written without circles");
        let mut past = false;
        for step in &mut steps {
            past |= step.id.as_str() == no_return;
            step.past_point_of_no_return = past;
        }
        steps
    }
}

impl Added<'_> {
    pub(crate) fn after(self, ids: &[&str]) -> Self {
        self.0.depends_on.extend(ids.iter().map(|id| StepId::from(*id)));
        self
    }

    /// The same for names that were put together.
    pub(crate) fn after_all(self, ids: &[String]) -> Self {
        self.0.depends_on.extend(ids.iter().map(|id| StepId::from(id.as_str())));
        self
    }

    /// Replaces the estimate that follows from the action.
    pub(crate) fn takes(self, seconds: Estimate) -> Self {
        self.0.estimate_seconds = seconds;
        self
    }

    pub(crate) fn pre(self, condition: Condition) -> Self {
        self.0.preconditions.push(condition.into());
        self
    }

    pub(crate) fn pre_warns(self, condition: Condition) -> Self {
        self.0.preconditions.push(crate::check::Check::from(condition).warns());
        self
    }

    pub(crate) fn post(self, condition: Condition) -> Self {
        self.0.postconditions.push(condition.into());
        self
    }

    pub(crate) fn post_warns(self, condition: Condition) -> Self {
        self.0.postconditions.push(crate::check::Check::from(condition).warns());
        self
    }

    pub(crate) fn undo(self, action: Action) -> Self {
        self.0.undo = Undo::By { action };
        self
    }

    pub(crate) fn no_way_back(self, why: &str) -> Self {
        self.0.undo = Undo::Impossible { why: why.to_owned() };
        self
    }

    pub(crate) fn human(self, instruction: &str, answer: Estimate) -> Self {
        self.0.owner = Owner::Human { instruction: instruction.to_owned() };
        self.0.estimate_seconds = self.0.estimate_seconds + answer;
        self
    }

    pub(crate) fn why(self, reason: &str, evidence: &str) -> Self {
        self.0.why = Some(Why { reason: reason.to_owned(), evidence: evidence.to_owned() });
        self
    }
}

/// The steps as a graph: an edge from each step to those that depend on it.
fn graph(steps: &[Step]) -> DiGraph<usize, ()> {
    let mut graph = DiGraph::new();
    let mut nodes = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        nodes.insert(&step.id, graph.add_node(at));
    }
    for step in steps {
        for before in &step.depends_on {
            let from = nodes.get(before).expect("routes name only steps they have added");
            graph.add_edge(*from, nodes[&step.id], ());
        }
    }
    graph
}

/// Kahn's algorithm with a heap, so that equal choices fall to the step added first.
fn order(graph: &DiGraph<usize, ()>) -> Vec<usize> {
    let mut open: Vec<usize> = graph
        .node_indices()
        .map(|node| graph.edges_directed(node, petgraph::Incoming).count())
        .collect();
    let mut ready: BinaryHeap<Reverse<NodeIndex>> =
        graph.node_indices().filter(|node| open[node.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(open.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(graph[node]);
        for edge in graph.edges(node) {
            let next = edge.target();
            open[next.index()] -= 1;
            if open[next.index()] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    order
}

/// The chain of steps with the longest sum of likely durations. `steps` are in order.
pub(crate) fn critical_path(steps: &[Step]) -> Vec<StepId> {
    let graph = graph(steps);
    let mut longest: Vec<(u64, Option<usize>)> = Vec::with_capacity(steps.len());
    for node in graph.node_indices() {
        let before = graph
            .edges_directed(node, petgraph::Incoming)
            .map(|edge| edge.source().index())
            .max_by_key(|at| (longest[*at].0, Reverse(*at)));
        let own = steps[node.index()].estimate_seconds.likely;
        longest.push((own + before.map_or(0, |at| longest[at].0), before));
    }
    let mut at = (0..steps.len()).max_by_key(|at| (longest[*at].0, Reverse(*at)));
    let mut path = Vec::new();
    while let Some(step) = at {
        path.push(steps[step].id.clone());
        at = longest[step].1;
    }
    path.reverse();
    path
}
