//! Helpers for the tests of the mover.
