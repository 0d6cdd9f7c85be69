#!/usr/bin/env bash
# The C and C++ tests of the C door; `make test-c` runs it. Each program prints a line per check.
#   tests/c/run.sh             all of it
#   tests/c/run.sh MODE ...    some of: headers exports plain panic asan valgrind install
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

OUT="$ROOT/build/c"
CC="${CC:-gcc}"
CXX="${CXX:-g++}"
WARN=(-Wall -Wextra -Wpedantic -Werror)
C=("$CC" -std=c11 -D_GNU_SOURCE "${WARN[@]}" -g)
CPP=("$CXX" -std=c++17 -D_GNU_SOURCE "${WARN[@]}" -g)
passed=0
failed=0
need "$CC" "a C compiler"
need "$CXX" "a C++ compiler"
need python3 "Python 3.10 or newer"

ok() {
    printf '  ok      %s\n' "$1"
    passed=$((passed + 1))
}
bad() {
    printf '  FAILED  %s\n' "$1"
    failed=$((failed + 1))
}
# check NAME COMMAND ...: passes when the command does; its output is shown when it does not.
check() {
    local name="$1" said
    shift
    if said="$("$@" 2>&1)"; then ok "$name"; else
        bad "$name"
        sed 's/^/          /' <<<"$said"
    fi
}
# refuses NAME COMMAND ...: passes when the command fails.
refuses() {
    local name="$1"
    shift
    if "$@" >/dev/null 2>&1; then bad "$name"; else ok "$name"; fi
}

# library FOLDER MARK [CARGO FLAG ...]: builds libplugward.so and keeps a copy under its soname. Somebody else may build
# into the same target folder meanwhile: MARK (yes or no) says whether it must hold the injected faults.
library() {
    local out="$OUT/$1" mark="$2" built="${CARGO_TARGET_DIR:-$ROOT/target}/debug/libplugward.so" try name
    shift 2
    mkdir -p "$out"
    for try in 1 2 3 4 5; do
        cargo build --quiet --locked -p plugward-ffi "$@"
        cp "$built" "$out/libplugward.so.new"
        if [ "$(grep -qa PLUGWARD_TEST_PANIC "$out/libplugward.so.new" && echo yes || echo no)" = "$mark" ]; then
            name="$(objdump -p "$out/libplugward.so.new" | awk '$1 == "SONAME" { print $2 }')"
            mv "$out/libplugward.so.new" "$out/$name"
            ln -sf "$name" "$out/libplugward.so"
            return
        fi
    done
    die "another build keeps replacing $built (try $try)"
}

functions_of_header() { sed -nE '/^(typedef|#)/!s/^[a-z].*[ *](plugward_[a-z0-9_]+)\(.*/\1/p' include/plugward.h | sort; }
exports_of_library() { nm -D --defined-only "$1" | awk '{ print $3 }' | sort; }

mode_headers() {
    local header
    echo "== headers, compiled alone and twice"
    for header in plugward_errors.h plugward_plugin.h plugward.h plugward.hpp; do
        printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$OUT/twice.inc"
        if [ "${header##*.}" = h ]; then
            check "$header as C11" "${C[@]}" -Iinclude -fsyntax-only -x c <(printf '#include "%s"\nint unused;\n' "$header")
            check "$header twice as C11" "${C[@]}" -Iinclude -fsyntax-only -x c <(cat "$OUT/twice.inc" && echo 'int unused;')
        fi
        check "$header as C++17" "${CPP[@]}" -Iinclude -fsyntax-only -x c++ <(printf '#include "%s"\n' "$header")
        check "$header twice as C++17" "${CPP[@]}" -Iinclude -fsyntax-only -x c++ "$OUT/twice.inc"
    done
}

mode_exports() {
    echo "== exports"
    library plain no
    check "the library exports the header's functions, all of them and nothing else" \
        diff <(functions_of_header) <(exports_of_library "$OUT/plain/libplugward.so")
    [ "$(functions_of_header | wc -l)" -gt 50 ] && ok "the header's functions were found" || bad "the header's functions were found"
    if command -v ldd >/dev/null; then
        check "every library that it needs is there" bash -c "! ldd '$OUT/plain/libplugward.so' | grep 'not found'"
    fi
}

