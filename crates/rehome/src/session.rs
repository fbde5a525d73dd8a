//! Who works, with what clock, and whether it shall stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rehome_log::{Clock, SystemClock};

use crate::control::Control;
use crate::jobs::ArchiveKeys;
use crate::pause::PauseCondition;

/// What becomes of the services that a migration has started when it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServicesAfter {
    /// They stay if the site has users; where nobody is there (`[clients] simulate`) they end.
    #[default]
    BySite,
    /// They stay until somebody ends them.
    Stay,
    /// They end with the migration, however it ends.
    End,
}

/// One run of the program: where the program is (it starts itself for each server and node), the
/// clock, and the wish to stop.
#[derive(Clone)]
pub struct Session {
    /// The `rehome` program, started for servers and nodes.
    pub program: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Contents move no faster than this, in bytes a second.
    pub move_bytes_per_second_max: Option<u64>,
    /// Moves rest while one of these holds.
    pub pause_when: Vec<PauseCondition>,
    /// What becomes of the services afterwards.
    pub services: ServicesAfter,
    /// What people want of the work while it goes on.
    pub(crate) control: Arc<Control>,
    /// For whom backups are encrypted, and how they are read.
    pub archive_keys: ArchiveKeys,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Session {
    /// A session with the system's clock.
    #[must_use]
    pub fn new(program: PathBuf, stop: Arc<AtomicBool>) -> Self {
        Session {
            program,
            clock: Arc::new(SystemClock),
            move_bytes_per_second_max: None,
            pause_when: Vec::new(),
            services: ServicesAfter::default(),
            control: Arc::new(Control::new(Arc::clone(&stop))),
            archive_keys: ArchiveKeys::default(),
            stop,
        }
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The flag itself, for parts that watch it on their own.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }
}
