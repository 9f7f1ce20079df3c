use super::*;

static NO_FILE: AtomicU32 = AtomicU32::new(0);

/// Begins an operation on one byte.
fn begun(op: Op, flags: u32) -> Progress {
    Progress {
        op,
        flags,
        sync: None,
        length: 1,
        end: 1,
        alignment: None,
        done: 0,
        again: 0,
    }
}

/// Plays scripted results. Returns the outcome and where each call began.
fn scripted(
    length: usize,
    alignment: Option<Alignment>,
    op: Op,
    script: &[Result<usize, Errno>],
) -> (Outcome, Vec<usize>) {
    let mut progress = Progress {
        length,
        alignment,
        ..begun(op, 0)
    };
    let mut starts = Vec::new();
    let mut next = progress.begin();
    loop {
        match next {
            Next::Over(outcome) => {
                assert_eq!(starts.len(), script.len(), "calls made");
                return (outcome, starts);
            }
            Next::Call | Next::CallLater => {
                starts.push(progress.from());
                next = progress.advance(script[starts.len() - 1], &NO_FILE);
            }
        }
    }
}

/// Returns the outcome with this error number, or 0 for success.
fn outcome(number: i32, transferred: u32) -> Outcome {
    let result = if number == 0 {
        Ok(())
    } else {
        Err(Errno(number).into())
    };
    Outcome {
        result,
        transferred,
    }
}

const SECTOR: Option<Alignment> = Some(Alignment {
    read: 512,
    resume: 512,
});
const COARSE_MEMORY: Option<Alignment> = Some(Alignment {
    read: 512,
    resume: 4096,
});

#[test]
fn advance_continues_short_transfers() {
    for op in [Op::Read, Op::Write] {
        assert_eq!(
            scripted(100, None, op, &[Ok(1), Ok(98), Ok(1)]),
            (outcome(0, 100), vec![0, 1, 99])
        );
        assert_eq!(scripted(0, None, op, &[]), (outcome(0, 0), vec![]));
    }
}

#[test]
fn advance_ends_a_read_with_the_file_and_fails_a_write_of_nothing() {
    assert_eq!(
        scripted(100, None, Op::Read, &[Ok(60), Ok(0)]).0,
        outcome(0, 60)
    );
    assert_eq!(scripted(100, None, Op::Read, &[Ok(0)]).0, outcome(0, 0));
    assert_eq!(
        scripted(100, None, Op::Write, &[Ok(60), Ok(0)]).0,
        outcome(libc::EIO, 60)
    );
    assert_eq!(
        scripted(100, None, Op::Write, &[Ok(0)]).0,
        outcome(libc::EIO, 0)
    );
}

#[test]
fn advance_reports_the_bytes_moved_before_an_error() {
    let script = [Ok(4096), Ok(512), Err(Errno(libc::ENOSPC))];
    assert_eq!(
        scripted(8192, SECTOR, Op::Write, &script).0,
        outcome(libc::ENOSPC, 4608)
    );
}

#[test]
fn advance_repeats_interrupted_calls_and_limits_retries_of_a_busy_device() {
    let script = [
        Err(Errno(libc::EINTR)),
        Ok(1),
        Err(Errno(libc::EINTR)),
        Err(Errno(libc::EAGAIN)),
        Ok(1),
    ];
    assert_eq!(
        scripted(2, None, Op::Read, &script),
        (outcome(0, 2), vec![0, 0, 1, 1, 1])
    );
    let busy = vec![Err(Errno(libc::EAGAIN)); MAX_AGAIN as usize + 1];
    assert_eq!(
        scripted(2, None, Op::Write, &busy).0,
        outcome(libc::EAGAIN, 0)
    );
}

#[test]
fn advance_ends_a_direct_read_that_cuts_a_sector() {
    assert_eq!(
        scripted(8192, SECTOR, Op::Read, &[Ok(600)]).0,
        outcome(0, 600)
    );
    assert_eq!(
        scripted(8192, SECTOR, Op::Read, &[Ok(1024), Ok(0)]),
        (outcome(0, 1024), vec![0, 1024])
    );
    assert_eq!(
        scripted(8192, SECTOR, Op::Read, &[Ok(1024), Ok(1)]).0,
        outcome(0, 1025)
    );
}

