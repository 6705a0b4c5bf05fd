//! What no compiler checks: the layout, who may name whom, and that each rule has a test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Every file below a folder, with its path from the root, build output left out.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.strip_prefix(root()).unwrap().display().to_string();
            if matches!(name.as_str(), "target" | ".git") {
                continue;
            }
            if entry.is_dir() {
                folders.push(entry);
            } else {
                found.push((name, entry));
            }
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let rust = files(folder).into_iter().filter(|(name, _)| name.ends_with(".rs"));
    rust.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

/// The code of a file without its comments: what a comment says is no dependency.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_what_belongs_there_stands_at_the_top() {
    const ALLOWED: [&str; 21] = [
        ".cargo",
        ".ci",
        ".git",
        ".gitignore",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "clippy.toml",
        "deny.toml",
        "protocol",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "server",
        "target",
        "tests",
        "tui",
        ".github",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(ALLOWED.contains(&name.as_str()), "`{name}` does not belong at the top level");
    }
}

#[test]
fn crates_depend_in_one_direction() {
    let manifest = |name: &str| fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    assert!(!manifest("protocol").contains("keyward-server") && !manifest("protocol").contains("keyward ="));
    assert!(!manifest("server").contains("\nkeyward.") && !manifest("server").contains("\nkeyward ="));
    for (name, text) in rust_files("tui") {
        let may = name.starts_with("tui/src/demo/");
        assert!(may || !code(&text).contains("keyward_server"), "{name} names the server: only the demo may");
    }
}

#[test]
fn pure_modules_touch_nothing() {
    const BANNED: [&str; 12] = [
        "tokio",
        "quinn",
        "sled::",
        "std::fs",
        "std::net",
        "std::env",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "getrandom",
        "rand::",
        "thread::",
    ];
    let index = ["compile", "lookup", "source", "flatten"].map(|name| format!("server/src/index/{name}.rs"));
    let server = rust_files("server/src");
    let pure = server.iter().filter(|(name, _)| name.starts_with("server/src/domain/") || index.contains(name));
    let protocol = rust_files("protocol/src");
    let protocol = protocol.iter().filter(|(name, _)| !name.starts_with("protocol/src/client/"));
    let mut seen = 0;
    for (name, text) in pure.chain(protocol) {
        seen += 1;
        // Tests may do as they like.
        let code = code(text.split("#[cfg(test)]").next().unwrap_or_default());
        for banned in BANNED {
            assert!(!code.contains(banned), "{name} is pure and names `{banned}`");
        }
    }
    assert!(seen > 20, "the pure modules moved: tell this test where to");
}

#[test]
fn one_file_names_sled() {
    for (name, text) in rust_files("server/src") {
        let may = name == "server/src/store/sled.rs";
        assert!(may || !code(&text).contains("::sled::") && !code(&text).contains("use sled"), "{name} names sled");
    }
}

#[test]
fn nothing_is_left_undone_in_silence() {
    let markers =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore"), concat!("sha", "red/")];
    for (name, path) in files("") {
        let Ok(text) = fs::read_to_string(path) else { continue };
        for marker in markers {
            assert!(!text.contains(marker), "{name} has `{marker}`");
        }
    }
}

#[test]
fn each_rule_has_a_test_that_names_it() {
    let rules = fs::read_to_string(root().join("server/RULES.md")).unwrap();
    let mut numbers = 0;
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut note = |text: &str, mark: &str| {
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix(mark)) {
            // A mark is nothing but numbers; a sentence that begins like one is none.
            let parts: Vec<&str> = line.split(',').map(str::trim).collect();
            if parts.iter().all(|part| part.len() <= 3 && part.starts_with(char::is_uppercase)) {
                named.extend(parts.into_iter().map(str::to_owned));
            }
        }
    };
    for folder in ["protocol", "server", "tui", "tests"] {
        rust_files(folder).iter().for_each(|(_, text)| note(text, "// "));
    }
    for (name, path) in files("tests/scenarios") {
        if name.ends_with(".toml") {
            note(&fs::read_to_string(path).unwrap(), "# Shows: ");
        }
    }
    for line in rules.lines().filter(|line| line.starts_with("- **")) {
        numbers += 1;
        let number = line.trim_start_matches("- **").split("**").next().unwrap_or_default();
        let planned = line.ends_with("(planned)");
        assert!(planned || named.contains(number), "no test names {number}: {line}");
    }
    assert_eq!(numbers, 11 + 8 + 5 + 5 + 10 + 6 + 4 + 8 + 4, "a rule is missing from server/RULES.md");
}
