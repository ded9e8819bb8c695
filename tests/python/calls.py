"""Every message that a CSMS sends in OCPP 1.6, 2.0.1 and 2.1, as the schemas of the public Python package `ocpp` have it, asked for over the
control socket of the daemon, with stations that answer.

Usage: calls.py ws://HOST:PORT/ocpp CONTROL_SOCKET docs/messages.md

Of each message: payloads that the schema takes (with what is required, with all there is, with the longest texts, every value of every list)
must come to the station as they are, and each of its answers must be judged rightly; payloads with one thing wrong (a member dropped, of a
wrong type, too long, unknown, out of its bounds) must be refused exactly when the schema refuses them, with the place named. Prints one JSON
object per version with what was counted.
"""

import asyncio
import copy
import json
import re
import sys
from datetime import datetime

import websockets
from facts import sent_by_csms
from jsonschema import Draft4Validator, FormatChecker
from ocpp.messages import get_validator

CALL, CALL_RESULT = 2, 3
# Answers that say that the station did it, or will.
YES = {"Accepted", "AcceptedCanceled", "RebootRequired", "Scheduled", "Unlocked", "Unpublished"}
FORMATS = FormatChecker(formats=())
TIME = "2026-11-28T12:00:00.000Z"
AT_ONCE = 16


@FORMATS.checks("date-time", raises=ValueError)
def is_time(text):
    return not isinstance(text, str) or (text[10:11] == "T" and datetime.fromisoformat(text).tzinfo is not None)


@FORMATS.checks("uri")
def is_uri(text):
    return not isinstance(text, str) or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+", text) is not None


class Schema:
    def __init__(self, action, version, kind=CALL):
        self.root = get_validator(kind, action, version).schema
        self.validator = Draft4Validator(self.root, format_checker=FORMATS)

    def resolve(self, node):
        while "$ref" in node:
            node = self.root["definitions"][node["$ref"].rsplit("/", 1)[1]]
        return node

    def takes(self, payload):
        return self.validator.is_valid(payload)

    def build(self, node=None, full=True, pick=0, longest=False):
        """A value that the schema takes: of every list of values the one at `pick`."""
        node = self.resolve(self.root if node is None else node)
        more = {"full": full, "pick": pick, "longest": longest}
        if "enum" in node:
            return node["enum"][pick % len(node["enum"])]
        kind = node.get("type")
        if kind == "object":
            required = node.get("required", [])
            members = node.get("properties", {})
            return {name: self.build(member, **more) for name, member in members.items() if full or name in required}
        if kind == "array":
            return [self.build(node["items"], **more)] * max(1, node.get("minItems", 1))
        if kind == "string":
            if "format" in node:
                return TIME if node["format"] == "date-time" else "ftp://user:secret@host/folder"
            return "ü" * min(node.get("maxLength", 3), 10_000) if longest else "1"
        if kind in ("integer", "number"):
            value = node.get("maximum" if longest else "minimum", node.get("minimum", min(1, node.get("maximum", 1))))
            return int(value) if kind == "integer" or value == int(value) else value
        return {"boolean": True}.get(kind, {"any": [1]})

    def enums(self):
        """How many values the longest list of values has."""
        text = json.dumps(self.root)
        return max([1] + [len(json.loads(found)) for found in re.findall(r'"enum": (\[[^]]*\])', text)])

    def wrong(self, value, node=None, path="$"):
        """(path, function that changes a parent's member) for everything that can be wrong in one place."""
        node = self.resolve(self.root if node is None else node)
        kind = node.get("type")
        if kind == "object":
            yield f"{path}.noSuchMember", "set", 1
            for name, member in node.get("properties", {}).items():
                if name not in value:
                    continue
                place = f"{path}.{name}"
                yield place, "drop", None
                member = self.resolve(member)
                for bad in self.bad_values(member):
                    yield place, "set", bad
                if "vendorId" not in member.get("properties", {}):
                    yield from self.wrong(value[name], member, place)
        elif kind == "array" and value:
            for bad in self.bad_values(self.resolve(node["items"])):
                yield f"{path}[0]", "set", bad
            yield from self.wrong(value[0], node["items"], f"{path}[0]")

    def bad_values(self, node):
        """Values that may be wrong there; whether they are, the validator says."""
        yield from (None, "x", True, [], 1.25)
        if "maxLength" in node:
            yield "x" * (node["maxLength"] + 1)
        if "enum" in node:
            yield node["enum"][0] + "x"
            yield node["enum"][0].lower()
        for bound, step in (("minimum", -1), ("maximum", 1)):
            if bound in node:
                yield int(node[bound]) + step
        if node.get("type") == "array":
            item = self.build(node["items"])
            for count in {node.get("minItems", 1) - 1, node.get("maxItems", 3) + 1}:
                yield [item] * count
        if "format" in node:
            yield from ("2026-11-28", "2026-11-28 12:00:00Z", "2026-13-28T12:00:00Z", "2026-11-28T12:00:00", "host/folder", "ftp://a b")


