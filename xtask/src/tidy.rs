//! The rules that the compiler does not know, as tests: layers, sizes, heads of files, true maps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// Which crates of ours each folder may name in `[dependencies]`, lowest layer first.
const LAYERS: &[(&str, &[&str])] = &[
    ("crates/site", &[]),
    ("crates/log", &[]),
    ("crates/store", &["rehome-log"]),
    ("crates/archive", &["rehome-log"]),
    ("crates/cluster", &["rehome-log"]),
    ("crates/etcd", &["rehome-cluster"]),
    ("crates/ldap", &["rehome-site"]),
    ("crates/planner", &["rehome-site"]),
    ("crates/executor", &["rehome-log", "rehome-planner", "rehome-site"]),
    ("crates/server", &["rehome-log", "rehome-site", "rehome-store"]),
    (
        "crates/rehome",
        &[
            "rehome-archive",
            "rehome-cluster",
            "rehome-etcd",
            "rehome-ldap",
            "rehome-executor",
            "rehome-log",
            "rehome-planner",
            "rehome-server",
            "rehome-site",
            "rehome-store",
        ],
    ),
    ("crates/cli", &["rehome"]),
    ("xtask", &["rehome"]),
    ("tests", &["rehome", "rehome-cli"]),
    ("tests/s3", &["rehome-cli"]),
    ("fuzz", &["rehome-archive", "rehome-log", "rehome-store"]),
];

/// The longest function, in lines that hold code.
const FUNCTION_LINES_MAX: usize = 70;
/// The longest file, in lines.
const FILE_LINES_MAX: usize = 700;
/// The longest line, in characters.
const COLUMNS_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

/// Every file below `folder` whose name ends in `suffix`; build results and hidden folders are left
/// out.
fn files_below(folder: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            files_below(&path, suffix, found);
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
}

fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files_below(&root(), ".rs", &mut paths);
    let shown = |path: &Path| {
        path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
    };
    paths
        .iter()
        .map(|path| (shown(path), fs::read_to_string(path).expect("UTF-8 source")))
        .collect()
}

/// Fails with every finding at once, so that one run tells all.
#[track_caller]
fn check(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn crates_name_only_what_lies_below_them() {
    let mut findings = Vec::new();
    let known: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut manifests = Vec::new();
    files_below(&root(), "Cargo.toml", &mut manifests);
    for path in manifests.iter().filter(|path| path.parent() != Some(root().as_path())) {
        let folder = path.parent().expect("a folder").strip_prefix(root()).expect("below");
        let folder = folder.to_string_lossy().into_owned();
        let manifest: toml::Table =
            fs::read_to_string(path).expect("UTF-8").parse().expect("a manifest");
        let Some(allowed) = known.get(folder.as_str()) else {
            findings.push(format!("{folder} has no line in LAYERS"));
            continue;
        };
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for name in dependencies.into_iter().flat_map(toml::Table::keys) {
            if name.starts_with("rehome") && !allowed.contains(&name.as_str()) {
                findings.push(format!("{folder} -> {name}"));
            }
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("{folder} does not take the workspace's lints"));
        }
    }
    check("arrows go downwards only", findings);
}

/// The modules of a crate by level: groups of `mod` lines in its `lib.rs`, parted by empty lines,
/// lowest first.
fn module_levels(lib: &str) -> BTreeMap<&str, usize> {
    let mut levels = BTreeMap::new();
    let mut level = 0;
    for line in lib.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            levels.insert(name, level);
        } else if line.is_empty() {
            level += 1;
        }
    }
    levels
}

/// The modules of its own crate that a source file names outside of its tests.
fn own_modules(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let end = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    code.split("crate::").skip(1).map(move |rest| &rest[..end(rest).unwrap_or(rest.len())])
}

