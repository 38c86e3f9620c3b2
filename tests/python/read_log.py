"""Reads a whole C2SP log over HTTP and judges it. Written from the texts of signed-note,
tlog-checkpoint and tlog-tiles v1 and RFC 6962; shares no code with the log it reads.

    read_log.py [--ca-file PEM] [--entries FILE] PREFIX VKEY

Fetches PREFIX/checkpoint, every hash tile of every level and every entry bundle. Checks the
note's signature by VKEY, that each tile has its exact width, that level 0 is the hashes of the
entries, that each higher tile is the roots of the full tiles below, and that the tree's root is
the signed one. With --entries it also writes the entries, one a line, in hex.
Prints `OK SIZE ROOT_HEX ORIGIN`, or what is wrong and exits 1.
"""

import argparse
import base64
import hashlib
import ssl
import sys
import urllib.error
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256
SIGNATURES_MAX = 64


class Wrong(Exception):
    """What is wrong with the log."""


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    """MTH of RFC 6962 section 2.1 over hashes of the lowest level."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


def b64(text):
    return base64.b64decode(text, validate=True)


def parse_vkey(vkey):
    name, key_id, rest = vkey.split("+", 2)
    data = b64(rest)
    if data[:1] != b"\x01" or len(data) != 33:
        raise Wrong("vkey is not an Ed25519 key")
    wanted = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if wanted.hex() != key_id:
        raise Wrong(f"vkey has key id {key_id}, should be {wanted.hex()}")
    return name, wanted, Ed25519PublicKey.from_public_bytes(data[1:])


def open_note(note, vkey):
    """The text of a note that is signed by vkey (signed-note: Format, Verifying)."""
    name, key_id, key = parse_vkey(vkey)
    if any(byte < 0x20 and byte != 0x0A for byte in note):
        raise Wrong("note has a control character")
    text, separator, signatures = note.decode("utf-8").rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise Wrong("note has no signature part")
    text += "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise Wrong("note has too many signatures")
    signed = False
    for line in lines:
        dash, signer, blob = line.split(" ")
        if dash != "\u2014":
            raise Wrong(f"signature line without a dash: {line!r}")
        data = b64(blob)
        if signer == name and data[:4] == key_id:
            try:
                key.verify(data[4:], text.encode())
            except InvalidSignature:
                raise Wrong("the log's signature is wrong") from None
            signed = True
    if not signed:
        raise Wrong(f"note is not signed by {name}+{key_id.hex()}")
    return name, text


def parse_checkpoint(text, name):
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise Wrong("checkpoint does not have exactly three lines")
    origin, size, root = lines[:3]
    if origin != name:
        raise Wrong(f"origin {origin!r} is not the key's name {name!r}")
    if not size.isascii() or not size.isdigit() or str(int(size)) != size:
        raise Wrong(f"size {size!r} is not a canonical decimal")
    root = b64(root)
    if len(root) != 32:
        raise Wrong("root is not 32 bytes")
    return int(size), root


def tile_path(number, width):
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03d}")
    path = "/".join(groups)
    return path if width == WIDTH else f"{path}.p/{width}"


class Log:
    """Where the log is, and how it is fetched."""

    def __init__(self, prefix, ca_file):
        self.prefix = prefix.rstrip("/")
        self.context = ssl.create_default_context(cafile=ca_file) if ca_file else None
        if self.context:
            # Python 3.13 asks a private authority for extensions that RFC 5280 wants of public ones.
            self.context.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def get(self, path):
        url = f"{self.prefix}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=30, context=self.context) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise Wrong(f"{url}: HTTP status {error.code}") from None

    def level(self, level, count):
        """The `count` hashes of a level, from its full tiles and at most one partial one."""
        hashes = []
        for first in range(0, count, WIDTH):
            width = min(WIDTH, count - first)
            path = f"tile/{level}/{tile_path(first // WIDTH, width)}"
            data = self.get(path)
            if len(data) != 32 * width:
                raise Wrong(f"{path} has {len(data)} bytes, should have {32 * width}")
            hashes += [data[at:at + 32] for at in range(0, len(data), 32)]
        return hashes

    def entries(self, count):
        """The first `count` entries, from the bundles (16-bit big-endian length, bytes)."""
        for first in range(0, count, WIDTH):
            width = min(WIDTH, count - first)
            path = f"tile/entries/{tile_path(first // WIDTH, width)}"
            data = self.get(path)
            for _ in range(width):
                length = int.from_bytes(data[:2], "big")
                if len(data) < 2 + length:
                    raise Wrong(f"{path} is cut short")
                yield data[2:2 + length]
                data = data[2 + length:]
            if data:
                raise Wrong(f"{path} has {len(data)} bytes too many")


def read(log, vkey):
    name, text = open_note(log.get("checkpoint"), vkey)
    size, root = parse_checkpoint(text, name)
    entries = list(log.entries(size))
    expected = [leaf_hash(entry) for entry in entries]
    level = 0
    while expected:
        for index, (found, wanted) in enumerate(zip(log.level(level, len(expected)), expected)):
            if found != wanted:
                raise Wrong(f"level {level}, hash {index} is {found.hex()}, should be {wanted.hex()}")
        if level == 0:
            computed = root_of(expected)
        full = len(expected) // WIDTH
        expected = [root_of(expected[n * WIDTH:(n + 1) * WIDTH]) for n in range(full)]
        level += 1
    if size == 0:
        computed = root_of([])
    if computed != root:
        raise Wrong(f"root is {root.hex()}, the tiles give {computed.hex()}")
    return size, root, name, entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ca-file")
    parser.add_argument("--entries")
    parser.add_argument("prefix")
    parser.add_argument("vkey")
    arguments = parser.parse_args()
    try:
        log = Log(arguments.prefix, arguments.ca_file)
        size, root, origin, entries = read(log, arguments.vkey)
    except (Wrong, ValueError, OSError) as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)
    if arguments.entries:
        with open(arguments.entries, "w", encoding="ascii") as file:
            file.writelines(f"{entry.hex()}\n" for entry in entries)
    print(f"OK {size} {root.hex()} {origin}")


if __name__ == "__main__":
    main()
