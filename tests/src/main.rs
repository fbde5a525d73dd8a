//! The `rehome` program, built for the journeys.

use std::process::ExitCode;

fn main() -> ExitCode {
    rehome::limit_arenas();
    rehome_cli::run(std::env::args_os())
}
