//! `site.toml`, read whole: every mistake is reported, in the order of the file.
#![doc = include_str!("../../../../docs/format/site.md")] // The only description of the keys.

mod more;
mod schema;

use toml::Spanned;
use toml::de::DeTable;

use super::inferred::defaults;
use super::place::Places;
use super::read::{Reader, Table};
use super::{
    ByteSize, Clients, Cluster, Group, Mailbox, PublicFolder, RouteChoice, RouteWishes, SCHEMA,
    Server, Site, SiteKind, SoftwareVersion, check,
};
use crate::diagnostic::{Diagnostic, Source};
use crate::names::{AccountName, GroupName, MailboxName, ServerName};
use crate::role::Role;

/// See [`Site::parse`].
pub(super) fn parse(text: &str, file: &str) -> Result<Site, Vec<Diagnostic>> {
    let source = Source::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax_error(&source, error)).collect());
    }
    let mut reader = Reader::new(source, schema::ALL);
    let site = read_site(&mut reader, &document);
    let (places, mut found) = reader.finish();
    match site {
        Some(site) if found.is_empty() => {
            let site = Site { places, ..site };
            found = check::check(&site);
            if found.is_empty() {
                return Ok(site);
            }
        }
        _ => {}
    }
    found.sort_by_key(|diagnostic| (diagnostic.line(), diagnostic.column()));
    Err(found)
}

/// A text that is no TOML.
fn syntax_error(source: &Source, error: &toml::de::Error) -> Diagnostic {
    let place = source.place(error.span().unwrap_or(0..0));
    let message = error.message().lines().next().unwrap_or("this is no TOML");
    Diagnostic::error("E001", place, message.to_owned())
        .why("the file cannot be read as TOML, so nothing else in it was looked at")
        .fix("correct it here; texts stand in double quotes, a backslash in them is doubled")
}

/// Reads everything; `None` if something that has to be there is not.
fn read_site(reader: &mut Reader, document: &Spanned<DeTable<'_>>) -> Option<Site> {
    let root = reader.root(document, &schema::ROOT);
    read_schema(reader, &root);
    let organization = reader.required(&root, "organization");
    let site = reader.required(&root, "site");
    let kinds = SiteKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = reader.word(&root, "kind", &kinds).unwrap_or_default();
    let timezone = reader.text(&root, "timezone").map(|(text, _)| text.to_owned());
    let servers = read_servers(reader, &root, kind);
    let first = servers.as_ref().and_then(|servers| servers.first()).map(|(server, _)| server);
    let cluster = read_cluster(reader, &root, first);
    let mailboxes = read_mailboxes(reader, &root, first);
    let public_folders = read_public_folders(reader, &root, first);
    let route = read_route(reader, &root);
    let clients = reader.table(&root, "clients", &schema::CLIENTS);
    let simulate = clients.and_then(|table| reader.flag(&table, "simulate")).unwrap_or(false);
    let inventory = more::read_inventory(reader, &root);
    let windows = more::read_windows(reader, &root);
    let waves = more::read_waves(reader, &root);
    let gates = more::read_gates(reader, &root);
    let facts = more::read_facts(reader, &root);
    Some(Site {
        organization: organization?,
        site: site?,
        kind,
        timezone,
        servers: with_versions(servers?, cluster.as_ref()?.version),
        cluster: cluster?,
        mailboxes: mailboxes?,
        public_folders: public_folders?,
        route,
        clients: Clients { simulate },
        inventory,
        windows: windows?,
        waves,
        gates: gates?,
        facts,
        places: Places::default(),
    })
}

/// A server of which no level is written has that of the cluster: nothing is to be upgraded.
fn with_versions(
    servers: Vec<(Server, Option<SoftwareVersion>)>,
    cluster: SoftwareVersion,
) -> Vec<Server> {
    let known = |(server, version): (Server, Option<SoftwareVersion>)| Server {
        version: version.unwrap_or(cluster),
        ..server
    };
    servers.into_iter().map(known).collect()
}