# compile MODE LIBRARY FLAG ...: every program and plugin, into build/c/MODE.
compile() {
    local mode="$1" library="$2" source name
    shift 2
    mkdir -p "$OUT/$mode"
    exports_of_library "$library/libplugward.so" | sed 's/.*/EVERY(&)/' >"$OUT/$mode/exports.inc"
    bash tests/plugins_native/build.sh "$OUT/$mode/plugins" "$@"
    for source in tests/c/*.c tests/c/*.cpp; do
        name="$(basename "${source%.*}")"
        local with=("${C[@]}")
        [ "${source##*.}" = c ] || with=("${CPP[@]}")
        "${with[@]}" "$@" -Iinclude -I"$OUT/$mode" "$source" -o "$OUT/$mode/$name" \
            -L"$library" -lplugward -lpthread -Wl,-rpath,"$library"
    done
    python3 tests/c/conformance/generate.py "$OUT/$mode/stories.c"
    "${C[@]}" "$@" -Iinclude -Itests/c -Itests/c/conformance tests/c/conformance/*.c "$OUT/$mode/stories.c" \
        -o "$OUT/$mode/conformance" -L"$library" -lplugward -lpthread -Wl,-rpath,"$library"
}

# run_one MODE SECONDS PROGRAM [ARGUMENT ...]: under $RUNNER, counting what it counted.
run_one() {
    local mode="$1" seconds="$2" program="$3" log status=0 counts
    shift 3
    log="$OUT/$mode/$program.log"
    timeout "$seconds" "${RUNNER[@]}" "$OUT/$mode/$program" "$@" >"$log" 2>&1 || status=$?
    counts="$(sed -nE "s/^$program: ([0-9]+) passed, ([0-9]+) failed\$/\1 \2/p" "$log")"
    if [ -z "$counts" ] || { [ "$status" != 0 ] && [ "${counts#* }" = 0 ]; }; then
        tail -n 40 "$log" | sed 's/^/          /'
        bad "$mode $program ended with status $status"
        return
    fi
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
    if [ "${counts#* }" = 0 ]; then printf '  ok      %s %s: %s checks\n' "$mode" "$program" "${counts% *}"; else cat "$log"; fi
}

PROGRAMS=(basics faults hang logs tensors throws nulls raii conformance)

# run_all MODE SECONDS ROUNDS: every program but fork, whose work differs; ROUNDS is the work of threads.
run_all() {
    local mode="$1" seconds="$2" rounds="$3" program
    for program in "${PROGRAMS[@]}"; do run_one "$mode" "$seconds" "$program"; done
    run_one "$mode" "$seconds" native "$OUT/$mode/plugins"
    run_one "$mode" "$seconds" threads "$rounds"
}

mode_plain() {
    echo "== programs"
    library plain no
    compile plain "$OUT/plain"
    RUNNER=()
    run_all plain 240 400
    run_one plain 240 fork 100
}

mode_panic() {
    echo "== a panic in every exported function"
    library fault yes --features fault-injection
    mkdir -p "$OUT/panic"
    exports_of_library "$OUT/fault/libplugward.so" | sed 's/.*/EVERY(&)/' >"$OUT/panic/exports.inc"
    "${CPP[@]}" -Iinclude -I"$OUT/panic" tests/c/panic.cpp -o "$OUT/panic/panic" -L"$OUT/fault" -lplugward -Wl,-rpath,"$OUT/fault"
    RUNNER=()
    run_one panic 120 panic
}

mode_asan() {
    echo "== programs under AddressSanitizer and UndefinedBehaviorSanitizer"
    library plain no
    compile asan "$OUT/plain" -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1"
    export UBSAN_OPTIONS="print_stacktrace=1"
    RUNNER=()
    prove asan overflow after_free leak undefined
    run_all asan 240 100
    # AddressSanitizer's own allocator does not survive a fork beside threads that allocate.
    run_one asan 240 fork 5 quiet
}

mode_valgrind() {
    echo "== programs under valgrind"
    if ! command -v valgrind >/dev/null; then
        printf 'SKIPPED: valgrind is not installed; nothing ran under it\n'
        return
    fi
    library plain no
    compile valgrind "$OUT/plain"
    RUNNER=(valgrind --quiet --error-exitcode=97 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite
        --child-silent-after-fork=yes --fair-sched=yes)
    prove valgrind overflow after_free leak
    run_all valgrind 300 10
    # What the parent's threads held is lost in a child that has no such threads: no leak of ours.
    RUNNER=(valgrind --quiet --error-exitcode=97 --leak-check=no)
    run_one valgrind 300 fork 2
}

# prove MODE FAULT ...: the checker reports each fault that it must, and nothing where there is none.
prove() {
    local mode="$1" fault
    shift
    check "$mode: a program without a fault passes" "${RUNNER[@]}" "$OUT/$mode/proof"
    for fault in "$@"; do
        refuses "$mode: the checker is on, it reports: $fault" "${RUNNER[@]}" "$OUT/$mode/proof" "$fault"
    done
}

mode_install() {
    echo "== make install, pkg-config, the example"
    local prefix="$OUT/prefix"
    rm -rf "$prefix"
    check "make install" make --no-print-directory install PREFIX="$prefix"
    local size
    size="$(stat -Lc %s "$prefix/lib/libplugward.so")"
    if [ "$size" -le 6000000 ]; then ok "libplugward.so has $size bytes, 6 MB at most"; else bad "libplugward.so has $size bytes, more than 6 MB"; fi
    check "the installed library exports the header's functions" diff <(functions_of_header) <(exports_of_library "$prefix/lib/libplugward.so")
    check "the installed library has no test code" bash -c "! grep -qa PLUGWARD_TEST_PANIC '$prefix/lib/libplugward.so'"
    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    check "the example is built with pkg-config" make --no-print-directory -C examples/c_host OUT="$OUT/c_host"
    check "the example runs" "$OUT/c_host"
    check "the example's answers are right" bash -c "'$OUT/c_host' | diff examples/c_host/expected.txt -"
    check "the static library is linked with pkg-config --static" bash -c \
        "'$CC' -std=c11 -D_GNU_SOURCE -Itests/c \$(pkg-config --cflags plugward) tests/c/basics.c -o '$OUT/static' '$prefix/lib/libplugward.a' \$(pkg-config --static --libs-only-l plugward | sed 's/-lplugward//')"
    check "a program with the static library runs" "$OUT/static"
}

mkdir -p "$OUT"
[ "$#" -gt 0 ] || set -- headers exports plain panic asan valgrind install
for mode in "$@"; do
    declare -F "mode_$mode" >/dev/null || die "unknown mode '$mode'"
    "mode_$mode"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