#[test]
fn from_is_aligned_for_position_and_memory() {
    let read = [Ok(4096 + 512), Ok(1024), Ok(4096)];
    assert_eq!(
        scripted(8192, COARSE_MEMORY, Op::Read, &read),
        (outcome(0, 8192), vec![0, 4096, 4096])
    );
    // The second call makes no progress, which is the end.
    assert_eq!(
        scripted(8192, COARSE_MEMORY, Op::Read, &[Ok(4608), Ok(512)]),
        (outcome(0, 4608), vec![0, 4096])
    );
    let write = [Ok(700), Ok(188)];
    assert_eq!(
        scripted(8192, SECTOR, Op::Write, &write),
        (outcome(libc::EIO, 700), vec![0, 512])
    );
}

#[test]
fn advance_repeats_interrupted_syncs_and_no_other_failed_ones() {
    for op in [Op::SyncData, Op::SyncFull, Op::Allocate, Op::Truncate] {
        let syncs = matches!(op, Op::SyncData | Op::SyncFull);
        let mut progress = begun(op, 0);
        assert_eq!(progress.begin(), Next::Call);
        assert_eq!(
            progress.advance(Err(Errno(libc::EINTR)), &NO_FILE),
            Next::Call
        );
        let next = progress.advance(Err(Errno(libc::EAGAIN)), &NO_FILE);
        assert_eq!(next == Next::Over(outcome(libc::EAGAIN, 0)), syncs);
        assert_eq!(progress.advance(Ok(0), &NO_FILE), Next::Over(outcome(0, 0)));
        assert_eq!(
            progress.advance(Err(Errno(libc::EIO)), &NO_FILE),
            Next::Over(outcome(libc::EIO, 0))
        );
    }
}

#[test]
fn advance_goes_on_without_zeros_that_cannot_be_written() {
    let refused = AtomicU32::new(0);
    let mut progress = begun(Op::Allocate, ZEROED);
    assert!(progress.zeroes());
    assert_eq!(
        progress.advance(Ok(0), &refused),
        Next::Over(outcome(0, 1)),
        "zeros"
    );
    let failed = progress.advance(Err(Errno(libc::ENOSPC)), &refused);
    assert_eq!(failed, Next::Over(outcome(libc::ENOSPC, 0)));
    assert_eq!(refused.load(Ordering::Relaxed), 0);
    let unsupported = Err(Errno(libc::EOPNOTSUPP));
    assert_eq!(progress.advance(unsupported, &refused), Next::Call);
    assert!(!progress.zeroes());
    assert_eq!(refused.load(Ordering::Relaxed), ZEROED);
    assert_eq!(
        progress.advance(Ok(0), &refused),
        Next::Over(outcome(0, 0)),
        "space alone"
    );
    assert_eq!(
        progress.advance(unsupported, &refused),
        Next::Over(outcome(libc::EOPNOTSUPP, 0))
    );
}

#[test]
fn advance_syncs_after_a_write_whose_flag_is_refused() {
    for number in [libc::EOPNOTSUPP, libc::EPERM, libc::ENOSYS] {
        for (flags, sync) in [
            (DSYNC, Op::SyncData),
            (SYNC | DONTCACHE, Op::SyncFull),
            (DSYNC | SYNC, Op::SyncFull),
        ] {
            let refused = AtomicU32::new(0);
            let mut progress = begun(Op::Write, flags);
            assert_ne!(progress.rwf(), 0);
            assert_eq!(progress.advance(Err(Errno(number)), &refused), Next::Call);
            assert_eq!((progress.op(), progress.rwf()), (Op::Write, 0));
            assert_eq!(refused.load(Ordering::Relaxed), flags);
            assert_eq!(progress.advance(Ok(1), &refused), Next::Call);
            assert_eq!(progress.op(), sync);
            assert_eq!(
                progress.advance(Err(Errno(libc::EINTR)), &refused),
                Next::Call
            );
            let failed = progress.advance(Err(Errno(libc::EIO)), &refused);
            assert_eq!(failed, Next::Over(outcome(libc::EIO, 1)));
            assert_eq!(progress.advance(Ok(0), &refused), Next::Over(outcome(0, 1)));
        }
    }
    let refused = AtomicU32::new(0);
    let mut progress = begun(Op::Read, DONTCACHE);
    assert_eq!(
        progress.advance(Err(Errno(libc::EOPNOTSUPP)), &refused),
        Next::Call
    );
    assert_eq!(progress.advance(Ok(1), &refused), Next::Over(outcome(0, 1)));
}

#[test]
fn advance_reports_a_refusal_that_no_flag_explains() {
    for number in [libc::EOPNOTSUPP, libc::EPERM, libc::ENOSYS] {
        let refused = AtomicU32::new(0);
        let next = begun(Op::Write, 0).advance(Err(Errno(number)), &refused);
        assert_eq!(next, Next::Over(outcome(number, 0)));
        assert_eq!(refused.load(Ordering::Relaxed), 0);
    }
}
