use super::*;
use loom::sync::Arc;

/// With two submitters, and threads started as the queue asks, every job is taken in any
/// interleaving.
#[test]
fn push_and_next_leave_no_job() {
    loom::model(|| {
        let queue = Arc::new(JobQueue::new(1));
        let submit = |queue: &Arc<JobQueue<u32>>, job| {
            let start = queue.push(job);
            start.then(|| {
                let queue = queue.clone();
                // The single thread takes both jobs, and would then wait for ever, so it takes just
                // two.
                loom::thread::spawn(move || {
                    queue.next(Duration::MAX).unwrap() + queue.next(Duration::MAX).unwrap()
                })
            })
        };
        let other = {
            let queue = queue.clone();
            loom::thread::spawn(move || submit(&queue, 2))
        };
        let mine = submit(&queue, 1);
        let taker = match (mine, other.join().unwrap()) {
            (Some(taker), None) | (None, Some(taker)) => taker,
            _ => panic!("one thread for a limit of one"),
        };
        assert_eq!(taker.join().unwrap(), 3);
    });
}
