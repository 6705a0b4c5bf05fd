//! `keyward`, built beside the tests that run it.
//!
//! The client must give the terminal back when it panics, and nothing is known that makes it. So with
//! `KEYWARD_UNDER_TEST_PANIC` set this binary, and no other, shows the client with the user's settings and without a
//! server, and lets it fall once it is drawn: `here` on the thread that holds the terminal, `elsewhere` on another, over which the screen goes on.

#![expect(clippy::panic, reason = "falling is what it is for")]

use std::{env, process::ExitCode, sync::Once, thread};

use keyward::{
    app::{App, Shell},
    config::Config,
    servers::Places,
    terminal::{self, ScreenOptions, glyphs_from_env, theme_from_env},
};

const HERE: &str = "a test lets the screen fall";
const ELSEWHERE: &str = "a test lets another thread fall";

fn main() -> ExitCode {
    let fall: fn(&App) = match env::var("KEYWARD_UNDER_TEST_PANIC").as_deref() {
        Ok("here") => |_| std::panic::panic_any(HERE),
        Ok("elsewhere") => |_| {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| _ = thread::spawn(|| std::panic::panic_any(ELSEWHERE)).join());
        },
        _ => return keyward::cli::run(),
    };
    match show(fall) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyward: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(fall: fn(&App)) -> Result<(), String> {
    let mut shell = Shell::new("no server", theme_from_env(), glyphs_from_env());
    Config::read(&Places::of_user()?.config)?.apply(&mut shell);
    let options = ScreenOptions { drawn: Some(fall), ..ScreenOptions::default() };
    terminal::show(App::welcome(shell), None, options).map_err(|error| error.to_string())
}
