#!/usr/bin/env bash
# Installs the C library, its headers and a pkg-config file under a prefix.
#   scripts/install.sh /usr/local      (DESTDIR is honoured, for packagers)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
prefix="${1:?usage: scripts/install.sh PREFIX}"
root="${DESTDIR:-}$prefix"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)"
built="${CARGO_TARGET_DIR:-$ROOT/target}/release"

cargo build --release --locked -p plugward-ffi
[ -f "$built/libplugward.so" ] || [ -f "$built/libplugward.dylib" ] || die "no libplugward in $built"
install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 include/*.h include/*.hpp "$root/include/"
for library in "$built"/libplugward.{so,dylib,a}; do
    [ ! -f "$library" ] || install -m 644 "$library" "$root/lib/"
done
cat >"$root/lib/pkgconfig/plugward.pc" <<PC
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: plugward
Description: Plugin-safety runtime
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lplugward
Libs.private: -lpthread -ldl -lm -lgcc_s
PC
echo "installed plugward $version under $root"
