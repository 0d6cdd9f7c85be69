//! `CUDA_VISIBLE_DEVICES`, read as CUDA and torch read it.
//!
//! * not set: every device;
//! * a list of numbers, `GPU-` or `MIG-` identifiers (any unique beginning of one will do);
//! * the first entry that names no device ends the list: `-1`, a number out of range, a word, an
//!   empty entry. So `""` and `-1` hide everything and `0,-1,1` leaves device 0;
//! * an entry that occurs twice makes the whole list void.
//!
//! Numbers are read like `strtoul` does (`"1gpu"` is 1). Source: the CUDA programming guide,
//! "CUDA environment variables", and what `torch.cuda` does before CUDA is initialised.

use super::probe::{Device, Known, Memory};

/// One device or partition that a CUDA program would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visible {
    /// For people: `GPU 0 (NVIDIA L4)`.
    pub(super) label: String,
    pub(super) compute: Known<(u32, u32)>,
    pub(super) memory: Known<Memory>,
}

/// What is left of the devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View {
    pub(super) seen: Vec<Visible>,
    /// Why something is hidden, where something is.
    pub(super) hidden: String,
    /// Whether CUDA may number the devices in another order than the driver does.
    pub(super) unsure: bool,
}

/// Applies `CUDA_VISIBLE_DEVICES` (and `CUDA_DEVICE_ORDER`) to the devices.
pub(super) fn view(devices: &[Device], list: Option<&str>, order: Option<&str>) -> View {
    let Some(list) = list else {
        let seen: Vec<_> = devices.iter().filter_map(whole).collect();
        let hidden = if seen.len() < devices.len() {
            NO_PARTITION
        } else {
            ""
        };
        return View {
            seen,
            hidden: hidden.into(),
            unsure: false,
        };
    };
    let (picks, hidden) = match picks(devices, list) {
        Ok(picks) => picks,
        Err(hidden) => {
            return View {
                hidden,
                ..View::default()
            };
        }
    };
    let by_number = picks.iter().any(|pick| pick.by_number);
    if by_number && picks.len() < devices.len() && order != Some("PCI_BUS_ID") && differ(devices) {
        let seen = devices.iter().filter_map(whole).collect();
        return View {
            seen,
            hidden,
            unsure: true,
        };
    }
    let seen = picks
        .iter()
        .filter_map(|pick| pick.resolve(devices))
        .collect();
    View {
        seen,
        hidden,
        unsure: false,
    }
}

const NO_PARTITION: &str = "MIG is switched on for a device that has no partition";

/// One entry of the list that names something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pick {
    device: usize,
    partition: Option<usize>,
    by_number: bool,
}

impl Pick {
    fn resolve(self, devices: &[Device]) -> Option<Visible> {
        let device = devices.get(self.device)?;
        match self.partition {
            Some(index) => part(device, index),
            None => whole(device),
        }
    }
}

/// The entries up to the first that names nothing, and why the list ends there.
fn picks(devices: &[Device], list: &str) -> Result<(Vec<Pick>, String), String> {
    let mut picks: Vec<Pick> = Vec::new();
    for entry in list.split(',').map(str::trim) {
        let Some(pick) = find(devices, entry) else {
            return Ok((picks, ends_at(list, entry)));
        };
        let same = |other: &Pick| (other.device, other.partition) == (pick.device, pick.partition);
        if picks.iter().any(same) {
            return Err(format!(
                "CUDA_VISIBLE_DEVICES is {list:?}: {entry:?} occurs twice, which makes the list void"
            ));
        }
        picks.push(pick);
    }
    Ok((picks, format!("CUDA_VISIBLE_DEVICES is {list:?}")))
}

fn ends_at(list: &str, entry: &str) -> String {
    if list.trim().is_empty() {
        return "CUDA_VISIBLE_DEVICES is set and empty, which hides every device".into();
    }
    format!("CUDA_VISIBLE_DEVICES is {list:?}: {entry:?} names no device and ends the list")
}

fn find(devices: &[Device], entry: &str) -> Option<Pick> {
    if entry.starts_with("GPU-") {
        let device = only(devices.iter().map(|d| d.uuid.as_str()), entry)?;
        return Some(Pick {
            device,
            partition: None,
            by_number: false,
        });
    }
    if entry.starts_with("MIG-") {
        return find_partition(devices, entry);
    }
    let number: u32 = strtoul(entry)?;
    let device = devices.iter().position(|d| d.index == number)?;
    Some(Pick {
        device,
        partition: None,
        by_number: true,
    })
}

