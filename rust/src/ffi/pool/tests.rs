use super::*;
use crate::status::{NO_SUCH_HANDLE, NOT_OWNER, POOL_LIMIT};

fn attach(pool: u32, out: Option<&mut [f64; 3]>) -> i32 {
    let out = out.map_or(std::ptr::null_mut(), |out| out.as_mut_ptr().cast());
    // SAFETY: it is null, or a view of the caller's for the duration of the call.
    unsafe { basalt_pool_attach(pool, out) }
}

fn lease_address(out: Option<&mut [u32; 2]>) -> i32 {
    let out = out.map_or(std::ptr::null_mut(), |out| out.as_mut_ptr().cast());
    // SAFETY: it is null, or a view of the caller's for the duration of the call.
    unsafe { basalt_pool_lease_address(out) }
}

fn stats(pool: u32, out: &mut [f64]) -> i32 {
    // SAFETY: it is a view of the caller's for the duration of the call.
    unsafe { basalt_pool_stats(pool, out.as_mut_ptr().cast(), out.len() as u32) }
}

#[test]
fn open_refuses_limits_out_of_range() {
    for limit in [
        f64::NAN,
        f64::INFINITY,
        -1.0,
        0.0,
        4095.0,
        4096.5,
        MAX_LIMIT_BYTES as f64 * 2.0,
    ] {
        assert_eq!(
            basalt_pool_open(1, limit, 1),
            BAD_ARGUMENT.code(),
            "{limit}"
        );
    }
}

#[test]
fn exports_return_the_values_of_their_documentation() {
    let number = basalt_pool_open(1, 16384.0, 2);
    assert!(number >= 1);
    let pool = number as u32;
    let mut settings = [0f64; 3];
    assert_eq!(attach(pool, Some(&mut settings)), 0);
    assert_eq!(settings, [1.0, 16384.0, 2.0]);
    assert_eq!(attach(pool, None), BAD_ARGUMENT.code());

    let mut address = [0u32; 2];
    assert_eq!(lease_address(Some(&mut address)), 0);
    assert_eq!(lease_address(None), BAD_ARGUMENT.code());
    let described = (u64::from(address[0]) | u64::from(address[1]) << 32) as usize;
    let described = std::ptr::with_exposed_provenance::<[u32; 8]>(described);
    let acquire = |length, external| {
        let status = basalt_pool_acquire(pool, length, external);
        // SAFETY: it belongs to this thread, which makes no call now.
        (status, unsafe { described.read() })
    };
    let (status, first) = acquire(8193, 0);
    let address = u64::from(first[4]) | u64::from(first[5]) << 32;
    assert_eq!(
        (status, first[2], first[3], first[6], first[7]),
        (0, 16384, FRESH, 0, 0)
    );
    assert!(address != 0 && address % 4096 == 0);
    assert_eq!(acquire(1, 0).0, POOL_LIMIT.code());
    let (status, external) = acquire(1, 1);
    assert_eq!(
        (status, external[2], external[3]),
        (0, 4096, EXTERNAL | FRESH)
    );
    assert_eq!(acquire(MAX_BLOCK_BYTES + 1, 0).0, BAD_ARGUMENT.code());

    assert_eq!(basalt_pool_count(pool, 2, 3), 0);
    assert_eq!(basalt_pool_count(pool, 6, 1), BAD_ARGUMENT.code());
    let mut figures = [-1f64; 248];
    assert_eq!(stats(pool, &mut figures), 244);
    assert_eq!(
        figures[..8],
        [16384.0, 16384.0, 16384.0, 16384.0, 0.0, 4096.0, 0.0, 0.0]
    );
    assert_eq!(
        figures[8..20],
        [0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 2.0]
    );
    assert_eq!(figures[20..28], [4096.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(
        figures[36..44],
        [16384.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    );
    assert_eq!(figures[243..245], [0.0, -1.0]);
    assert_eq!(stats(pool, &mut figures[..5]), 5);

    assert_eq!(basalt_pool_release(pool, first[0], first[1]), 0);
    assert_eq!(
        basalt_pool_release(pool, first[0], first[1]),
        NOT_OWNER.code()
    );
    assert_eq!(basalt_pool_trim(pool), 16);
    assert_eq!(
        basalt_pool_release(pool, first[0], first[1]),
        NO_SUCH_HANDLE.code()
    );
    assert_eq!(basalt_pool_quarantine(pool, external[0], external[1]), 0);
    assert_eq!(
        basalt_pool_quarantine(pool, external[0], external[1]),
        NOT_OWNER.code()
    );
    assert_eq!((basalt_pool_close(pool), basalt_pool_close(pool)), (0, 0));
    assert_eq!(basalt_pool_close(pool), NO_SUCH_HANDLE.code());
    assert_eq!(basalt_pool_trim(pool), NO_SUCH_HANDLE.code());
}
