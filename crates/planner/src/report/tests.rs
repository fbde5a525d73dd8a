//! Reports of a small site, and the shape of every page.

use super::*;
use crate::outcome::{Outcome, StepOutcome, StepState};
use crate::plan::Plan;
use crate::route::RouteChoice;
use crate::testing::{inventory, options, plan_by};

/// Every tag that is opened is closed, in the right order.
#[track_caller]
fn check_tags(page: &str) {
    let body = page.split_once("</style>").expect("a page has a style").1;
    let mut open = vec!["html", "head"];
    for piece in body.split('<').skip(1) {
        let tag = piece.split('>').next().expect("a tag has an end");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed by </{name}>");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().expect("a tag has a name"));
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[track_caller]
fn check_page(plan: &Plan, page: &str) {
    check_tags(page);
    for step in &plan.steps {
        assert_eq!(page.matches(&format!("<td class=\"id\">{}</td>", step.id)).count(), 1);
        assert!(page.contains(&format!(">{}</text>", step.id)), "{} is drawn", step.id);
    }
    for foreign in ["<script", "http://", "https://", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

const BOTH: [RouteChoice; 2] = [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery];

#[test]
fn the_text_of_a_move_users_plan() {
    insta::assert_snapshot!("move-users.txt", to_text(&plan_by(RouteChoice::MoveUsers)));
}

#[test]
fn the_text_of_a_disaster_recovery_plan() {
    insta::assert_snapshot!(
        "disaster-recovery.txt",
        to_text(&plan_by(RouteChoice::DisasterRecovery))
    );
}

#[test]
fn the_graph_of_both_plans() {
    insta::assert_snapshot!("move-users.dot", to_dot(&plan_by(RouteChoice::MoveUsers)));
    insta::assert_snapshot!(
        "disaster-recovery.dot",
        to_dot(&plan_by(RouteChoice::DisasterRecovery))
    );
}

#[test]
fn a_page_names_every_step_and_closes_every_tag() {
    for route in BOTH {
        let plan = plan_by(route);
        check_page(&plan, &to_html(&plan, None));
    }
}

#[test]
fn a_report_shows_plan_and_outcome_for_every_step() {
    for route in BOTH {
        let plan = plan_by(route);
        check_page(&plan, &to_html(&plan, Some(&outcome(&plan))));
    }
}

#[test]
fn names_with_markup_in_them_stay_names() {
    let mut inventory = inventory();
    inventory.cluster.name = "<b>&\"C".to_owned();
    let plan = crate::plan(&inventory, &options(RouteChoice::Auto)).expect("the site is feasible");
    let page = to_html(&plan, None);
    check_page(&plan, &page);
    assert!(page.contains("&lt;b&gt;&amp;&quot;C"));
}

#[test]
fn a_site_without_a_plan_gets_a_page_of_obstacles() {
    let mut inventory = inventory();
    inventory.cluster.service_account = "CONTOSO\\other".to_owned();
    let page = comparison_to_html(&inventory, &crate::compare(&inventory, 0));
    check_tags(&page);
    assert!(page.contains("cluster.service_account"));
}

/// Two steps done, one failed at its second attempt.
pub(crate) fn outcome(plan: &Plan) -> Outcome {
    let begin = plan.made_us;
    let step = |(at, step): (usize, &crate::Step)| {
        let state = match at {
            0 | 1 => StepState::Done,
            2 => StepState::Failed,
            _ => StepState::Pending,
        };
        let started = (at < 3).then_some(begin + at as i64 * 4_000_000);
        StepOutcome {
            id: step.id.clone(),
            state,
            started_us: started,
            ended_us: started.map(|us| us + 3_500_000),
            attempts: if at == 2 { 2 } else { u32::from(at < 2) },
            notes: if at < 3 { vec!["a <note>".to_owned()] } else { Vec::new() },
        }
    };
    Outcome {
        plan_id: plan.id.clone(),
        end: "interrupted".to_owned(),
        started_us: Some(begin),
        ended_us: Some(begin + 11_500_000),
        steps: plan.steps.iter().enumerate().map(step).collect(),
        figures: [("messages.lost".to_owned(), 0.0), ("lock_ms.p99".to_owned(), 41.5)].into(),
    }
}

/// A site that people move in windows, with a pilot, a hub and a pair that works together.
fn site_in_windows() -> crate::Inventory {
    let mut site = inventory();
    site.kind = rehome_site::SiteKind::Exchange55;
    site.waves.pilot_mailboxes = 1;
    site.windows.push(rehome_site::Window {
        name: "nights".to_owned(),
        days: "Mon-Thu".parse().unwrap(),
        from: "22:00".parse().unwrap(),
        until: "02:00".parse().unwrap(),
        first: "2026-12-07".parse().unwrap(),
        last: "2026-12-20".parse().unwrap(),
        utc_offset: "-08:00".parse().unwrap(),
    });
    site.cluster.log_free_bytes = Some(2 << 30);
    site
}

#[test]
fn a_plan_in_windows_shows_waves_room_and_what_people_do() {
    let site = site_in_windows();
    let plan = crate::plan(&site, &options(RouteChoice::MoveUsers)).expect("feasible");
    insta::assert_snapshot!("waves.txt", to_text(&plan));
    let page = to_html(&plan, None);
    check_page(&plan, &page);
    for words in ["Room over the waves", "pilot", "Move Mailbox", "P80", "Known traps", "box"] {
        assert!(page.contains(words), "no {words:?} on the page");
    }
}

#[test]
fn what_many_servers_and_waves_have_in_common_is_told_once() {
    let mut site = site_in_windows();
    site.wishes.all_servers = true;
    for number in 3..20 {
        let mut server = site.servers[0].clone();
        server.name = format!("EX{number}");
        let mut mailbox = site.mailboxes[0].clone();
        (mailbox.name, mailbox.server) = (format!("user{number}"), server.name.clone());
        site.mailboxes.push(mailbox);
        site.servers.push(server);
    }
    site.waves.mailboxes_max = Some(1);
    site.windows[0].last = "2027-12-20".parse().unwrap();
    let plan = crate::plan(&site, &options(RouteChoice::MoveUsers)).expect("feasible");
    assert!(plan.schedule.waves.len() > 12, "{} waves", plan.schedule.waves.len());
    let page = to_html(&plan, None);
    check_tags(&page);
    for words in ["other servers into cluster", "more, in the run-book", " waves from 2026-12-08"] {
        assert!(page.contains(words), "no {words:?} on the page");
    }
    let title = page.split("</h1>").next().expect("a title");
    assert!(title.ends_with(&format!(
        "{} and {} other servers into cluster {}",
        site.old_server,
        site.leaving().len() - 1,
        site.cluster.name
    )));
    let asked =
        page.split("Asks a person at</dt>").nth(1).and_then(|rest| rest.split("</dd>").next());
    assert!(asked.is_some_and(|asked| asked.matches("M4").count() == 4), "{asked:?}");
}
