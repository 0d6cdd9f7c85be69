#!/usr/bin/env bash
# Compiles the test plugins into a folder: tests/plugins_native/build.sh FOLDER [COMPILER FLAG ...]
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
out="${1:?usage: build.sh FOLDER [FLAG ...]}"
shift
mkdir -p "$out"
flags=(-g -shared -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror -I"$here/../../include" "$@")

c() {
    local name="$1" source="$2"
    shift 2
    "${CC:-gcc}" -std=c11 "${flags[@]}" "$@" "$here/$source" -o "$out/lib$name.so"
}
cpp() {
    local name="$1" source="$2"
    shift 2
    "${CXX:-g++}" -std=c++17 "${flags[@]}" "$@" "$here/$source" -o "$out/lib$name.so"
}

c good_c good_c.c
cpp good_cpp good_cpp.cpp
c keeper keeper.c
for where in call create validate destroy entry; do
    cpp "throws_$where" throwing.cpp "-DTHROW_IN_${where^^}"
done
c silent broken.c
c bad_version broken.c -DVERSION=0x00020000
c newer_minor broken.c -DVERSION=0x00010007
c no_symbol broken.c -DNO_SYMBOL
c truncated broken.c -DTRUNCATED
c null_table broken.c -DNULL_TABLE
c no_call broken.c -DCALL=NULL
c no_create broken.c -DCREATE=NULL
c create_fails broken.c -DCREATE_FAILS
printf 'this is no library\n' >"$out/libgarbage.so"
