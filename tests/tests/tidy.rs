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

/// Whether `word` stands in the code as a whole word, so that `use std::{fs, io}` is seen and `offset` is not.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(part) && !after.starts_with(part)
    })
}

/// Everything that a crate depends on, with what the manifest says of it.
fn dependencies(krate: &str) -> Vec<(String, toml::Value)> {
    let text = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let mut found = Vec::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.get(kind).and_then(toml::Value::as_table);
        found.extend(table.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    }
    found
}

#[test]
fn crates_depend_in_one_direction() {
    for (krate, banned) in [("protocol", &["keyward", "keyward-server"][..]), ("server", &["keyward"])] {
        for (name, _) in dependencies(krate) {
            assert!(!banned.contains(&name.as_str()), "{krate} depends on {name}");
        }
    }
    let client = dependencies("tui");
    let (_, server) = client.iter().find(|(name, _)| name == "keyward-server").expect("the demo starts a server");
    assert_eq!(server.get("optional"), Some(&toml::Value::Boolean(true)), "packages of the client need no server");
    for (name, text) in rust_files("tui") {
        let may = name.starts_with("tui/src/demo/");
        assert!(may || !names(&code(&text), "keyward_server"), "{name} names the server: only the demo may");
    }
}

#[test]
fn pure_modules_touch_nothing() {
    const BANNED: [&str; 14] = [
        "tokio",
        "quinn",
        "sled",
        "fs",
        "net",
        "env",
        "thread",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "Zoned::now",
        "TimeZone::system",
        "getrandom",
        "rand",
    ];
    let index = ["compile", "lookup", "passes", "source", "flatten"].map(|name| format!("server/src/index/{name}.rs"));
    let server = rust_files("server/src");
    for name in &index {
        assert!(server.iter().any(|(file, _)| file == name), "{name} moved: tell this test where to");
    }
    let pure = server.iter().filter(|(name, _)| name.starts_with("server/src/domain/") || index.contains(name));
    let protocol = rust_files("protocol/src");
    let protocol = protocol.iter().filter(|(name, _)| !name.starts_with("protocol/src/client/"));
    let mut seen = 0;
    for (name, text) in pure.chain(protocol).filter(|(name, _)| !name.ends_with("tests.rs")) {
        seen += 1;
        // Tests may do as they like; they stand last in a file.
        let code = code(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        for banned in BANNED {
            assert!(!names(&code, banned), "{name} is pure and names `{banned}`");
        }
    }
    assert!(seen > 20, "the pure modules moved: tell this test where to");
}

#[test]
fn one_file_names_sled() {
    for (name, text) in ["protocol", "server", "tui", "benches", "tests"].into_iter().flat_map(rust_files) {
        if name == "server/src/store/sled.rs" || name == "tests/tests/tidy.rs" {
            continue;
        }
        // Our own module has the same name: `mod sled` and paths through it are fine.
        let ours = ["mod sled;", "store::sled", "super::sled", "self::sled"];
        let rest = ours.iter().fold(code(&text), |rest, path| rest.replace(path, ""));
        assert!(!names(&rest, "sled"), "{name} names sled: only server/src/store/sled.rs may");
    }
}

#[test]
fn whole_words_are_found_and_parts_of_words_are_not() {
    assert!(names("use std::{fs, io};", "fs") && names("std::fs", "fs") && names("sled::open", "sled"));
    assert!(!names("offset", "fs") && !names("fs_like", "fs") && !names("a_fs", "fs"));
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
    let mut known = BTreeSet::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut note = |line: &str| {
        // A mark is nothing but numbers; a sentence that begins like one is none.
        let parts: Vec<&str> = line.split(',').map(str::trim).collect();
        if parts.iter().all(|part| part.len() <= 3 && part.starts_with(char::is_uppercase)) {
            named.extend(parts.into_iter().map(str::to_owned));
        }
    };
    for (_, text) in ["protocol", "server", "tui", "tests"].into_iter().flat_map(rust_files) {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
            let on_a_test = next.starts_with("#[test]") || next.starts_with("#[tokio::test");
            line.strip_prefix("// ").filter(|_| on_a_test).into_iter().for_each(&mut note);
        }
    }
    for (name, path) in files("tests/scenarios") {
        if name.ends_with(".toml") {
            let text = fs::read_to_string(path).unwrap();
            let mut shown = text.lines().filter_map(|line| line.strip_prefix("# Shows: ")).peekable();
            assert!(shown.peek().is_some(), "{name} doesn't say what it shows");
            shown.for_each(&mut note);
        }
    }
    for line in rules.lines().filter(|line| line.starts_with("- **")) {
        numbers += 1;
        let number = line.trim_start_matches("- **").split("**").next().unwrap_or_default();
        let planned = line.ends_with("(planned)");
        assert!(planned || named.contains(number), "no test names {number}: {line}");
        known.insert(number.to_owned());
    }
    let strays: Vec<&String> = named.difference(&known).collect();
    assert!(strays.is_empty(), "tests name rules that server/RULES.md does not have: {strays:?}");
    assert_eq!(numbers, 12 + 8 + 5 + 5 + 10 + 6 + 4 + 8 + 4, "a rule is missing from server/RULES.md");
}
