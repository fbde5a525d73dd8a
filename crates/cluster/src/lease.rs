//! The lease: a thread that renews it, a thread that watches it, and a gate before every start.
//!
//! The watching thread never touches the quorum folder, so a folder that hangs cannot hold it up.

mod term;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rehome_log::{Clock, boot_ms};

use crate::configuration::Timing;
use crate::coordinator::{Coordinator, Heartbeat};
pub(crate) use term::Term;

/// The line that tells a child its lease: how long it has, and when that is over by the clock of
/// this machine that goes on while it sleeps. Whoever reads it late is not misled.
pub(crate) fn line(left_ms: u64) -> String {
    format!("lease {left_ms} {}\n", boot_ms().saturating_add(left_ms))
}

/// When the lease in such a line is over; `None` if it is no such line.
pub(crate) fn line_deadline(line: &str) -> Option<Instant> {
    let mut words = line.strip_prefix("lease ")?.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (left_ms, until_ms) = (number()?, number());
    let left_ms = until_ms.map_or(left_ms, |until_ms| until_ms.saturating_sub(boot_ms()));
    Some(Instant::now() + Duration::from_millis(left_ms))
}

/// Something that runs and can be ended at once.
pub(crate) trait Ends: Send + Sync {
    /// Ends it by force; does not wait.
    fn end(&self);
    /// Tells it how long it may go on; does not wait.
    fn lease(&self, left_ms: u64) {
        let _ = left_ms;
    }
}

/// What everything that starts something goes through: shut while the lease is lost.
pub(crate) struct Gate {
    inner: Mutex<Register>,
    lease: Arc<Lease>,
}

/// What runs.
pub(crate) struct Register {
    generation: u64,
    open: bool,
    last_ticket: u64,
    running: BTreeMap<u64, Arc<dyn Ends>>,
    left_ms: u64,
}

impl Register {
    /// Enters something that was just started; it is told the lease, and ended with it.
    pub(crate) fn add(&mut self, running: Arc<dyn Ends>) -> u64 {
        self.last_ticket += 1;
        running.lease(self.left_ms);
        self.running.insert(self.last_ticket, running);
        self.last_ticket
    }
}

impl Gate {
    pub(crate) fn new(lease: Arc<Lease>) -> Self {
        let running = BTreeMap::new();
        let register = Register { generation: 1, open: true, last_ticket: 0, running, left_ms: 0 };
        Self { inner: Mutex::new(register), lease }
    }

    fn inner(&self) -> MutexGuard<'_, Register> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `start` if the gate is open and was not shut since `generation`. While it runs the
    /// gate cannot be shut, so nothing is started that the shutting does not see.
    pub(crate) fn enter<T>(
        &self,
        generation: u64,
        start: impl FnOnce(&mut Register) -> T,
    ) -> Option<T> {
        let mut inner = self.inner();
        inner.left_ms = self.lease.left_ms();
        if !inner.open || inner.generation != generation || inner.left_ms == 0 {
            return None;
        }
        Some(start(&mut inner))
    }

    pub(crate) fn forget(&self, ticket: u64) {
        self.inner().running.remove(&ticket);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.inner().generation
    }

    /// Shuts the gate and ends everything that came through it.
    fn shut(&self) {
        let running: Vec<Arc<dyn Ends>> = {
            let mut inner = self.inner();
            inner.open = false;
            inner.generation += 1;
            inner.running.values().cloned().collect()
        };
        // The last started go first: what depends on others before what it depends on.
        running.iter().rev().for_each(|running| running.end());
    }

    fn open(&self) {
        self.inner().open = true;
    }

    fn tell_lease(&self) {
        let left_ms = self.lease.left_ms();
        let running: Vec<Arc<dyn Ends>> = self.inner().running.values().cloned().collect();
        running.iter().for_each(|running| running.lease(left_ms));
    }
}

/// The lease itself: until when this node may act, by its own clock.
pub(crate) struct Lease {
    clock: Arc<dyn Clock>,
    timing: Timing,
    state: Mutex<State>,
    changed: Condvar,
    /// When the main loop last came round: a node whose loop hangs must not renew for ever.
    loop_ms: AtomicU64,
}

#[derive(Default)]
struct State {
    term: Term,
    ended: bool,
    /// It is to be renewed no more.
    given_up: bool,
}

