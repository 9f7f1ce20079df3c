use super::*;

#[test]
fn stack_is_last_in_first_out_and_knows_its_depth() {
    let (stack, links) = (FreeStack::default(), TestLinks::new(4));
    assert_eq!(stack.pop(&links), None);
    for slot in 0..4 {
        assert_eq!(stack.len(&links), slot);
        assert!(stack.push(&links, slot, u32::MAX));
    }
    for slot in (0..4).rev() {
        assert_eq!(stack.pop(&links), Some(slot));
        assert_eq!(stack.len(&links), slot);
    }
    assert!(top(stack.version()).is_none());
}

#[test]
fn push_stops_at_the_capacity() {
    let (stack, links) = (FreeStack::default(), TestLinks::new(3));
    assert!(!stack.push(&links, 0, 0));
    assert!(stack.push(&links, 0, 2) && stack.push(&links, 1, 2) && !stack.push(&links, 2, 2));
    stack.pop(&links);
    assert!(stack.push(&links, 2, 2));
}

#[test]
fn version_changes_with_each_operation() {
    let (stack, links) = (FreeStack::default(), TestLinks::new(1));
    let empty = stack.version();
    stack.push(&links, 0, 1);
    let full = stack.version();
    stack.pop(&links);
    let again = stack.version();
    assert!(empty != full && full != again && empty != again && top(again).is_none());
}
