//! Scenario files, which a property manager can read, judged as `keyward-server evaluate` judges them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use keyward_protocol::id::PortfolioId;
use keyward_server::{
    domain::site::{self, Site},
    evaluate,
};

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Every site file with the checks that stand beside it.
fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let mut sites: Vec<PathBuf> = fs::read_dir(scenarios())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    sites.sort();
    sites.into_iter().map(|site| (site.clone(), site.with_extension("checks.jsonl"))).collect()
}

fn run(site: &str, checks: &str) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = evaluate::run(("site", site), ("checks", &mut checks.as_bytes()), false, &mut out, &mut err).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn every_scenario_is_judged_as_it_says() {
    assert!(!pairs().is_empty());
    for (site, checks) in pairs() {
        let name = site.display();
        let checks_text = fs::read_to_string(&checks).unwrap_or_else(|error| panic!("{}: {error}", checks.display()));
        for (number, line) in checks_text.lines().enumerate() {
            assert!(line.trim().is_empty() || line.contains("\"expect\":"), "{name}:{}: expects nothing", number + 1);
        }
        let (exit, out, err) = run(&fs::read_to_string(&site).unwrap(), &checks_text);
        assert_eq!((exit, err.as_str()), (evaluate::EXIT_DONE, ""), "{name}");
        let answers = site.with_extension("answers.jsonl");
        if answers.exists() {
            let expected = fs::read_to_string(&answers).unwrap();
            assert_eq!(out.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn no_scenario_file_is_forgotten() {
    let sites: Vec<PathBuf> = pairs().into_iter().map(|(site, _)| site).collect();
    for path in fs::read_dir(scenarios()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let stem = [".toml", ".checks.jsonl", ".answers.jsonl"].iter().find_map(|ending| name.strip_suffix(ending));
        let stem = stem.unwrap_or_else(|| panic!("{name} is neither a site, its checks nor its answers"));
        assert!(sites.contains(&scenarios().join(format!("{stem}.toml"))), "{name} has no site file beside it");
        assert!(scenarios().join(format!("{stem}.checks.jsonl")).exists(), "{name} has no checks beside it");
    }
}

#[test]
fn the_runner_fails_on_a_scenario_that_is_wrong() {
    let (site, checks) = pairs().into_iter().next().unwrap();
    let wrong = fs::read_to_string(checks).unwrap().replacen("\"expect\":\"granted\"", "\"expect\":\"denied\"", 1);
    let (exit, _, err) = run(&fs::read_to_string(site).unwrap(), &wrong);
    assert_eq!(exit, evaluate::EXIT_DIFFERS);
    assert!(err.contains("expected denied, got granted"), "{err}");
}

#[test]
fn every_site_is_written_down_as_it_was_read() {
    for (path, _) in pairs() {
        let read = |text: &str| Site::parse("site", text).unwrap().portfolio(PortfolioId(1));
        let portfolio = read(&fs::read_to_string(&path).unwrap());
        assert_eq!(read(&site::write(&portfolio)), portfolio, "{}", path.display());
    }
}

// K1, K10
#[test]
fn the_worked_example_has_206_keys_and_a_unit_that_is_let_leaves_the_employees() {
    let text = fs::read_to_string(scenarios().join("1800-main-st.toml")).unwrap();
    let portfolio = Site::parse("1800-main-st.toml", &text).unwrap().portfolio(PortfolioId(1));
    let property = portfolio.property_by_name("1800 Main St").unwrap();
    assert_eq!(property.keys.len(), 206);
    assert!(property.deliveries.is_some());
    // Sasha has All Access, Casey has Business hours and Tour.
    let checks = |expect: &str| {
        ["sasha", "casey"]
            .map(|person| {
                format!(
                    r#"{{"property":"1800 Main St","door":"Unit 206A","person":"{person}@harbor.example","at":"2026-11-23T12:00:00-05:00","expect":"{expect}"}}"#
                )
            })
            .join("\n")
    };
    let vacant = "  name = \"Unit 206A\"\n  kind = \"unit\"\n";
    assert!(text.contains(vacant));
    assert_eq!(run(&text, &checks("granted")).0, evaluate::EXIT_DONE);
    let let_out = text.replace(vacant, &format!("{vacant}  occupied = true\n"));
    assert_eq!(run(&let_out, &checks("no_key")).0, evaluate::EXIT_DONE);
}
