//! Carrying mailboxes back to the server that they came from, with all that was done to them since.

use rehome_cluster::Target;
use rehome_executor::{Flow, OperationError};
use rehome_store::{Comparison, MailboxName, compare_mailbox};

use super::World;
use super::group::Tell;
use super::remember;
use super::trouble::{Done, failed, for_a_person, from_error};
use crate::error::Error;

impl World<'_> {
    /// Moves mailboxes back and compares the two copies: the move with its rounds and its short
    /// lock, in the other direction. The old server has kept its copy, so only what came since is
    /// carried.
    pub(super) fn move_back(
        &mut self,
        from: &str,
        to: &str,
        mailboxes: &[String],
        tell: Tell<'_>,
    ) -> Done {
        if self.is_old(to) {
            self.start_server(to)?;
        }
        let group = self.plan.inventory.cluster.group.clone();
        self.group_target(&group, Target::Online, &mut |_| Flow::Continue)?;
        self.forget_proofs(from)?;
        self.replicate(from, to)?;
        let performed = self.move_mailboxes(from, to, mailboxes, tell)?;
        let found = self.compare_back(from, to, mailboxes)?;
        if found.is_equal() {
            return Ok(performed);
        }
        let cause = format!(
            "of {} messages at {from}, {} are not at {to}, {} differ there, {} are there twice",
            found.source, found.lost, found.altered, found.duplicated
        );
        Err(for_a_person("the way back", cause, "nothing was deleted; compare both stores"))
    }

    /// What was proved of the server that mailboxes leave is proved no more.
    fn forget_proofs(&mut self, server: &str) -> Result<(), OperationError> {
        remember(&mut self.memory, |facts| {
            (facts.verified, facts.works_without) = (false, false);
            facts.backups.retain(|_, fact| !fact.server.eq_ignore_ascii_case(server));
            let backups = &facts.backups;
            facts.checked.retain(|label| backups.contains_key(label));
        })
    }

    /// Compares what mailboxes were at the server that they left with what they are now.
    pub(crate) fn compare_back(
        &mut self,
        from: &str,
        to: &str,
        mailboxes: &[String],
    ) -> Result<Comparison, OperationError> {
        let mut left = self.names.source(from).map_err(from_error)?;
        let mut here = self.names.source(to).map_err(from_error)?;
        let mut total = Comparison::default();
        for name in mailboxes {
            let mailbox = MailboxName::try_from(name.as_str())
                .map_err(|error| failed(name, error, "correct the site file"))?;
            let found = compare_mailbox(&mut left, &mut here, &mailbox)
                .map_err(|error| from_error(Error::chain(error)))?;
            total.source += found.source;
            total.target += found.target;
            total.lost += found.lost;
            total.altered += found.altered;
            total.duplicated += found.duplicated;
            total.newer += found.newer;
            total.expunged_since += found.expunged_since;
        }
        Ok(total)
    }
}
