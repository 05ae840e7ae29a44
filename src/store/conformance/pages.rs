//! How events are read: three directions, limits, types, and whether there is more.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::Seq,
    store::{Page, PageFrom, PageQuery},
};

on_every_backend![
    a_page_after_a_seq_goes_forward_to_the_head,
    a_page_before_a_seq_is_the_last_before_it_in_ascending_order,
    the_newest_page_ends_at_the_head,
    a_page_ends_early_at_its_bytes_and_has_at_least_one_event,
    a_page_of_some_types_has_no_other,
    every_page_read_is_counted,
    pages_joined_in_either_direction_are_the_whole_log,
];

/// A session of ten events: the odd ones are `session.titled`, but for the first.
async fn ten(subject: &Subject) {
    sample::make(&**subject, 1).await;
    for n in 2..=10 {
        let text = n.to_string();
        let event = if n % 2 == 0 { sample::output(text) } else { sample::titled(&text) };
        sample::add(&**subject, 1, vec![event]).await;
    }
    // A neighbour on either side, whose events must never show up.
    for number in [0, 2] {
        sample::make(&**subject, number).await;
    }
}

async fn read(subject: &Subject, from: PageFrom, limit: usize) -> Page {
    subject.page(sample::query(1, from, limit)).await.unwrap()
}

async fn check(subject: &Subject, from: PageFrom, limit: usize, expected: &[u64], has_more: bool) {
    let page = read(subject, from, limit).await;
    assert_eq!(sample::seqs(&page), expected, "{from:?} {limit}");
    assert_eq!(page.has_more, has_more, "{from:?} {limit}");
    assert_eq!((page.first, page.head), (Seq(1), Seq(10)));
}

async fn a_page_after_a_seq_goes_forward_to_the_head(subject: Subject) {
    ten(&subject).await;
    check(&subject, PageFrom::After(Seq(0)), 3, &[1, 2, 3], true).await;
    check(&subject, PageFrom::After(Seq(7)), 3, &[8, 9, 10], false).await;
    check(&subject, PageFrom::After(Seq(6)), 3, &[7, 8, 9], true).await;
    check(&subject, PageFrom::After(Seq(10)), 3, &[], false).await;
    check(&subject, PageFrom::After(Seq(5_000_000_000)), 3, &[], false).await;
    check(&subject, PageFrom::After(Seq(u64::MAX)), 3, &[], false).await;
    check(&subject, PageFrom::After(Seq(3)), 0, &[], true).await;
}

async fn a_page_before_a_seq_is_the_last_before_it_in_ascending_order(subject: Subject) {
    ten(&subject).await;
    check(&subject, PageFrom::Before(Seq(6)), 3, &[3, 4, 5], true).await;
    check(&subject, PageFrom::Before(Seq(4)), 3, &[1, 2, 3], false).await;
    check(&subject, PageFrom::Before(Seq(1)), 3, &[], false).await;
    check(&subject, PageFrom::Before(Seq(0)), 3, &[], false).await;
    check(&subject, PageFrom::Before(Seq(11)), 2, &[9, 10], true).await;
    check(&subject, PageFrom::Before(Seq(u64::MAX)), 2, &[9, 10], true).await;
}

async fn the_newest_page_ends_at_the_head(subject: Subject) {
    ten(&subject).await;
    check(&subject, PageFrom::Newest, 2, &[9, 10], true).await;
    check(&subject, PageFrom::Newest, 10, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false).await;
    check(&subject, PageFrom::Newest, usize::MAX, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false).await;
}

async fn a_page_ends_early_at_its_bytes_and_has_at_least_one_event(subject: Subject) {
    ten(&subject).await;
    let lines = sample::all(&*subject, 1).await.lines;
    let size = |from: usize, to: usize| -> usize {
        lines[from - 1..to].iter().map(|line| line.bytes.len()).sum()
    };
    for (from, max_bytes, expected) in [
        (PageFrom::After(Seq(3)), size(4, 5), vec![4, 5]),
        (PageFrom::After(Seq(3)), size(4, 5) - 1, vec![4]),
        (PageFrom::After(Seq(3)), 0, vec![4]),
        (PageFrom::Before(Seq(8)), size(6, 7), vec![6, 7]),
        (PageFrom::Before(Seq(8)), 1, vec![7]),
        (PageFrom::Newest, size(9, 10), vec![9, 10]),
    ] {
        let page =
            subject.page(PageQuery { max_bytes, ..sample::query(1, from, 100) }).await.unwrap();
        assert_eq!(sample::seqs(&page), expected, "{from:?} {max_bytes}");
        assert!(page.has_more, "{from:?} {max_bytes}");
    }
}

async fn a_page_of_some_types_has_no_other(subject: Subject) {
    ten(&subject).await;
    for (types, from, limit, expected, has_more) in [
        (vec!["session.titled"], PageFrom::After(Seq(0)), 2, vec![3, 5], true),
        (vec!["session.titled"], PageFrom::After(Seq(5)), 2, vec![7, 9], false),
        (vec!["session.titled"], PageFrom::Newest, 1, vec![9], true),
        (vec!["session.state", "session.titled"], PageFrom::Before(Seq(4)), 5, vec![1, 3], false),
        (vec!["agent.plan"], PageFrom::Newest, 5, vec![], false),
        (vec!["\"';--"], PageFrom::Newest, 5, vec![], false),
    ] {
        let types: Vec<_> = types.into_iter().map(String::from).collect();
        let page = subject
            .page(PageQuery { types: types.clone(), ..sample::query(1, from, limit) })
            .await
            .unwrap();
        assert_eq!(sample::seqs(&page), expected, "{types:?} {from:?}");
        assert_eq!(page.has_more, has_more, "{types:?} {from:?}");
        assert_eq!(page.head, Seq(10), "the head is that of the log, whatever the types");
    }
}

async fn every_page_read_is_counted(subject: Subject) {
    sample::make(&*subject, 1).await;
    subject.session(sample::id(1)).await.unwrap();
    assert_eq!(subject.pages_read(), 0);
    for n in 1..=3 {
        read(&subject, PageFrom::Newest, 1).await;
        assert_eq!(subject.pages_read(), n);
    }
}

async fn pages_joined_in_either_direction_are_the_whole_log(subject: Subject) {
    ten(&subject).await;
    let whole = sample::all(&*subject, 1).await.lines;
    for limit in [1, 3, 4] {
        let (mut forward, mut cursor) = (Vec::new(), Seq(0));
        loop {
            let page = read(&subject, PageFrom::After(cursor), limit).await;
            cursor = page.lines.last().unwrap().seq;
            forward.extend(page.lines);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(forward, whole);

        let (mut backward, mut from) = (Vec::new(), PageFrom::Newest);
        loop {
            let page = read(&subject, from, limit).await;
            from = PageFrom::Before(page.lines[0].seq);
            backward.splice(0..0, page.lines);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(backward, whole);
    }
}
