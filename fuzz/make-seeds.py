#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets: certificates and revocation lists by ssh-keygen, the golden
log and events of ca-core, and JSON by hand. Run once; the results are committed. Needs ssh-keygen."""

import base64
import json
import os
import pathlib
import struct
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
SEEDS = HERE / "seeds"
GOLDEN = HERE.parent / "ca-core/tests/golden"
# The key that the targets expect: Ed25519 of seed 07 … 07.
SEED = bytes([7]) * 32
LOG = (GOLDEN / "log.txt").read_text()
VKEY = LOG.split("\n", 1)[0].removeprefix("vkey ")


def put(target, name, data):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def string(data):
    return struct.pack(">I", len(data)) + data


def authority(folder):
    """An OpenSSH private key file (PROTOCOL.key) of the fixed key."""
    public = base64.b64decode(VKEY.split("+", 2)[2])[1:]
    blob = string(b"ssh-ed25519") + string(public)
    private = struct.pack(">II", 1, 1) + string(b"ssh-ed25519") + string(public)
    private += string(SEED + public) + string(b"ca")
    private += bytes(range(1, 1 + -len(private) % 8))
    data = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"")
    data += struct.pack(">I", 1) + string(blob) + string(private)
    text = base64.encodebytes(data).decode()
    path = folder / "ca"
    path.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    return path


def run(*arguments):
    subprocess.run(arguments, check=True, env={**os.environ, "TZ": "UTC"}, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def run_for_output(*arguments):
    return subprocess.run(arguments, check=True, text=True, stdout=subprocess.PIPE).stdout


def certificates(folder):
    ca = authority(folder)
    kinds = {"ed25519": [], "ecdsa": ["-b", "256"], "ecdsa384": ["-b", "384"], "rsa": ["-b", "3072"]}
    for kind, bits in kinds.items():
        key = folder / kind
        run("ssh-keygen", "-q", "-t", kind.removesuffix("384"), *bits, "-N", "", "-C", "c", "-f", key)
        line = key.with_suffix(".pub").read_text()
        put("key_line", f"{kind}-line", line)
        put("key_line", f"{kind}-blob", base64.b64decode(line.split()[1]))
        options = ["-O", "clear", "-O", "permit-pty"]
        if kind == "ecdsa":
            options += ["-O", "source-address=192.0.2.0/24", "-O", "force-command=uptime"]
        run("ssh-keygen", "-q", "-s", ca, "-I", "alice@prod#42", "-n", "deploy,app", "-z", "42",
            "-V", "20270115075900:20270115090000", *options, key.with_suffix(".pub"))
        line = (folder / f"{kind}-cert.pub").read_text()
        blob = base64.b64decode(line.split()[1])
        put("certificate", f"{kind}-blob", blob)
        put("certificate", f"{kind}-line", line)
        # Ed25519 signature field: 4 + 83 bytes.
        put("certificate", f"{kind}-tbs", blob[:-87])
        put("agent", f"list-{kind}", b"\x0c" + struct.pack(">I", 1) + string(blob) + string(b"c"))
    host = folder / "ed25519-cert.pub"
    run("ssh-keygen", "-q", "-h", "-s", ca, "-I", "host", "-n", "h", folder / "ed25519.pub")
    put("certificate", "host-blob", base64.b64decode(host.read_text().split()[1]))


def revocations(folder):
    ca = folder / "ca.pub"
    ca.write_text(run_for_output("ssh-keygen", "-y", "-f", authority(folder)))
    key = (folder / "ed25519.pub").read_text()
    dense = "".join(f"serial: {8 + 2 * n}\n" for n in range(40))
    specifications = {"empty": "", "list": "serial: 1\nserial: 4294967296\n",
                      "range": "serial: 5-18446744073709551615\n", "bitmap": dense,
                      "key-ids": "id: alice@prod#42\nid: bob\n",
                      "keys": f"key: {key}sha1: {key}sha256: {key}",
                      "mixed": f"serial: 1\nserial: 100000-200000\n{dense}id: bob\nkey: {key}"}
    for name, specification in specifications.items():
        file = folder / "spec"
        file.write_text(specification)
        for scope in [ca, "none"] if name == "mixed" else [ca]:
            out = folder / "krl"
            run("ssh-keygen", "-q", "-k", "-z", "7", "-f", out, "-s", scope, file)
            put("krl", name if scope == ca else f"{name}-every-authority", out.read_bytes())


def log():
    checkpoint, receipt = LOG.split("\ncheckpoint\n", 1)[1].split("\nreceipt of 2\n")
    put("note", "checkpoint", checkpoint)
    put("note", "text", checkpoint.split("\n\n")[0] + "\n")
    put("note", "vkey", VKEY)
    put("receipt", "golden", receipt)
    put("receipt", "no-extra", "\n".join(l for l in receipt.split("\n") if l[:6] != "extra "))
    for index, line in enumerate(l for l in LOG.split("\n") if l.startswith("  leaf ")):
        if index in (0, 2, 9):
            put("record", f"leaf-{index}", bytes.fromhex(line.split()[1]))
    for file in GOLDEN.glob("*.json"):
        put("record", file.stem, file.read_bytes().rstrip(b"\n"))
    hashes = [base64.b64decode(l.split()[1]) for l in LOG.split("\n") if l.startswith("  hash ")]
    put("proof", "inclusion", struct.pack(">QQ", 2, 7) + b"".join(hashes[:4]))
    put("proof", "consistency", struct.pack(">QQ", 6, 20) + b"".join(hashes[:7]))
    put("tile", "path", "tile/0/x001/x234/067")
    put("tile", "path-partial", "tile/entries/x001/000.p/17")
    number = bytes([3, 2]) + struct.pack(">Q", 1)
    put("tile", "bundle", number + b"\0\x02ab\0\0\0\x01c")
    put("tile", "hashes", number + b"".join(hashes[:16]))


def texts():
    for name, text in {"principal": "deploy", "user": "alice@example.com", "environment": "prod",
                       "serial": "1099511627818", "key-id": "alice@prod#42",
                       "subject": "https://id.example.com\nsub-alice",
                       "time": "2027-01-15T08:00:00.123Z", "networks": "192.0.2.0/24,2001:db8::/32",
                       "digest": "mzmoOrINQ6YEdU3iMkIre8rn7sQW/0ZxAN9bZlT4Ino="}.items():
        put("names", name, text)
    put("agent", "success", b"\x06")
    put("agent", "failure", b"\x05")
    put("agent", "signature", b"\x0e" + string(string(b"ssh-ed25519") + string(bytes(64))))


def api():
    token = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
    documents = {
        "open-session": {"id_token": token, "session_public_key": key, "totp": "123456"},
        "begin": {"id_token": token, "session_public_key": key, "tickets": ["t"], "totp": "1"},
        "confirm": {"id_token": token, "session_public_key": key, "totp": "123456"},
        "ticket": {"user": "alice"},
        "certificate": {"environment": "prod", "principals": ["deploy"], "duration_seconds": 60,
                        "reason": "why", "ticket": "OPS-1", "public_key": key,
                        "request_id": "0123456789abcdef"},
        "revoke": {"serial": 42, "reason": "lost"},
        "revoke-mine": {"mine": "prod"},
        "audit": {"person": "alice", "account": "prod/deploy", "kind": "refused", "limit": 10,
                  "since": "2027-01-15T08:00:00Z"},
        "problem": {"type": "denied", "status": 403, "title": "t", "detail": "d", "field": "f",
                    "reasons": [{"policy": "p", "sentence": "s"}],
                    "hints": [{"changes": [{"change": "approvals", "count": 1, "groups": ["sre"]},
                                           {"change": "shorter-duration", "seconds_max": 60},
                                           {"change": "other-account", "principal": "app"}],
                               "sentence": "s"}], "retry_after_seconds": 3},
        "issued": {"certificate": "c", "serial": 42, "environment": "prod",
                   "principals": ["deploy"], "key_id": "alice@prod#42",
                   "valid_after": "2027-01-15T07:59:00Z", "valid_before": "2027-01-15T09:00:00Z",
                   "policies": ["p"], "receipt": "r", "server_time": "2027-01-15T08:00:00Z"},
        "profile": {"max_duration_seconds": 60, "extensions": ["permit-pty"],
                    "force_command": "uptime", "source_address": ["192.0.2.0/24"]},
        "discovery": {"issuers": [{"issuer": "i", "client_id": "c", "scopes": ["openid"]}],
                      "environments": [{"name": "prod", "ca_public_key": key,
                                        "host_patterns": ["*"], "default_principals": ["deploy"],
                                        "default_duration_seconds": 60,
                                        "duration_seconds_max": 60}],
                      "log": {"origin": "o", "verifier_key": VKEY, "epoch": 1},
                      "server_time": "2027-01-15T08:00:00Z", "version": "0"},
    }
    for name, document in documents.items():
        put("api", name, json.dumps(document, separators=(",", ":")))


with tempfile.TemporaryDirectory() as folder:
    certificates(pathlib.Path(folder))
    revocations(pathlib.Path(folder))
log()
texts()
api()
