//! What a process knows about its own memory.

use std::fs;

/// Memory of this process that is in the computer's memory now, in bytes; not known without
/// `/proc`.
pub(crate) fn rss_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The most that it has been, in bytes: since the start, or since [`forget_peak`].
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Begins the peak anew; the kernel may refuse, and then it is the one since the start.
pub(crate) fn forget_peak() {
    let _refused = fs::write("/proc/self/clear_refs", "5");
}

fn status_bytes(field: &str) -> Option<u64> {
    bytes_in(&fs::read_to_string("/proc/self/status").ok()?, field)
}

/// The value of a field such as `VmRSS:    1234 kB`, in bytes.
fn bytes_in(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &str, expected: Option<u64>) {
        let status = "Name:\txtask\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        assert_eq!(bytes_in(status, field), expected, "{field}");
    }

    #[test]
    fn memory_is_read_from_the_status_in_bytes() {
        check("VmRSS:", Some(1 << 20));
        check("VmHWM:", Some(2 << 20));
        check("Threads:", None);
        check("VmSwap:", None);
    }
}
