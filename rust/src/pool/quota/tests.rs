use super::*;

#[test]
fn try_take_takes_up_to_the_limit() {
    let quota = Quota::new(10);
    assert!(quota.try_take(4) && quota.try_take(6));
    assert!(!quota.try_take(1));
    assert!(quota.try_take(0));
    quota.give(6);
    assert!(!quota.try_take(7) && !quota.try_take(u64::MAX));
    assert_eq!((quota.used(), quota.room(), quota.peak()), (4, 6, 10));
}
