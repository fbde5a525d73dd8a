//! A failover cluster resource manager: nodes, groups, resources, checkpoints.
