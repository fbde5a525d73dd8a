//! The engine as its callers see it: what is acknowledged stays, whatever the disk does.

mod basics;
mod faults;
mod model;
mod support;
