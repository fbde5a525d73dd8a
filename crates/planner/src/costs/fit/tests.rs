//! Costs that are found again, and the spread that is told of them.

use super::*;
use crate::random::Random;

/// Migrations of sites of different size by known costs: `noise` is the spread of whole runs,
/// `own` that of each step.
fn runs(count: usize, seed: u64, noise: f64, own: f64) -> Vec<CarriedOut> {
    let mut random = Random::new(seed);
    let mut some = |least: u64, most: u64| (least + random.below(most - least)) as f64;
    let amounts: Vec<Amount> = (0..count)
        .map(|_| {
            let (mailboxes, each, size) = (some(3, 40), some(10, 200), some(500, 9000));
            let messages = mailboxes * each;
            Amount { mailboxes, messages, bytes: messages * size }
        })
        .collect();
    let run = |amount: Amount| {
        let pace = (noise * random.normal()).exp();
        let mut step = |name: &str, seconds: f64| {
            (name.to_owned(), amount, seconds * pace * (own * random.normal()).exp())
        };
        let carried = 0.2 + 0.004 * amount.mailboxes + 2e-5 * amount.messages + 2e-8 * amount.bytes;
        let steps = vec![step("S0", 0.5 + 1e-4 * amount.messages), step("M1", carried)];
        CarriedOut { steps, largest: amount, lock_seconds: Some(0.002) }
    };
    amounts.into_iter().map(run).collect()
}

#[track_caller]
fn check(found: f64, expected: f64, within: f64) {
    let fits = (found - expected).abs() <= within * expected.abs().max(1e-12);
    assert!(fits, "{found} is not {expected} within {within}");
}

#[test]
fn costs_without_noise_are_found_again() {
    let costs = Costs::fit(&runs(12, 1, 0.0, 0.0)).expect("enough migrations");
    let moved = costs.steps["M1"];
    check(moved.fixed_seconds, 0.2, 1e-3);
    check(moved.mailbox_seconds, 0.004, 1e-3);
    check(moved.message_seconds, 2e-5, 1e-3);
    check(moved.byte_seconds, 2e-8, 1e-3);
    assert!(costs.pace.bias.abs() < 1e-6 && costs.pace.spread < 1e-6, "{:?}", costs.pace);
    let rates = costs.rates(crate::Rates::default());
    check(rates.bytes_per_second, 5e7, 1e-3);
    check(rates.import_messages_per_second, 1e4, 1e-3);
    check(rates.lock_seconds, 0.002, 1e-9);
    assert!(rates.measured);
}

#[test]
fn the_spread_of_whole_runs_and_that_of_steps_are_told_apart() {
    let many = Costs::fit(&runs(80, 2, 0.1, 0.0)).expect("enough migrations");
    check(many.pace.spread, 0.1, 0.25);
    assert!(many.steps["M1"].spread < 0.02, "{:?}", many.steps["M1"]);
    let own = Costs::fit(&runs(80, 3, 0.0, 0.1)).expect("enough migrations");
    // Of two steps alone, the pace takes a part of what is their own.
    assert!(own.pace.spread < 0.07, "{:?}", own.pace);
    assert!(own.steps["M1"].spread > 0.04, "{:?}", own.steps["M1"]);
}

#[test]
fn four_of_five_new_runs_are_at_or_below_what_four_of_five_were_said_to_be() {
    let costs = Costs::fit(&runs(16, 4, 0.08, 0.05)).expect("enough migrations");
    let judged = runs(400, 5, 0.08, 0.05);
    let predicted = |run: &CarriedOut| -> f64 {
        let steps = run.steps.iter().map(|(name, amount, _)| costs.steps[name].seconds(amount));
        steps.sum::<f64>() * costs.pace.bias.exp()
    };
    let by_steps: f64 = judged.iter().map(|run| own_variance(run, &costs.steps)).sum();
    let spread = (costs.pace.spread.powi(2) + by_steps / judged.len() as f64).sqrt();
    let bound = |run: &CarriedOut| predicted(run) * (0.8416 * spread).exp();
    let below = judged.iter().filter(|run| run.seconds() <= bound(run)).count();
    assert!((280..=360).contains(&below), "{below} of 400");
}

#[test]
fn no_cost_is_negative_and_two_migrations_are_too_few() {
    let falling = |mailboxes: f64, seconds: f64| CarriedOut {
        steps: vec![("P1".to_owned(), Amount { mailboxes, ..Amount::default() }, seconds)],
        ..CarriedOut::default()
    };
    let all = [falling(1.0, 3.0), falling(2.0, 2.0), falling(3.0, 1.0)];
    let cost = Costs::fit(&all).expect("three").steps["P1"];
    assert_eq!(cost.mailbox_seconds, 0.0);
    assert!(cost.fixed_seconds > 0.0);
    assert_eq!(Costs::fit(&all[..2]), None);
}

#[test]
fn waves_and_servers_have_the_cost_of_their_step() {
    use crate::action::{Action, VerifyScope};
    let of = |id: &str| super::key(&id.into(), &Action::StopServer { server: String::new() });
    let keys = ["M1", "M1w0", "M1w12@EX2", "D6w", "B0c@EX2"].map(of);
    assert_eq!(keys, ["M1", "M1", "M1", "D6w", "B0c"]);
    let deep = Action::Verify { server: String::new(), scope: VerifyScope::Content };
    assert_eq!(super::key(&"V9".into(), &deep), "V9/content");
}
