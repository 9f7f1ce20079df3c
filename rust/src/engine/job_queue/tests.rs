use super::*;

#[test]
fn a_thread_is_asked_for_only_while_none_is_free_and_the_limit_allows() {
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
fn jobs_without_any_thread_come_back() {
    let queue = JobQueue::new(2);
    assert!(queue.push(1));
    assert!(queue.push(2));
    assert_eq!(queue.not_started(), [], "the other one will take them");
    assert_eq!(queue.not_started(), [1, 2]);
    assert!(queue.push(3));
    assert_eq!(queue.next(Duration::ZERO), Some(3));
}

#[test]
fn an_idle_thread_is_woken_instead() {
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
fn an_idle_thread_counts_for_one_job_only() {
    let queue = JobQueue::new(2);
    // A thread that was told of a job and has not run since.
    let mut state = lock(&queue.state);
    (state.threads, state.idle) = (1, 1);
    drop(state);
    assert!(!queue.push(1));
    assert!(queue.push(2));
}
