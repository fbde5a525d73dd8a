//! Changes that are about care: maintenance, going back, and switching a node's power off.

use super::{Configuration, ConfigurationError, Failback, FenceConfig};
use crate::ids::{GroupName, NodeName};

impl Configuration {
    /// Says how the power of a node is switched off; `None` is not at all.
    pub(crate) fn set_fence(
        &mut self,
        name: &NodeName,
        fence: Option<FenceConfig>,
    ) -> Result<(), ConfigurationError> {
        self.known_node(name)?;
        for node in self.nodes.iter_mut().filter(|node| node.name == *name) {
            node.fence.clone_from(&fence);
        }
        Ok(())
    }

    /// Says which nodes a group prefers, and when it goes back to them.
    pub(crate) fn set_failback(
        &mut self,
        name: &GroupName,
        preferred: &[NodeName],
        failback: Option<Failback>,
    ) -> Result<(), ConfigurationError> {
        preferred.iter().try_for_each(|node| self.known_node(node))?;
        let known: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        let known = known.join(", ");
        let Some(group) = self.groups.iter_mut().find(|group| group.name == *name) else {
            let (what, name) = ("group", name.to_string());
            return Err(ConfigurationError::Unknown { what, name, known });
        };
        group.preferred_owners = preferred.to_vec();
        group.failback = failback;
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use crate::configuration::Window;

    #[track_caller]
    fn check(text: &str, inside: &[u16], outside: &[u16]) {
        let window: Window = text.parse().unwrap();
        assert!(inside.iter().all(|minute| window.holds(*minute)), "{text}");
        assert!(!outside.iter().any(|minute| window.holds(*minute)), "{text}");
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        check("08:00-09:30", &[480, 569], &[479, 570, 0]);
        check("22:00-06:00", &[1320, 1439, 0, 359], &[360, 1319]);
        for text in ["22:00", "24:00-01:00", "01:60-02:00", "01:00-01:00", "x-y"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
