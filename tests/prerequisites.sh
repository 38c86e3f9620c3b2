#!/usr/bin/env bash
# Installs what the end-to-end tests stand on, or names what is missing and the command to run.
# Does nothing (fast) when everything is there. Run by `make test`; safe to run again at any time.
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
want python3 python3
want node nodejs
want npm npm
if [ -x /usr/bin/python3 ] && [ "$(command -v python3)" = /usr/bin/python3 ] &&
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

if command -v node >/dev/null; then
    version="$(node --version)"
    major="${version#v}"
    if [ "${major%%.*}" -lt 20 ]; then
        lacking "node 20 or later (found $version; Debian 12 has 18)" \
            "curl -fsSL https://deb.nodesource.com/setup_22.x | sudo bash - && sudo apt-get install -y nodejs"
    elif ! cmp -s tests/oidc/package-lock.json tests/oidc/node_modules/.from-lock; then
        say "installing the OpenID provider (npm ci in tests/oidc)"
        if npm --prefix tests/oidc ci --no-audit --no-fund --loglevel=error >&2; then
            cp tests/oidc/package-lock.json tests/oidc/node_modules/.from-lock
        else
            lacking "npm packages of tests/oidc" "npm --prefix tests/oidc ci"
        fi
    fi
fi

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

# Test accounts are made with useradd and a system sshd is started: both need root.
[ "$(id -u)" = 0 ] || lacking "root, for sshd and its test accounts" "sudo -E env PATH=\"\$PATH\" make test"

exit "$missing"
