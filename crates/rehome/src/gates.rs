//! What a person has answered before being asked.

/// What the person at the keyboard has answered in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gates {
    /// Names of steps, or `all`.
    pub confirmed: Vec<String>,
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
}

#[cfg(test)]
mod tests {
    use super::Gates;

    #[track_caller]
    fn check(confirmed: &[&str], step: &str, expected: bool) {
        let confirmed = confirmed.iter().map(ToString::to_string).collect();
        assert_eq!(Gates { confirmed, account: None }.confirms(step), expected);
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
}
