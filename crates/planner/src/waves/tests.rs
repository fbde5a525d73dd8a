//! Random sites and windows: every schedule stands up to the checker, or the reason is shown.

use rehome_site::{ByteSize, Window};

use super::*;
use crate::checker::check_plan;
use crate::inventory::{MailboxFacts, Share};
use crate::planning::plan;
use crate::random::Random;
use crate::route::RouteChoice;
use crate::testing::{inventory, options};

/// 7 December 2026, 00:00 UTC.
const MONDAY_US: i64 = 1_796_601_600_000_000;

fn window(name: &str, days: &str, from: &str, until: &str) -> Window {
    Window {
        name: name.to_owned(),
        days: days.parse().unwrap(),
        from: from.parse().unwrap(),
        until: until.parse().unwrap(),
        first: "2026-12-07".parse().unwrap(),
        last: "2026-12-20".parse().unwrap(),
        utc_offset: "+00:00".parse().unwrap(),
    }
}

/// A site of chance: sizes, delegates, shares, servers, windows, limits.
fn random_site(seed: u64) -> Inventory {
    let mut random = Random::new(seed);
    let mut site = inventory();
    let count = 1 + random.below(120) as usize;
    let servers = 1 + random.below(3) as usize;
    site.wishes.all_servers = random.below(2) == 0;
    site.servers.truncate(1);
    for number in 1..servers {
        let first = site.servers[0].clone();
        let name = format!("EX{}", number + 1);
        site.servers.push(crate::ServerFacts { name, roles: Vec::new(), ..first });
    }
    site.mailboxes = (0..count)
        .map(|number| {
            let magnitude = 16 + random.below(18);
            let bytes = random.below(1 << magnitude);
            let delegates = match random.below(4) {
                0 => vec![format!("m{}", random.below(count as u64))],
                1 if number % 2 == 0 => vec!["m0".to_owned()],
                _ => Vec::new(),
            };
            let group = format!("g{}", random.below(5));
            let share = (random.below(2) == 0).then_some(Share { group, bytes: bytes / 3 });
            MailboxFacts {
                name: format!("m{number}"),
                server: site.servers[number % servers].name.clone(),
                messages: bytes / 30_000,
                bytes,
                delegates: delegates.into_iter().filter(|d| *d != format!("m{number}")).collect(),
                share,
                bytes_a_day: bytes / 300,
            }
        })
        .collect();
    site.waves.hub_delegates = 1 + random.below(6);
    site.waves.pilot_mailboxes = random.below(6);
    site.waves.mailboxes_max = (random.below(3) == 0).then(|| 1 + random.below(40));
    site.waves.bytes_per_second_max = Some(ByteSize::new(1 << (18 + random.below(10))));
    site.cluster.log_free_bytes = (random.below(2) == 0).then(|| 1 << (24 + random.below(14)));
    site.cluster.free_bytes = Some(1 << 60);
    if random.below(4) > 0 {
        site.windows.push(window("nights", "Mon-Thu", "22:00", "02:00"));
    }
    if random.below(3) == 0 {
        site.windows.push(window("weekend", "Sat", "20:00", "06:00"));
    }
    if random.below(5) == 0 {
        site.wishes.deadline_us = Some(MONDAY_US + (random.below(14) as i64) * DAY_US);
    }
    if random.below(2) == 0 {
        site.kind = SiteKind::Exchange55;
    }
    site
}

fn options_now() -> crate::PlanOptions {
    crate::PlanOptions { now_us: MONDAY_US, ..options(RouteChoice::MoveUsers) }
}

#[test]
fn every_plan_of_a_random_site_stands_up_to_the_checker_or_the_reason_is_shown() {
    let (mut planned, mut refused, mut waves) = (0, 0, 0);
    for seed in 0..600 {
        let site = random_site(seed);
        match plan(&site, &options_now()) {
            Ok(plan) => {
                let found = check_plan(&plan, &site);
                assert_eq!(found, [], "seed {seed}");
                planned += 1;
                waves += plan.schedule.waves.len();
            }
            Err(infeasible) => {
                let reasons = infeasible.obstacles();
                assert!(!reasons.is_empty(), "seed {seed}: no reason");
                let whole = |at: &&Obstacle| !at.cause.is_empty() && !at.remedy.is_empty();
                assert!(reasons.iter().all(whole), "seed {seed}: {reasons:?}");
                refused += 1;
            }
        }
    }
    println!("seeds 0..600: {planned} planned with {waves} waves, {refused} refused with reasons");
    assert!(planned > 200 && refused > 20 && waves > planned, "the sites are too much alike");
}

/// Breaks the schedule of a good plan and wants the rule `code`.
#[track_caller]
fn check(code: &str, break_it: impl Fn(&mut crate::Plan)) {
    let mut caught = 0;
    for seed in 0..40 {
        let site = random_site(seed);
        let Ok(mut plan) = plan(&site, &options_now()) else { continue };
        if plan.schedule.waves.len() < 3 {
            continue;
        }
        let before = plan.clone();
        break_it(&mut plan);
        if plan == before {
            continue;
        }
        let codes: Vec<_> = check_plan(&plan, &site).iter().map(|found| found.code).collect();
        assert!(codes.contains(&code), "seed {seed}: expected {code}, found {codes:?}");
        caught += 1;
    }
    println!("{code}: caught in {caught} plans");
    assert!(caught > 0, "no plan has what is broken");
}

