#!/usr/bin/env bash
# `make bench`: measures in a release build. One JSON document on stdout, progress on stderr.
# --quick is a smoke run of some seconds; JIT_SSH_BENCH_RECORDS=N makes the long log another size.
# --only PART is one of policy, proof, issuance, client, ending, approval, waiters, list.
# Needs about 3 GB of disk below the target folder, for some minutes; and root and a stock sshd for the
# last four parts, which are left out otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

# Always the same packages selected: another selection would build Cedar again.
"${CARGO:-cargo}" build --release --workspace --locked --bins --bench figures >&2
bench=$("${CARGO:-cargo}" build --release --workspace --locked --bins --bench figures \
    --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"figures".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$bench" ] || { echo "bench: the program was not built" >&2; exit 1; }
JIT_SSH_PROGRAMS_BUILT=1 exec timeout --kill-after=10 1500 "$bench" "$@"