impl Lease {
    pub(crate) fn new(clock: Arc<dyn Clock>, timing: Timing) -> Self {
        let loop_ms = AtomicU64::new(clock.monotonic_ms());
        Self { clock, timing, state: Mutex::default(), changed: Condvar::new(), loop_ms }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end, with what ending by force may take already taken off.
    pub(crate) fn until_ms(&self) -> u64 {
        self.state().term.end_ms(&self.timing)
    }

    fn left_ms(&self) -> u64 {
        self.until_ms().saturating_sub(self.clock.monotonic_ms())
    }

    /// The heartbeat that was begun at `start_ms` is durable. If that is known too late the gate
    /// is shut before the lease begins anew.
    fn renewed(&self, start_ms: u64, gate: &Gate) {
        if self.state().term.ends(self.clock.monotonic_ms(), &self.timing) {
            gate.shut();
        }
        self.state().term.renewed(start_ms, &self.timing);
        self.changed.notify_all();
    }

    pub(crate) fn lost(&self) -> bool {
        self.state().term.lost()
    }

    /// The main loop says that it has dealt with the loss.
    pub(crate) fn acknowledge(&self, gate: &Gate) {
        self.state().term.acknowledge();
        gate.open();
        self.changed.notify_all();
    }

    /// Has it renewed no more; whether it was renewed until now.
    pub(crate) fn give_up(&self) -> bool {
        !std::mem::replace(&mut self.state().given_up, true)
    }

    pub(crate) fn loop_came_round(&self) {
        self.loop_ms.store(self.clock.monotonic_ms(), Ordering::Relaxed);
    }

    fn loop_hangs(&self) -> bool {
        let silent_ms =
            self.clock.monotonic_ms().saturating_sub(self.loop_ms.load(Ordering::Relaxed));
        silent_ms > (self.timing.lease_ms * 5).max(10_000)
    }

    /// Sleeps until the time is over; whether to go on.
    fn pause(&self, pause_ms: u64) -> bool {
        let pause = Duration::from_millis(pause_ms);
        let waited = self.changed.wait_timeout_while(self.state(), pause, |state| !state.ended);
        !waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Watches the deadline until the lease is ended; ends everything when it comes.
    fn watch(&self, gate: &Gate, wake: &(dyn Fn() + Send)) {
        let mut state = self.state();
        while !state.ended {
            let now_ms = self.clock.monotonic_ms();
            if state.term.ends(now_ms, &self.timing) {
                drop(state);
                gate.shut();
                wake();
                state = self.state();
                continue;
            }
            let pause_ms = match state.term.idle() {
                true => self.timing.lease_ms,
                false => state.term.end_ms(&self.timing).saturating_sub(now_ms).max(1),
            };
            let waited = self.changed.wait_timeout(state, Duration::from_millis(pause_ms));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }
}

/// The two threads.
pub(crate) struct Keeper {
    lease: Arc<Lease>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Starts both. `wake` tells the main loop that the lease was renewed or lost.
    pub(crate) fn start(
        lease: Arc<Lease>,
        gate: Arc<Gate>,
        coordinator: Arc<dyn Coordinator>,
        heartbeat: Heartbeat,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> std::io::Result<Self> {
        let mut keeper = Self { lease: lease.clone(), threads: Vec::new() };
        let (watched, shut, woken) = (lease.clone(), gate.clone(), wake.clone());
        keeper.threads.push(
            thread::Builder::new()
                .name("lease-watch".to_owned())
                .spawn(move || watched.watch(&shut, &move || woken()))?,
        );
        keeper.threads.push(
            thread::Builder::new()
                .name("lease-renew".to_owned())
                .spawn(move || renew(&lease, &gate, coordinator.as_ref(), heartbeat, &*wake))?,
        );
        Ok(keeper)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.lease.end();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn renew(
    lease: &Lease,
    gate: &Gate,
    coordinator: &dyn Coordinator,
    mut heartbeat: Heartbeat,
    wake: &(dyn Fn() + Send + Sync),
) {
    loop {
        let start_ms = lease.clock.monotonic_ms();
        heartbeat.counter += 1;
        if !lease.state().given_up && !lease.loop_hangs() && coordinator.beat(&heartbeat).is_ok() {
            lease.renewed(start_ms, gate);
            gate.tell_lease();
            wake();
        }
        let took_ms = lease.clock.monotonic_ms().saturating_sub(start_ms);
        if !lease.pause(lease.timing.heartbeat_ms.saturating_sub(took_ms).max(1)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use rehome_log::ManualClock;

    use super::*;

    const TIMING: Timing = Timing { lease_ms: 1_000, heartbeat_ms: 150, margin_ms: 100 };

    /// `(begun, known)` of heartbeats; whether the lease is lost at the end.
    #[track_caller]
    fn check(beats: &[(u64, u64)], expected_lost: bool) {
        let clock = Arc::new(ManualClock::default());
        let lease = Arc::new(Lease::new(clock.clone(), TIMING));
        let gate = Gate::new(lease.clone());
        let generation = gate.generation();
        let mut now_ms = 0;
        for &(begun_ms, known_ms) in beats {
            clock.advance_ms(known_ms - now_ms);
            now_ms = known_ms;
            lease.renewed(begun_ms, &gate);
        }
        assert_eq!(lease.lost(), expected_lost);
        assert_eq!(gate.enter(generation, |_| ()).is_none(), expected_lost, "the gate");
    }

    #[test]
    fn a_lease_that_is_read_late_is_not_longer_for_it() {
        let left_ms = |line: &str| {
            let until = line_deadline(line)?;
            Some(until.saturating_duration_since(Instant::now()).as_millis())
        };
        assert!(left_ms(&line(60_000)).is_some_and(|left_ms| left_ms > 50_000));
        assert_eq!(left_ms("lease 60000 1"), Some(0), "it was over when the machine had started");
        assert!(left_ms("lease 60000").is_some_and(|left_ms| left_ms > 50_000));
        assert_eq!(left_ms("quit"), None);
        assert_eq!(left_ms("lease soon"), None);
    }

    #[test]
    fn a_heartbeat_renews_only_if_it_is_known_before_the_lease_is_over() {
        check(&[(0, 10)], false);
        check(&[(0, 10), (150, 749)], false);
        check(&[(0, 10), (150, 750)], true);
        check(&[(0, 10), (700, 740), (800, 1_449)], false);
        check(&[(0, 10), (700, 740), (800, 1_450)], true);
    }
}
