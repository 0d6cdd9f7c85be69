//! A program that is no worker of this release, or no worker at all, in the worker's place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{load, manifest};
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{Runtime, RuntimeOptions};
use serde_json::json;
use std::path::PathBuf;

fn with_worker(program: PathBuf) -> Runtime {
    let options = RuntimeOptions {
        worker: Some(program),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

#[test]
fn a_stranger_in_the_workers_place_is_told_apart() {
    for (program, word) in [
        ("/bin/true", "status 0"),
        ("/nowhere/worker", "No such file"),
    ] {
        let rt = with_worker(program.into());
        let report = rt.load(Manifest::from_value(manifest("p", json!({}))).unwrap());
        let error = report.error.unwrap();
        assert_eq!(error.code().as_str(), "PW-WORKER-002", "{program}");
        assert!(error.message().contains(word), "{program}: {error}");
    }
}

/// A worker program of another release: it says so and waits.
const FOREIGN: &str = r"
#include <linux/futex.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    volatile uint32_t *header = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0, 0);
    header[3] = 99; /* its protocol */
    header[4] = 2;  /* foreign */
    syscall(SYS_futex, &header[4], FUTEX_WAKE, 1, 0, 0, 0);
    for (;;) pause();
}
";

#[test]
fn a_worker_of_another_release_is_named_and_ended() {
    let rt = with_worker(common::impostor("foreign", FOREIGN));
    let error = load(&rt, "p", json!({})).error.unwrap();
    assert_eq!(error.code().as_str(), "PW-WORKER-003");
    assert!(error.message().contains("protocol 99"), "{error}");
}

/// A worker that answers every load with what `ANSWER` makes of it.
const LIAR: &str = r#"
#include <linux/futex.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static void wake(volatile uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0); }
int main(void) {
    struct stat it;
    fstat(0, &it);
    uint8_t *base = mmap(0, it.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 0, 0);
    volatile uint32_t *header = (uint32_t *)base, *lane = (uint32_t *)(base + 4096);
    uint64_t *wide = (uint64_t *)lane, length;
    lane[1] = getpid();
    header[3] = 1;
    header[4] = 1;
    wake(&header[4]);
    while (lane[0] != (0x80000000u | (uint32_t)getpid())) usleep(1000);
    uint8_t *slot = base + wide[6];
    /* To call 0, without a fault and arrays; the load report of a plugin without tools. */
    static const char head[] = "\x93\x00\xc0\x90", body[] = "{\"tools\": [], \"enforcement\": null}";
    ((uint64_t *)slot)[0] = sizeof head - 1;
    ((uint64_t *)slot)[1] = sizeof body - 1;
    memcpy(slot + 16, head, sizeof head - 1);
    memcpy(slot + 64, body, sizeof body - 1);
    length = 64 + sizeof body - 1;
    ANSWER
    wide[8] = length;
    lane[0] = 0x80000000u;
    wake(lane);
    for (;;) pause();
}
"#;

#[test]
fn a_worker_that_answers_what_it_was_not_asked_is_ended() {
    for (name, answer, word) in [
        (
            "rubbish",
            "memset(slot, 0xff, 4096); length = ~0ull;",
            "its length",
        ),
        ("nothing", "length = 0;", "its length"),
        ("a part", "length -= 1;", "its body's length"),
        ("something else", "", "not to the call"),
    ] {
        let source = LIAR.replace("ANSWER", answer);
        let rt = with_worker(common::impostor(&name.replace(' ', "-"), &source));
        let error = load(&rt, "p", json!({})).error.unwrap();
        assert_eq!(error.code().as_str(), "PW-WORKER-008", "{name}: {error}");
        assert!(error.message().contains(word), "{name}: {error}");
    }
}
