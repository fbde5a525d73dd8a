//! What a person has answered before being asked, and whose answer counts.

use chrono::{DateTime, SecondsFormat};
use rehome_executor::GateRefusal;
use rehome_planner::Plan;
use rehome_site::GateRule;

/// What the person at the keyboard has answered in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gates {
    /// Names of steps, or `all`.
    pub confirmed: Vec<String>,
    /// Who confirms; the account when nobody is named, and the operator without one.
    pub by: Option<String>,
    /// The account that carries the work out; the site's service account when none is given.
    pub account: Option<String>,
}

impl Gates {
    /// Whether the person has confirmed every step.
    #[must_use]
    pub fn confirms_all(&self) -> bool {
        self.confirmed.iter().any(|one| one == "all")
    }

    /// Whether the person has confirmed this step.
    #[must_use]
    pub fn confirms(&self, step: &str) -> bool {
        self.confirms_all() || self.confirmed.iter().any(|one| one.eq_ignore_ascii_case(step))
    }

    /// Who confirms.
    #[must_use]
    pub fn who(&self) -> String {
        let named = self.by.as_ref().or(self.account.as_ref());
        named.cloned().unwrap_or_else(|| "the operator".to_owned())
    }
}

/// The rule for a step: its own, or the one for all.
pub(crate) fn rule_for<'r>(rules: &'r [GateRule], step: &str) -> Option<&'r GateRule> {
    let own = rules.iter().find(|rule| rule.step.eq_ignore_ascii_case(step));
    own.or_else(|| rules.iter().find(|rule| rule.is_for(step)))
}

/// What to say of rules that no step of the plan falls under.
pub(crate) fn without_effect(rules: &[GateRule], plan: &Plan) -> Vec<String> {
    let has = |rule: &&GateRule| plan.steps.iter().any(|step| rule.is_for(step.id.as_str()));
    let unknown = rules.iter().filter(|rule| !has(rule));
    let text = |rule: &GateRule| {
        format!("[[gate]] {}: the plan has no such step, so the rule is without effect", rule.step)
    };
    unknown.map(text).collect()
}

/// How a gate is answered.
pub(crate) fn how(step: &str, rule: Option<&GateRule>) -> String {
    let mut how = format!("--confirm {step}");
    let Some(rule) = rule else { return how };
    if !rule.owners.is_empty() {
        how.push_str(&format!(" --by NAME, which only {} may", rule.owners.join(" or ")));
    }
    if let Some(until_us) = rule.until_us {
        how.push_str(&format!(", until {}", moment(until_us)));
    }
    how
}

/// Why a confirmation does not count, and what to do.
pub(crate) fn refused(
    step: &str,
    by: &str,
    refusal: GateRefusal,
    owners: &[String],
    until_us: Option<i64>,
) -> String {
    let who = owners.join(" or ");
    match refusal {
        GateRefusal::Foreign => format!(
            "{step}: the confirmation of {by} does not count: the [[gate]] of the site file gives \
             it to {who}; nothing was done; let {who} confirm with --confirm {step} --by NAME"
        ),
        GateRefusal::Expired => format!(
            "{step}: the confirmation of {by} came too late: the gate could be opened until {}; \
             nothing was done; see that it is still right to go on, set a later `until` in the \
             [[gate]] of the site file, and confirm again",
            until_us.map_or_else(|| "an earlier moment".to_owned(), moment)
        ),
    }
}

/// A moment for people, in universal time.
pub(crate) fn moment(us: i64) -> String {
    DateTime::from_timestamp_micros(us).map_or_else(
        || format!("{us} µs"),
        |moment| moment.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

#[cfg(test)]
mod tests {
    use rehome_site::GateRule;

    use super::{Gates, how, rule_for};

    #[track_caller]
    fn check(confirmed: &[&str], step: &str, expected: bool) {
        let confirmed = confirmed.iter().map(ToString::to_string).collect();
        assert_eq!(Gates { confirmed, ..Gates::default() }.confirms(step), expected);
    }

    #[test]
    fn a_step_is_confirmed_by_its_name_or_by_all() {
        check(&[], "M1", false);
        check(&["M2", "m1"], "M1", true);
        check(&["M1"], "M10", false);
        check(&["M10"], "M1", false);
        check(&["all"], "M1", true);
        check(&["allow"], "M1", false);
    }

    #[test]
    fn the_rule_of_a_step_goes_before_that_for_all() {
        let rule = |step: &str, owner: &str| GateRule {
            step: step.to_owned(),
            owners: vec![owner.to_owned()],
            until_us: Some(0),
        };
        let rules = [rule("all", "anna"), rule("M4", "bob")];
        let of = |step: &str| how(step, rule_for(&rules, step));
        let until = "until 1970-01-01T00:00:00Z";
        assert_eq!(of("m4"), format!("--confirm m4 --by NAME, which only bob may, {until}"));
        assert_eq!(of("D6w"), format!("--confirm D6w --by NAME, which only anna may, {until}"));
        assert_eq!(how("M4", rule_for(&rules[1..], "D6w")), "--confirm M4");
    }
}
