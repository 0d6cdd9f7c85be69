#!/usr/bin/env bash
# Installs the C library, its headers, the worker program and a pkg-config file under a prefix.
#   scripts/install.sh /usr/local      (DESTDIR is honoured, for packagers)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
prefix="$(realpath -m "${1:?usage: scripts/install.sh PREFIX}")"
root="${DESTDIR:-}$prefix"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
built="${CARGO_TARGET_DIR:-$ROOT/target}/release"

cargo build --release --locked -p plugward-ffi -p plugward-worker
install -d "$root/include" "$root/lib/pkgconfig"
install -d "$root/bin"
install -m 755 "$built/plugward-worker" "$root/bin/"
install -m 644 include/*.h include/*.hpp "$root/include/"
install -m 644 "$built/libplugward.a" "$root/lib/"
if [ -f "$built/libplugward.dylib" ]; then
    install -m 644 "$built/libplugward.dylib" "$root/lib/"
else
    # The soname is what programs look for (libplugward.so.0.1), the file has the whole version, and
    # linkers look for libplugward.so.
    soname="$(objdump -p "$built/libplugward.so" | awk '$1 == "SONAME" { print $2 }')"
    [ -n "$soname" ] || die "$built/libplugward.so has no soname"
    install -m 644 "$built/libplugward.so" "$root/lib/libplugward.so.$version"
    ln -sf "libplugward.so.$version" "$root/lib/$soname"
    ln -sf "$soname" "$root/lib/libplugward.so"
fi
# What a program needs besides when it links libplugward.a: rustc's list, and C++ for the shims.
private="-lstdc++ -lgcc_s -lutil -lrt -lpthread -lm -ldl"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" -e "s|@PRIVATE@|$private|" \
    ffi/plugward.pc.in >"$root/lib/pkgconfig/plugward.pc"
echo "installed plugward $version under $root"
