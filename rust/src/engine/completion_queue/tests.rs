use super::*;
use std::sync::Arc;

#[test]
fn collect_takes_the_oldest_that_fit() {
    let queue = CompletionQueue::default();
    for tag in 0..5 {
        queue.begin().unwrap();
        queue.complete([tag, 0, 0, 0]);
    }
    assert_eq!(queue.wait(1, Duration::MAX), Ok(5));
    let mut out = [[9; 4]; 3];
    assert_eq!(queue.collect(&mut []), 0);
    assert_eq!(queue.collect(&mut out), 3);
    assert_eq!(out.map(|completion| completion[0]), [0, 1, 2]);
    assert_eq!(queue.collect(&mut out), 2);
    assert_eq!(out.map(|completion| completion[0]), [3, 4, 2]);
    assert_eq!(queue.collect(&mut out), 0);
}

#[test]
fn wait_returns_at_once_without_pending_operations() {
    let queue = CompletionQueue::default();
    assert_eq!(queue.wait(1, Duration::MAX), Ok(0));
    assert_eq!(queue.wait(usize::MAX, Duration::MAX), Ok(0));
    queue.begin().unwrap();
    assert_eq!(queue.wait(1, Duration::from_millis(1)), Ok(0));
    queue.complete([0; 4]);
    assert_eq!(queue.collect(&mut [[0; 4]]), 1);
    assert_eq!(queue.wait(1, Duration::MAX), Ok(0));
}

#[test]
fn begin_is_refused_at_the_maximum_until_completions_are_collected() {
    let queue = CompletionQueue::default();
    for _ in 0..MAX_OPERATIONS {
        queue.begin().unwrap();
    }
    assert_eq!(queue.begin(), Err(TABLE_FULL));
    queue.complete([0; 4]);
    assert_eq!(queue.begin(), Err(TABLE_FULL));
    assert_eq!(queue.collect(&mut [[0; 4]; 2]), 1);
    assert_eq!(queue.begin(), Ok(()));
}

#[test]
fn close_ends_waits_and_drops_completions() {
    let queue = Arc::new(CompletionQueue::default());
    queue.begin().unwrap();
    queue.begin().unwrap();
    queue.complete([0; 4]);
    let waiter = {
        let queue = queue.clone();
        std::thread::spawn(move || queue.wait(usize::MAX, Duration::MAX))
    };
    queue.close();
    assert_eq!(waiter.join().unwrap(), Err(NO_SUCH_HANDLE));
    queue.complete([1; 4]);
    assert_eq!(queue.collect(&mut [[0; 4]; 2]), 0);
    assert_eq!(queue.begin(), Err(NO_SUCH_HANDLE));
}

#[test]
fn wait_ends_when_another_thread_collects_the_last_completion() {
    let queue = Arc::new(CompletionQueue::default());
    for round in 0..200 {
        queue.begin().unwrap();
        let waiter = {
            let queue = queue.clone();
            std::thread::spawn(move || queue.wait(1, Duration::MAX).unwrap())
        };
        queue.complete([round; 4]);
        assert_eq!(queue.collect(&mut [[0; 4]; 1]), 1);
        assert!(waiter.join().unwrap() <= 1);
    }
}
