use super::*;

#[test]
fn magazine_holds_one_block_of_each_class() {
    let magazine = Magazine::default();
    assert_eq!((magazine.pull(3), magazine.steal(3)), (None, None));
    assert!(magazine.put(3, 0) && magazine.put(4, 7) && !magazine.put(3, 1));
    assert_eq!(
        (magazine.len(3), magazine.len(4), magazine.len(5)),
        (1, 1, 0)
    );
    assert_eq!((magazine.pull(3), magazine.pull(3)), (Some(0), None));
    assert_eq!((magazine.steal(4), magazine.pull(4)), (Some(7), None));
    assert!(magazine.put(4, u32::MAX - 1));
    assert_eq!(magazine.pull(4), Some(u32::MAX - 1));
}

#[test]
fn version_changes_when_a_block_is_put_and_taken() {
    let magazine = Magazine::default();
    let before = magazine.version(0);
    magazine.put(0, 1);
    magazine.pull(0);
    let between = magazine.version(0);
    magazine.put(0, 1);
    magazine.steal(0);
    let after = magazine.version(0);
    assert!(before != between && between != after && before != after);
    assert_eq!([before, between, after].map(top), [None; 3]);
}
