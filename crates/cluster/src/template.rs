//! Placeholders in the arguments and environment of supervised processes.

use std::collections::BTreeMap;

/// The placeholders there are.
pub(crate) const PLACEHOLDERS: [&str; 13] = [
    "address", "epoch", "folder", "group", "lease_ms", "name", "names", "node", "port", "quorum",
    "registry", "resource", "state",
];

/// A text whose placeholders are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The placeholder is not one of those there are.
    #[error(
        "{text:?} has the unknown placeholder {{{name}}}; known are {}",
        PLACEHOLDERS.join(", ")
    )]
    Unknown {
        /// The text.
        text: String,
        /// The placeholder.
        name: String,
    },
    /// A brace has no partner.
    #[error("{text:?} has a brace without its partner; write {{{{ or }}}} for a literal brace")]
    Unbalanced {
        /// The text.
        text: String,
    },
    /// The group has nothing that gives the placeholder a value.
    #[error(
        "{{{name}}} has no value here: the group has no resource that gives one; add an address, \
         a network name or a folder to the group"
    )]
    NoValue {
        /// The placeholder.
        name: String,
    },
}

/// A parsed text: literal parts and placeholders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(String),
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let unbalanced = || TemplateError::Unbalanced { text: text.to_owned() };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' | '}' if chars.peek() == Some(&c) => {
                    chars.next();
                    literal.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next().ok_or_else(unbalanced)? {
                            '}' => break,
                            c => name.push(c),
                        }
                    }
                    if !PLACEHOLDERS.contains(&name.as_str()) {
                        return Err(TemplateError::Unknown { text: text.to_owned(), name });
                    }
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Placeholder(name));
                }
                '}' => return Err(unbalanced()),
                c => literal.push(c),
            }
        }
        parts.push(Part::Literal(literal));
        Ok(Self { parts })
    }

    /// Whether it has no placeholders.
    pub(crate) fn is_literal(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Placeholder(_)))
    }

    pub(crate) fn fill(&self, values: &BTreeMap<&str, String>) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(name) => match values.get(name.as_str()) {
                    Some(value) => text.push_str(value),
                    None => return Err(TemplateError::NoValue { name: name.clone() }),
                },
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let values = BTreeMap::from([("node", "a".to_owned()), ("epoch", "7".to_owned())]);
        let filled = Template::parse(text).and_then(|template| template.fill(&values)).ok();
        assert_eq!(filled.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_literal() {
        check("--node={node} --epoch={epoch}", Some("--node=a --epoch=7"));
        check("{{node}}", Some("{node}"));
        check("", Some(""));
    }

    #[test]
    fn a_wrong_placeholder_is_refused() {
        check("{nodes}", None);
        check("{node", None);
        check("node}", None);
        check("{address}", None);
    }
}
