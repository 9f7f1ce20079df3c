use super::*;

#[test]
fn locate_numbers_slots_without_gaps() {
    let mut expected = (0, 0);
    for slot in 0..5000 {
        assert_eq!(locate(slot), expected, "{slot}");
        expected.1 += 1;
        if expected.1 == (FIRST_SEGMENT as usize) << expected.0 {
            expected = (expected.0 + 1, 0);
        }
    }
    let last = (FIRST_SEGMENT as usize) << (SEGMENTS - 1);
    assert_eq!(locate(MAX_SLOTS - 1), (SEGMENTS - 1, last - 1));
}

#[test]
fn table_keeps_references_valid_while_it_grows() {
    let table = SlotTable::default();
    assert!(table.get(0).is_none() && table.get(u32::MAX).is_none());
    table.grow(0).unwrap();
    let first = table.at(0);
    first.fill(4096, 3, false);
    for slot in 0..1000 {
        table.grow(slot).unwrap();
    }
    assert!(std::ptr::eq(first, table.at(0)));
    assert_eq!(
        table
            .iter()
            .nth(700)
            .map(|(number, slot)| (number, slot.class())),
        Some((700, 0))
    );
    assert_eq!(table.iter().next().map(|(_, slot)| slot.class()), Some(3));
    assert_eq!(table.grow(MAX_SLOTS), Err(TABLE_FULL));
}

#[test]
fn holder_keeps_its_three_parts_apart() {
    let slot = Slot::default();
    slot.fill(8192, 27, true);
    assert!(slot.is_external() && slot.is_fresh());
    slot.mark_used();
    assert!(slot.is_external() && !slot.is_fresh());
    assert_eq!((slot.class(), slot.bytes()), (27, 512 << 20));
    let owner = OwnerId(u32::MAX);
    slot.set_holder(Holder::leased(owner));
    slot.add_loan();
    slot.add_loan();
    assert!(slot.holder().is_leased_by(owner) && !slot.holder().is_leased_by(OwnerId(1)));
    assert_eq!(slot.holder().loans(), 2);
    let orphan = slot.holder().without_owner(State::Orphaned);
    assert!(slot.exchange_holder(Holder::FREE, orphan).is_err());
    assert!(slot.exchange_holder(slot.holder(), orphan).is_ok());
    assert_eq!((slot.end_loan().loans(), slot.holder().loans()), (2, 1));
    assert_eq!(slot.holder().state(), State::Orphaned);
    let generation = slot.generation();
    slot.set_holder(Holder::FREE);
    slot.vacate();
    assert!(slot.generation() != generation && slot.holder().state() == State::Vacant);
}
