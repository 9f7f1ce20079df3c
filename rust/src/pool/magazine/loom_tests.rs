use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::Magazine;

struct Shared {
    magazine: Magazine,
    /// A word of each block, which its holder writes without synchronization. Loom reports a race
    /// on it.
    memory: Vec<loom::cell::UnsafeCell<u64>>,
    /// How often a block was found.
    found: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            magazine: Magazine::default(),
            memory: (0..2).map(|_| loom::cell::UnsafeCell::new(0)).collect(),
            found: AtomicU64::new(0),
        })
    }

    fn touch(&self, number: u32) {
        // SAFETY: the magazine or the stack gave the block to this thread alone, which loom
        // verifies.
        self.memory[number as usize].with_mut(|word| unsafe { *word += 1 });
    }

    fn steal(&self) -> bool {
        let Some(number) = self.magazine.steal(0) else {
            return false;
        };
        self.touch(number);
        self.found.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// With two thieves and the owner, each block that was put is taken once, and its holder's earlier
/// writes are visible.
#[test]
fn loom_magazine_gives_a_block_to_one_thread() {
    loom::model(|| {
        let shared = Shared::new();
        shared.touch(0);
        shared.magazine.put(0, 0);
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.steal())
            })
            .collect();
        let mut mine = 0;
        if let Some(number) = shared.magazine.pull(0) {
            shared.touch(number);
            mine = 1;
        }
        // A different block in the same slot must not be taken for the first one.
        shared.touch(1);
        assert!(shared.magazine.put(0, 1));
        for thief in thieves {
            thief.join().unwrap();
        }
        mine += u64::from(shared.magazine.pull(0).is_some());
        assert_eq!(shared.found.load(Ordering::Relaxed) + mine, 2);
    });
}
