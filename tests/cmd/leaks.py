#!/usr/bin/env python3
"""Looks for any eight characters in a row of a secret in files: as they are, lower-cased, base64 or hex encoded.

    leaks.py FILE_OR_FOLDER… < SECRETS        one secret a line

Prints every place, never the secret. Exit 0: nowhere. Exit 1: somewhere. Exit 2: nothing was read.
What every key of a vendor has in common (`T3BlbkFJ`) is no piece of a secret and is not looked for.
"""

import base64
import os
import stat
import sys

PIECE = 8
BASE64_PIECE = 11
PUBLIC = (b"T3BlbkFJ",)


def runs(text, length):
    """Every `length` bytes in a row."""
    return {text[at : at + length] for at in range(len(text) - length + 1)}


def pieces(secret):
    """Every eight characters in a row of the secret, and what they are in base64 and hex."""
    raw = secret.encode()
    found = runs(raw, PIECE) | runs(raw.lower(), PIECE)
    found |= runs(raw.hex().encode(), 2 * PIECE) | runs(raw.hex().upper().encode(), 2 * PIECE)
    for skip in range(3):
        whole = raw[skip : skip + (len(raw) - skip) // 3 * 3]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found |= runs(encode(whole), BASE64_PIECE)
    return found - {form for word in PUBLIC for form in (word, word.lower())}


def files(paths):
    """Every regular file at or below the paths; links are not followed."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
        for folder, _, names in os.walk(path):
            for name in names:
                file = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(file).st_mode):
                    yield file


def main():
    secrets = [line.strip() for line in sys.stdin if line.strip()]
    if not secrets or any(len(s) < PIECE for s in secrets):
        sys.exit("leaks.py: no secrets, or one shorter than eight characters")
    wanted = set().union(*map(pieces, secrets))
    lengths = sorted({len(piece) for piece in wanted})
    read, places = 0, []
    for file in files(sys.argv[1:]):
        try:
            with open(file, "rb") as opened:
                data = opened.read()
        except FileNotFoundError:  # a generation pruned meanwhile
            continue
        read += 1
        here = set().union(*(runs(data, n) & wanted | runs(file.encode(), n) & wanted for n in lengths))
        if here:
            places.append("%s: %d pieces" % (file, len(here)))
    print("\n".join(places) or "%d files, %d pieces looked for, none found" % (read, len(wanted)))
    sys.exit(2 if read == 0 else 1 if places else 0)


if __name__ == "__main__":
    main()
