use super::*;

/// Plays scripted answers; gives the outcome and where each call began.
fn scripted(
    length: usize,
    alignment: Option<Alignment>,
    direction: Direction,
    script: &[Result<usize, Errno>],
) -> (Outcome, Vec<usize>) {
    let mut progress = Progress {
        direction: Some(direction),
        repeats: true,
        length,
        alignment,
        done: 0,
        again: 0,
        zeroes: false,
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
                next = progress.answer(script[starts.len() - 1]);
            }
        }
    }
}

/// The outcome with this error number, 0 for none.
fn outcome(number: i32, transferred: u32) -> Outcome {
    let result = if number == 0 {
        Ok(())
    } else {
        Err(Errno(number).into())
    };
    Outcome { result, transferred }
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
fn short_transfers_are_continued() {
    for direction in [Direction::Read, Direction::Write] {
        assert_eq!(
            scripted(100, None, direction, &[Ok(1), Ok(98), Ok(1)]),
            (outcome(0, 100), vec![0, 1, 99])
        );
        assert_eq!(scripted(0, None, direction, &[]), (outcome(0, 0), vec![]));
    }
}

#[test]
fn a_read_ends_with_the_file_and_a_write_of_nothing_is_an_error() {
    assert_eq!(
        scripted(100, None, Direction::Read, &[Ok(60), Ok(0)]).0,
        outcome(0, 60)
    );
    assert_eq!(scripted(100, None, Direction::Read, &[Ok(0)]).0, outcome(0, 0));
    assert_eq!(
        scripted(100, None, Direction::Write, &[Ok(60), Ok(0)]).0,
        outcome(libc::EIO, 60)
    );
    assert_eq!(
        scripted(100, None, Direction::Write, &[Ok(0)]).0,
        outcome(libc::EIO, 0)
    );
}

#[test]
fn an_error_tells_how_much_was_moved_before() {
    let script = [Ok(4096), Ok(512), Err(Errno(libc::ENOSPC))];
    assert_eq!(
        scripted(8192, SECTOR, Direction::Write, &script).0,
        outcome(libc::ENOSPC, 4608)
    );
}

#[test]
fn interruptions_are_repeated_and_a_busy_device_only_so_often() {
    let script = [
        Err(Errno(libc::EINTR)),
        Ok(1),
        Err(Errno(libc::EINTR)),
        Err(Errno(libc::EAGAIN)),
        Ok(1),
    ];
    assert_eq!(
        scripted(2, None, Direction::Read, &script),
        (outcome(0, 2), vec![0, 0, 1, 1, 1])
    );
    let busy = vec![Err(Errno(libc::EAGAIN)); MAX_AGAIN as usize + 1];
    assert_eq!(
        scripted(2, None, Direction::Write, &busy).0,
        outcome(libc::EAGAIN, 0)
    );
}

#[test]
fn a_direct_read_that_cuts_a_sector_is_the_end_of_the_file() {
    assert_eq!(
        scripted(8192, SECTOR, Direction::Read, &[Ok(600)]).0,
        outcome(0, 600)
    );
    assert_eq!(
        scripted(8192, SECTOR, Direction::Read, &[Ok(1024), Ok(0)]),
        (outcome(0, 1024), vec![0, 1024])
    );
    assert_eq!(
        scripted(8192, SECTOR, Direction::Read, &[Ok(1024), Ok(1)]).0,
        outcome(0, 1025)
    );
}

#[test]
fn a_direct_transfer_is_continued_where_memory_suits_too() {
    let read = [Ok(4096 + 512), Ok(1024), Ok(4096)];
    assert_eq!(
        scripted(8192, COARSE_MEMORY, Direction::Read, &read),
        (outcome(0, 8192), vec![0, 4096, 4096])
    );
    // The second call gets no further: that is the end.
    assert_eq!(
        scripted(8192, COARSE_MEMORY, Direction::Read, &[Ok(4608), Ok(512)]),
        (outcome(0, 4608), vec![0, 4096])
    );
    let write = [Ok(700), Ok(188)];
    assert_eq!(
        scripted(8192, SECTOR, Direction::Write, &write),
        (outcome(libc::EIO, 700), vec![0, 512])
    );
}

#[test]
fn a_sync_is_never_repeated_and_other_commands_are() {
    for repeats in [false, true] {
        for errno in [libc::EINTR, libc::EAGAIN] {
            let mut progress = Progress {
                direction: None,
                repeats,
                length: 0,
                alignment: SECTOR,
                done: 0,
                again: 0,
                zeroes: false,
            };
            assert_eq!(progress.begin(), Next::Call);
            let next = progress.answer(Err(Errno(errno)));
            assert_eq!(next == Next::Over(outcome(errno, 0)), !repeats);
            assert_eq!(progress.answer(Ok(0)), Next::Over(outcome(0, 0)));
        }
    }
}

#[test]
fn zeros_that_cannot_be_written_leave_an_allocation_without_them() {
    let begun = || Progress {
        direction: None,
        repeats: true,
        length: 0,
        alignment: None,
        done: 0,
        again: 0,
        zeroes: true,
    };
    let mut progress = begun();
    assert!(progress.zeroes());
    assert_eq!(progress.answer(Ok(0)), Next::Over(outcome(0, 1)), "zeros");
    let mut progress = begun();
    assert_eq!(progress.answer(Err(Errno(libc::EOPNOTSUPP))), Next::Call);
    assert!(!progress.zeroes());
    assert_eq!(progress.answer(Ok(0)), Next::Over(outcome(0, 0)), "space alone");
    let refused = progress.answer(Err(Errno(libc::EOPNOTSUPP)));
    assert_eq!(refused, Next::Over(outcome(libc::EOPNOTSUPP, 0)));
    assert_eq!(
        begun().answer(Err(Errno(libc::ENOSPC))),
        Next::Over(outcome(libc::ENOSPC, 0))
    );
}
