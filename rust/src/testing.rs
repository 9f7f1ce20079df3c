//! Helpers of tests: filters of system calls like those of container runtimes, child processes, and
//! processor time.

use std::process::{Command, Output};
use std::time::Duration;

/// Upper bound of the processor time of a call that a test checks not to be quadratic. A quadratic
/// one would take minutes.
const MOST: Duration = Duration::from_secs(20);

/// Calls `act`, and asserts that it takes no more than [`MOST`].
pub fn within_bound<T>(act: impl FnOnce() -> T) -> T {
    let begin = processor_time();
    let result = act();
    let taken = processor_time() - begin;
    assert!(taken < MOST, "{taken:?}");
    result
}

/// Returns the processor time of the calling thread, which does not depend on the load of the
/// machine.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to `time`, which outlives it.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs a test again in a child process, by its path, and returns its output. Returns `None` in the
/// child itself.
pub fn child(test: &str) -> Option<Output> {
    const ROLE: &str = "BASALT_TEST_CHILD";
    if std::env::var_os(ROLE).is_some() {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1");
    Some(command.output().unwrap())
}

/// Makes system calls of the calling thread, and of threads that it starts, fail with `errno`.
///
/// Tests call it on a thread of their own, because a filter is never removed.
pub fn refuse(calls: &[libc::c_long], errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    // The number of the call is the first word of `struct seccomp_data`.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for &call in calls {
        program.push(libc::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
        });
        program.push(statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | errno as u32,
        ));
    }
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program outlives the call and has `len` statements. Only the calling thread, and
    // threads that it starts, change.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}
