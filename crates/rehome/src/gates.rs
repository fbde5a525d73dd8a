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
    /// Whether the person has confirmed this step.
    #[must_use]
    pub fn confirms(&self, step: &str) -> bool {
        self.confirmed.iter().any(|one| one == "all" || one.eq_ignore_ascii_case(step))
    }
}
