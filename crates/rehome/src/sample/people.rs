//! The people of a sample.

use super::random::Random;

/// Somebody with a mailbox.
pub(super) struct Person {
    /// Name of the mailbox.
    pub(super) name: String,
    /// Name for people.
    pub(super) display_name: String,
}

const FIRST: [&str; 36] = [
    "Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi", "Ivan", "Jürgen", "Kim",
    "Lena", "Mallory", "Nadia", "Oscar", "Peggy", "Quentin", "Rosa", "Sybil", "Trent", "Uma",
    "Victor", "Wendy", "Xaver", "Yoko", "Zoë", "Amir", "Birgit", "Chloé", "Dmitri", "Eszter",
    "Fatima", "Goran", "Hana", "Ingrid", "Joaquín",
];

const LAST: [&str; 24] = [
    "Becker",
    "Larsen",
    "Müller",
    "Novák",
    "O'Brien",
    "Okafor",
    "Petrova",
    "Quispe",
    "Rossi",
    "Sato",
    "Tanaka",
    "Ueda",
    "Virtanen",
    "Weber",
    "Ximénez",
    "Yılmaz",
    "Zhang",
    "Andersson",
    "Bianchi",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "García",
];

/// As many people as wanted; mailbox names are ASCII and all different.
pub(super) fn people(count: usize, random: &mut Random) -> Vec<Person> {
    (0..count).map(|index| person(index, random)).collect()
}

/// The person of a number.
pub(super) fn person(index: usize, random: &mut Random) -> Person {
    let first = FIRST[index % FIRST.len()];
    let round = index / FIRST.len() + 1;
    let ascii = ascii(&first.to_lowercase());
    let name = if round == 1 { ascii } else { format!("{ascii}{round}") };
    Person { name, display_name: format!("{first} {}", random.pick(&LAST)) }
}

/// Leaves the accents of the names above away.
fn ascii(name: &str) -> String {
    let plain = |c| match c {
        'ü' => 'u',
        'ë' | 'é' => 'e',
        'í' => 'i',
        other => other,
    };
    name.chars().map(plain).collect()
}