/// `MIG-<uuid>`, or the older `MIG-GPU-<uuid>/<instance>/<part>`, which names its GPU.
fn find_partition(devices: &[Device], entry: &str) -> Option<Pick> {
    for (device, partition) in all_partitions(devices) {
        if devices[device].partitions[partition].uuid == entry {
            return Some(Pick {
                device,
                partition: Some(partition),
                by_number: false,
            });
        }
    }
    if let Some(rest) = entry.strip_prefix("MIG-GPU-") {
        let uuid = format!("GPU-{}", rest.split('/').next()?);
        let device = only(devices.iter().map(|d| d.uuid.as_str()), &uuid)?;
        let partition = (!devices[device].partitions.is_empty()).then_some(0)?;
        return Some(Pick {
            device,
            partition: Some(partition),
            by_number: false,
        });
    }
    let names = all_partitions(devices).map(|(d, p)| devices[d].partitions[p].uuid.as_str());
    let nth = only(names, entry)?;
    let (device, partition) = all_partitions(devices).nth(nth)?;
    Some(Pick {
        device,
        partition: Some(partition),
        by_number: false,
    })
}

fn all_partitions(devices: &[Device]) -> impl Iterator<Item = (usize, usize)> {
    devices
        .iter()
        .enumerate()
        .flat_map(|(device, d)| (0..d.partitions.len()).map(move |partition| (device, partition)))
}

/// The place of the only name that begins with `start`.
fn only<'a>(names: impl Iterator<Item = &'a str>, start: &str) -> Option<usize> {
    let mut hits = names
        .enumerate()
        .filter(|(_, name)| name.starts_with(start));
    let (place, _) = hits.next()?;
    hits.next().is_none().then_some(place)
}

/// The number that `text` begins with; `None` for a negative number and for no number.
fn strtoul(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Whether the devices are of more than one sort, so that their order matters.
fn differ(devices: &[Device]) -> bool {
    devices.windows(2).any(|pair| pair[0].name != pair[1].name)
}

/// What CUDA makes of a whole device: its first partition where it is split.
fn whole(device: &Device) -> Option<Visible> {
    if device.split {
        return part(device, 0);
    }
    Some(Visible {
        label: format!("GPU {} ({})", device.index, device.name),
        compute: device.compute.clone(),
        memory: device.memory.clone(),
    })
}

fn part(device: &Device, index: usize) -> Option<Visible> {
    let partition = device.partitions.get(index)?;
    Some(Visible {
        label: format!(
            "partition {index} of GPU {} ({})",
            device.index, device.name
        ),
        compute: device.compute.clone(),
        memory: partition.memory.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::probe::Partition;
    use super::*;

    fn machine() -> Vec<Device> {
        let device = |index: u32, uuid: &str| Device {
            index,
            name: "NVIDIA L4".into(),
            uuid: uuid.into(),
            ..Device::default()
        };
        let mut split = device(2, "GPU-cafe");
        split.split = true;
        split.partitions = ["MIG-11-a", "MIG-11-b"]
            .map(|uuid| Partition {
                uuid: uuid.into(),
                ..Partition::default()
            })
            .into();
        vec![device(0, "GPU-aaaa-1"), device(1, "GPU-aaab-2"), split]
    }

    fn labels(list: &str) -> Vec<String> {
        let view = view(&machine(), Some(list), None);
        view.seen
            .into_iter()
            .map(|v| v.label.replace(" (NVIDIA L4)", ""))
            .collect()
    }

    #[test]
    fn every_form_of_the_list() {
        let cases: [(&str, &[&str]); 20] = [
            ("0", &["GPU 0"]),
            (" 1 , 0 ", &["GPU 1", "GPU 0"]),
            ("", &[]),
            ("  ", &[]),
            ("-1", &[]),
            ("0,-1,1", &["GPU 0"]),
            ("7", &[]),
            ("1,7,0", &["GPU 1"]),
            ("0,,1", &["GPU 0"]),
            ("0,0", &[]),
            ("1gpu,0ampere", &["GPU 1", "GPU 0"]),
            ("NoDevFiles", &[]),
            ("+1", &["GPU 1"]),
            ("99999999999999999999", &[]),
            ("GPU-aaaa", &["GPU 0"]),
            ("GPU-aaa", &[]),
            ("GPU-ffff", &[]),
            ("2", &["partition 0 of GPU 2"]),
            ("MIG-11-b", &["partition 1 of GPU 2"]),
            ("MIG-GPU-cafe/1/0", &["partition 0 of GPU 2"]),
        ];
        for (list, want) in cases {
            assert_eq!(labels(list), want, "{list:?}");
        }
    }

    #[test]
    fn the_reason_is_told() {
        let why = |list| view(&machine(), Some(list), None).hidden;
        assert!(why("").contains("empty"), "{}", why(""));
        assert!(why("0,0").contains("twice"), "{}", why("0,0"));
        assert!(
            why("0,x").contains("\"x\" names no device"),
            "{}",
            why("0,x")
        );
    }

    #[test]
    fn numbers_are_unsure_among_different_cards_only() {
        let mut machine = machine();
        machine[1].name = "NVIDIA H100".into();
        assert!(view(&machine, Some("0"), None).unsure);
        assert!(!view(&machine, Some("0"), Some("PCI_BUS_ID")).unsure);
        assert!(!view(&machine, Some("GPU-aaaa"), None).unsure);
        assert!(!view(&machine, None, None).unsure);
    }
}
