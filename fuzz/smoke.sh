#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: `make fuzz-smoke`.
#   FUZZ_SECONDS=60   for each target (10)
#   fuzz/smoke.sh note receipt    only these
# Needs the toolchain of the workspace and a C++ compiler; neither cargo-fuzz nor nightly: the flags
# are those that cargo-fuzz sets, without a sanitizer (ca-core forbids unsafe code).
# ID tokens are not here: their parser is in ca-server, which would bring Cedar, sled and aws-lc into
# every build of this folder. Bounded property tests stand beside it (authn/id_token/tests.rs).
set -euo pipefail
cd "$(dirname "$0")"

seconds=${FUZZ_SECONDS:-10}
target=$(rustc -vV | sed -n 's/^host: //p')
work=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR=$work

if ! command -v c++ >/dev/null && ! command -v clang++ >/dev/null; then
    echo "fuzz-smoke: no C++ compiler, libFuzzer cannot be built" >&2
    echo "hint: sudo apt-get install g++" >&2
    exit 1
fi

# Needed only if a future rustc makes these flags unstable; stable accepts them today.
export RUSTC_BOOTSTRAP=1
# With --target build scripts and procedural macros stay as they are.
export RUSTFLAGS="--cfg fuzzing -C debug-assertions -C codegen-units=1 \
-C passes=sancov-module \
-C llvm-args=-sanitizer-coverage-level=4 \
-C llvm-args=-sanitizer-coverage-inline-8bit-counters \
-C llvm-args=-sanitizer-coverage-pc-table \
-C llvm-args=-sanitizer-coverage-trace-compares \
-C llvm-args=-simplifycfg-branch-fold-threshold=0"

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

echo "fuzz-smoke: building ${#targets[@]} targets"
cargo build --locked --quiet --target "$target" "${targets[@]/#/--bin=}"

failed=0
for name in "${targets[@]}"; do
    # Inputs found go here and are kept for the next run; the seeds stay as they are.
    corpus=$work/corpus/$name
    found=$work/artifacts/$name
    mkdir -p "$corpus" "$found"
    length=16384
    [ "$name" = agent ] && length=65536
    if log=$("$work/$target/debug/$name" \
        -max_total_time="$seconds" -max_len=$length -timeout=5 -rss_limit_mb=512 \
        -seed=1 -print_final_stats=1 -artifact_prefix="$found/" "$corpus" "seeds/$name" 2>&1); then
        runs=$(sed -n 's/^stat::number_of_executed_units: //p' <<<"$log")
        covered=$(grep -o 'cov: [0-9]*' <<<"$log" | tail -1)
        printf '%-12s ok   %10s runs   %s\n' "$name" "$runs" "$covered"
    else
        failed=1
        printf '%-12s FAILED\n' "$name"
        tail -n 40 <<<"$log"
        echo "again: $work/$target/debug/$name $found/<file above>"
    fi
done
exit $failed
