//! A queue with an end, bounded by the weight of what waits in it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::lock::{lock, wait, wait_for};

/// A queue between threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is something for whoever takes.
    came: Condvar,
    /// There is room for whoever adds.
    room: Condvar,
    weight_max: u64,
}

struct State<T> {
    items: VecDeque<(T, u64)>,
    weight: u64,
    closed: bool,
    /// Items that were added so far.
    added: u64,
    /// What whoever takes waits for; less does not wake it.
    wanted: Enough,
}

/// When to wait no longer for more items: one of these is enough.
#[derive(Clone, Copy, Default)]
pub(super) struct Enough {
    /// So many were added to the queue since it was made.
    pub(super) added: u64,
    /// Those in it weigh so much together.
    pub(super) weight: u64,
}

impl<T> State<T> {
    fn has(&self, enough: Enough) -> bool {
        self.closed || self.added >= enough.added || self.weight >= enough.weight
    }
}

impl<T> Queue<T> {
    /// An empty queue for items that weigh at most `weight_max` together, or one that weighs more.
    pub(super) fn new(weight_max: u64) -> Queue<T> {
        let (items, wanted) = (VecDeque::new(), Enough::default());
        let state = State { items, weight: 0, closed: false, added: 0, wanted };
        Queue { state: Mutex::new(state), came: Condvar::new(), room: Condvar::new(), weight_max }
    }

    /// Waits for room and adds `item`; gives it back if the queue is closed.
    pub(super) fn push(&self, item: T, weight: u64) -> Result<(), T> {
        let mut state = lock(&self.state);
        while !state.closed && state.weight > 0 && state.weight + weight > self.weight_max {
            state = wait(&self.room, state);
        }
        if state.closed {
            return Err(item);
        }
        state.items.push_back((item, weight));
        state.weight += weight;
        state.added += 1;
        let is_wanted = state.has(state.wanted);
        drop(state);
        if is_wanted {
            self.came.notify_all();
        }
        Ok(())
    }

    /// How many items were added so far.
    pub(super) fn added(&self) -> u64 {
        lock(&self.state).added
    }

    /// Waits until there is `enough`, or until then, or until `over` says so when somebody has
    /// called [`Queue::nudge`]; takes nothing, and is for the one who takes. Returns whether there
    /// is enough.
    pub(super) fn gather(
        &self,
        enough: Enough,
        until: Option<Instant>,
        over: impl Fn() -> bool,
    ) -> bool {
        let mut state = lock(&self.state);
        state.wanted = enough;
        while !state.has(enough) && !over() {
            state = match until.map(|until| until.checked_duration_since(Instant::now())) {
                None => wait(&self.came, state),
                Some(None) => break,
                Some(Some(left)) => wait_for(&self.came, state, left),
            };
        }
        state.wanted = Enough::default();
        state.has(enough)
    }

    /// Has whoever gathers look once more.
    pub(super) fn nudge(&self) {
        // The lock: whoever has looked already waits by now.
        drop(lock(&self.state));
        self.came.notify_all();
    }

    /// Waits for an item, without taking it; not once the queue is closed.
    pub(super) fn await_item(&self) {
        let mut state = lock(&self.state);
        while state.items.is_empty() && !state.closed {
            state = wait(&self.came, state);
        }
    }

    /// Whether its items weigh that much together, or there will be no more.
    pub(super) fn has(&self, weight: u64) -> bool {
        let state = lock(&self.state);
        state.closed || state.weight >= weight
    }

    /// Waits for an item, takes it, and those behind it as long as `more` says so; nothing once the
    /// queue is closed and empty.
    pub(super) fn pop_group(&self, mut more: impl FnMut(&T) -> bool) -> Option<Vec<T>> {
        let mut state = lock(&self.state);
        while state.items.is_empty() {
            if state.closed {
                return None;
            }
            state = wait(&self.came, state);
        }
        let mut group = Vec::new();
        while let Some((item, _)) = state.items.front() {
            let wanted = more(item);
            if !wanted && !group.is_empty() {
                break;
            }
            if let Some((item, weight)) = state.items.pop_front() {
                state.weight -= weight;
                group.push(item);
            }
        }
        self.room.notify_all();
        Some(group)
    }

    /// Takes no more items; those in it are still given out.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.wake_all();
    }

    /// Closes the queue and throws away what waits in it.
    pub(super) fn abandon(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.weight = 0;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.wake_all();
        drop(items);
    }

    fn wake_all(&self) {
        self.came.notify_all();
        self.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[track_caller]
    fn check(queue: &Queue<u32>, below: u32, expected: Option<&[u32]>) {
        assert_eq!(queue.pop_group(|item| *item < below).as_deref(), expected);
    }

    #[test]
    fn a_group_has_at_least_one_item_and_ends_where_it_is_told() {
        let queue = Queue::new(100);
        for item in [7, 1, 2, 9, 3] {
            queue.push(item, 1).unwrap();
        }
        check(&queue, 5, Some(&[7, 1, 2]));
        check(&queue, 5, Some(&[9, 3]));
        queue.push(4, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(5, 1), Err(5));
        check(&queue, 5, Some(&[4]));
        check(&queue, 5, None);
    }

    #[test]
    fn a_push_waits_until_there_is_room() {
        let queue = Queue::new(10);
        queue.push(1, 200).unwrap();
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| queue.push(2, 6));
            check(&queue, 0, Some(&[1]));
            assert_eq!(pushing.join().unwrap(), Ok(()));
        });
        check(&queue, 0, Some(&[2]));
    }

    #[test]
    fn an_abandoned_queue_lets_nobody_wait() {
        let queue = Queue::new(1);
        queue.push(1, 1).unwrap();
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| queue.push(2, 1));
            queue.abandon();
            // Either it came first and was thrown away, or it was refused; it does not wait.
            let _ = pushing.join().unwrap();
        });
        check(&queue, 0, None);
    }

    /// Gathers while `pushed` items of weight 10 are added by another thread.
    #[track_caller]
    fn check_gather(pushed: u32, enough: Enough, expected: bool) {
        let queue = Queue::new(1_000);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..pushed).for_each(|item| queue.push(item, 10).unwrap());
                done.store(true, Ordering::Release);
                queue.nudge();
            });
            let over = || done.load(Ordering::Acquire);
            assert_eq!(queue.gather(enough, None, over), expected);
        });
        assert_eq!(queue.added(), u64::from(pushed));
    }

    #[test]
    fn gathering_ends_by_number_by_weight_or_when_it_is_over() {
        check_gather(3, Enough { added: 3, weight: u64::MAX }, true);
        check_gather(3, Enough { added: u64::MAX, weight: 30 }, true);
        check_gather(3, Enough { added: 4, weight: 31 }, false);
        let queue = Queue::<u32>::new(1);
        let enough = Enough { added: 1, weight: 1 };
        assert!(!queue.gather(enough, Some(Instant::now()), || false), "the time is over");
        queue.close();
        assert!(queue.gather(enough, None, || false), "nothing will come any more");
    }
}
