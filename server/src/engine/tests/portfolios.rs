//! Several portfolios of one server.

use super::*;

fn site(name: &str) -> Site {
    Site::parse("site.toml", &crate::testing::SITE.replacen("Harbor", name, 1)).unwrap()
}

fn digits(server: &Server, portfolio: PortfolioId, email: &str, door: u32) -> Credential {
    let directory = server.engine.directory();
    let found = &directory.portfolios[&portfolio];
    let person = found.person_by_email(email).unwrap().id;
    let code = found.properties[&PropertyId(1)].code_of[&(person, DoorId(door))];
    Credential::Code(server.engine.reveal(portfolio, code).unwrap())
}

fn check(server: &Server, portfolio: PortfolioId, door: u32, shown: &Credential) -> Outcome {
    let (publication, tagger) = (server.engine.published().load(), server.engine.tagger(portfolio).unwrap());
    let mut out = [Verdict::DENIED];
    let question = Question { door: DoorId(door), shown: Shown::from(shown) };
    let now = Moment::from_micros(server.now.load(Ordering::SeqCst));
    let tag = |door, digits: &_| tagger.tag(door, digits).0;
    check_batch(publication.portfolio(portfolio).unwrap(), Scope::Portfolio, now, &[question], tag, &mut out);
    out[0].outcome
}

fn grants(server: &Server, portfolio: PortfolioId, shown: &Credential) -> bool {
    matches!(check(server, portfolio, 1, shown), Outcome::Decided(Decision::Granted { .. }))
}

// M9 C8
#[test]
fn a_portfolio_begins_in_a_running_server_with_codes_of_its_own_and_survives_a_restart_and_a_replay() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let carrier = server.engine.make_carrier("UPS").unwrap();
    let before = server.engine.directory().portfolios[&PORTFOLIO].clone();
    let pine = server.engine.make_portfolio(site("Pine")).unwrap();
    assert!(pine.0 >= 1 << 16, "a certificate's number says nothing of how many there are");
    let here = server.engine.directory();
    assert_eq!((&here.portfolios[&PORTFOLIO], here.portfolios[&pine].revision), (&before, 1));
    let (own, theirs) = (digits(&server, pine, TRACY, 1), digits(&server, PORTFOLIO, TRACY, 1));
    assert!(grants(&server, pine, &own) && grants(&server, PORTFOLIO, &theirs));
    if own != theirs {
        assert!(!grants(&server, pine, &theirs) && !grants(&server, PORTFOLIO, &own));
    }
    let carriers = Credential::Mobile(here.carriers[&carrier].mobile);
    assert!(grants(&server, pine, &carriers), "the carriers that are there come with it");
    // Carriers are the server's, and the renewal opens nothing with what was before.
    let renewed = server.engine.step_carrier(CarrierStep::Renew("ups".to_owned())).unwrap();
    assert_eq!((renewed.id, renewed.name.as_str()), (carrier, "UPS"));
    for id in [pine, PORTFOLIO] {
        assert!(!grants(&server, id, &carriers) && grants(&server, id, &Credential::Mobile(renewed.mobile)));
    }
    let again = server.engine.step_carrier(CarrierStep::Create("UPS ".to_owned())).unwrap_err();
    assert_eq!(again, Refusal::Taken("the name `UPS`".to_owned()));
    assert!(matches!(server.engine.step_carrier(CarrierStep::Renew("DHL".to_owned())), Err(Refusal::NotFound(_))));
    let taken = server.engine.make_portfolio(site("PINE")).unwrap_err();
    assert!(matches!(taken, Refusal::Taken(_)), "{taken}");
    let expected = Directory::clone(&server.engine.directory());
    server.stop();
    for without_snapshots in [false, true] {
        if without_snapshots {
            std::fs::remove_dir_all(layout.snapshots()).unwrap();
            std::fs::create_dir_all(layout.snapshots()).unwrap();
        }
        let server = Server::open(&layout, at("2026-11-23T11:00:00-05:00"));
        assert_eq!(*server.engine.directory(), expected);
        assert!(server.report.lost.is_empty() && server.report.warnings.is_empty(), "{:?}", server.report);
        assert!(grants(&server, pine, &own) && grants(&server, PORTFOLIO, &theirs));
        assert_eq!(digits(&server, pine, TRACY, 1), own);
        server.stop();
    }
    let findings = verify(&layout).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Whole), "{findings:#?}");
    assert_eq!(findings.iter().filter(|finding| finding.part == "vault").count(), 2);
}

#[test]
fn a_portfolio_that_begins_empty_has_its_manager_and_a_wrong_one_leaves_nothing() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    for (name, manager, email) in [("", "Ana", "a@p.example"), ("Pine", "", "a@p.example"), ("Pine", "Ana", "nobody")] {
        assert!(Site::of_manager(name, manager, email).is_err());
    }
    let pine = server.engine.make_portfolio(Site::of_manager(" Pine Living", "Ana Pine", "ana@p.example").unwrap());
    let pine = server.engine.directory().portfolios[&pine.unwrap()].clone();
    let ana = pine.person_by_email("ana@p.example").unwrap();
    assert_eq!(
        (pine.name.as_str(), ana.name.as_str(), pine.managers.contains(&ana.id)),
        ("Pine Living", "Ana Pine", true)
    );
    assert!(ana.mobile != 0 && pine.properties.is_empty());
    server.stop();
}

#[test]
fn what_a_crash_left_of_a_portfolio_goes_at_a_start_and_what_may_be_a_lost_ones_stays() {
    let (_dir, layout) = layout();
    Server::create(&layout).stop();
    let root = RootSecret::read(&layout.root()).unwrap();
    let (nobodys, other) = (PortfolioId(70_000), PortfolioId(80_000));
    let make = || drop(Vault::create(&layout.vault(nobodys), &root, vault::new_id(nobodys, [7; 12])).unwrap());
    let notes = || {
        let findings = verify(&layout).unwrap();
        assert!(findings.iter().all(|finding| finding.severity != Severity::Damaged), "{findings:#?}");
        findings.iter().filter(|finding| finding.severity == Severity::Note && finding.part == "vault").count()
    };
    make();
    std::fs::write(crate::vault::staged_path(&layout.vault(other)), "half a vault").unwrap();
    assert_eq!(notes(), 1);
    let now = at("2026-11-23T11:00:00-05:00");
    let server = Server::open(&layout, now);
    assert!(server.report.warnings.is_empty(), "{:?}", server.report.warnings);
    server.stop();
    assert!(!layout.vault(nobodys).exists() && !crate::vault::staged_path(&layout.vault(other)).exists());
    assert_eq!(notes(), 0);

    // Somebody's copy, and one beside a journal that may have lost its end: neither is removed.
    std::fs::copy(layout.vault(PORTFOLIO), layout.vault(other)).unwrap();
    make();
    std::fs::remove_file(layout.anchor()).unwrap();
    let server = Server::open(&layout, now);
    assert_eq!(server.report.warnings.len(), 3, "{:?}", server.report.warnings);
    server.stop();
    assert!(layout.vault(nobodys).exists() && layout.vault(other).exists());
    // A repair takes them out of the way as they are.
    std::fs::remove_file(layout.anchor()).unwrap();
    let aside = Repair::plan(&layout, None).unwrap().carry_out(now).unwrap();
    for id in [nobodys, other] {
        assert!(!layout.vault(id).exists() && aside.join(layout.vault(id).file_name().unwrap()).exists());
    }
    let server = Server::open(&layout, now);
    assert!(server.report.warnings.is_empty(), "{:?}", server.report.warnings);
    server.stop();
}
