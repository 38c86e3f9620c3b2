"""Judges tree heads with pymerkle, an RFC 6962 implementation that is not ours.

    check_tree.py SIZE:ROOT_HEX... < entries

Standard input holds one entry a line, in hex, oldest first. For each head the root over the
first SIZE entries is compared, and between following sizes pymerkle's consistency proof is
made and verified. Prints `OK N heads`, or the first mismatch and exits 1.
"""

import sys

from pymerkle import InmemoryTree, verify_consistency


def fail(text):
    print(text)
    sys.exit(1)


def main():
    tree = InmemoryTree(algorithm="sha256")
    for line in sys.stdin:
        tree.append_entry(bytes.fromhex(line.strip()))
    heads = []
    for argument in sys.argv[1:]:
        size, root = argument.split(":")
        heads.append((int(size), bytes.fromhex(root)))
    if not heads:
        fail("no heads to check")
    for size, root in heads:
        if size > tree.get_size():
            fail(f"head of size {size}, but only {tree.get_size()} entries")
        expected = tree.get_root(size)
        if expected != root:
            fail(f"size {size}: root is {root.hex()}, pymerkle says {expected.hex()}")
    for (old, old_root), (new, new_root) in zip(sorted(heads), sorted(heads)[1:]):
        if 0 < old < new:
            verify_consistency(old_root, new_root, tree.prove_consistency(old, new))
    print(f"OK {len(heads)} heads")


if __name__ == "__main__":
    main()
