use crate::pool::pool::{Pool, Settings};
use crate::thread::OwnerId;

/// A refusal needs proof that there is no room, and no free block that the search may have missed.
#[test]
fn pool_is_exhausted_only_when_nothing_is_free() {
    let me = OwnerId(1);
    let pool = Pool::new(
        0,
        Settings {
            enabled: true,
            limit_bytes: 8192,
            bucket_capacity: 8,
        },
    );
    assert!(!pool.is_exhausted(8192) && pool.is_exhausted(8193));
    let leases = [(); 2].map(|()| pool.acquire(me, None, 4096, false).unwrap());
    assert!(pool.is_exhausted(4096) && !pool.is_exhausted(0));
    for lease in leases {
        pool.release(me, None, lease.slot, lease.generation)
            .unwrap();
        assert!(!pool.is_exhausted(4096));
    }
}
