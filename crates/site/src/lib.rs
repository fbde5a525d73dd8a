//! Organization, site, servers, mailboxes, public folders and directory replication.
//!
#![doc = include_str!("../README.md")]

mod diagnostic;
mod directory;
mod import;
mod names;
mod role;
mod site;

pub use diagnostic::{
    Diagnostic, Place, Related, Severity, Source, did_you_mean, edit_distance, render,
};
pub use directory::{
    Applied, Attributes, Change, Changes, Class, Directory, DirectoryError, DistinguishedName,
    Object, Origin, PublicFolderEntry, UpToDateness, Usn,
};
pub use import::{
    ChangedRow, Count, Dialect, Export, ExportDifferences, ImportReport, LdifEntry, MailboxSize,
    Roster, RosterMailbox, RosterOptions, Row, RowChange, RowOutcome, SizeTable, Value,
    changes_as_csv, changes_as_ldif, compare_exports, entries_as_ldif, read_csv, read_ldif,
};
pub use names::{
    AccountName, ClusterName, FolderPath, GroupName, MailboxName, NAME_SIZE_MAX, NameError,
    NameFault, NodeName, OrganizationName, ServerName, SiteName,
};
pub use role::Role;
pub use site::{
    ByteSize, CalendarError, Clients, Cluster, Date, Days, FACTS, Fact, FactKind, FactSpec, Facts,
    FolderProblem, GateRule, Group, InventoryFiles, Key, Mailbox, Merged, Moment, PublicFolder,
    RouteChoice, RouteWishes, SCHEMA, Server, Site, SiteKind, SoftwareVersion, TimeOfDay,
    UtcOffset, WaveWishes, Window,
};
