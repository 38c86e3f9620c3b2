#!/usr/bin/env bash
# The main job on real parts, once, on this machine: CA and identity provider, a host with an
# unmodified sshd, alice signs in, policy decides, the log records, the CA signs, ssh-agent loads,
# ssh runs a command, the record is proven; an approval, an emergency and its review; and access
# that ends while it is in use. Everything it starts, it stops.
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
    # What is left of the ssh sessions: processes of an account that only this demo has.
    if id "$account" >/dev/null 2>&1; then
        for process in $(find /proc -maxdepth 1 -name '[0-9]*' -user "$account"); do
            kill -KILL "${process#/proc/}" 2>/dev/null || true
        done
        userdel "$account" 2>/dev/null || true
    fi
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
# Three people, each with a home and an agent. Whoever is signed in is not asked again.
be() { # NAME: "${me[@]}" COMMAND… is a command of that person
    me=(env -u XDG_CONFIG_HOME -u XDG_RUNTIME_DIR -u XDG_STATE_HOME HOME="$dir/$1"
        SSH_AUTH_SOCK="$dir/$1.sock" JIT_SSH_CONFIG="$dir/ca/client.toml"
        BROWSER='curl -fsSLk -o /dev/null' PATH="$PWD/$bin:$PATH")
}
as() { be "$1"; shift; "${me[@]}" "$@"; } # NAME COMMAND…
types() { # NAME COMMAND…: what that person would type
    printf '\033[2m%s$\033[0m' "$1" >&2; shift
    for word in "$@"; do
        case $word in *' '*) word="\"$word\"" ;; esac
        printf ' %s' "$word" >&2
    done
    printf '\n' >&2
}
jit() { who=$1; shift; types "$who" jit-ssh "$@"; as "$who" jit-ssh "$@"; } # NAME ARGUMENT…
signing_in() { # NAME: how to sign in without a browser window and a phone
    secret=$(field "$dir/ca/dev.json" "people/$1/totp_uri" | sed 's/.*secret=\([A-Z2-7]*\).*/\1/')
    sign_in=(--login-hint "$1" --totp-command "oathtool --totp -b $secret")
}
first() { # LIST FIELD: of the first thing in a JSON answer
    python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]][0][sys.argv[2]])' "$1" "$2"
}
milliseconds_since() { echo "$((($(date +%s%N) - $1) / 1000000)) ms"; }
field() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1]))
for k in sys.argv[2].split("/"): d=d[k]
print(d)' "$1" "$2"; }

say "1. A CA and a development identity provider (one command: ca-server dev)"
"$bin/ca-server" dev --dir "$dir/ca" >"$dir/ca.log" 2>&1 &
pids+=($!)
wait_for "ca-server dev" $! test -s "$dir/ca/dev.json"
cat "$dir/ca.log"
ca_url=$(field "$dir/ca/dev.json" ca_url)
for name in alice bob carol; do
    mkdir -m 700 "$dir/$name"
    ssh-agent -D -a "$dir/$name.sock" >"$dir/agent.log" 2>&1 &
    pids+=($!)
    wait_for ssh-agent $! test -S "$dir/$name.sock"
done

