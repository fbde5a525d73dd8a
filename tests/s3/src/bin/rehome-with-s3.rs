//! The `rehome` program with a client for buckets, built for the tests of that.

use std::process::ExitCode;

fn main() -> ExitCode {
    rehome_cli::run(std::env::args_os())
}
