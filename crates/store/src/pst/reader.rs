//! Reads an Outlook file in a thread of its own, beside whoever stores what it holds.

use super::source::Progress;
use super::walk::{Found, Stop, walk};
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Items that wait to be taken.
const WAITING: usize = 4;

/// The reader's stack: a file whose blocks are nested as deep as its length allows must not end the
/// process. Only what is used takes memory.
const STACK_BYTES: usize = 512 << 20;

/// A reader that neither finds nor reads anything for so long has been led astray by damage: it
/// calculates in a circle or waits for itself. It is left to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the file that `open` opens and hands all that is found to `take`, in order. What `take`
/// fails with ends the reading. Returns the cause if the file could not be read to its end.
pub(crate) fn read<E>(
    open: impl Fn() -> io::Result<File> + Send + 'static,
    mut take: impl FnMut(Found) -> Result<(), E>,
) -> Result<Result<(), String>, E> {
    let (sender, receiver) = sync_channel(WAITING);
    let progress = Progress::default();
    let watched = progress.clone();
    let work = move || run(&open, &progress, &sender);
    let builder = thread::Builder::new().name("outlook".to_owned()).stack_size(STACK_BYTES);
    let reader = match builder.spawn(work) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err(format!("no thread to read it: {error}"))),
    };
    let mut seeks = 0;
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(found) => take(found)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => match watched.load(Ordering::Relaxed) {
                now if now == seeks => {
                    return Ok(Err("its parts lead nowhere".to_owned()));
                }
                now => seeks = now,
            },
        }
    }
    let gone = |_| Err("its parts contradict each other".to_owned());
    Ok(reader.join().unwrap_or_else(gone))
}

fn run(
    open: &dyn Fn() -> io::Result<File>,
    progress: &Progress,
    sender: &SyncSender<Found>,
) -> Result<(), String> {
    match walk(open, progress, &mut |found| sender.send(found).is_ok()) {
        Err(Stop::Damaged(cause)) => Err(cause),
        Ok(()) | Err(Stop::Told) => Ok(()),
    }
}
