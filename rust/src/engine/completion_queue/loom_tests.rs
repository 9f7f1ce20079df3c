use super::*;
use loom::sync::Arc;

#[test]
fn wait_ends_and_collect_takes_each_completion_once() {
    loom::model(|| {
        let queue = Arc::new(CompletionQueue::default());
        let threads: Vec<_> = (0..2)
            .map(|tag| {
                queue.begin().unwrap();
                let queue = queue.clone();
                loom::thread::spawn(move || queue.complete([tag, 0, 0, 0]))
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            assert!(queue.wait(1, Duration::MAX).unwrap() > 0);
            let mut out = [[9; 4]; 2];
            let count = queue.collect(&mut out);
            seen.extend(out[..count].iter().map(|completion| completion[0]));
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn wait_ends_when_the_completion_is_taken_or_the_queue_closed() {
    for close in [false, true] {
        loom::model(move || {
            let queue = Arc::new(CompletionQueue::default());
            queue.begin().unwrap();
            let waiter = {
                let queue = queue.clone();
                loom::thread::spawn(move || queue.wait(1, Duration::MAX))
            };
            let worker = {
                let queue = queue.clone();
                loom::thread::spawn(move || queue.complete([0; 4]))
            };
            if close {
                queue.close();
            } else {
                queue.collect(&mut [[0; 4]; 1]);
            }
            waiter.join().unwrap().ok();
            worker.join().unwrap();
        });
    }
}
