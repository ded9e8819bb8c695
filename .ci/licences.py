#!/usr/bin/env python3
"""Checks the licence of every dependency: each must offer at least one choice that deny.toml accepts.

    cargo metadata --format-version 1 --locked | .ci/licences.py
    .ci/licences.py --self-test

Reads SPDX expressions: OR, AND, WITH, parentheses, and the old `/` for OR. Exit 1 names each crate that offers no choice.
Stricter than `cargo deny check licenses`, which reads the same file: a crate with an exception must have exactly that expression, so
that a change of it asks the question again, and an exception that is not needed is an error.
"""

import json
import pathlib
import re
import sys
import tomllib

POLICY = pathlib.Path(__file__).parent.parent / "deny.toml"


def policy(text: str) -> tuple[set[str], dict[str, set[str]]]:
    """Accepted licences, and for single crates the licence expressions that are accepted there."""
    licenses = tomllib.loads(text)["licenses"]
    exceptions = {exception["crate"]: set(exception["allow"]) for exception in licenses.get("exceptions", [])}
    return set(licenses["allow"]), exceptions


class Malformed(Exception):
    """Not an SPDX expression."""


def acceptable(expression: str, accepted: set[str]) -> bool:
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
        return word in accepted

    result = either()
    if peek() is not None:
        raise Malformed(f"{expression!r} goes on after its end with {peek()!r}")
    return result


def check(packages, accepted: set[str], exceptions: dict[str, set[str]]) -> tuple[list[str], set[str]]:
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
            if acceptable(licence, accepted):
                continue
        except Malformed as error:
            complaints.append(f"{crate}: {error}")
            continue
        if licence in exceptions.get(name, set()):
            used.add(name)
            continue
        complaints.append(f"{crate}: {licence} is not accepted")
    return complaints, used


def self_test() -> None:
    accepted, exceptions = policy(
        """
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]
        exceptions = [{ crate = "webpki-roots", allow = ["CDLA-Permissive-2.0"] }]
        """
    )
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
        assert acceptable(expression, accepted) is expected, expression
    for expression in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", "MIT)"]:
        try:
            acceptable(expression, accepted)
        except Malformed:
            continue
        raise AssertionError(f"{expression!r} was taken")
    complaints, used = check(
        [
            {"name": "good", "version": "1.0.0", "license": "MIT"},
            {"name": "bad", "version": "2.0.0", "license": "AGPL-3.0-only"},
            {"name": "silent", "version": "3.0.0", "license": None, "license_file": "LICENCE.txt"},
            {"name": "webpki-roots", "version": "1.0.0", "license": "CDLA-Permissive-2.0"},
            {"name": "other-data", "version": "1.0.0", "license": "CDLA-Permissive-2.0"},
        ],
        accepted,
        exceptions,
    )
    assert [complaint.split()[0] for complaint in complaints] == ["bad", "silent", "other-data"], complaints
    assert "AGPL-3.0-only" in complaints[0] and used == {"webpki-roots"}


def main() -> int:
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    accepted, exceptions = policy(POLICY.read_text())
    packages = json.load(sys.stdin)["packages"]
    complaints, used = check(packages, accepted, exceptions)
    for name in sorted(exceptions.keys() - used):
        complaints.append(f"{name}: its exception in deny.toml is not needed any more; remove it")
    for complaint in complaints:
        print(f"licences: {complaint}", file=sys.stderr)
    if complaints:
        print("licences: choose another crate, or add a line with its reason to deny.toml", file=sys.stderr)
        return 1
    print(f"{len(packages)} packages, every licence accepted ({len(used)} by exception)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
