//! The rehome program.
fn main() {}
