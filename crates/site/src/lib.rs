//! Organization, site, servers, mailboxes, public folders and directory replication.
