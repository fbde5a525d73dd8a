//! mbox files: bytes in, messages out, and back; the rules are in `docs/format/import.md`.

pub(crate) mod reader;
pub(crate) mod separator;
pub(crate) mod writer;

/// What happens to lines of a message that begin with `From `.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quoting {
    /// Messages are stored and written as they are; only a line that would split the message gets
    /// a `>` when it is written.
    #[default]
    AsStored,
    /// Every line that is `From ` after any number of `>` gets one more when it is written, and
    /// loses one when it is read.
    Mboxrd,
}

/// The origin of a message from an mbox: the file's name, the offset of its separator line and
/// that line, so that an export can give the line back.
pub(crate) fn origin(file_name: &str, offset: u64, separator_line: &[u8]) -> String {
    format!("{file_name}@{offset} {}", String::from_utf8_lossy(separator_line))
}

/// The separator line that an origin from [`origin`] keeps.
pub(crate) fn separator_of_origin(origin: &str) -> Option<&str> {
    origin.match_indices('@').find_map(|(at, _)| {
        let (offset, line) = origin[at + 1..].split_once(' ')?;
        let offset = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        (offset && separator::parse(line.as_bytes()).is_some()).then_some(line)
    })
}

/// The name of the file that an origin from [`origin`] names.
pub(crate) fn file_of_origin(origin: &str) -> Option<&str> {
    let line = separator_of_origin(origin)?;
    let place = &origin[..origin.len() - line.len()];
    place.rsplit_once('@').map(|(file, _)| file)
}

#[cfg(test)]
mod tests {
    use super::{file_of_origin, origin, separator_of_origin};

    #[track_caller]
    fn check(origin: &str, expected: Option<(&str, &str)>) {
        let read = file_of_origin(origin).zip(separator_of_origin(origin));
        assert_eq!(read, expected);
    }

    #[test]
    fn an_origin_gives_its_file_and_separator_back() {
        let line = "From a@b.org Thu Aug 22 12:36:23 2002";
        check(&origin("in box@home.mbox", 12, line.as_bytes()), Some(("in box@home.mbox", line)));
        check(&origin("x@1 y.mbox", 0, line.as_bytes()), Some(("x@1 y.mbox", line)));
        check("1030019783.M2P3.host,S=5", None);
        check("a.mbox@12 From somebody", None);
    }
}
