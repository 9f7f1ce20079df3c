use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::Quota;

/// Three threads take 2 of 5 each, and together they never hold more than 5.
#[test]
fn loom_quota_is_never_exceeded() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let quota = Arc::new(Quota::new(5));
        let held = Arc::new(AtomicU64::new(0));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let (quota, held) = (Arc::clone(&quota), Arc::clone(&held));
                thread::spawn(move || take_and_give(&quota, &held))
            })
            .collect();
        take_and_give(&quota, &held);
        for taker in takers {
            taker.join().unwrap();
        }
        assert_eq!(quota.used(), 0);
        assert!(quota.peak() <= 5);
    });
}

fn take_and_give(quota: &Quota, held: &AtomicU64) {
    if quota.try_take(2) {
        assert!(held.fetch_add(2, Ordering::AcqRel) + 2 <= 5);
        held.fetch_sub(2, Ordering::AcqRel);
        quota.give(2);
    }
}

/// Of two threads that take 3 of 5, exactly one succeeds while it keeps them.
#[test]
fn loom_quota_refuses_only_what_exceeds_the_limit() {
    loom::model(|| {
        let quota = Arc::new(Quota::new(5));
        let other = {
            let quota = Arc::clone(&quota);
            thread::spawn(move || quota.try_take(3))
        };
        let mine = quota.try_take(3);
        assert!(mine ^ other.join().unwrap());
        assert_eq!((quota.used(), quota.peak()), (3, 3));
    });
}