/// The schema decides what the other keys mean.
fn read_schema(reader: &mut Reader, root: &Table<'_>) {
    match reader.text(root, "schema") {
        Some((SCHEMA, _)) => {}
        Some((other, span)) => {
            let place = reader.place(span);
            let message = format!("schema \"{other}\" is not known");
            let why = "this version of Rehome reads only schema \"site/1\"";
            let fix = format!("write `schema = \"{SCHEMA}\"`, or use the version that wrote it");
            reader.fail(Diagnostic::error("E002", place, message).why(why).fix(fix));
        }
        None => reader.missing(root, "schema"),
    }
}

/// A server, and its level if one is written.
type ReadServer = (Server, Option<SoftwareVersion>);

/// Reads `[[server]]`; there has to be one.
fn read_servers(reader: &mut Reader, root: &Table<'_>, kind: SiteKind) -> Option<Vec<ReadServer>> {
    let tables = reader.tables(root, "server", &schema::SERVER);
    if tables.is_empty() {
        reader.missing(root, "server");
    }
    let servers: Vec<_> = tables.iter().map(|table| read_server(reader, table, kind)).collect();
    servers.into_iter().collect::<Option<Vec<_>>>().filter(|servers| !servers.is_empty())
}

/// Reads one `[[server]]`.
fn read_server(reader: &mut Reader, table: &Table<'_>, kind: SiteKind) -> Option<ReadServer> {
    let name = reader.required(table, "name");
    let mail = match kind {
        SiteKind::Rehome => reader.required::<String>(table, "mail"),
        // Nobody reads mail of a server that people move.
        SiteKind::Exchange55 => reader.optional(table, "mail").or(Some("-".to_owned())),
    };
    if mail.as_deref() == Some("") {
        let span = reader.span_of(&table.key.child("mail"));
        reader.wrong_value(table, "mail", span, "`mail` is empty");
    }
    let account = reader.optional(table, "service_account");
    let version = reader.optional(table, "version");
    let words: Vec<(&str, Role)> = Role::ALL.iter().map(|role| (role.as_str(), *role)).collect();
    let mut roles = Vec::new();
    for (text, span) in reader.texts(table, "roles").unwrap_or_default() {
        roles.extend(reader.known_word("roles", text, span, &words));
    }
    let server = Server {
        free: reader.size(table, "free"),
        log_free: reader.size(table, "log_free"),
        name: name?,
        mail: mail?,
        service_account: account.unwrap_or_else(defaults::account),
        version: SoftwareVersion::CURRENT,
        roles,
    };
    Some((server, version))
}

/// Reads `[cluster]`; all of it has defaults, some of them taken from the first server.
fn read_cluster(reader: &mut Reader, root: &Table<'_>, first: Option<&Server>) -> Option<Cluster> {
    let account = || first.map_or_else(defaults::account, |server| server.service_account.clone());
    let group = |group| -> Option<Group> {
        let server = || first.map(|server| defaults::new_server(&server.name));
        Group::complete(group, server)
    };
    let Some(table) = reader.table(root, "cluster", &schema::CLUSTER) else {
        return Some(Cluster {
            name: defaults::cluster(),
            nodes: defaults::nodes(),
            service_account: account(),
            version: SoftwareVersion::CURRENT,
            group: group(ReadGroup::default())?,
        });
    };
    let name = reader.optional(&table, "name");
    let nodes = reader.list(&table, "nodes");
    if nodes.as_ref().is_some_and(Vec::is_empty) {
        let span = reader.span_of(&table.key.child("nodes"));
        reader.wrong_value(&table, "nodes", span, "a cluster has at least one node");
    }
    let service_account = reader.optional::<AccountName>(&table, "service_account");
    let version = reader.optional(&table, "version");
    let read = match reader.table(&table, "group", &schema::GROUP) {
        Some(table) => read_group(reader, &table),
        None => ReadGroup::default(),
    };
    Some(Cluster {
        name: name.unwrap_or_else(defaults::cluster),
        nodes: nodes.unwrap_or_else(defaults::nodes),
        service_account: service_account.unwrap_or_else(account),
        version: version.unwrap_or(SoftwareVersion::CURRENT),
        group: group(read)?,
    })
}

/// What `[cluster.group]` says.
#[derive(Default)]
struct ReadGroup {
    name: Option<GroupName>,
    network_name: Option<ServerName>,
    server: Option<ServerName>,
    address: Option<std::net::IpAddr>,
    free: Option<ByteSize>,
    log_free: Option<ByteSize>,
}

