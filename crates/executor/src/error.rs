//! Why the executor refuses or cannot go on at all.

use rehome_planner::StepId;

/// Nothing can be carried out. The journal is as it was, or ends with its last durable record.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The site has changed since the plan was made.
    #[error(
        "plan {plan}: made from inventory {planned}, the inventory is {now} now; steps would meet \
         a site they were not planned for; make a new plan"
    )]
    Stale {
        /// Id of the plan.
        plan: String,
        /// Hash in the plan.
        planned: String,
        /// Hash of the inventory now.
        now: String,
    },
    /// The journal belongs to another plan.
    #[error(
        "journal {file}: it belongs to plan {journal}, not to plan {plan}; what is done would be \
         mistaken; give the plan that it belongs to, or another journal"
    )]
    OtherPlan {
        /// The journal's file.
        file: String,
        /// Plan that the journal belongs to.
        journal: String,
        /// Plan that was given.
        plan: String,
    },
    /// The journal is damaged before its last line.
    #[error(
        "journal {file}, line {line}, byte {offset}: {cause}; what was done since is not known; \
         put the file back from a backup, or find out by hand how far the plan is"
    )]
    Damaged {
        /// The journal's file.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Where that line begins.
        offset: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// The journal was written by a later version.
    #[error("journal {file}: format {format} is newer than this program; use the newer program")]
    Newer {
        /// The journal's file.
        file: String,
        /// Its format.
        format: u32,
    },
    /// The journal could not be read or written. Nothing was begun that is not in it.
    #[error(
        "journal {file}: {source}; the plan stops here; make room or mend the disk, go on then"
    )]
    Journal {
        /// The journal's file.
        file: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// Another process has the journal open.
    #[error("journal {file}: another process carries this plan out; wait for it or stop it")]
    InUse {
        /// The journal's file.
        file: String,
    },
    /// The plan is being backed out, or has been.
    #[error("plan {plan}: it was backed out; make a new plan to begin again")]
    BackedOut {
        /// Id of the plan.
        plan: String,
    },
    /// A step that is to be taken back is not done.
    #[error(
        "step {step}: it is not done, so there is nothing that could be taken back; nothing was \
         changed; go on with the plan until it is, or reverse another wave"
    )]
    NotDone {
        /// The step.
        step: StepId,
    },
    /// Steps are being taken back.
    #[error(
        "plan {plan}: {steps} is being taken back and is half done; nothing else is done before; \
         reverse it to the end first"
    )]
    Reversing {
        /// Id of the plan.
        plan: String,
        /// The steps.
        steps: String,
    },
    /// There is no way back any more.
    #[error(
        "step {step}: the plan is past its point of no return; going back would lose what was \
         done since; go on instead"
    )]
    NoWayBack {
        /// The first step past that point that was begun.
        step: StepId,
    },
}
