//! A queue with an end, bounded by the weight of what waits in it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

use crate::lock::{lock, wait};

/// A queue between threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    weight_max: u64,
}

struct State<T> {
    items: VecDeque<(T, u64)>,
    weight: u64,
    closed: bool,
}

impl<T> Queue<T> {
    /// An empty queue for items that weigh at most `weight_max` together, or one that weighs more.
    pub(super) fn new(weight_max: u64) -> Queue<T> {
        let state = State { items: VecDeque::new(), weight: 0, closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), weight_max }
    }

    /// Waits for room and adds `item`; gives it back if the queue is closed.
    pub(super) fn push(&self, item: T, weight: u64) -> Result<(), T> {
        let mut state = lock(&self.state);
        while !state.closed && state.weight > 0 && state.weight + weight > self.weight_max {
            state = wait(&self.changed, state);
        }
        if state.closed {
            return Err(item);
        }
        state.items.push_back((item, weight));
        state.weight += weight;
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for an item, without taking it; not once the queue is closed.
    pub(super) fn await_item(&self) {
        let mut state = lock(&self.state);
        while state.items.is_empty() && !state.closed {
            state = wait(&self.changed, state);
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
            state = wait(&self.changed, state);
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
        self.changed.notify_all();
        Some(group)
    }

    /// Takes no more items; those in it are still given out.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Closes the queue and throws away what waits in it.
    pub(super) fn abandon(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.weight = 0;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.changed.notify_all();
        drop(items);
    }
}

#[cfg(test)]
mod tests {
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
}