/// Reads `[cluster.group]`.
fn read_group(reader: &mut Reader, table: &Table<'_>) -> ReadGroup {
    ReadGroup {
        name: reader.optional(table, "name"),
        network_name: reader.optional(table, "network_name"),
        server: reader.optional(table, "server"),
        address: reader.optional(table, "address"),
        free: reader.size(table, "free"),
        log_free: reader.size(table, "log_free"),
    }
}

impl Group {
    /// Fills in the defaults; `None` if there is no server to take the name from.
    fn complete(read: ReadGroup, server: impl Fn() -> Option<ServerName>) -> Option<Self> {
        Some(Self {
            name: read.name.unwrap_or_else(defaults::group),
            network_name: read.network_name,
            server: read.server.or_else(server)?,
            address: read.address.unwrap_or_else(defaults::address),
            free: read.free,
            log_free: read.log_free,
        })
    }
}

/// Reads `[[mailbox]]`.
fn read_mailboxes(
    reader: &mut Reader,
    root: &Table<'_>,
    first: Option<&Server>,
) -> Option<Vec<Mailbox>> {
    let tables = reader.tables(root, "mailbox", &schema::MAILBOX);
    let all: Vec<_> = tables.iter().map(|table| read_mailbox(reader, table, first)).collect();
    all.into_iter().collect()
}

/// Reads one `[[mailbox]]`.
fn read_mailbox(reader: &mut Reader, table: &Table<'_>, first: Option<&Server>) -> Option<Mailbox> {
    let name = reader.required::<MailboxName>(table, "name");
    let server = reader.optional(table, "server");
    let folder = reader.text(table, "folder");
    if let Some((text, span)) = &folder
        && !is_below(text)
    {
        let message = format!("\"{text}\" is not a folder below the server's `mail`");
        reader.wrong_value(table, "folder", span.clone(), message);
    }
    let display_name = reader.text(table, "display_name").map(|(text, _)| text.to_owned());
    let account = reader.optional(table, "account");
    let aliases = reader.list(table, "aliases").unwrap_or_default();
    let delegates = reader.list(table, "delegates").unwrap_or_default();
    let name = name?;
    Some(Mailbox {
        folder: folder.map_or_else(|| name.as_str().to_owned(), |(text, _)| text.to_owned()),
        server: server.or_else(|| first.map(|server| server.name.clone()))?,
        name,
        display_name,
        account,
        aliases,
        delegates,
    })
}

/// Tells whether a path stays below the folder that it starts from.
fn is_below(path: &str) -> bool {
    let part_is_fine = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(part_is_fine) && !path.contains(['\0', '\\'])
}

/// Reads `[[public_folder]]`.
fn read_public_folders(
    reader: &mut Reader,
    root: &Table<'_>,
    first: Option<&Server>,
) -> Option<Vec<PublicFolder>> {
    let tables = reader.tables(root, "public_folder", &schema::PUBLIC_FOLDER);
    let mut folders = Vec::new();
    for table in &tables {
        let path = reader.required(table, "path");
        let server = reader.optional::<ServerName>(table, "server");
        let replicas = reader.list(table, "replicas");
        let filled_from = more::read_fillings(reader, table);
        folders.push(path.and_then(|path| {
            let server = server.or_else(|| first.map(|server| server.name.clone()))?;
            let replicas = replicas.unwrap_or_else(|| vec![server.clone()]);
            Some(PublicFolder { path, server, replicas, filled_from })
        }));
    }
    folders.into_iter().collect()
}

/// Reads `[route]`.
fn read_route(reader: &mut Reader, root: &Table<'_>) -> RouteWishes {
    let Some(table) = reader.table(root, "route", &schema::ROUTE) else {
        return RouteWishes::default();
    };
    let words = RouteChoice::ALL.map(|choice| (choice.as_str(), choice));
    RouteWishes {
        choose: reader.word(&table, "choose", &words).unwrap_or_default(),
        second_server: reader.flag(&table, "second_server").unwrap_or(true),
        max_outage_minutes: reader.count(&table, "max_outage_minutes"),
        max_user_interruption_seconds: reader.count(&table, "max_user_interruption_seconds"),
        deadline: reader.optional(&table, "deadline"),
        all_servers: reader.flag(&table, "all_servers").unwrap_or(false),
    }
}

#[cfg(test)]
mod tests;
