//! A made-up site that people move: a directory export, a table of sizes and `site.toml`, of any
//! size, the same for each seed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::people::person;
use super::random::Random;
use super::{SampleError, at, check_bounds, message::base64};

/// The most mailboxes of a sample export.
pub const SAMPLE_EXPORT_MAILBOXES_MAX: usize = 5_000_000;
/// The most servers of a sample export.
pub const SAMPLE_SERVERS_MAX: usize = 1_000;
/// People of one department; they share what is sent to all of them.
const DEPARTMENT: usize = 40;
/// The mailbox of a program that acts for many.
const HUB: &str = "svc-calendar";

/// The form of a sample export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleForm {
    /// Comma-separated, as Exchange 5.5 writes it, in Windows-1252.
    Exchange55Csv,
    /// LDIF as Active Directory writes it.
    AdLdif,
}

/// What kind of sample export to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleExportOptions {
    /// Its form.
    pub form: SampleForm,
    /// Number of mailboxes, from 1.
    pub mailboxes: usize,
    /// Number of servers, from 1.
    pub servers: usize,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SampleExportReport {
    /// Number of mailboxes.
    pub mailboxes: usize,
    /// Number of servers.
    pub servers: usize,
    /// Rows of the export.
    pub rows: usize,
    /// Bytes of all mailboxes, as the table says.
    pub bytes: u64,
}

/// Writes a made-up export with its sizes and its site file into a new or empty folder.
///
/// # Errors
///
/// As [`super::write_sample`].
pub fn write_sample_export(
    dir: &Path,
    options: &SampleExportOptions,
) -> Result<SampleExportReport, SampleError> {
    check_bounds("mailboxes", options.mailboxes, 1, SAMPLE_EXPORT_MAILBOXES_MAX)?;
    check_bounds("servers", options.servers, 1, SAMPLE_SERVERS_MAX)?;
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    if std::fs::read_dir(dir).map_err(at(dir))?.next().is_some() {
        return Err(SampleError::NotEmpty { path: dir.to_owned() });
    }
    let name = match options.form {
        SampleForm::Exchange55Csv => "export.csv",
        SampleForm::AdLdif => "export.ldif",
    };
    let mut report = SampleExportReport { servers: options.servers, ..Default::default() };
    let (export, sizes) = (dir.join(name), dir.join("sizes.csv"));
    let mut rows = Rows::begin(&export, options.form).map_err(at(&export))?;
    let mut table = BufWriter::new(File::create(&sizes).map_err(at(&sizes))?);
    writeln!(table, "Name,Bytes,Messages,Share group,Shared bytes,Bytes a day")
        .map_err(at(&sizes))?;
    for server in 0..options.servers {
        rows.server(&server_name(server)).map_err(at(&export))?;
    }
    for index in 0..options.mailboxes {
        let one = Entry::of(index, options);
        rows.mailbox(&one).map_err(at(&export))?;
        let (share, group) = (one.bytes / 5, index / DEPARTMENT);
        writeln!(
            table,
            "{},{},{},Department {group},{share},{}",
            one.name,
            one.bytes,
            one.bytes / (30 << 10),
            one.bytes / 300
        )
        .map_err(at(&sizes))?;
        report.bytes += one.bytes;
        report.mailboxes += 1;
    }
    for department in 0..options.mailboxes.div_ceil(DEPARTMENT) {
        rows.list(department).map_err(at(&export))?;
    }
    report.rows = rows.count;
    rows.end().map_err(at(&export))?;
    table.flush().map_err(at(&sizes))?;
    let site = dir.join("site.toml");
    std::fs::write(&site, site_toml(options, name, report.bytes)).map_err(at(&site))?;
    Ok(report)
}

/// A mailbox of the export.
struct Entry {
    name: String,
    display_name: String,
    server: String,
    delegates: Vec<String>,
    bytes: u64,
}

