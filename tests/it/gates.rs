//! Gates that only some people may open, and only until a moment.

use std::path::{Path, PathBuf};

use rehome_tests::{Run, run};

use crate::{REHOME, sample};

/// A sample site with a rule for the last gate of the move-users route.
struct Site {
    scratch: tempfile::TempDir,
    folder: String,
    text: String,
}

impl Site {
    fn new(test: u8) -> Site {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = sample(scratch.path(), test, 2, 4);
        let text = std::fs::read_to_string(Path::new(&folder).join("site.toml"));
        Site { folder, text: text.expect("a site.toml"), scratch }
    }

    /// Says who may open the gate, and until when.
    fn rule(&self, until: &str) {
        let rule = "[[gate]]\nstep = \"M4\"\nowner = [\"EXAMPLE\\\\anna\", \"EXAMPLE\\\\bo\"]\n";
        let text = format!("{}\n{rule}until = \"{until}\"\n", self.text);
        std::fs::write(Path::new(&self.folder).join("site.toml"), text).expect("writable");
    }

    fn work(&self) -> PathBuf {
        self.scratch.path().join("work")
    }

    /// Migrates, and expects this exit code and these words.
    #[track_caller]
    fn check(&self, more: &[&str], code: i32, words: &[&str]) -> Run {
        let work = self.work().display().to_string();
        let fixed = ["migrate", &self.folder, "--work", &work, "--route", "move-users"];
        let done = run(REHOME, &[&fixed[..], more].concat());
        assert_eq!(done.code, Some(code), "{done:?}");
        for word in words {
            assert!(done.stderr.contains(word), "no {word:?}: {done:?}");
        }
        done
    }

    /// The journal's records of this kind.
    fn records(&self, kind: &str) -> Vec<String> {
        let journal = std::fs::read_to_string(self.work().join("journal")).expect("a journal");
        let wanted = format!("\"rec\":\"{kind}\"");
        journal.lines().filter(|line| line.contains(&wanted)).map(ToOwned::to_owned).collect()
    }
}

#[test]
fn only_an_owner_opens_a_gate_and_the_journal_keeps_who_was_asked() {
    let site = Site::new(41);
    site.rule("2999-01-01T00:00:00Z");
    let owners = "only EXAMPLE\\anna or EXAMPLE\\bo may, until 2999-01-01T00:00:00Z";
    site.check(&[], 4, &["waiting at M4", owners]);
    site.check(&["--confirm", "all"], 4, &["confirmation of the operator does not count"]);
    let foreign = ["--confirm", "M4", "--by", "EXAMPLE\\eve"];
    site.check(&foreign, 4, &["EXAMPLE\\eve does not count", "EXAMPLE\\anna or EXAMPLE\\bo"]);
    assert!(site.records("confirmed").is_empty());
    site.check(&["--confirm", "M4", "--by", "example\\BO"], 0, &[]);
    let (asked, refused) = (site.records("asked"), site.records("refused"));
    assert_eq!((asked.len(), refused.len()), (1, 2), "{asked:?} {refused:?}");
    let asked_of = r#""owners":["EXAMPLE\\anna","EXAMPLE\\bo"],"until_us":32472144000000000"#;
    assert!(asked[0].contains(asked_of), "{asked:?}");
    let confirmed = site.records("confirmed");
    assert!(confirmed.last().is_some_and(|line| line.contains(r"example\\BO")), "{confirmed:?}");
}

#[test]
fn a_confirmation_that_comes_too_late_is_refused_until_the_site_file_gives_more_time() {
    let site = Site::new(42);
    site.rule("2020-01-01T00:00:00Z");
    let anna = ["--confirm", "M4", "--by", "EXAMPLE\\anna"];
    site.check(&anna, 4, &["came too late", "until 2020-01-01T00:00:00Z", "set a later `until`"]);
    site.rule("2999-01-01T00:00:00Z");
    site.check(&anna, 0, &[]);
    assert_eq!(site.records("asked").len(), 2, "asked anew under other terms");
}
