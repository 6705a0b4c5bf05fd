//! Rotating the root: everything is there afterwards but what was deleted, and the old root is gone.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;
use crate::{
    disk::{CutShort, Disk},
    engine::rotation,
    vault::RevealError,
};

const NOW: &str = "2026-11-23T11:00:00-05:00";

fn copied(layout: &Layout, to: &Path) -> Layout {
    let copy = Layout::new(&to.join("data"));
    for (from, to) in [(layout.data(), copy.data()), (layout.secrets(), copy.secrets())] {
        copy_all(from, to);
    }
    copy
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy_all(&entry.path(), &to) } else { _ = fs::copy(entry.path(), to).unwrap() }
    }
}

/// The digits of every live code, by whose they are.
fn all_codes(server: &Server) -> Vec<(PortfolioId, CodeId, Vec<u8>)> {
    let directory = server.engine.directory();
    let codes = directory.portfolios.values().flat_map(|of| {
        of.properties.values().flat_map(move |property| property.codes.keys().map(move |code| (of.id, *code)))
    });
    codes.map(|(of, code)| (of, code, server.engine.reveal(of, code).unwrap().expose().to_vec())).collect()
}

// C3 C6 C8
#[test]
fn codes_stay_the_same_deleted_ones_stay_gone_and_the_old_root_is_destroyed() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let pine = Site::parse("site.toml", &crate::testing::SITE.replacen("Harbor", "Pine", 1)).unwrap();
    let pine = server.engine.make_portfolio(pine).unwrap();
    let old = RootSecret::read(&layout.root()).unwrap();
    let (deleted, shown) = server.code(TRACY, 1).unwrap();
    server.run(Command::Revoke { key: KeyId(1), person: server.person(TRACY) });
    server.run(Command::Give {
        key: KeyId(1),
        person: server.person(TRACY),
        may_share: None,
        period: Period::default(),
    });
    let before = all_codes(&server);
    let copies = [PORTFOLIO, pine].map(|id| fs::read(layout.vault(id)).unwrap());
    let rotated = server.engine.rotate().unwrap();
    assert_eq!((rotated.vaults, rotated.codes), (2, before.len() as u64));
    let new = RootSecret::read(&layout.root()).unwrap();
    assert!(!new.is(&old) && !layout.old_root().exists() && !layout.next_root().exists());
    assert_eq!(all_codes(&server), before);
    // Whoever tries the deleted one is known by it still (C6), and it can't be drawn again.
    assert_eq!(server.reason(1, &shown), Err(Reason::DeletedCode));
    // Changes go on, on the new file.
    server.run(Command::Give {
        key: KeyId(2),
        person: server.person("ana@harbor.example"),
        may_share: None,
        period: Period::default(),
    });
    let after = all_codes(&server);
    server.stop();

    // Copies from before are read with the old root alone; the new files with the new one alone.
    for (id, copy) in [PORTFOLIO, pine].into_iter().zip(copies) {
        let path = layout.data().join("copy");
        fs::write(&path, copy).unwrap();
        assert!(matches!(Vault::open(&path, &new, id), Err(VaultError::WrongRoot)));
        assert!(Vault::open(&path, &old, id).is_ok());
        assert!(matches!(Vault::open(&layout.vault(id), &old, id), Err(VaultError::WrongRoot)));
        fs::remove_file(&path).unwrap();
    }
    let vault = Vault::open(&layout.vault(PORTFOLIO), &new, PORTFOLIO).unwrap();
    assert!(matches!(vault.reveal(deleted), Err(RevealError::Destroyed(_))));
    drop(vault);
    let server = Server::open(&layout, at(NOW));
    assert!(server.report.lost.is_empty() && server.report.warnings.is_empty(), "{:?}", server.report);
    assert_eq!(all_codes(&server), after);
    assert_eq!(server.reason(1, &shown), Err(Reason::DeletedCode));
    server.stop();
    assert!(verify(&layout).unwrap().iter().all(|finding| finding.severity == Severity::Whole));
}

// C8
#[test]
fn a_root_that_is_old_enough_is_replaced_by_itself() {
    const DAY: i64 = 24 * 3_600 * 1_000_000;
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let made = fs::metadata(layout.root()).unwrap().modified().unwrap();
    let made = made.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    let root = || RootSecret::read(&layout.root()).unwrap();
    let first = root();
    server.now.store(made, Ordering::SeqCst);
    server.engine.rotate_every(7);
    let codes = all_codes(&server);
    // Whatever is answered comes after what was due before it was asked.
    let on_day = |day: i64| {
        server.now.store(made + day * DAY, Ordering::SeqCst);
        server.run(Command::SetHolidays(PropertyId(1), Vec::new()));
        root()
    };
    assert!(on_day(6).is(&first));
    let second = on_day(7);
    assert!(!second.is(&first) && on_day(8).is(&second) && on_day(13).is(&second));
    assert!(!on_day(14).is(&second));
    assert_eq!(all_codes(&server), codes);
    server.stop();
}

