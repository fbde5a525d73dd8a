//! Replication: what one replica tells another and which version wins.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Attributes, Class, Directory, DirectoryError, DistinguishedName, Object, ServerName, Usn,
};

/// Who made a change: a server, and which of its lives.
///
/// A server restored from a backup counts on from an older number. Its partners would take the
/// new changes for ones that they know; so it begins a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The server.
    pub server: ServerName,
    /// Its life, higher each time its directory is begun or restored.
    pub incarnation: u64,
}

/// For each origin the number up to which everything has been seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Origin, Usn)>", into = "Vec<(Origin, Usn)>")]
pub struct UpToDateness(BTreeMap<Origin, Usn>);

impl From<Vec<(Origin, Usn)>> for UpToDateness {
    fn from(entries: Vec<(Origin, Usn)>) -> Self {
        let mut vector = Self::default();
        for (origin, usn) in entries {
            vector.raise(&origin, usn);
        }
        vector
    }
}

impl From<UpToDateness> for Vec<(Origin, Usn)> {
    fn from(vector: UpToDateness) -> Self {
        vector.0.into_iter().collect()
    }
}

impl UpToDateness {
    /// The number up to which everything of `origin` has been seen; 0 if nothing.
    #[must_use]
    pub fn seen(&self, origin: &Origin) -> Usn {
        self.0.get(origin).copied().unwrap_or_default()
    }

    /// Tells whether everything that `other` has seen has been seen here, too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(origin, usn)| self.seen(origin) >= *usn)
    }

    /// Notes that everything of `origin` up to `usn` has been seen.
    fn raise(&mut self, origin: &Origin, usn: Usn) {
        let seen = self.0.entry(origin.clone()).or_default();
        *seen = usn.max(*seen);
    }

    /// Notes everything that `other` has seen.
    fn merge(&mut self, other: &Self) {
        for (origin, usn) in &other.0 {
            self.raise(origin, *usn);
        }
    }
}

impl fmt::Display for UpToDateness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter();
        let texts: Vec<String> = entries
            .map(|(origin, usn)| format!("{}#{}@{}", origin.server, origin.incarnation, usn.0))
            .collect();
        out.write_str(if texts.is_empty() { "nothing" } else { "" })?;
        out.write_str(&texts.join(" "))
    }
}

/// A version of an object on its way to another replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Change(pub Object);

/// Everything that one replica has and another has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The sender.
    pub from: ServerName,
    /// What the receiver had seen when it asked.
    pub since: UpToDateness,
    /// What the sender has seen; so has the receiver once it has applied all of `changes`.
    pub upto: UpToDateness,
    /// The versions, oldest of each origin first.
    pub changes: Vec<Change>,
}

/// What applying some changes did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Versions taken over.
    pub taken: usize,
    /// Versions that were known or older than what is here.
    pub ignored: usize,
    /// Objects whose last change was made here, unknown to the sender, and lost.
    pub overruled: Vec<DistinguishedName>,
}

impl Object {
    /// What decides between two versions: version, then time, then server; the rest only makes the
    /// order total.
    fn rank(&self) -> (u64, i64, &ServerName, u64, Usn) {
        let Origin { server, incarnation } = &self.origin;
        (self.version, self.changed_us, server, *incarnation, self.origin_usn)
    }
}

impl Directory {
    /// What this replica has seen, its own changes included.
    #[must_use]
    pub fn vector(&self) -> &UpToDateness {
        &self.vector
    }

    /// Everything, tombstones included, that a replica which has seen `seen` lacks.
    #[must_use]
    pub fn changes_since(&self, seen: &UpToDateness) -> Changes {
        let news = |object: &&Object| object.origin_usn > seen.seen(&object.origin);
        let mut changes: Vec<Change> =
            self.objects.values().filter(news).cloned().map(Change).collect();
        changes.sort_by(|Change(a), Change(b)| {
            (&a.origin, a.origin_usn).cmp(&(&b.origin, b.origin_usn))
        });
        let from = self.server_name().clone();
        Changes { from, since: seen.clone(), upto: self.vector.clone(), changes }
    }

    /// Takes over what another replica has sent. Applying the same again changes nothing.
    ///
    /// Of two versions of an object the one with the higher version number wins, then the later
    /// one, then the one of the server whose name comes last: the same everywhere, whatever the
    /// order of arrival.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Gap`] if the sender began after what this replica has seen, as with an
    /// answer to another replica; nothing is taken over then. [`DirectoryError::RolledBack`] if
    /// the sender knows changes of this very incarnation that this replica has not made.
    pub fn apply(&mut self, changes: &Changes) -> Result<Applied, DirectoryError> {
        if !self.vector.covers(&changes.since) {
            return Err(DirectoryError::Gap {
                server: self.server_name().clone(),
                from: changes.from.clone(),
                since: changes.since.to_string(),
            });
        }
        let seen = changes.upto.seen(&self.origin);
        if seen > self.usn {
            return Err(self.rolled_back(seen));
        }
        let mut applied = Applied::default();
        for Change(object) in &changes.changes {
            self.take_over(object, &changes.upto, &mut applied);
        }
        self.vector.merge(&changes.upto);
        Ok(applied)
    }