#[test]
fn modules_of_the_archive_name_only_modules_of_lower_levels() {
    let folder = root().join("crates/archive/src");
    let lib = fs::read_to_string(folder.join("lib.rs")).expect("lib.rs");
    let levels = module_levels(&lib);
    assert!(levels.len() > 20 && levels["bytes"] < levels["writer"], "{levels:?}");
    let mut paths = Vec::new();
    files_below(&folder, ".rs", &mut paths);
    let mut findings = Vec::new();
    for path in paths {
        let below = path.strip_prefix(&folder).expect("below").to_string_lossy().into_owned();
        let own = below.split(['/', '.']).next().unwrap_or_default();
        let Some(level) = levels.get(own) else { continue };
        let text = fs::read_to_string(&path).expect("UTF-8 source");
        for named in own_modules(&text).filter(|named| *named != own) {
            if levels.get(named).is_none_or(|named| named >= level) {
                findings.push(format!("{below} names {named}"));
            }
        }
    }
    check("modules name only lower ones", findings);
}

/// Collects the functions of a file with more code lines than allowed.
struct LongFunctions<'a> {
    lines: Vec<&'a str>,
    findings: Vec<String>,
}

impl LongFunctions<'_> {
    fn look(&mut self, name: &syn::Ident, block: &syn::Block) {
        let (first, last) = (block.span().start().line, block.span().end().line);
        let code = |line: &&&str| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//")
        };
        let count = self.lines[first - 1..last].iter().filter(code).count();
        if count > FUNCTION_LINES_MAX {
            self.findings.push(format!("line {first}: fn {name} has {count} lines"));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.sig.ident, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.sig.ident, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}

#[test]
fn functions_and_files_stay_small() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{path} has {lines} lines"));
        }
        let parsed = syn::parse_file(&text).expect("source that parses");
        let mut visitor = LongFunctions { lines: text.lines().collect(), findings: Vec::new() };
        visitor.visit_file(&parsed);
        findings.extend(visitor.findings.into_iter().map(|found| format!("{path} {found}")));
    }
    check("sizes", findings);
}

#[test]
fn the_size_rule_sees_a_long_function() {
    let body = "let _x = 1;\n".repeat(FUNCTION_LINES_MAX + 1);
    let text = format!("fn long() {{\n{body}}}");
    let mut visitor = LongFunctions { lines: text.lines().collect(), findings: Vec::new() };
    visitor.visit_file(&syn::parse_file(&text).expect("source that parses"));
    assert_eq!(visitor.findings.len(), 1);
}

#[test]
fn every_file_says_what_it_is_in_its_first_line() {
    let findings = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc = include_str!"))
        .map(|(path, _)| path)
        .collect();
    check("the first line is a //! line or a page", findings);
}

#[test]
fn lines_fit_and_names_are_modern() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if path.ends_with("/mod.rs") {
            findings.push(format!("{path}: use name.rs beside a folder"));
        }
        for (index, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                findings.push(format!("{path}:{} is over {COLUMNS_MAX} columns", index + 1));
            }
            let banned = ["#[ig", "nore]"].concat();
            if line.contains(&banned) {
                findings.push(format!("{path}:{} leaves a test out", index + 1));
            }
        }
    }
    check("form", findings);
}

#[test]
fn the_map_names_what_exists() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let named = map.split('`').filter(|word| {
        let path = word.starts_with("crates/") || word.starts_with("docs/");
        path && !word.contains(char::is_whitespace)
    });
    let mut findings: Vec<String> = named
        .filter(|word| !root().join(word).exists())
        .map(|word| format!("{word} does not exist"))
        .collect();
    for (folder, _) in LAYERS {
        if !map.contains(folder) {
            findings.push(format!("{folder} is not on the map"));
        }
    }
    check("ARCHITECTURE.md", findings);
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let mut findings = Vec::new();
    if readme.lines().count() >= 100 {
        findings.push("100 lines or more".to_owned());
    }
    for target in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !target.contains("://") && !root().join(target).exists() {
            findings.push(format!("link to {target}, which does not exist"));
        }
    }
    check("README.md", findings);
}
