//! The graph of the steps in the language of Graphviz.

use std::fmt::Write;

use crate::plan::{Owner, Plan};

/// Writes the graph: gates as houses, steps past the point of no return in red, the critical path
/// in bold.
pub fn to_dot(plan: &Plan) -> String {
    let mut out = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    for step in &plan.steps {
        let shape = match step.owner {
            Owner::Machine => "box",
            Owner::Human { .. } => "house",
        };
        let color = if step.past_point_of_no_return { "red" } else { "black" };
        let label = format!("{}\n{}", step.id, step.title);
        let row = format_args!(
            "  {} [label={}, shape={shape}, color={color}];\n",
            quoted(step.id.as_str()),
            quoted(&label)
        );
        out.write_fmt(row).expect("a string takes whatever is written to it");
    }
    let critical: Vec<_> = plan.critical_path.windows(2).collect();
    for step in &plan.steps {
        for before in &step.depends_on {
            let bold = critical.iter().any(|pair| pair[0] == *before && pair[1] == step.id);
            let style = if bold { " [style=bold]" } else { "" };
            let (from, to) = (quoted(before.as_str()), quoted(step.id.as_str()));
            let row = format_args!("  {from} -> {to}{style};\n");
            out.write_fmt(row).expect("a string takes whatever is written to it");
        }
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