/// What a crash may leave of a rotation, by the operation that was the last; the crash matrix goes through them too.
#[test]
fn half_a_rotation_is_told_by_verify_and_check_config_and_put_right_by_a_start_or_a_repair() {
    let (dir, layout) = layout();
    let server = Server::create(&layout);
    let codes = all_codes(&server);
    server.stop();
    let old = RootSecret::read(&layout.root()).unwrap();
    let mut seen = [0, 0];
    for operation in 0.. {
        let room = dir.path().join(operation.to_string());
        let copy = copied(&layout, &room);
        let stop = crate::disk::fault::StopAt::new(operation, Fate::Fail);
        let disk = Disk::witnessed(Arc::clone(&stop) as Arc<dyn crate::disk::Witness>);
        let root = RootSecret::generate().unwrap();
        let mut vault = Vault::open_on_disk(&disk, &copy.vault(PORTFOLIO), &old, PORTFOLIO).unwrap();
        let rotate = || -> Result<(), Box<dyn std::error::Error>> {
            root.write_on(&disk, &copy.next_root())?;
            let rewritten = vault.rewrite(&root)?;
            rotation::switch(&disk, &copy)?;
            vault.adopt(rewritten)?;
            Ok(RootSecret::destroy_on(&disk, &copy.old_root())?)
        };
        let done = { rotate }().is_ok();
        drop(vault);
        let found = rotation::found(&copy).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let told = crate::check_config::check(&copy, listen, crate::access_log::Mode::Strict);
        assert!(told.iter().all(|checked| checked.standing != crate::check_config::Standing::Wrong), "{operation}");
        let told =
            told.iter().filter(|checked| checked.part == "secrets" && checked.what.contains("cut short")).count();
        let findings = verify(&copy).unwrap();
        assert!(findings.iter().all(|finding| finding.severity != Severity::Damaged), "{operation}: {findings:#?}");
        let noted = findings.iter().filter(|finding| finding.part == "root").count();
        assert_eq!((told, noted), (usize::from(found.cut_short.is_some()), told), "{operation}");
        assert!(Repair::plan(&copy, None).unwrap().is_empty(), "{operation}");
        match found.cut_short {
            Some(CutShort::Undone) => seen[0] += 1,
            Some(CutShort::Finished) => seen[1] += 1,
            None => {}
        }
        // A repair that has something to do puts it right too.
        if operation % 2 == 1 {
            fs::remove_file(copy.anchor()).unwrap();
            Repair::plan(&copy, None).unwrap().carry_out(at(NOW)).unwrap();
            assert!(!copy.next_root().exists() && !copy.old_root().exists(), "{operation}");
        }
        let server = Server::open(&copy, at(NOW));
        assert!(server.report.lost.is_empty(), "{operation}: {:?}", server.report);
        assert_eq!(all_codes(&server), codes, "{operation}");
        server.stop();
        let root_is = RootSecret::read(&copy.root()).unwrap();
        assert_eq!(root_is.is(&old), found.root.is(&old), "{operation}");
        assert!(!copy.next_root().exists() && !copy.old_root().exists() && !copy.next_vault(PORTFOLIO).exists());
        if done {
            break;
        }
    }
    assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
}

// C3
#[test]
fn the_old_root_stays_as_long_as_a_vault_is_not_under_the_new_one() {
    let (dir, layout) = layout();
    let server = Server::create(&layout);
    let pine = Site::parse("site.toml", &crate::testing::SITE.replacen("Harbor", "Pine", 1)).unwrap();
    let pine = server.engine.make_portfolio(pine).unwrap();
    let codes = all_codes(&server);
    server.stop();
    // Stopped when both roots were renamed and no vault was; and then one vault's new file is missing.
    let (old, new, disk) = (RootSecret::read(&layout.root()).unwrap(), RootSecret::generate().unwrap(), Disk::new());
    new.write_on(&disk, &layout.next_root()).unwrap();
    for id in [PORTFOLIO, pine] {
        drop(Vault::open(&layout.vault(id), &old, id).unwrap().rewrite(&new).unwrap());
    }
    rotation::switch(&disk, &layout).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(layout.next_vault(pine), &elsewhere).unwrap();
    let refused = Books::open(&layout).err().unwrap();
    assert!(matches!(refused, StartError::Vault(VaultError::WrongRoot)), "{refused}");
    assert!(RootSecret::read(&layout.old_root()).unwrap().is(&old), "what it sealed is needed still");
    fs::rename(&elsewhere, layout.next_vault(pine)).unwrap();
    let server = Server::open(&layout, at(NOW));
    assert_eq!(all_codes(&server), codes);
    assert!(!layout.old_root().exists() && RootSecret::read(&layout.root()).unwrap().is(&new));
    server.stop();
}

// A full disk, or a vault that can't be read, refuses a rotation and leaves everything as it was.
#[test]
fn a_rotation_that_has_no_room_is_refused_and_changes_nothing() {
    let (_dir, layout) = layout();
    Server::create(&layout).stop();
    for operation in 0..12 {
        let (mut books, _) = Books::open(&layout).unwrap();
        let stop = crate::disk::fault::StopAt::new(operation, Fate::NoRoom(3));
        let medium = Medium { disk: Disk::witnessed(stop), ..Medium::default() };
        drop(books);
        let Ok(opened) = Books::open_at(&medium, &layout) else { continue };
        (books, _) = opened;
        let old = RootSecret::read(&layout.root()).unwrap();
        match books.rotate() {
            Ok(Err(Refusal::Unavailable(why))) => {
                assert!(why.contains("disk is full") || why.contains("as it was"), "{why}")
            }
            // Past the switch, and a start finishes it.
            Err(_) => {}
            other => panic!("{operation}: {:?}", other.map(|done| done.is_ok()).map_err(|error| error.to_string())),
        }
        drop(books);
        let (books, report) = Books::open(&layout).unwrap();
        assert!(report.lost.is_empty(), "{operation}: {report:?}");
        let new = RootSecret::read(&layout.root()).unwrap();
        assert!(new.is(&old) || operation > 4, "{operation}");
        drop(books);
    }
}
