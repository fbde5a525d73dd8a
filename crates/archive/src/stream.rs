//! Named byte streams.

/// A stream in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Name.
    pub name: String,
}

/// A stream being read.
pub struct StreamReader { _x: () }
impl std::io::Read for StreamReader {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> { unimplemented!() }
}
