//! The worked example of docs/format/log.md is what the code writes.

use std::fmt::Write as _;
use std::sync::Arc;

use rehome_log::{Log, LogOptions, ManualClock, SimDisk};

use crate::support::{files, name};

/// The bytes that are not zero, 16 a line, as `hexdump -C` prints them.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        if bytes.iter().all(|byte| *byte == 0) {
            continue;
        }
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let ascii: String = bytes.iter().map(shown).collect();
        let (left, right) = (hex[..8].join(" "), hex[8..].join(" "));
        writeln!(text, "{:08x}  {left}  {right}  |{ascii}|", line * 16).unwrap();
    }
    text
}

fn example() -> Arc<SimDisk> {
    let disk = Arc::new(SimDisk::new());
    let clock = Arc::new(ManualClock::new(1_000_000_000_000_000));
    let options = LogOptions { generation_bytes: 8192, ..LogOptions::default() };
    let log =
        Log::create(disk.clone(), name("log"), *b"0123456789abcdef", 3, clock, options).unwrap();
    log.append(b"move mailbox 12").unwrap();
    log.sync().unwrap();
    log.append(b"done").unwrap();
    log.roll().unwrap();
    disk
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let page = include_str!("../../../../docs/format/log.md");
    let disk = example();
    let names = files(&disk);
    assert_eq!(names.len(), 2);
    for name in names {
        let text = dump(&disk.contents(&name).unwrap());
        assert!(page.contains(name.base()), "{name}");
        assert!(page.contains(&text), "the page should show {name} as\n{text}");
    }
}
