//! Rules of waves: in windows, one after the other, within the room for logs, nobody parted unsaid.

use std::collections::{BTreeMap, BTreeSet};

use super::Judge;
use crate::action::Action;
use crate::inventory::MailboxFacts;
use crate::plan::StepId;
use crate::waves::Wave;

/// The mailboxes of each step that moves some; that of a server without any is in no wave.
type Moves<'p> = BTreeMap<&'p StepId, &'p Vec<String>>;

pub(super) fn check(judge: &mut Judge<'_>) {
    let mut moves = Moves::new();
    for step in &judge.plan.steps {
        if let Action::MoveMailboxes { mailboxes, .. } = &step.action
            && !mailboxes.is_empty()
        {
            moves.insert(&step.id, mailboxes);
        }
    }
    let waves = &judge.plan.schedule.waves;
    if waves.is_empty() {
        if !judge.inventory.windows.is_empty() && !moves.is_empty() {
            judge.find("wave-missing", None, "there are windows and no waves");
        }
        return;
    }
    let facts: BTreeMap<&str, &MailboxFacts> =
        judge.inventory.mailboxes.iter().map(|one| (one.name.as_str(), one)).collect();
    let mut wave_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, wave) in waves.iter().enumerate() {
        let names = members(judge, wave, &mut moves);
        size(judge, wave, &names, &facts);
        wave_of.extend(names.into_iter().map(|name| (name, number)));
        window(judge, wave);
    }
    for id in moves.keys() {
        judge.find("wave-missing", Some(id), format!("step {id} is in no wave"));
    }
    order(judge);
    together(judge, &wave_of);
}

/// The mailboxes of a wave; its steps are taken out of `moves`.
fn members<'p>(judge: &mut Judge<'p>, wave: &Wave, moves: &mut Moves<'p>) -> Vec<&'p str> {
    let mut names = Vec::new();
    for id in &wave.steps {
        match moves.remove(id) {
            Some(mailboxes) => names.extend(mailboxes.iter().map(String::as_str)),
            None => {
                let text = format!("{} has a step {id} that moves nothing, or twice", wave.name);
                judge.find("wave-step", Some(id), text);
            }
        }
    }
    if names.len() as u64 != wave.mailboxes {
        let text =
            format!("{} says {} mailboxes and moves {}", wave.name, wave.mailboxes, names.len());
        judge.find("wave-count", None, text);
    }
    names
}

/// A wave fits into its window and onto the log disk, by what nobody shares alone.
fn size(judge: &mut Judge<'_>, wave: &Wave, names: &[&str], facts: &BTreeMap<&str, &MailboxFacts>) {
    let own = |one: &&MailboxFacts| {
        one.bytes - one.share.as_ref().map_or(0, |share| share.bytes.min(one.bytes))
    };
    let known: Vec<&&MailboxFacts> = names.iter().filter_map(|name| facts.get(name)).collect();
    let own_bytes: u64 = known.iter().map(|one| own(one)).sum();
    let messages: u64 = known.iter().map(|one| one.messages).sum();
    let inventory = judge.inventory;
    if wave.sent_bytes < own_bytes {
        let text = format!("{} sends less than its mailboxes have alone", wave.name);
        judge.find("wave-bytes", None, text);
    }
    let keep = 100_u64.saturating_sub(inventory.waves.log_reserve_percent);
    if let Some(room) = inventory.cluster.log_free_bytes
        && u128::from(own_bytes) * 115 > u128::from(room) * u128::from(keep)
    {
        let text = format!("{} makes more log than the disk may take", wave.name);
        judge.find("wave-log", None, text);
    }
    if inventory.waves.mailboxes_max.is_some_and(|most| names.len() as u64 > most) {
        judge.find("wave-size", None, format!("{} has too many mailboxes", wave.name));
    }
    let rate = inventory.waves.bytes_per_second_max.map_or(f64::INFINITY, |max| max.bytes() as f64);
    let seconds = own_bytes as f64 / inventory.rates.bytes_per_second.min(rate).max(1.0)
        + messages as f64 / inventory.rates.messages_per_second.max(1.0);
    if let Some((from, until)) = wave.opens_us.zip(wave.closes_us)
        && seconds * 1e6 > (until - from) as f64
    {
        judge.find("wave-time", None, format!("{} is longer than its window", wave.name));
    }
}

/// A wave lies inside of the windows that the site file opens.
fn window(judge: &mut Judge<'_>, wave: &Wave) {
    let windows = &judge.inventory.windows;
    if windows.is_empty() {
        return;
    }
    let Some((from, until)) = wave.opens_us.zip(wave.closes_us) else {
        judge.find("wave-window", None, format!("{} has no window", wave.name));
        return;
    };
    // Openings that touch count as one.
    let mut reached = from;
    let mut openings: Vec<(i64, i64)> =
        windows.iter().flat_map(rehome_site::Window::openings_us).collect();
    openings.sort_unstable();
    for (opens, closes) in openings {
        if opens <= reached && closes > reached {
            reached = closes;
        }
    }
    if reached < until || until <= from {
        judge.find("wave-window", None, format!("{} is outside of every window", wave.name));
    }
}

/// Waves come one after the other, in time and in the plan.
fn order(judge: &mut Judge<'_>) {
    let place: BTreeMap<&StepId, usize> =
        judge.plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    let at = |wave: &Wave| {
        let steps: Vec<usize> = wave.steps.iter().filter_map(|id| place.get(id).copied()).collect();
        (steps.iter().min().copied(), steps.iter().max().copied())
    };
    for pair in judge.plan.schedule.waves.windows(2) {
        let overlap = pair[0].closes_us > pair[1].opens_us && pair[1].opens_us.is_some();
        if overlap || at(&pair[0]).1 > at(&pair[1]).0 {
            let text = format!("{} begins before {} is over", pair[1].name, pair[0].name);
            judge.find("wave-order", None, text);
        }
    }
}

/// Who works together moves together, unless the plan says so.
fn together(judge: &mut Judge<'_>, wave_of: &BTreeMap<&str, usize>) {
    let schedule = &judge.plan.schedule;
    let said: BTreeSet<(&str, &str)> = schedule
        .splits
        .iter()
        .map(|split| (split.mailbox.as_str(), split.delegate.as_str()))
        .collect();
    let hubs: BTreeSet<&str> = schedule.hubs.iter().map(String::as_str).collect();
    let mut parted = Vec::new();
    for mailbox in &judge.inventory.mailboxes {
        let Some(own) = wave_of.get(mailbox.name.as_str()) else { continue };
        for delegate in mailbox.delegates.iter().map(String::as_str) {
            let apart = wave_of.get(delegate).is_some_and(|other| other != own);
            if apart && !hubs.contains(delegate) && !said.contains(&(&mailbox.name, delegate)) {
                parted.push(format!("{delegate} and {} move in different waves", mailbox.name));
            }
        }
    }
    for text in parted.into_iter().take(5) {
        judge.find("wave-parted", None, text);
    }
}
