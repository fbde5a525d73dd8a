//! Whole archives: written, damaged, interrupted, read.

mod damage;
mod faults;
mod fixture;
mod golden;
mod refusals;
mod round_trip;
mod salvage;
