use super::*;

#[test]
fn push_asks_for_a_thread_while_no_other_is_idle_below_the_limit() {
    let queue = JobQueue::new(2);
    assert!(queue.push(1));
    assert!(queue.push(2));
    assert!(!queue.push(3));
    for job in 1..=3 {
        assert_eq!(queue.next(Duration::ZERO), Some(job));
    }
    assert_eq!(queue.next(Duration::ZERO), None);
    assert!(queue.push(4), "one of the two ended");
    assert!(!queue.push(5));
}

#[test]
fn not_started_returns_the_jobs_without_another_thread() {
    let queue = JobQueue::new(2);
    assert!(queue.push(1));
    assert!(queue.push(2));
    assert_eq!(queue.not_started(), [], "the other one will take them");
    assert_eq!(queue.not_started(), [1, 2]);
    assert!(queue.push(3));
    assert_eq!(queue.next(Duration::ZERO), Some(3));
}

#[test]
fn push_wakes_an_idle_thread() {
    let queue = std::sync::Arc::new(JobQueue::new(8));
    assert!(queue.push(1));
    let taker = {
        let queue = queue.clone();
        std::thread::spawn(move || [(); 2].map(|()| queue.next(Duration::MAX)))
    };
    while lock(&queue.state).idle == 0 || !lock(&queue.state).jobs.is_empty() {
        std::thread::yield_now();
    }
    assert!(!queue.push(2));
    assert_eq!(taker.join().unwrap(), [Some(1), Some(2)]);
}

#[test]
fn push_counts_an_idle_thread_for_one_job() {
    let queue = JobQueue::new(2);
    // A thread that was woken for a job and has not run since.
    let mut state = lock(&queue.state);
    (state.threads, state.idle) = (1, 1);
    drop(state);
    assert!(!queue.push(1));
    assert!(queue.push(2));
}