    /// Puts one received version in its place if it wins.
    fn take_over(&mut self, object: &Object, sender: &UpToDateness, applied: &mut Applied) {
        if let Some(own) = self.objects.get(&object.dn) {
            if own.rank() >= object.rank() {
                applied.ignored += 1;
                return;
            }
            if own.origin == self.origin && own.origin_usn > sender.seen(&self.origin) {
                applied.overruled.push(own.dn.clone());
            }
        }
        applied.taken += 1;
        self.objects.insert(object.dn.clone(), object.clone());
    }

    /// Notes what a partner has seen; it says so whenever it asks for changes.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::RolledBack`] if the partner has seen changes of this incarnation that
    /// this replica has not made.
    pub fn partner_has_seen(
        &mut self,
        partner: &ServerName,
        vector: &UpToDateness,
    ) -> Result<(), DirectoryError> {
        let seen = vector.seen(&self.origin);
        if seen > self.usn {
            return Err(self.rolled_back(seen));
        }
        self.partners.insert(partner.clone(), vector.clone());
        Ok(())
    }

    /// Counts the objects whose current version `partner` had not seen when it last asked.
    #[must_use]
    pub fn pending_for(&self, partner: &ServerName) -> usize {
        let nothing = UpToDateness::default();
        let vector = self.partners.get(partner).unwrap_or(&nothing);
        let objects = self.objects.values();
        objects.filter(|object| object.origin_usn > vector.seen(&object.origin)).count()
    }

    /// Tells whether `partner` had seen everything that is here when it last asked.
    #[must_use]
    pub fn replicated_with(&self, partner: &ServerName) -> bool {
        self.partners.get(partner).is_some_and(|vector| vector.covers(&self.vector))
    }

    /// Goes on under a new incarnation, after the directory was restored from a backup.
    ///
    /// An incarnation not above the present one changes nothing.
    pub fn begin_incarnation(&mut self, incarnation: u64) {
        if incarnation > self.origin.incarnation {
            self.origin.incarnation = incarnation;
            self.usn = Usn(0);
        }
    }

    /// Makes a replica of this directory for another server, as it would be after a full exchange.
    #[must_use]
    pub fn replica_for(&self, server: ServerName, incarnation: u64) -> Self {
        let origin = Origin { server, incarnation };
        let usn = self.vector.seen(&origin);
        let partners = BTreeMap::new();
        Self { origin, usn, partners, ..self.clone() }
    }

    /// Forgets tombstones from before `before_us`; returns how many.
    ///
    /// A replica that has been away for longer than that would bring deleted objects back.
    pub fn forget_tombstones(&mut self, before_us: i64) -> usize {
        let count = self.objects.len();
        self.objects.retain(|_, object| !(object.deleted && object.changed_us < before_us));
        count - self.objects.len()
    }

    /// Makes a new version of an object here; an equal one is left alone.
    pub fn put(
        &mut self,
        dn: &DistinguishedName,
        class: Class,
        attributes: Attributes,
        now_us: i64,
    ) -> Usn {
        let same = |own: &&Object| own.class == class && own.attributes == attributes;
        if let Some(own) = self.object(dn).filter(same) {
            return own.origin_usn;
        }
        self.write(dn.clone(), class, attributes, false, now_us)
    }

    /// Turns an object into a tombstone; returns whether there was one.
    pub fn delete(&mut self, dn: &DistinguishedName, now_us: i64) -> bool {
        let Some(class) = self.object(dn).map(|object| object.class) else { return false };
        self.write(dn.clone(), class, Attributes::new(), true, now_us);
        true
    }

    /// Makes the next version of an object.
    fn write(
        &mut self,
        dn: DistinguishedName,
        class: Class,
        attributes: Attributes,
        deleted: bool,
        now_us: i64,
    ) -> Usn {
        self.usn = Usn(self.usn.0 + 1);
        self.vector.raise(&self.origin, self.usn);
        let version = self.objects.get(&dn).map_or(1, |object| object.version + 1);
        let object = Object {
            dn: dn.clone(),
            class,
            attributes,
            version,
            changed_us: now_us,
            origin: self.origin.clone(),
            origin_usn: self.usn,
            deleted,
        };
        self.objects.insert(dn, object);
        self.usn
    }

    /// The error for a counter that partners know to have been further.
    fn rolled_back(&self, seen: Usn) -> DirectoryError {
        let server = self.server_name().clone();
        DirectoryError::RolledBack { server, seen: seen.0, own: self.usn.0 }
    }
}