def changed(payload, path, how, value):
    payload = copy.deepcopy(payload)
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^$.\[\]]+", path)]
    parent = payload
    for step in steps[:-1]:
        parent = parent[step]
    if how == "drop":
        del parent[steps[-1]]
    else:
        parent[steps[-1]] = value
    return payload


class Station:
    """Answers every call with `answer`, and keeps what came."""

    def __init__(self, socket):
        self.socket, self.got, self.answer = socket, [], {}

    async def serve(self):
        async for text in self.socket:
            frame = json.loads(text)
            if frame[0] == CALL:
                self.got.append((frame[2], frame[3]))
                await self.socket.send(json.dumps([CALL_RESULT, frame[1], self.answer]))


async def command(path, station, action, payload):
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 22)
    line = {"command": "station-call", "station": station, "action": action, "payload": json.dumps(payload), "timeout_s": 60, "reason": ""}
    writer.write(json.dumps(line).encode() + b"\n")
    reply = json.loads(await reader.readline())
    writer.close()
    return reply


async def message(control, station, name, action, version, counted):
    request, response = Schema(action, version), Schema(action, version, CALL_RESULT)
    # What comes to the station, and what becomes of its answers.
    right = [request.build(full=False), request.build(), request.build(longest=True)]
    right += [request.build(pick=pick) for pick in range(1, request.enums())]
    answers = [response.build(full=full, pick=pick) for full in (False, True) for pick in range(response.enums())]
    for at in range(max(len(right), len(answers))):
        payload, station.answer = right[at % len(right)], answers[at % len(answers)]
        assert request.takes(payload), (version, action, payload)
        station.got.clear()
        reply = await command(control, name, action, payload)
        assert station.got == [(action, payload)], (version, action, payload, station.got, reply)
        texts = re.findall(r'"(?:status|attributeStatus)": "(\w+)"', json.dumps(station.answer))
        wanted = "done" if all(text in YES for text in texts[:1]) else "rejected"
        assert reply["outcome"] == wanted, (version, action, station.answer, reply)
        counted["sent"] += 1
    # What is refused, and what is not although something was changed.
    station.answer = answers[0]
    full = request.build()
    limit = asyncio.Semaphore(AT_ONCE)

    async def mutant(path, how, value):
        payload = changed(full, path, how, value)
        async with limit:
            reply = await command(control, name, action, payload)
        what = (version, action, path, how, value, reply)
        assert (reply["outcome"] != "usage") == request.takes(payload), what
        if reply["outcome"] == "usage":
            assert f" {path} " in reply["reason"] or f" {path}." in reply["reason"], what
            counted["refused"] += 1
        else:
            counted["changed"] += 1

    await asyncio.gather(*(mutant(*wrong) for wrong in request.wrong(full)))
    # In another case it is the same message, and spelled rightly.
    station.got.clear()
    await command(control, name, action.swapcase(), right[0])
    assert station.got == [(action, right[0])], station.got


async def main(url, control, path):
    with open(path, encoding="utf-8") as file:
        document = file.read()
    for version in ("1.6", "2.0.1", "2.1"):
        name, counted = f"ASKED-{version}", {"sent": 0, "refused": 0, "changed": 0}
        async with websockets.connect(f"{url}/{name}", subprotocols=[f"ocpp{version}"], max_size=None) as socket:
            await socket.send(json.dumps([CALL, "1", "Heartbeat", {}]))
            await socket.recv()
            station = Station(socket)
            serving = asyncio.create_task(station.serve())
            actions = sent_by_csms(document, version)
            for action in actions:
                await message(control, station, name, action, version, counted)
            serving.cancel()
        print(json.dumps({"version": version, "messages": len(actions), **counted}), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
