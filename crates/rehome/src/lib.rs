//! Takes the mailboxes of a standalone mail server into a failover cluster and loses nothing.
