//! A race and a use after free. `make sanitize` runs both first and expects them to be caught: a sanitizer that is not
//! on would let every later test pass.

use std::thread;

static mut SHARED: u64 = 0;

fn race() {
    // SAFETY: none. The two unsynchronised writes are the point.
    let other = thread::spawn(|| unsafe { SHARED += 1 });
    // SAFETY: none, as above.
    unsafe { SHARED += 1 };
    other.join().expect("the other thread ends");
}

fn use_after_free() -> u8 {
    let pointer = Box::into_raw(Box::new(7_u8));
    // SAFETY: the first use is sound; the read after it is the point.
    unsafe {
        drop(Box::from_raw(pointer));
        std::ptr::read_volatile(pointer)
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("thread") => race(),
        Some("address") => println!("{}", use_after_free()),
        _ => panic!("say thread or address"),
    }
}