impl Entry {
    fn of(index: usize, options: &SampleExportOptions) -> Self {
        let mut random = Random::new(options.seed, "export", index as u64);
        let person = person(index, &mut random);
        let block = options.mailboxes.div_ceil(options.servers);
        let mut delegates = Vec::new();
        if index.is_multiple_of(5) && index + 1 < options.mailboxes {
            delegates.push(name_of(index + 1));
        }
        if index % 50 == 7 {
            delegates.push(HUB.to_owned());
        }
        let name = if index == 0 { HUB.to_owned() } else { person.name };
        let bytes = random.size(256 << 10, 12) as u64;
        let server = server_name(index / block);
        Self { name, display_name: person.display_name, server, delegates, bytes }
    }
}

/// The name of the mailbox of a number.
fn name_of(index: usize) -> String {
    // The name depends on the number alone.
    person(index, &mut Random::new(0, "", 0)).name
}

fn server_name(index: usize) -> String {
    format!("EX{:03}", index + 1)
}

/// The rows of an export, being written.
struct Rows {
    file: BufWriter<File>,
    form: SampleForm,
    count: usize,
}

impl Rows {
    fn begin(path: &Path, form: SampleForm) -> std::io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        match form {
            SampleForm::Exchange55Csv => file.write_all(
                b"Obj-Class,First Name,Last name,Display Name,Alias Name,Directory Name,\
                  Primary Windows NT Account,Home-Server,E-mail address,E-mail Addresses,Members,\
                  Obj-Container,Hide from AB,Public-Delegates\r\n",
            )?,
            SampleForm::AdLdif => file.write_all(b"version: 1\n")?,
        }
        Ok(Self { file, form, count: 0 })
    }

    fn server(&mut self, name: &str) -> std::io::Result<()> {
        self.count += 1;
        match self.form {
            SampleForm::Exchange55Csv => {
                write!(self.file, "Computer,,,{name},,{name},,,,,,Servers,,\r\n")
            }
            SampleForm::AdLdif => write!(
                self.file,
                "\ndn: CN={name},CN=Servers,CN=Configuration,OU=HQ,O=Example\nobjectClass: \
                 msExchExchangeServer\ncn: {name}\n"
            ),
        }
    }

    fn mailbox(&mut self, one: &Entry) -> std::io::Result<()> {
        self.count += 1;
        match self.form {
            SampleForm::Exchange55Csv => {
                let row = csv_row(one);
                // The code page has no dotless i, which one of the family names has.
                let latin = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'i');
                self.file.write_all(&row.chars().map(latin).collect::<Vec<u8>>())
            }
            SampleForm::AdLdif => self.file.write_all(ldif_record(one).as_bytes()),
        }
    }

    fn list(&mut self, department: usize) -> std::io::Result<()> {
        self.count += 1;
        let name = format!("department-{department}");
        match self.form {
            SampleForm::Exchange55Csv => write!(
                self.file,
                "dl,,,Department {department},{name},{name},,,,SMTP:{name}@example.com,,\
                 Recipients,,\r\n"
            ),
            SampleForm::AdLdif => write!(
                self.file,
                "\ndn: CN={name},CN=Recipients,OU=HQ,O=Example\nobjectClass: group\n\
                 proxyAddresses: SMTP:{name}@example.com\n"
            ),
        }
    }

    fn end(mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn csv_row(one: &Entry) -> String {
    let Entry { name, display_name, server, .. } = one;
    let (first, last) = display_name.split_once(' ').unwrap_or((display_name, ""));
    let dn = |name: &String| format!("/o=Example/ou=HQ/cn=Recipients/cn={name}");
    let delegates: Vec<String> = one.delegates.iter().map(dn).collect();
    format!(
        "Mailbox,{first},{last},{display_name},{name},{name},EXAMPLE\\{name},{server},,\
         MS:EXAMPLE/HQ/{name}%SMTP:{name}@example.com%X400:c=DE;a= ;p=Example;o=HQ;s={name};,,\
         Recipients,,{}\r\n",
        delegates.join("%")
    )
}

fn ldif_record(one: &Entry) -> String {
    let Entry { name, display_name, server, .. } = one;
    let below = "CN=Recipients,OU=HQ,O=Example";
    let display = match display_name.is_ascii() {
        true => format!("displayName: {display_name}"),
        false => format!("displayName:: {}", base64(display_name.as_bytes())),
    };
    let mut text = format!(
        "\ndn: CN={name},{below}\nobjectClass: top\nobjectClass: user\ncn: {name}\n{display}\n\
         mailNickname: {name}\nlegacyExchangeDN: /o=Example/ou=HQ/cn=Recipients/cn={name}\n\
         homeMDB: CN=Microsoft Private MDB,CN={server},CN=Servers,CN=Configuration,OU\n \
         =HQ,O=Example\nproxyAddresses: SMTP:{name}@example.com\nproxyAddresses: X400:c=DE;a= \
         ;p=Example;o=HQ;s={name};\n"
    );
    for delegate in &one.delegates {
        text.push_str(&format!("publicDelegates: CN={delegate},{below}\n"));
    }
    text
}

/// The site file: nights and weekends, a pilot, disks that are large enough.
fn site_toml(options: &SampleExportOptions, export: &str, bytes: u64) -> String {
    let gib = (bytes >> 30) * 3 / 2 + 64;
    let all = options.servers > 1;
    format!(
        r#"# A made-up site that people move: the plan is a run-book for them.
# All keys: docs/format/site.md. What each fact decides: docs/guide/traps.md.
schema = "site/1"
organization = "Example"
site = "HQ"
kind = "exchange-5.5"

[inventory]
directory = "{export}"
sizes = "sizes.csv"

[[server]]
name = "EX001"
service_account = "EXAMPLE\\exsvc"
version = "5.5"
roles = ["first-server-in-site"]

[cluster]
name = "HQCLUS"
nodes = ["N1", "N2"]
service_account = "EXAMPLE\\exsvc"
version = "5.5"

[cluster.group]
name = "mail"
server = "EXCL1"
address = "10.0.0.21"
free = "{gib}GiB"
log_free = "2TiB"

[route]
all_servers = {all}

[waves]
pilot_mailboxes = 12
reverse_days = 7

[[window]]
name = "nights"
days = "Mon-Thu"
from = "20:00"
until = "06:00"
first = "2026-12-07"
last = "2029-12-31"
utc_offset = "+01:00"

[[window]]
name = "weekends"
days = "Sat"
from = "08:00"
until = "20:00"
first = "2026-12-07"
last = "2029-12-31"
utc_offset = "+01:00"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteFile;

    #[track_caller]
    fn check(form: SampleForm, mailboxes: usize, servers: usize) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let options = SampleExportOptions { form, mailboxes, servers, seed: 3 };
        let report = write_sample_export(scratch.path(), &options).expect("an empty folder");
        let site = SiteFile::read(scratch.path()).expect("a site");
        let export = site.export.as_ref().expect("an export");
        assert_eq!((export.count.rows, export.count.mailboxes), (report.rows, mailboxes));
        assert_eq!(export.warnings, []);
        let inventory = site.inventory().expect("sizes");
        assert_eq!(inventory.data.sized_mailboxes, mailboxes as u64);
        assert_eq!(inventory.data.unmatched_rows, Vec::<String>::new());
        assert_eq!(inventory.servers.len(), servers);
        assert!(inventory.mailboxes.iter().any(|one| one.delegates.contains(&HUB.to_owned())));
    }

    #[test]
    fn an_export_of_either_form_is_read_back_whole() {
        check(SampleForm::Exchange55Csv, 400, 1);
        check(SampleForm::AdLdif, 500, 7);
    }
}