#[test]
fn a_planner_with_a_seeded_fault_is_caught() {
    check("wave-missing", |plan| {
        plan.schedule.waves.pop();
    });
    check("wave-missing", |plan| {
        if !plan.inventory.windows.is_empty() {
            plan.schedule.waves.clear();
        }
    });
    check("wave-count", |plan| plan.schedule.waves[1].mailboxes += 1);
    check("wave-order", |plan| plan.schedule.waves.swap(0, 2));
    check("wave-window", |plan| {
        if let Some(until) = &mut plan.schedule.waves[1].closes_us {
            *until += 3 * DAY_US;
        }
    });
    check("wave-bytes", |plan| {
        let busy = plan.schedule.waves.iter_mut().max_by_key(|wave| wave.sent_bytes);
        busy.expect("there are waves").sent_bytes = 0;
    });
    check("wave-parted", |plan| plan.schedule.hubs.clear());
    check("wave-step", |plan| {
        let first = plan.schedule.waves[0].steps.clone();
        plan.schedule.waves[1].steps.extend(first);
    });
    check("mailbox-left", |plan| {
        let step = plan.steps.iter_mut().find(|step| step.id.as_str().starts_with("M1w1"));
        if let Some(crate::Action::MoveMailboxes { mailboxes, .. }) = step.map(|s| &mut s.action) {
            mailboxes.pop();
        }
    });
}

/// The code of the one obstacle of a schedule.
#[track_caller]
fn refused(site: &Inventory, code: &str, place: &str) {
    let packed = pack(site, MONDAY_US);
    let found: Vec<_> =
        packed.obstacles.iter().map(|at| (at.code.as_str(), at.place.as_str())).collect();
    assert_eq!(found, [(code, place)]);
}

/// Ten mailboxes of a gibibyte each.
fn even_site() -> Inventory {
    let mut site = inventory();
    site.public_folders.clear();
    site.mailboxes = (0..10)
        .map(|number| MailboxFacts {
            name: format!("m{number}"),
            server: "EX1".to_owned(),
            messages: 30_000,
            bytes: 1 << 30,
            ..MailboxFacts::default()
        })
        .collect();
    site
}

#[test]
fn windows_that_are_too_few_or_too_short_are_refused() {
    let mut site = even_site();
    site.windows.push(window("nights", "Mon", "22:00", "22:05"));
    refused(&site, "windows-too-few", "window[0].last");
    site.windows[0].until = "22:02".parse().unwrap();
    refused(&site, "window-too-short", "window[0].until");
    site.windows[0] = window("nights", "Mon-Fri", "22:00", "22:10");
    site.wishes.deadline_us = Some(MONDAY_US + DAY_US / 2);
    refused(&site, "deadline", "route.deadline");
}

#[test]
fn the_log_disk_decides_how_many_waves_there_are() {
    let mut site = even_site();
    assert_eq!(pack(&site, MONDAY_US).schedule.waves.len(), 0, "one go without a schedule");
    // Three gibibytes and their overhead fit onto 4.4 GiB with a fifth kept free.
    site.cluster.log_free_bytes = Some((44 << 30) / 10);
    let packed = pack(&site, MONDAY_US);
    let sizes: Vec<u64> = packed.schedule.waves.iter().map(|wave| wave.mailboxes).collect();
    assert_eq!(sizes, [3, 3, 3, 1]);
    site.cluster.log_free_bytes = Some(1 << 30);
    refused(&site, "log-disk-too-small", "cluster.group.log_free");
}

#[test]
fn a_pilot_is_small_and_goes_first() {
    let mut site = even_site();
    site.mailboxes[7].bytes = 1 << 20;
    site.waves.pilot_mailboxes = 1;
    let packed = pack(&site, MONDAY_US);
    assert_eq!((packed.schedule.waves[0].name.as_str(), &packed.members[0]), ("pilot", &vec![7]));
    assert_eq!(packed.schedule.waves[1].name, "wave 1");
}

#[test]
fn shared_contents_are_sent_once_and_delegates_stay_together() {
    let mut site = even_site();
    for mailbox in &mut site.mailboxes {
        mailbox.share = Some(Share { group: "all".to_owned(), bytes: 1 << 29 });
    }
    site.mailboxes[0].delegates = vec!["m9".to_owned()];
    site.waves.mailboxes_max = Some(4);
    let packed = pack(&site, MONDAY_US);
    let sent: u64 = packed.schedule.waves.iter().map(|wave| wave.sent_bytes).sum();
    assert_eq!(sent, 10 * (1 << 29) + (1 << 29));
    let wave = packed.members.iter().find(|members| members.contains(&0)).expect("it moves");
    assert!(wave.contains(&9), "{wave:?}");
    assert_eq!(packed.schedule.splits, []);
    site.waves.mailboxes_max = Some(1);
    assert_eq!(pack(&site, MONDAY_US).schedule.splits.len(), 1, "and a parting is said");
}
