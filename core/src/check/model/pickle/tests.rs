use super::*;
use std::collections::BTreeMap;

/// As `torch.save({"w": tensor})` writes it, protocol 2.
const SAVED: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x06tq\x07QK\x00K\x02K\x03\x86q\x08K\x03K\x01\x86q\x09\x89ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0ds.";

/// The same in protocol 4: a frame, short words, classes from the stack, no numbers in the memo.
const FRAMED: &[u8] = b"\x80\x04\x95\x80\0\0\0\0\0\0\0}\x94\x8c\x01w\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94((\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0cFloatStorage\x94\x93\x94\x8c\x010\x94\x8c\x03cpu\x94K\x06t\x94QK\x00K\x02K\x03\x86\x94K\x03K\x01\x86\x94\x89}\x94t\x94R\x94s.";

type Found = BTreeMap<String, u64>;

fn found(bytes: &[u8]) -> Result<Found, Stop> {
    let mut found = Found::new();
    storages(bytes, &mut |key, bytes| {
        found.insert(key.to_owned(), bytes);
        Ok(())
    })?;
    Ok(found)
}

/// A persistent id of a storage, and its use.
fn id(key: u8, kind: &[u8], count: u8) -> Vec<u8> {
    let mut id = b"(X\x07\x00\x00\x00storage".to_vec();
    id.extend(kind);
    id.extend([b'X', 1, 0, 0, 0, key, b'X', 3, 0, 0, 0]);
    id.extend(b"cpu");
    id.extend([b'K', count, b't', b'Q']);
    id
}

#[test]
fn a_storage_is_found() {
    let expected = Found::from([("0".to_owned(), 24)]);
    assert_eq!(found(SAVED).unwrap(), expected);
    assert_eq!(found(FRAMED).unwrap(), expected);
}

#[test]
fn a_remembered_type_counts_for_the_next_storage() {
    let mut pickle = b"\x80\x02".to_vec();
    pickle.extend(id(b'0', b"ctorch\nHalfStorage\nq\x07", 3));
    pickle.extend(id(b'1', b"h\x07", 5));
    pickle.push(b'.');
    let sizes = found(&pickle).unwrap().into_values();
    assert_eq!(sizes.collect::<Vec<_>>(), [6, 10]);
}

#[test]
fn what_is_not_known_gives_no_verdict() {
    let strange = id(b'0', b"ctorch\nNewStorage\n", 3);
    for bytes in [
        &b"\x80\x02\xff."[..],
        b"\x82\x01.",
        &[&strange[..], b"."].concat(),
    ] {
        let stop = found(bytes);
        assert!(matches!(stop, Err(Stop::Unknown(_))), "{bytes:?}: {stop:?}");
    }
}

#[test]
fn what_is_no_pickle_is_damage() {
    for bytes in [
        &b""[..],
        b"\x80",
        b"\x80\x02",
        b"t.",
        b"R.",
        b"Q.",
        b"h\x09.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
    ] {
        let stop = found(bytes);
        assert!(matches!(stop, Err(Stop::Broken(_))), "{bytes:?}: {stop:?}");
    }
    for whole in [SAVED, FRAMED] {
        for end in 0..whole.len() {
            let stop = found(&whole[..end]);
            assert!(matches!(stop, Err(Stop::Broken(_))), "{end}: {stop:?}");
        }
    }
}

/// A tuple in a tuple in a tuple: dropping such a thing needs a stack as deep as the file is long.
#[test]
fn nesting_costs_nothing() {
    const DEEP: usize = 1_000_000;
    for (open, close) in [(&b""[..], &b"\x85"[..]), (b"", b"N\x86"), (b"", b"NN\x87")] {
        let pickle = [open, b"N", &close.repeat(DEEP), b"."].concat();
        assert_eq!(found(&pickle).unwrap(), Found::new());
    }
    let marks = [b"(".repeat(DEEP), b"t".repeat(DEEP), b".".to_vec()].concat();
    assert_eq!(found(&marks).unwrap(), Found::new());
    let more = [b"(".repeat(2 * DEEP), b"t".repeat(2 * DEEP)].concat();
    assert!(matches!(found(&more), Err(Stop::Unknown(_))));
}

#[test]
fn a_refusal_ends_the_look() {
    let mut calls = 0;
    let mut pickle = id(b'0', b"ctorch\nHalfStorage\n", 3).repeat(2);
    pickle.push(b'.');
    let end = storages(&pickle, &mut |_, _| {
        calls += 1;
        Err(Problem::Stopped)
    });
    assert!(matches!(end, Err(Stop::Refused(Problem::Stopped))));
    assert_eq!(calls, 1);
}
