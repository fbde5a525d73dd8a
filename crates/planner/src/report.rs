//! A plan, and what became of it, for people: text, graph and one HTML page.

mod dot;
mod html;
mod sentence;
mod text;

pub use dot::to_dot;
pub use html::{comparison_to_html, to_html};
pub use text::{comparison_to_text, to_text};

#[cfg(test)]
mod tests;
