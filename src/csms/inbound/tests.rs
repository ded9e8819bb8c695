//! However the bytes are cut, only what is meant to changes; and what large messages may occupy.

use proptest::prelude::*;

use super::*;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(payload);
    bytes
}

fn inbound(limit: usize, budget: &Arc<Budget>) -> Inbound<()> {
    let mut inbound = Inbound::new((), Arc::clone(budget));
    inbound.allow(limit, budget);
    inbound
}

proptest! {
    /// However the bytes are cut: text frames become binary ones, and nothing else changes.
    #[test]
    fn only_the_opcode_of_text_frames_changes(
        frames in prop::collection::vec((prop::sample::select(vec![0x01_u8, 0x81, 0x00, 0x80, 0x82, 0x89, 0x8a, 0x88, 0xc1]), 0_usize..300), 1..20),
        cuts in prop::collection::vec(1_usize..40, 1..60),
    ) {
        let budget = Budget::new(1 << 20);
        let mut inbound = inbound(1 << 20, &budget);
        let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
        for (first, length) in frames {
            let payload = vec![0x81; length];
            bytes.extend(frame(first, &payload));
            wanted.extend(frame(if first & OPCODE == TEXT { first ^ 3 } else { first }, &payload));
        }
        let mut at = 0;
        for cut in cuts.iter().cycle() {
            let end = (at + cut).min(bytes.len());
            prop_assert_eq!(inbound.follow(&mut bytes[at..end]), end - at);
            inbound.done();
            at = end;
            if at == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(bytes, wanted);
    }
}

#[test]
fn large_messages_share_a_budget_until_they_are_done() {
    let budget = Budget::new(100_000);
    let mut one = inbound(80_000, &budget);
    let mut other = inbound(80_000, &budget);
    let mut bytes = frame(0x81, &[0; 60_000]);
    let length = bytes.len();
    assert_eq!(one.follow(&mut bytes), length);
    // A small message needs no budget, and what comes before a refused one is delivered.
    let mut bytes = [frame(0x81, &[0; 100]), frame(0x81, &[0; 60_000])].concat();
    assert!(other.follow(&mut bytes) < 120);
    assert_eq!(other.refused, Some(TooMuch::NoRoom { size: 60_000 }));
    one.done();
    assert_eq!(budget.left.load(Ordering::Acquire), 100_000);
    // Fragments count together; the limit is that of the message.
    let mut bytes = [frame(0x01, &[0; 50_000]), frame(0x00, &[0; 20_000]), frame(0x80, &[0; 10_001])].concat();
    one.follow(&mut bytes);
    assert_eq!(one.refused, Some(TooMuch::TooLong { size: 80_001, max: 80_000 }));
    assert!(one.large_since().is_some());
    drop(one);
    assert_eq!(budget.left.load(Ordering::Acquire), 100_000);
}
