use super::*;

fn uid(pod: u8) -> PodUid {
    format!("00000000-0000-0000-0000-0000000000{pod:02x}")
        .parse()
        .unwrap()
}

fn notice(pod: u8, note: &str) -> Notice {
    Notice {
        pod: format!("shop/cart-{pod}").parse().unwrap(),
        uid: uid(pod),
        reason: Reason::RoleForbidden,
        note: note.into(),
        times: 1,
    }
}

/// What is told, as `NOTE xTIMES`, at the minutes at which something is present.
fn told(script: &[(u64, &[(u8, &str)])]) -> Vec<Vec<String>> {
    let (start, mut told) = (Instant::now(), Told::default());
    let alive = [uid(1), uid(2)].into();
    let step = |(minute, present): &(u64, &[(u8, &str)])| {
        let present = present
            .iter()
            .map(|(pod, note)| notice(*pod, note))
            .collect();
        let now = start + Duration::from_mins(*minute);
        let due = told.due(present, &alive, now);
        due.iter()
            .map(|Due { notice, .. }| format!("{} x{}", notice.note, notice.times))
            .collect()
    };
    script.iter().map(step).collect()
}

#[test]
fn what_appears_or_changes_is_told_at_once_and_what_lasts_every_ten_minutes() {
    for (script, expected) in [
        (
            &[
                (0, &[(1, "a")][..]),
                (1, &[(1, "a")]),
                (9, &[(1, "a")]),
                (10, &[(1, "a")]),
            ][..],
            &[&["a x1"][..], &[], &[], &["a x2"]][..],
        ),
        (
            &[
                (0, &[(1, "a")]),
                (10, &[(1, "a")]),
                (19, &[(1, "a")]),
                (20, &[(1, "a")]),
            ],
            &[&["a x1"], &["a x2"], &[], &["a x3"]],
        ),
        (
            &[(0, &[(1, "a")]), (1, &[(1, "b")]), (2, &[(1, "b")])],
            &[&["a x1"], &["b x1"], &[]],
        ),
        (
            &[(0, &[(1, "a"), (1, "b"), (2, "a")]), (1, &[(1, "b")])],
            &[&["a x1", "b x1", "a x1"], &[]],
        ),
        (
            &[(0, &[]), (1, &[(1, "a")]), (2, &[])],
            &[&[], &["a x1"], &[]],
        ),
    ] {
        assert_eq!(told(script), expected, "{script:?}");
    }
}

#[test]
fn what_comes_and_goes_is_not_told_each_time() {
    let script: &[(u64, &[(u8, &str)])] = &[
        (0, &[(1, "a")]),
        (1, &[]),
        (2, &[(1, "a")]),
        (3, &[(1, "b")]),
        (4, &[(1, "a")]),
        (5, &[]),
        (30, &[]),
        (31, &[(1, "a")]),
    ];
    let expected: &[&[&str]] = &[&["a x1"], &[], &[], &["b x1"], &[], &[], &[], &["a x1"]];
    assert_eq!(told(script), expected);
}

#[test]
fn nothing_is_remembered_of_pods_that_are_gone() {
    let (now, mut told) = (Instant::now(), Told::default());
    let both = [uid(1), uid(2)].into();
    told.due(vec![notice(1, "a"), notice(2, "a")], &both, now);
    assert_eq!(told.0.len(), 2);
    told.due(Vec::new(), &[uid(2)].into(), now);
    assert_eq!(told.0.len(), 1);
    told.due(Vec::new(), &both, now + AGAIN);
    assert!(told.0.is_empty());
}

#[test]
fn what_nobody_heard_is_told_again_soon_and_does_not_count() {
    let (start, mut told) = (Instant::now(), Told::default());
    let alive = [uid(1)].into();
    let mut got = Vec::new();
    for minute in 0..60 {
        let now = start + Duration::from_mins(minute);
        for Due { notice, occasion } in told.due(vec![notice(1, "a")], &alive, now) {
            // It is heard in the minutes from 20 to 40 only.
            if !(20..40).contains(&minute) {
                told.unheard(&notice, now);
            }
            got.push((minute, notice.times, occasion == Occasion::New));
        }
    }
    let expected = [
        (0, 1, true),
        (1, 1, false),
        (3, 1, false),
        (7, 1, false),
        (15, 1, false),
        (23, 1, false),
        (33, 2, false),
        (43, 3, false),
        (44, 3, false),
        (46, 3, false),
        (50, 3, false),
        (58, 3, false),
    ];
    assert_eq!(got, expected);
}

/// Notices of one pod, each with another note.
fn many(numbers: std::ops::Range<usize>) -> Vec<Notice> {
    numbers
        .map(|number| notice(1, &number.to_string()))
        .collect()
}

#[test]
fn what_is_remembered_has_a_bound_and_the_oldest_of_what_is_gone_goes_first() {
    let (start, mut told) = (Instant::now(), Told::default());
    let alive = [uid(1), uid(2)].into();
    let at = |second| start + Duration::from_secs(second);
    told.due(vec![notice(2, "lasts")], &alive, at(0));
    for second in 1..100 {
        let number = usize::try_from(second).unwrap() * 100;
        let mut present = many(number..number + 100);
        present.push(notice(2, "lasts"));
        let due = told.due(present, &alive, at(second));
        assert_eq!(due.len(), 100, "what lasts is not told again");
        assert!(told.0.len() <= MOST);
    }
    // Of what came and went, the last is known still, and the first is not.
    assert_eq!(told.due(many(9700..9701), &alive, at(100)).len(), 0);
    assert_eq!(told.due(many(100..101), &alive, at(101)).len(), 1);
}

#[test]
fn more_than_can_be_remembered_is_not_told_over_and_over() {
    let (now, mut told) = (Instant::now(), Told::default());
    let alive = [uid(1)].into();
    assert_eq!(told.due(many(0..5000), &alive, now).len(), MOST);
    assert_eq!(told.due(many(0..5000), &alive, now).len(), 0);
    assert_eq!(told.due(many(4000..5000), &alive, now).len(), 904);
}
