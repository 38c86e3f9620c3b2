#!/usr/bin/env bash
# The main job on real parts, once, on this machine: CA and identity provider, an unmodified sshd
# that trusts the prod CA, alice signs in, policy decides, the log records, the CA signs, ssh-agent
# loads, ssh runs a command, and the record is proven. Everything it starts, it stops.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

bin=target/debug
dir=$(mktemp -d /tmp/jit-ssh-demo.XXXXXX)
account="jit-demo-$$"
pids=()
cleanup() {
    code=$?
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if id "$account" >/dev/null 2>&1; then userdel "$account" 2>/dev/null || true; fi
    if [ "$code" -ne 0 ]; then
        printf '\nThe demo stopped early. What its parts said:\n' >&2
        tail -n 20 "$dir"/*.log 2>/dev/null >&2 || true
    fi
    rm -rf "$dir" "/run/$account"
    exit "$code"
}
trap cleanup EXIT INT TERM
[ "$(id -u)" = 0 ] || fail "the demo starts an sshd and makes a test account, which needs root" "sudo -E env PATH=\"\$PATH\" make demo"

wait_for() { # WHAT PID COMMAND…: until COMMAND succeeds or PID is gone
    what=$1 pid=$2; shift 2
    for _ in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        kill -0 "$pid" 2>/dev/null || fail "$what did not start" "look at the messages below"
        sleep 0.1
    done
    fail "$what did not get ready in 30 s" "look at the messages below"
}
field() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1]))
for k in sys.argv[2].split("/"): d=d[k]
print(d)' "$1" "$2"; }

say "1. A CA and a development identity provider (one command: ca-server dev)"
"$bin/ca-server" dev --dir "$dir/ca" >"$dir/ca.log" 2>&1 &
pids+=($!)
wait_for "ca-server dev" $! test -s "$dir/ca/dev.json"
cat "$dir/ca.log"

say "2. An unmodified sshd ($(/usr/sbin/sshd -V 2>&1 | head -n 1)) that trusts the prod CA"
useradd --no-create-home --home-dir / --shell /bin/sh --password '*' "$account"
mkdir -p -m 755 /run/sshd "/run/$account"
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
ssh-keygen -q -t ed25519 -N '' -f "/run/$account/host_key"
cp "$(field "$dir/ca/dev.json" environments/prod/ca_public_key_file)" "/run/$account/ca.pub"
echo deploy >"/run/$account/principals"
cat >"/run/$account/sshd_config" <<CONFIG
ListenAddress 127.0.0.1:$port
HostKey /run/$account/host_key
PidFile none
UsePAM no
TrustedUserCAKeys /run/$account/ca.pub
AuthorizedPrincipalsFile /run/$account/principals
PubkeyAcceptedAlgorithms *-cert-v01@openssh.com
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
CONFIG
/usr/sbin/sshd -D -e -f "/run/$account/sshd_config" >"$dir/sshd.log" 2>&1 &
pids+=($!)
wait_for sshd $! bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
grep -v '^HostKey\|^PidFile' "/run/$account/sshd_config"

say "3. alice signs in (OpenID Connect + TOTP) and gets a certificate into her agent"
ssh-agent -D -a "$dir/agent.sock" >"$dir/agent.log" 2>&1 &
pids+=($!)
wait_for ssh-agent $! test -S "$dir/agent.sock"
mkdir -m 700 "$dir/home"
secret=$(field "$dir/ca/dev.json" people/alice/totp_uri | sed 's/.*secret=\([A-Z2-7]*\).*/\1/')
alice=(env HOME="$dir/home" SSH_AUTH_SOCK="$dir/agent.sock" JIT_SSH_CONFIG="$dir/ca/client.toml"
    BROWSER='curl -fsSLk -o /dev/null')
echo '$ jit-ssh login prod'
"${alice[@]}" "$bin/jit-ssh" login prod --login-hint alice --totp-command "oathtool --totp -b $secret"

say "4. Plain ssh, by name, through the block that jit-ssh setup wrote for ssh_config"
printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "/run/$account/host_key.pub")" >"$dir/known_hosts"
"${alice[@]}" "$bin/jit-ssh" setup "$(field "$dir/ca/dev.json" ca_url)" --ca-certificate "$dir/ca/tls/ca.pem" \
    --write-ssh-config >"$dir/setup.log" 2>&1
# There is no web1 here, so its name leads to the sshd above, and `deploy` there is a test account.
ssh=(ssh -F "$dir/home/.ssh/config" -o HostName=127.0.0.1 -o Port="$port" -o User="$account"
    -o BatchMode=yes -o UserKnownHostsFile="$dir/known_hosts")
printf '$ ssh web1.prod.example.com\n'
"${alice[@]}" PATH="$PWD/$bin:$PATH" "${ssh[@]}" web1.prod.example.com 'echo "a shell on $(uname -n), as $(id -un)"'
grep 'Accepted publickey' "$dir/sshd.log"

say "5. What policy refuses"
echo '$ jit-ssh login prod --as root'
"${alice[@]}" "$bin/jit-ssh" login prod --as root --login-hint alice && fail "root was granted" "this is a bug"

say "6. The certificate, and its record with a verified inclusion proof"
"${alice[@]}" ssh-add -L >"$dir/cert.pub"
ssh-keygen -L -f "$dir/cert.pub"
"$bin/ca-server" audit search --dir "$dir/ca" --person alice
"$bin/ca-server" audit export --dir "$dir/ca" >"$dir/export.jsonl"
log_key=$(curl -fsS --cacert "$dir/ca/tls/ca.pem" "$(field "$dir/ca/dev.json" ca_url)/v1/discovery" |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["log"]["verifier_key"])')
"$bin/ca-server" audit verify --export "$dir/export.jsonl" --log-key "$log_key"
"$bin/ca-server" audit verify --dir "$dir/ca"

say "7. Given back before its time"
echo '$ jit-ssh done prod'
"${alice[@]}" "$bin/jit-ssh" done prod
if "${alice[@]}" SSH_AUTH_SOCK="$dir/agent.sock" ssh -F none -p "$port" -o BatchMode=yes \
    -o UserKnownHostsFile="$dir/known_hosts" "$account@127.0.0.1" true 2>"$dir/refused.log"; then
    fail "ssh still got in" "this is a bug"
fi
echo "ssh now says: $(tail -n 1 "$dir/refused.log")"

say "That was the main job. Try next:"
cat <<NEXT
  $bin/ca-server dev --dir ./demo              a CA of your own; it says where its files are
  $bin/ca-server policy explain --help         why may, or may not, somebody do something
  $bin/jit-ssh doctor                          what is wrong on this machine, and what to do
  README.md                                  five minutes, then a real installation
NEXT
