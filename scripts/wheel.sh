#!/usr/bin/env bash
# Builds the wheel in release mode and installs it into .venv.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -f python/Cargo.toml ] || die "python/Cargo.toml is missing: there is no wheel to build"

wheels="$ROOT/target/wheels"
rm -f "$wheels"/plugward-*.whl
"$VENV/bin/maturin" build --release --locked --out "$wheels" --interpreter "$VENV/bin/python"
"$VENV/bin/python" -m pip install --quiet --no-deps --no-index --force-reinstall "$wheels"/plugward-*.whl
"$VENV/bin/python" -c 'import plugward; print("installed plugward", plugward.__version__)'
