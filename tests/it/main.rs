//! Journeys over the real program: real processes, real files, real kills.

mod audit;
mod bad_input;
mod calibration;
mod care;
mod cluster_input;
mod control;
mod exports;
mod follow;
mod gates;
mod hostile;
mod kills;
mod reverse;
mod routes;
mod services;
mod torture;

/// The program as it was built for these tests.
const REHOME: &str = env!("CARGO_BIN_EXE_rehome-under-test");

/// Writes a sample site whose group has an address of its own, and returns its folder.
fn sample(scratch: &std::path::Path, test: u8, mailboxes: usize, messages: usize) -> String {
    let site = scratch.join("site").display().to_string();
    let (mailboxes, messages) = (mailboxes.to_string(), messages.to_string());
    let args = ["sample", &site, "--mailboxes", &mailboxes, "--messages", &messages];
    let made = rehome_tests::run(REHOME, &args);
    assert_eq!(made.code, Some(0), "{made:?}");
    let file = std::path::Path::new(&site).join("site.toml");
    let text = std::fs::read_to_string(&file).expect("a site.toml");
    let line = text.lines().find(|line| line.starts_with("address")).expect("an address");
    let text = text.replace(line, &format!("address = \"{}\"", rehome_tests::address(test)));
    std::fs::write(&file, text).expect("writable");
    site
}
