use super::*;

const ME: OwnerId = OwnerId(1);

#[test]
fn get_finds_an_object_until_it_is_removed() {
    let table = HandleTable::new();
    let (handle, object) = table.insert(ME, |handle| handle + 1).unwrap();
    assert!(i32::try_from(handle).is_ok_and(|handle| handle > 0));
    assert_eq!(*object, handle + 1);
    assert_eq!(table.get(handle), Ok(Arc::clone(&object)));
    assert_eq!(table.remove(handle), Ok(object));
    assert_eq!(table.get(handle), Err(NO_SUCH_HANDLE));
    assert_eq!(table.remove(handle), Err(NO_SUCH_HANDLE));
}

#[test]
fn get_refuses_numbers_that_are_no_handles() {
    let table = HandleTable::new();
    assert_eq!(table.get(1), Err(NO_SUCH_HANDLE));
    assert_eq!(table.insert(ME, |_| ()).unwrap().0, 1);
    for handle in [0, 2, 0xffff, 1 << 16, 1 << 16 | 1, u32::MAX] {
        assert_eq!(table.get(handle), Err(NO_SUCH_HANDLE));
    }
}

#[test]
fn insert_gives_a_handle_again_only_after_all_others() {
    let table = HandleTable::new();
    let insert = || table.insert(ME, |_| ()).map(|(handle, _)| handle);
    assert_eq!(insert(), Ok(1));
    table.remove(1).unwrap();
    assert_eq!(insert(), Ok(2));
    table.lock().unwrap().last = MAX_HANDLE - 1;
    assert_eq!([(); 3].map(|()| insert()), [Ok(MAX_HANDLE), Ok(1), Ok(3)]);
}

#[test]
fn insert_refuses_when_the_table_is_full_and_recovers() {
    let table = HandleTable::new();
    let insert = || table.insert(ME, |_| ()).map(|(handle, _)| handle);
    let handles: Vec<u32> = (0..MAX_HANDLES).map(|_| insert().unwrap()).collect();
    assert_eq!(insert(), Err(TABLE_FULL));
    table.remove(handles[77]).unwrap();
    let again = insert().unwrap();
    assert!(again > handles[MAX_HANDLES - 1]);
    assert!(table.get(handles[77]).is_err());
}

#[test]
fn remove_owned_ends_the_handles_of_one_thread() {
    let table = HandleTable::new();
    let handles: Vec<u32> = (0..10)
        .map(|i| table.insert(OwnerId(1 + i % 2), |_| i).unwrap().0)
        .collect();
    table.remove_owned(OwnerId(2));
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(table.get(handle).ok(), (i % 2 == 0).then(|| Arc::new(i)));
    }
}
