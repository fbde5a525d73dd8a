//! A mailbox store with transaction logs, single-instance content and bulk moves.
