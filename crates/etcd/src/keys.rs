//! The keys of a cluster, and ranges of them.

use rehome_cluster::{CheckpointKey, GroupName, NodeName, ResourceName};

/// The keys below a prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

/// What a key below `live/` is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Live {
    /// The heartbeat of a node.
    Heartbeat(NodeName),
    /// The last claim of a group.
    Claim(GroupName),
    /// The last release of a group.
    Release(GroupName),
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(crate) fn config(&self) -> String {
        format!("{}/config", self.prefix)
    }

    /// What all that nodes act on begins with.
    pub(crate) fn live(&self) -> String {
        format!("{}/live/", self.prefix)
    }

    /// What all that concerns owners begins with.
    pub(crate) fn own(&self) -> String {
        format!("{}/live/own/", self.prefix)
    }

    pub(crate) fn heartbeat(&self, node: &NodeName) -> String {
        format!("{}/live/nodes/{node}", self.prefix)
    }

    pub(crate) fn claim(&self, group: &GroupName) -> String {
        format!("{}/live/own/{group}/claim", self.prefix)
    }

    pub(crate) fn release(&self, group: &GroupName) -> String {
        format!("{}/live/own/{group}/release", self.prefix)
    }

    pub(crate) fn status(&self, node: &NodeName) -> String {
        format!("{}/status/{node}", self.prefix)
    }

    pub(crate) fn checkpoint(&self, resource: &ResourceName, key: &CheckpointKey) -> String {
        let key = key.as_str().replace('%', "%25").replace('/', "%2F");
        format!("{}/checkpoints/{resource}/{key}", self.prefix)
    }

    /// What a node's part of the cluster log begins with.
    pub(crate) fn log(&self, node: &NodeName) -> String {
        format!("{}/log/{node}/", self.prefix)
    }

    /// What a key below `live/` is about; `None` if a later version has put it there.
    pub(crate) fn read_live(&self, key: &str) -> Option<Live> {
        let rest = key.strip_prefix(&self.live())?;
        let (kind, rest) = rest.split_once('/')?;
        match (kind, rest.rsplit_once('/')) {
            ("nodes", None) => Some(Live::Heartbeat(NodeName::new(rest).ok()?)),
            ("own", Some((group, "claim"))) => Some(Live::Claim(GroupName::new(group).ok()?)),
            ("own", Some((group, "release"))) => Some(Live::Release(GroupName::new(group).ok()?)),
            _ => None,
        }
    }
}

/// The first key after all that begin with `prefix`.
pub(crate) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // Prefixes are ASCII, and end in a slash: the last byte is never the highest.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_made() {
        let keys = Keys::new("office");
        let (node, group) = (NodeName::new("a").unwrap(), GroupName::new("mail x").unwrap());
        let read = |key: String| keys.read_live(&key);
        assert_eq!(read(keys.heartbeat(&node)), Some(Live::Heartbeat(node)));
        assert_eq!(read(keys.claim(&group)), Some(Live::Claim(group.clone())));
        assert_eq!(read(keys.release(&group)), Some(Live::Release(group)));
        assert_eq!(read(keys.config()), None);
        assert_eq!(read(format!("{}later/x", keys.live())), None);
        assert_eq!(end_of("office/live/"), b"office/live0");
    }
}
