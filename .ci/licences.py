#!/usr/bin/env python3
"""Checks the licence of every dependency: each must offer at least one choice we accept.

    cargo metadata --format-version 1 --locked | .ci/licences.py
    .ci/licences.py --self-test

Reads SPDX expressions: OR, AND, WITH, parentheses, and the old `/` for OR. Exit 1 names each crate that offers no choice.
"""

import json
import re
import sys

# Permissive, and compatible with our own Apache-2.0 when linked into one program.
ACCEPTED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

# Crate → (licence expression, why it is acceptable there). A change of the expression asks the question again.
EXCEPTIONS = {
    "webpki-roots": (
        "CDLA-Permissive-2.0",
        "a list of certificate authorities, data rather than code; a permissive licence for data without conditions on results; "
        "used by the simulators' MQTT client only",
    ),
}


class Malformed(Exception):
    """Not an SPDX expression."""


def acceptable(expression: str) -> bool:
    """Whether the expression can be met with accepted licences alone. AND binds more tightly than OR (SPDX 2.3, annex D.4)."""
    tokens = re.findall(r"[()/]|[^\s()/]+", expression)
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        if position == len(tokens):
            raise Malformed(f"{expression!r} ends too early")
        position += 1
        return tokens[position - 1]

    def either() -> bool:
        result = both()
        while peek() in ("OR", "/"):
            take()
            other = both()
            result = result or other
        return result

    def both() -> bool:
        result = one()
        while peek() == "AND":
            take()
            other = one()
            result = result and other
        return result

    def one() -> bool:
        word = take()
        if word == "(":
            result = either()
            if take() != ")":
                raise Malformed(f"{expression!r} lacks a closing parenthesis")
            return result
        if word in (")", "/", "OR", "AND", "WITH"):
            raise Malformed(f"{expression!r} has {word!r} in the place of a licence")
        if peek() == "WITH":
            take()
            word = f"{word} WITH {take()}"
        return word in ACCEPTED

    result = either()
    if peek() is not None:
        raise Malformed(f"{expression!r} goes on after its end with {peek()!r}")
    return result


def judge(packages) -> tuple[list[str], set[str]]:
    """Complaints, and the exceptions that were needed."""
    complaints, used = [], set()
    for package in packages:
        name, licence = package["name"], package.get("license")
        crate = f"{name} {package['version']}"
        if not licence:
            file = package.get("license_file")
            complaints.append(f"{crate}: no licence expression" + (f", only the file {file}" if file else ""))
            continue
        try:
            if acceptable(licence):
                continue
        except Malformed as error:
            complaints.append(f"{crate}: {error}")
            continue
        if EXCEPTIONS.get(name, (None,))[0] == licence:
            used.add(name)
            continue
        complaints.append(f"{crate}: {licence} is not accepted")
    return complaints, used


def self_test() -> None:
    for expression, expected in [
        ("MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT OR GPL-3.0-only AND LGPL-3.0-only", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("(MIT OR Apache-2.0) AND MPL-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
    ]:
        assert acceptable(expression) is expected, expression
    for expression in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", "MIT)"]:
        try:
            acceptable(expression)
        except Malformed:
            continue
        raise AssertionError(f"{expression!r} was taken")
    complaints, used = judge(
        [
            {"name": "good", "version": "1.0.0", "license": "MIT"},
            {"name": "bad", "version": "2.0.0", "license": "AGPL-3.0-only"},
            {"name": "silent", "version": "3.0.0", "license": None, "license_file": "LICENCE.txt"},
            {"name": "webpki-roots", "version": "1.0.0", "license": "CDLA-Permissive-2.0"},
            {"name": "other-data", "version": "1.0.0", "license": "CDLA-Permissive-2.0"},
        ]
    )
    assert [complaint.split()[0] for complaint in complaints] == ["bad", "silent", "other-data"], complaints
    assert "AGPL-3.0-only" in complaints[0] and used == {"webpki-roots"}


def main() -> int:
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    packages = json.load(sys.stdin)["packages"]
    complaints, used = judge(packages)
    for name in sorted(EXCEPTIONS.keys() - used):
        complaints.append(f"{name}: its exception in .ci/licences.py is not needed any more; remove it")
    for complaint in complaints:
        print(f"licences: {complaint}", file=sys.stderr)
    if complaints:
        print("licences: choose another crate, or add a reasoned line to .ci/licences.py", file=sys.stderr)
        return 1
    print(f"{len(packages)} packages, every licence accepted ({len(used)} by exception)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
