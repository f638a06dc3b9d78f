use super::*;

fn examination() -> Examination {
    let line = ["bpf2iam", "doctor", "--metadata-addr=off"].map(Into::into);
    let args = crate::args::Args::of(line).unwrap();
    let crate::args::Command::Doctor(args) = args.command else {
        unreachable!("that was typed");
    };
    let machine = crate::config::Machine::observe();
    Examination {
        settings: Settings::new(args, &machine).unwrap(),
        findings: Vec::new(),
    }
}

#[tokio::test]
async fn a_check_that_breaks_stops_no_other() {
    let mut examination = examination();
    let fine = |facts: &u8| vec![Finding::ok(Check::Btf, format!("{facts}"))];
    let gather = || -> u8 { panic!("as it is meant to") };
    assert_eq!(examination.check(Check::Kernel, gather, fine).await, None);
    let judge = |_facts: &u8| -> Vec<Finding> { panic!("as it is meant to") };
    assert_eq!(examination.check(Check::Sts, || 7, judge).await, None);
    assert_eq!(examination.check(Check::Btf, || 7, fine).await, Some(7));
    let found = examination.findings.iter();
    let found: Vec<_> = found.map(|one| (one.check, one.verdict)).collect();
    let expected = [
        (Check::Kernel, Verdict::Warning),
        (Check::Sts, Verdict::Warning),
        (Check::Btf, Verdict::Ok),
    ];
    assert_eq!(found, expected);
}
