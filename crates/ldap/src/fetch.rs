//! Reading a whole subtree, page by page, into one text.

use std::collections::HashMap;
use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{LdapConn, LdapConnSettings, Scope, SearchEntry};
use rehome_site::LdifEntry;

use crate::error::LdapError;
use crate::place::LdapPlace;
use crate::tls::{self, TlsOptions};

/// How long it is waited for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// How long it is waited for the next answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Attributes that hold a password or what a password can be found from.
const SECRETS: [&str; 8] = [
    "userPassword",
    "unicodePwd",
    "dBCSPwd",
    "lmPwdHistory",
    "ntPwdHistory",
    "sambaNTPassword",
    "sambaLMPassword",
    "supplementalCredentials",
];

/// Who logs on.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The distinguished name, or what else the server takes.
    pub name: String,
    /// The password, which has to have a letter at least; without TLS it travels as it is, and the
    /// way to the server has to be one's own.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a directory is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// Who logs on; nobody if there is none.
    pub credentials: Option<Credentials>,
    /// Which entries (RFC 4515).
    pub filter: String,
    /// How the way to the server is protected.
    pub tls: TlsOptions,
    /// Entries in a page: servers give no more than some hundreds or thousands at once.
    pub page_entries: u16,
}

impl Default for FetchOptions {
    fn default() -> Self {
        let filter = "(objectClass=*)".to_owned();
        Self { credentials: None, filter, tls: TlsOptions::default(), page_entries: 500 }
    }
}

/// A directory as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// LDIF, a record for each entry, in the order of their names.
    pub ldif: String,
    /// How many entries there are.
    pub entries: u64,
}

/// Reads the subtree below a place. `go_on` hears how many entries have come, and says whether to
/// go on.
///
/// # Errors
///
/// [`LdapError`]; what had come is thrown away.
pub fn fetch(
    place: &LdapPlace,
    options: &FetchOptions,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Fetched, LdapError> {
    let mut connection = connect(place, options)?;
    let mut entries: Vec<LdifEntry> = Vec::new();
    let read = read(&mut connection, place, options, &mut |entry| {
        entries.push(entry);
        go_on(entries.len() as u64)
    });
    let count = entries.len() as u64;
    // A server that is gone already needs no farewell.
    let _told = connection.unbind();
    if !read.map_err(|source| search_error(place, count, source))? {
        return Err(LdapError::Stopped { place: place.to_string(), entries: count });
    }
    entries.sort_by_cached_key(|entry| entry.name.to_lowercase());
    let ldif = rehome_site::entries_as_ldif(&entries);
    Ok(Fetched { ldif, entries: count })
}

fn search_error(place: &LdapPlace, entries: u64, source: ldap3::LdapError) -> LdapError {
    let base = place.base.clone();
    LdapError::Search { place: place.server.clone(), base, entries, source: Box::new(source) }
}

fn connect(place: &LdapPlace, options: &FetchOptions) -> Result<LdapConn, LdapError> {
    if let Some(Credentials { name, password }) = &options.credentials
        && password.is_empty()
    {
        return Err(LdapError::NoPassword { place: place.server.clone(), name: name.clone() });
    }
    let settings = LdapConnSettings::new().set_conn_timeout(CONNECT_MAX);
    let mut settings = settings.set_starttls(options.tls.starttls);
    if let Some(config) = tls::config(place, &options.tls)? {
        settings = settings.set_config(config);
    }
    let mut connection = LdapConn::with_settings(settings, &place.server)
        .map_err(|source| tls::failed(place, &options.tls, source))?;
    let Some(Credentials { name, password }) = &options.credentials else {
        return Ok(connection);
    };
    let bound = connection.with_timeout(ANSWER_MAX).simple_bind(name, password);
    bound.and_then(ldap3::LdapResult::success).map_err(|source| LdapError::LogOn {
        place: place.server.clone(),
        name: name.clone(),
        source: Box::new(source),
    })?;
    Ok(connection)
}

/// Hands every entry over; false if whoever gets them has asked to stop.
fn read(
    connection: &mut LdapConn,
    place: &LdapPlace,
    options: &FetchOptions,
    take: &mut dyn FnMut(LdifEntry) -> bool,
) -> Result<bool, ldap3::LdapError> {
    let pages = i32::from(options.page_entries.max(1));
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(pages))];
    let mut search = connection.with_timeout(ANSWER_MAX).streaming_search_with(
        adapters,
        &place.base,
        Scope::Subtree,
        &options.filter,
        vec!["*"],
    )?;
    while let Some(entry) = search.next()? {
        if !take(entry_of(SearchEntry::construct(entry))) {
            return Ok(false);
        }
    }
    // Only this says that nothing is missing at the end.
    search.result().success()?;
    Ok(true)
}

/// An entry with its attributes in order, without secrets.
fn entry_of(entry: SearchEntry) -> LdifEntry {
    let SearchEntry { dn, attrs, bin_attrs } = entry;
    let mut all: HashMap<String, Vec<Vec<u8>>> = bin_attrs;
    for (name, values) in attrs {
        all.entry(name).or_default().extend(values.into_iter().map(String::into_bytes));
    }
    let secret = |name: &str| SECRETS.iter().any(|one| one.eq_ignore_ascii_case(name));
    let mut values: Vec<(String, Vec<u8>)> = all
        .into_iter()
        .filter(|(name, _)| !secret(name))
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
        .collect();
    // Attributes and values are sets: only in an order of their own two readings are equal.
    values.sort_by_cached_key(|(name, value)| {
        (!name.eq_ignore_ascii_case("objectClass"), name.to_lowercase(), value.clone())
    });
    LdifEntry { name: dn, values }
}
