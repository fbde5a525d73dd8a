//! The engine as its callers see it: what is acknowledged stays, whatever the disk does.

mod basics;
mod damage;
mod faults;
mod model;
mod receive;
mod restore;
mod support;
mod threads;
