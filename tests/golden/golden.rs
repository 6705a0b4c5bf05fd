//! Golden files: the bytes of each format as a release writes them, kept as text that a person can read and compare.
//!
//! A file is pieces: a line `# what it is`, then its bytes in hex; `00 * 80` is a byte eighty times. Its name ends with
//! the version of its format. `KEYWARD_GOLDEN=write` writes the files anew. A file whose format has been raised since
//! stays as it is, and stays read by a test: data of that age exists.

use std::{env, fmt::Write as _, fs, path::PathBuf};

/// Holds what the writers make of a fixed script against the file `name`, piece by piece, and gives back the pieces as
/// the file has them, for readers to be tried on.
pub fn check(name: &str, about: &str, made: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    if env::var_os("KEYWARD_GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(path(name), render(about, made)).expect("the folder of golden files can be written");
    }
    let kept = read(name);
    let titles = |all: &[(String, Vec<u8>)]| all.iter().map(|(what, _)| what.clone()).collect::<Vec<_>>();
    let made: Vec<(String, Vec<u8>)> = made.iter().map(|(what, bytes)| ((*what).to_owned(), bytes.clone())).collect();
    assert_eq!(titles(&made), titles(&kept), "`{name}` has other pieces; see tests/golden/golden.rs");
    for ((what, made), (_, kept)) in made.iter().zip(&kept) {
        let at = made.iter().zip(kept).take_while(|(made, kept)| made == kept).count();
        assert!(
            made == kept,
            "`tests/golden/{name}`: {what} is written differently from its byte {at} on ({} bytes, {} in the file).\n\
             Data and peers with the old bytes exist and must go on being understood. If this change is meant: raise \
             the format's version, keep this file with a test that reads it, and write one for the new version with \
             KEYWARD_GOLDEN=write. (Before the first release nobody has such data: then writing it anew is enough.)",
            made.len(),
            kept.len(),
        );
    }
    kept.into_iter().map(|(_, bytes)| bytes).collect()
}

/// The pieces of a file with what each is.
pub fn read(name: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(path(name));
    let text = text.unwrap_or_else(|error| format!("## `{name}` can't be read ({error})"));
    let mut pieces: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("##")) {
        if let Some(what) = line.strip_prefix("# ") {
            pieces.push((what.to_owned(), Vec::new()));
            continue;
        }
        let (_, bytes) = pieces.last_mut().expect("bytes stand below a line that says what they are");
        let byte = |hex: &str| u8::from_str_radix(hex, 16).expect("bytes are written in hex");
        match line.split_once(" * ") {
            Some((hex, times)) => {
                let times: usize = times.parse().expect("a number of times follows the star");
                bytes.resize(bytes.len() + times, byte(hex));
            }
            None => bytes.extend(line.split_whitespace().map(byte)),
        }
    }
    pieces
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tests", "golden", name].iter().collect()
}

fn render(about: &str, pieces: &[(&str, Vec<u8>)]) -> String {
    let mut text = format!("## {about}\n");
    for (what, bytes) in pieces {
        writeln!(text, "\n# {what}").expect("text can always be added to a string");
        let mut line = Vec::new();
        for run in bytes.chunk_by(|one, next| one == next) {
            if run.len() < 32 {
                run.iter().for_each(|byte| push(&mut text, &mut line, *byte));
                continue;
            }
            end(&mut text, &mut line);
            let byte = run.first().copied().unwrap_or_default();
            writeln!(text, "{byte:02x} * {}", run.len()).expect("text can always be added to a string");
        }
        end(&mut text, &mut line);
    }
    text
}

fn push(text: &mut String, line: &mut Vec<String>, byte: u8) {
    line.push(format!("{byte:02x}"));
    if line.len() == 32 {
        end(text, line);
    }
}

fn end(text: &mut String, line: &mut Vec<String>) {
    if !line.is_empty() {
        text.push_str(&line.join(" "));
        text.push('\n');
        line.clear();
    }
}
