//! The traps that lie there while users move.

use super::{SERVICE_PACK_MIN, always, if_flag};
use crate::route::Route::MoveUsers as M;
use crate::traps::Answer::{Refuses, Warns, WorksAround};
use crate::traps::{Trap, list, number};

pub(super) static TRAPS: &[Trap] = &[
    Trap {
        code: "users-not-warned",
        routes: &[M],
        fact: Some("users_warned"),
        answer: Warns,
        consequence: "whoever is logged on is thrown out when the mailbox moves",
        remedy: "tell users the evening of their wave",
        evidence: "KB Q159953, Q218920",
        cause: |site| if_flag(site, "users_warned", false, "users do not know when they move"),
    },
    Trap {
        code: "mailbox-over-limit",
        routes: &[M],
        fact: Some("target_mailbox_limit_mib"),
        answer: Refuses,
        consequence: "the move of such a mailbox ends in the middle",
        remedy: "raise the limit at the target until the move is over",
        evidence: "KB Q264314",
        cause: |site| {
            let limit = number(site, "target_mailbox_limit_mib")?;
            let over = |one: &&crate::MailboxFacts| one.bytes >> 20 >= limit;
            let names: Vec<&str> = site.moving().filter(over).map(|one| &*one.name).collect();
            let first = names.first()?;
            let more = names.len() - 1;
            Some(format!("mailbox {first} and {more} others are larger than {limit} MiB"))
        },
    },
    Trap {
        code: "deleted-items",
        routes: &[M],
        fact: Some("deleted_item_days"),
        answer: Warns,
        consequence: "what users have deleted and could still get back does not move along",
        remedy: "tell users to recover what they want before their wave",
        evidence: "KB Q195490",
        cause: |site| {
            let days = number(site, "deleted_item_days")?;
            (days > 0).then(|| format!("deleted items are kept for {days} days"))
        },
    },
    Trap {
        code: "event-scripts",
        routes: &[M],
        fact: Some("mailboxes_with_scripts"),
        answer: Warns,
        consequence: "scripts of the event service stay behind",
        remedy: "install them again at the new server",
        evidence: "KB Q281269",
        cause: |site| {
            let names = list(site, "mailboxes_with_scripts")?;
            Some(format!("folders of {names} have scripts"))
        },
    },
    Trap {
        code: "folder-rules",
        routes: &[M],
        fact: Some("mailboxes_with_rules"),
        answer: Warns,
        consequence: "rules that name folders of other mailboxes are turned off",
        remedy: "look at these rules after the wave",
        evidence: "KB Q282496",
        cause: |site| {
            let names = list(site, "mailboxes_with_rules")?;
            Some(format!("rules of {names} name other folders"))
        },
    },
    Trap {
        code: "virus-scanner",
        routes: &[M],
        fact: Some("antivirus_api"),
        answer: Refuses,
        consequence: "the scanner holds messages open and the move fails at them",
        remedy: "turn the scanner off until the move is over, or install service pack 4",
        evidence: "KB Q271547",
        cause: |site| {
            let old = number(site, "source_service_pack").unwrap_or(0) < SERVICE_PACK_MIN;
            let cause = "a virus scanner hooks into the store";
            if_flag(site, "antivirus_api", true, cause).filter(|_| old)
        },
    },
    Trap {
        code: "alternate-recipients",
        routes: &[M],
        fact: Some("mailboxes_with_alternates"),
        answer: Refuses,
        consequence: "mail loops between the two servers",
        remedy: "take the alternate recipients off before the move, or install service pack 4",
        evidence: "KB Q248839",
        cause: |site| {
            let old = number(site, "source_service_pack").unwrap_or(0) < SERVICE_PACK_MIN;
            let names = list(site, "mailboxes_with_alternates").filter(|_| old)?;
            Some(format!("mail of {names} goes to alternate recipients"))
        },
    },
    Trap {
        code: "renamed-folders",
        routes: &[M],
        fact: Some("mailboxes_renamed_folders"),
        answer: Warns,
        consequence: "what is in a renamed default folder is lost by older servers",
        remedy: "give these folders their names back before the wave",
        evidence: "KB Q168188",
        cause: |site| {
            let names = list(site, "mailboxes_renamed_folders")?;
            Some(format!("default folders of {names} were renamed"))
        },
    },
    Trap {
        code: "transfer-agent-cache",
        routes: &[M],
        fact: Some("mta_cache_seconds"),
        answer: Warns,
        consequence: "mail of that time goes to the old home and comes back as undeliverable",
        remedy: "set the cache to 0 for the wave, or move when no mail comes in",
        evidence: "KB Q172364",
        cause: |site| {
            let seconds = number(site, "mta_cache_seconds")?;
            (seconds > 0).then(|| format!("the transfer agent keeps homes for {seconds} s"))
        },
    },
    Trap {
        code: "blind-retry",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M1"]),
        consequence: "moving again after a failed move deletes what had moved",
        remedy: "look where the mailbox is before it is tried again",
        evidence: "KB Q252869, Q162998",
        cause: always,
    },
    Trap {
        code: "folders-of-one-site",
        routes: &[M],
        fact: Some("administration_home_site_only"),
        answer: Refuses,
        consequence: "public folders refuse their new home with c1040af3",
        remedy: "lift the limit on these folders before step M2",
        evidence: "KB Q247145, Q176172",
        cause: |site| {
            let cause = "public folders are administered from their home site only";
            if_flag(site, "administration_home_site_only", true, cause)
                .filter(|_| number(site, "other_sites").unwrap_or(0) > 0)
        },
    },
    Trap {
        code: "first-server-folders",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M2", "M2r", "M3a"]),
        consequence: "free and busy times, address book and forms go with the only server \
                      that has them",
        remedy: "replicate them and wait before the server goes",
        evidence: "the page, move users, step 2; KB Q152959",
        cause: always,
    },
    Trap {
        code: "stopped-before-logons",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M3c"]),
        consequence: "profiles keep the old server's name and find nobody",
        remedy: "keep the old server until each user has logged on once",
        evidence: "the page, move users, note; KB Q178620",
        cause: always,
    },
    Trap {
        code: "offline-copies",
        routes: &[M],
        fact: Some("outlook_offline_users"),
        answer: Warns,
        consequence: "a user who is away for weeks has a profile with the old server's name",
        remedy: "count these users before the gate of step M4",
        evidence: "KB Q178620; the page, move users, note",
        cause: |site| {
            let users = number(site, "outlook_offline_users")?;
            (users > 0).then(|| format!("{users} users work with offline copies"))
        },
    },
    Trap {
        code: "removed-untried",
        routes: &[M],
        fact: None,
        answer: WorksAround(&["M3t", "M4"]),
        consequence: "what still needs the old server shows when it can no longer be started",
        remedy: "stop it, try everything, and remove it then",
        evidence: "KB Q152959, Q189286",
        cause: always,
    },
];
