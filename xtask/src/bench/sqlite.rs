//! SQLite as a peer: bodies and rows in tables, write-ahead log, `synchronous = FULL`.

use std::collections::HashMap;
use std::path::Path;

use rehome::parts::store::{ContentId, Store, Uid};
use rusqlite::{Connection, ToSql, params};

use crate::bench::stores::told;

const TABLES: &str = "
    create table SCHEMA.bodies(id integer primary key, body blob);
    create table SCHEMA.messages(mailbox integer, folder integer, uid integer, received integer,
        body integer, primary key(mailbox, folder, uid)) without rowid;";

/// A database that is durable at each commit.
fn open(path: &Path) -> Result<Connection, String> {
    let database = Connection::open(path).map_err(told)?;
    let pragmas = "pragma journal_mode = wal; pragma synchronous = full;";
    database.execute_batch(pragmas).map_err(told)?;
    Ok(database)
}

/// Writes what a store holds into a new database, each content once.
pub(crate) fn stage(store: &Store, path: &Path) -> Result<(), String> {
    let mut database = open(path)?;
    database.execute_batch(&TABLES.replace("SCHEMA", "main")).map_err(told)?;
    let mut numbers: HashMap<ContentId, i64> = HashMap::new();
    for mailbox in store.mailboxes().map_err(told)? {
        let transaction = database.transaction().map_err(told)?;
        for folder in store.folders(mailbox.id).map_err(told)? {
            let messages = store.messages(mailbox.id, folder.id, Uid(0), usize::MAX);
            for message in messages.map_err(told)? {
                let next = i64::try_from(numbers.len()).expect("memory holds them") + 1;
                let number = *numbers.entry(message.content).or_insert(next);
                if number == next {
                    let body = store.body(&message.content).map_err(told)?;
                    insert(&transaction, "bodies values(?, ?)", params![number, body])?;
                }
                let (uid, received) = (message.uid.0, message.internal_date_seconds);
                let row = params![mailbox.id.0, folder.id.0, uid, received, number];
                insert(&transaction, "messages values(?, ?, ?, ?, ?)", row)?;
            }
        }
        transaction.commit().map_err(told)?;
    }
    database.close().map_err(|(_, error)| error.to_string())
}

fn insert(database: &Connection, what: &str, values: &[&dyn ToSql]) -> Result<(), String> {
    let mut insert = database.prepare_cached(&format!("insert into {what}")).map_err(told)?;
    insert.execute(values).map_err(told).map(|_| ())
}

/// Moves everything to a new database, one transaction for each mailbox, and ends without the
/// checkpoint that closing would make: all is durable before.
pub(crate) fn move_all(from: &Path, to: &Path) -> Result<(), String> {
    let database = open(to)?;
    database.execute("attach ? as source", [from.to_string_lossy()]).map_err(told)?;
    database.execute_batch(&TABLES.replace("SCHEMA", "main")).map_err(told)?;
    for mailbox in mailboxes(&database)? {
        database.execute_batch("begin immediate").map_err(told)?;
        let bodies = "insert or ignore into main.bodies select id, body from source.bodies
            where id in (select body from source.messages where mailbox = ?)";
        database.execute(bodies, [mailbox]).map_err(told)?;
        let rows = "insert into main.messages select * from source.messages where mailbox = ?";
        database.execute(rows, [mailbox]).map_err(told)?;
        database.execute_batch("commit").map_err(told)?;
    }
    std::mem::forget(database);
    Ok(())
}

fn mailboxes(database: &Connection) -> Result<Vec<i64>, String> {
    let distinct = "select distinct mailbox from source.messages";
    let mut mailboxes = database.prepare(distinct).map_err(told)?;
    let mailboxes = mailboxes.query_map([], |row| row.get(0)).map_err(told)?;
    mailboxes.collect::<Result<Vec<i64>, _>>().map_err(told)
}

/// Messages in a database.
pub(crate) fn messages(path: &Path) -> Result<u64, String> {
    let count = |database: &Connection| {
        database.query_row("select count(*) from messages", [], |row| row.get::<_, i64>(0))
    };
    count(&open(path)?).map(i64::unsigned_abs).map_err(told)
}

/// A database that messages are delivered to one by one.
pub(crate) struct Inbox(Connection);

impl Inbox {
    pub(crate) fn new(path: &Path) -> Result<Inbox, String> {
        let database = open(path)?;
        let table = "create table messages(id integer primary key, mailbox integer, body blob)";
        database.execute_batch(table).map_err(told)?;
        Ok(Inbox(database))
    }

    /// Stores a message durably.
    pub(crate) fn deliver(&self, mailbox: u64, body: &[u8]) -> Result<(), String> {
        let insert = "insert into messages(mailbox, body) values(?, ?)";
        let mut insert = self.0.prepare_cached(insert).map_err(told)?;
        insert.execute(params![mailbox.cast_signed(), body]).map_err(told).map(|_| ())
    }
}
