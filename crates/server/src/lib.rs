//! The services of a mail server: attendant, directory and store, and their client.
