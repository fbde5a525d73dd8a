//! UIDs of a folder: those of `dovecot-uidlist` where it has them, others after them.

use crate::Uid;
use crate::dovecot::UidList;
use std::collections::HashMap;

/// Chooses the UID to ask for, message after message.
pub(super) struct Uids {
    /// UIDs by base name; empty without a list.
    listed: HashMap<String, u32>,
    /// The list's UIDNEXT; 0 without a list.
    list_next: u32,
    /// The folder's UIDNEXT after what was given out.
    next: u32,
    /// Messages whose listed UID could not be kept.
    pub(super) lost: u64,
}

impl Uids {
    /// Starts with a folder whose next UID is `next`.
    pub(super) fn new(list: Option<UidList>, next: Uid) -> Self {
        let (listed, list_next) =
            list.map_or_else(Default::default, |list| (list.uids, list.uidnext));
        Self { listed, list_next, next: next.0, lost: 0 }
    }

    /// Where a message stands in the folder: those with a listed UID first, in their order.
    pub(super) fn place(&self, base: &str) -> u32 {
        self.listed.get(base).copied().unwrap_or(u32::MAX)
    }

    /// The UID for the next message; `None` leaves it to the store.
    pub(super) fn take(&mut self, base: &str) -> Option<Uid> {
        let uid = match self.listed.get(base) {
            Some(&uid) if uid >= self.next => uid,
            Some(_) => {
                self.lost += 1;
                self.next.max(self.list_next)
            }
            None => self.next.max(self.list_next),
        };
        let asked = (uid != self.next).then_some(Uid(uid));
        self.next = uid.saturating_add(1);
        asked
    }

    /// The UID below the list's UIDNEXT, if the folder has not come as far: some message had it
    /// that is gone.
    pub(super) fn gone(&self) -> Option<Uid> {
        (self.next < self.list_next).then(|| Uid(self.list_next - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Uids;
    use crate::Uid;
    use crate::dovecot::UidList;

    #[track_caller]
    fn check(list: &str, next: u32, take: &[(&str, Option<u32>)], gone: Option<u32>, lost: u64) {
        let list = (!list.is_empty()).then(|| UidList::parse(list.as_bytes()).unwrap());
        let mut uids = Uids::new(list, Uid(next));
        for (base, expected) in take {
            assert_eq!(uids.take(base), expected.map(Uid), "{base}");
        }
        assert_eq!((uids.gone(), uids.lost), (gone.map(Uid), lost));
    }

    #[test]
    fn without_a_list_the_store_counts() {
        check("", 1, &[("a", None), ("b", None)], None, 0);
        check("", 9, &[("a", None)], None, 0);
    }

    #[test]
    fn listed_uids_are_asked_for() {
        let list = "3 V7 N20\n1 :a\n5 :b\n6 :c\n";
        check(list, 1, &[("a", None), ("b", Some(5)), ("c", None)], Some(19), 0);
        check(list, 1, &[("a", None), ("c", Some(6)), ("new", Some(20)), ("z", None)], None, 0);
        check(list, 6, &[("c", None)], Some(19), 0);
        check("3 V7 N7\n1 :a\n5 :b\n6 :c\n", 6, &[("c", None)], None, 0);
    }

    #[test]
    fn a_uid_that_is_taken_is_given_up() {
        check("3 V7 N20\n1 :a\n5 :b\n", 6, &[("b", Some(20)), ("c", None)], None, 1);
        check("3 V7 N20\n1 :a\n5 :b\n", 30, &[("b", None), ("c", None)], None, 1);
    }
}
