//! Addresses and names inside of values.

/// The addresses of a row, folded, each once: `smtp:al@example.com`, `x400:c=us;…`.
pub(super) fn addresses(row: &super::Row) -> Vec<String> {
    const LISTS: [&str; 5] = [
        "proxyAddresses",
        "E-mail Addresses",
        "Secondary-Proxy-Addresses",
        "Proxy-Addresses",
        "Proxy Addresses",
    ];
    const PLAIN: [&str; 3] = ["mail", "mailLocalAddress", "E-mail Address"];
    let listed = LISTS.iter().flat_map(|name| row.texts(name));
    let mut found: Vec<String> = Vec::new();
    for text in listed {
        let folded = text.to_lowercase();
        if !found.contains(&folded) {
            found.push(folded);
        }
    }
    for text in PLAIN.iter().flat_map(|name| row.texts(name)) {
        if !text.contains('@') {
            continue;
        }
        let folded = text.to_lowercase();
        let folded = if folded.contains(':') { folded } else { format!("smtp:{folded}") };
        if !found.contains(&folded) {
            found.push(folded);
        }
    }
    found
}

/// The value of the part that names the object itself: `bob` in `/o=…/cn=bob` and in `CN=bob,…`.
pub(in crate::import) fn leaf_of(name: &str) -> &str {
    let part = match name.strip_prefix('/') {
        Some(_) => name.rsplit('/').next().unwrap_or(name),
        None => name.split(',').next().unwrap_or(name),
    };
    part.split_once('=').map_or(part, |(_, value)| value).trim()
}
