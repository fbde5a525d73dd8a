//! Dependencies within a group: order, and refusal of cycles.

use std::collections::BTreeMap;

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, Reversed};

use super::{ConfigurationError, GroupConfig};
use crate::ids::ResourceName;

/// The graph of a group; an edge goes from a dependency to what depends on it.
struct Dependencies<'a> {
    graph: DiGraph<&'a ResourceName, ()>,
}

impl<'a> Dependencies<'a> {
    fn of(group: &'a GroupConfig) -> Result<Self, ConfigurationError> {
        let mut graph = DiGraph::new();
        let indices: Vec<NodeIndex> =
            group.resources.iter().map(|resource| graph.add_node(&resource.name)).collect();
        let positions: BTreeMap<&ResourceName, usize> =
            group.resources.iter().enumerate().map(|(at, one)| (&one.name, at)).collect();
        for (position, resource) in group.resources.iter().enumerate() {
            for wanted in &resource.depends_on {
                let Some(&dependency) = positions.get(wanted) else {
                    return Err(ConfigurationError::UnknownDependency {
                        resource: resource.name.clone(),
                        dependency: wanted.clone(),
                        group: group.name.clone(),
                    });
                };
                graph.add_edge(indices[dependency], indices[position], ());
            }
        }
        Ok(Self { graph })
    }

    fn index(&self, name: &ResourceName) -> Option<NodeIndex> {
        self.graph.node_indices().find(|&index| self.graph[index] == name)
    }
}

impl GroupConfig {
    /// The resources in the order in which they come online; offline goes the other way.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::UnknownDependency`] or [`ConfigurationError::Cycle`].
    pub fn online_order(&self) -> Result<Vec<ResourceName>, ConfigurationError> {
        let dependencies = Dependencies::of(self)?;
        match toposort(&dependencies.graph, None) {
            Ok(order) => Ok(order.into_iter().map(|i| dependencies.graph[i].clone()).collect()),
            Err(cycle) => Err(ConfigurationError::Cycle {
                group: self.name.clone(),
                resource: dependencies.graph[cycle.node_id()].clone(),
            }),
        }
    }

    /// The resource and everything that it depends on.
    ///
    /// # Errors
    ///
    /// As [`GroupConfig::online_order`].
    pub fn with_dependencies(
        &self,
        name: &ResourceName,
    ) -> Result<Vec<ResourceName>, ConfigurationError> {
        let dependencies = Dependencies::of(self)?;
        let Some(start) = dependencies.index(name) else { return Ok(Vec::new()) };
        let reversed = Reversed(&dependencies.graph);
        let mut walk = Bfs::new(reversed, start);
        let mut found = Vec::new();
        while let Some(index) = walk.next(reversed) {
            found.push(dependencies.graph[index].clone());
        }
        Ok(found)
    }

    /// The resource and everything that depends on it.
    ///
    /// # Errors
    ///
    /// As [`GroupConfig::online_order`].
    pub fn with_dependents(
        &self,
        name: &ResourceName,
    ) -> Result<Vec<ResourceName>, ConfigurationError> {
        let dependencies = Dependencies::of(self)?;
        let Some(start) = dependencies.index(name) else { return Ok(Vec::new()) };
        let mut walk = Bfs::new(&dependencies.graph, start);
        let mut found = Vec::new();
        while let Some(index) = walk.next(&dependencies.graph) {
            found.push(dependencies.graph[index].clone());
        }
        Ok(found)
    }
}