say "2. A host: an unmodified sshd ($(/usr/sbin/sshd -V 2>&1 | head -n 1)), joined to prod with a one-use token"
useradd --no-create-home --home-dir / --shell /bin/sh --password '*' "$account"
mkdir -p -m 755 /run/sshd "/run/$account" "/run/$account/sshd_config.d"
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
ssh-keygen -q -t ed25519 -N '' -f "/run/$account/host_key"
echo deploy >"/run/$account/principals"
cat >"/run/$account/sshd_config" <<CONFIG
Include /run/$account/sshd_config.d/*.conf
ListenAddress 127.0.0.1:$port
HostKey /run/$account/host_key
PidFile none
AuthorizedPrincipalsFile /run/$account/principals
CONFIG
host=("$bin/jit-ssh-host" --dir "/run/$account/host")
signing_in carol
as carol jit-ssh requests "${sign_in[@]}" >"$dir/carol.log" 2>&1
jit carol host-token prod web1.prod.example.com >"$dir/token"
echo 'web1# jit-ssh-host enroll --ca https://… --token-file token'
"${host[@]}" enroll --ca "$ca_url" --ca-file "$dir/ca/tls/ca.pem" \
    --token-file "$dir/token" --sshd-dir "/run/$account" --host-key "/run/$account/host_key" \
    --run-dir "/run/$account/run" >"$dir/enroll.log"
head -n 1 "$dir/enroll.log"
grep -v '^#\|^$' "/run/$account/sshd_config.d/10-jit-ssh.conf"
# The one line that a host's PAM gets, in a copy of the file that only this sshd sees.
line="session optional pam_exec.so quiet $PWD/$bin/jit-ssh-host session --dir /run/$account/host"
sed "/pam_loginuid.so/a $line" /etc/pam.d/sshd >"/run/$account/pam"
sshd=(/usr/sbin/sshd -D -e -f "/run/$account/sshd_config")
if unshare -m true 2>/dev/null && grep -q jit-ssh-host "/run/$account/pam"; then
    watched=yes
    unshare -m -- sh -c 'mount --bind "$0" /etc/pam.d/sshd && exec "$@"' "/run/$account/pam" "${sshd[@]}" \
        >"$dir/sshd.log" 2>&1 &
else
    watched=no
    "${sshd[@]}" >"$dir/sshd.log" 2>&1 &
fi
pids+=($!)
wait_for sshd $! bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
"${host[@]}" run >"$dir/host.log" 2>&1 &
pids+=($!)
wait_for jit-ssh-host $! grep -q ready "$dir/host.log"

say "3. alice signs in (OpenID Connect + TOTP) and gets a certificate into her agent"
signing_in alice
types alice jit-ssh login prod
as alice jit-ssh login prod "${sign_in[@]}"

say "4. Plain ssh, by name, through the block that jit-ssh setup wrote for ssh_config"
as alice jit-ssh setup "$ca_url" --ca-certificate "$dir/ca/tls/ca.pem" --write-ssh-config >"$dir/setup.log" 2>&1
# There is no web1 here, so its name leads to the sshd above, and `deploy` there is a test account.
# Nobody is asked about the host key: the host shows a certificate.
ssh=(ssh -F "$dir/alice/.ssh/config" -o HostName=127.0.0.1 -o HostKeyAlias=web1.prod.example.com -o Port="$port"
    -o User="$account" -o BatchMode=yes -o StrictHostKeyChecking=yes web1.prod.example.com)
types alice ssh web1.prod.example.com
as alice "${ssh[@]}" 'echo "a shell on $(uname -n), as $(id -un)"'
grep 'Accepted publickey' "$dir/sshd.log"

say "5. What policy refuses"
jit alice login prod --as root --for 4h && fail "root was granted" "this is a bug"

say "6. The certificate, and its record with a verified inclusion proof"
as alice ssh-add -L >"$dir/cert.pub"
ssh-keygen -L -f "$dir/cert.pub"
"$bin/ca-server" audit search --dir "$dir/ca" --person alice
"$bin/ca-server" audit export --dir "$dir/ca" >"$dir/export.jsonl"
log_key=$(curl -fsS --cacert "$dir/ca/tls/ca.pem" "$ca_url/v1/discovery" |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["log"]["verifier_key"])')
"$bin/ca-server" audit verify --export "$dir/export.jsonl" --log-key "$log_key"

say "7. root in prod takes somebody else: alice asks and waits, carol approves"
types alice jit-ssh login prod --as root --reason "disk full"
be alice
"${me[@]}" jit-ssh login prod --as root --reason "disk full" --wait 1m >"$dir/root.log" 2>&1 &
waiting=$!
pids+=("$waiting")
asked() { as carol jit-ssh requests --to-approve --json | first requests id; }
wait_for "the request" "$waiting" asked
cat "$dir/root.log"
request=$(asked)
jit carol approve "$request" --yes
began=$(date +%s%N)
wait "$waiting" || fail "alice did not get root" "$(cat "$dir/root.log")"
echo "alice has her certificate $(milliseconds_since "$began") later:"
tail -n +2 "$dir/root.log"

say "8. An emergency waits for nobody: bob, who is on call, breaks glass; carol reviews it"
signing_in bob
as bob jit-ssh requests "${sign_in[@]}" >"$dir/bob.log" 2>&1
jit bob break-glass prod --as root --reason "INC-42 database down"
jit carol reviews
jit carol review "$(as carol jit-ssh reviews --json | first reviews id)" --finding "justified, see INC-42"

say "9. Access ends while it is in use"
jit alice done prod
session() { # in the background: alice, logged in
    be alice
    "${me[@]}" "${ssh[@]}" 'echo in; sleep 1000' >"$dir/session.out" 2>"$dir/session.log" &
    session=$!
    pids+=("$session")
    wait_for "the ssh session" "$session" grep -q in "$dir/session.out"
}
ended() { # since when
    if [ "$watched" = no ]; then
        echo "(this machine gives no mount namespace for PAM's file: the running session is left alone)"
        return
    fi
    for _ in $(seq 200); do
        if ! kill -0 "$session" 2>/dev/null; then
            echo "web1: the running ssh session ended $(milliseconds_since "$1") later"
            return
        fi
        sleep 0.05
    done
    fail "the ssh session goes on" "this is a bug"
}
types alice ssh web1.prod.example.com
session
began=$(date +%s%N)
jit alice done prod
ended "$began"
types alice ssh web1.prod.example.com
session
began=$(date +%s%N)
jit carol revoke --person alice --reason "laptop stolen" --yes
ended "$began"
printf '@cert-authority * %s\n' "$(cat "$dir/ca/keys/prod.host-ca.pub")" >"$dir/known_hosts"
if as alice ssh -F none -p "$port" -o BatchMode=yes -o UserKnownHostsFile="$dir/known_hosts" \
    -o HostKeyAlias=web1.prod.example.com "$account@127.0.0.1" true 2>"$dir/refused.log"; then
    fail "ssh still got in" "this is a bug"
fi
as alice ssh-add -l
echo "that certificate is still in the agent, and sshd says: $(tail -n 1 "$dir/refused.log")"

say "10. The story of a grant, and the host"
jit carol history "$request"
jit carol hosts prod
"$bin/ca-server" audit verify --dir "$dir/ca"

say "That was the main job. Try next:"
cat <<NEXT
  $bin/ca-server dev --dir ./demo              a CA of your own; it says where its files are
  $bin/ca-server policy explain --help         why may, or may not, somebody do something
  $bin/jit-ssh doctor                          what is wrong on this machine, and what to do
  README.md                                  five minutes, then a real installation
NEXT
