//! What became of a mailbox in a damaged backup, as a line of text.

use rehome_archive::{Fate, MailboxFate};

/// Its name, how much of it is lost, and the UIDs of that.
pub(crate) fn fate_line(one: &MailboxFate) -> String {
    let name = one.name.as_deref().unwrap_or("(name lost)");
    let fate = match one.fate {
        Fate::Whole => return format!("  {name}: whole, {} messages", one.messages),
        Fate::Partly => "partly",
        Fate::OnlyNamed => "only named",
        Fate::Gone => "gone",
    };
    let mut line = format!("  {name}: {fate}, {} of {} lost", one.lost_messages(), one.messages);
    for lost in &one.lost {
        let uids: Vec<String> = lost.uids.iter().map(ToString::to_string).collect();
        line.push_str(&format!("; {} UIDs {}", lost.folder, uids.join(",")));
    }
    match one.unnamed {
        Some(0) => {}
        Some(count) => line.push_str(&format!("; {count} more that nothing names")),
        None => line.push_str("; and how many nothing names is not known"),
    }
    line
}
