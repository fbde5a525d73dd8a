//! The `rehome` program: everything is in the library, so that tests can build the same program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rehome::limit_arenas();
    rehome_cli::run(std::env::args_os())
}
