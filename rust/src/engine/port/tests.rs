use super::*;
use std::sync::Arc;

#[test]
fn completions_come_in_order_and_as_many_as_fit() {
    let port = Port::default();
    for tag in 0..5 {
        port.begin().unwrap();
        port.complete([tag, 0, 0, 0]);
    }
    assert_eq!(port.wait(1, Duration::MAX), Ok(5));
    let mut out = [[9; 4]; 3];
    assert_eq!(port.collect(&mut []), 0);
    assert_eq!(port.collect(&mut out), 3);
    assert_eq!(out.map(|completion| completion[0]), [0, 1, 2]);
    assert_eq!(port.collect(&mut out), 2);
    assert_eq!(out.map(|completion| completion[0]), [3, 4, 2]);
    assert_eq!(port.collect(&mut out), 0);
}

#[test]
fn a_wait_does_not_wait_for_nothing() {
    let port = Port::default();
    assert_eq!(port.wait(1, Duration::MAX), Ok(0));
    assert_eq!(port.wait(usize::MAX, Duration::MAX), Ok(0));
    port.begin().unwrap();
    assert_eq!(port.wait(1, Duration::from_millis(1)), Ok(0));
    port.abandon();
    assert_eq!(port.wait(1, Duration::MAX), Ok(0));
}

#[test]
fn operations_are_bounded_until_they_are_collected() {
    let port = Port::default();
    for _ in 0..MAX_OPERATIONS {
        port.begin().unwrap();
    }
    assert_eq!(port.begin(), Err(TABLE_FULL));
    port.complete([0; 4]);
    assert_eq!(port.begin(), Err(TABLE_FULL));
    assert_eq!(port.collect(&mut [[0; 4]; 2]), 1);
    assert_eq!(port.begin(), Ok(()));
}

#[test]
fn closing_ends_waits_and_drops_completions() {
    let port = Arc::new(Port::default());
    port.begin().unwrap();
    port.begin().unwrap();
    port.complete([0; 4]);
    let waiter = {
        let port = port.clone();
        std::thread::spawn(move || port.wait(usize::MAX, Duration::MAX))
    };
    port.close();
    assert_eq!(waiter.join().unwrap(), Err(NO_SUCH_HANDLE));
    port.complete([1; 4]);
    assert_eq!(port.collect(&mut [[0; 4]; 2]), 0);
    assert_eq!(port.begin(), Err(NO_SUCH_HANDLE));
}

#[test]
fn a_wait_ends_when_another_collects_the_last_completion() {
    let port = Arc::new(Port::default());
    for round in 0..200 {
        port.begin().unwrap();
        let waiter = {
            let port = port.clone();
            std::thread::spawn(move || port.wait(1, Duration::MAX).unwrap())
        };
        port.complete([round; 4]);
        assert_eq!(port.collect(&mut [[0; 4]; 1]), 1);
        assert!(waiter.join().unwrap() <= 1);
    }
}
