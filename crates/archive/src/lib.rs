//! Backup sets that can be checked without a key and read after damage.
