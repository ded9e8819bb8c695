"""Every message of OCPP 1.6, 2.0.1 and 2.1, as the schemas of the public Python package `ocpp` have it, against docs/messages.md.

Usage: messages.py ws://HOST:PORT/ocpp docs/messages.md

Each message that the document lists as coming from a station is sent twice, with what the schema requires and with all that it allows, and
the answer is checked against its schema. What only a CSMS sends must be refused as NotSupported, what the version does not know as
NotImplemented. The document must list exactly the messages that there are schemas for. Prints one JSON object per station: its identity and
the messages that it sent and got an answer to.
"""

import asyncio
import json
import os
import re
import sys
from datetime import datetime, timezone

import ocpp
import websockets
from ocpp.messages import get_validator

CALL, CALL_RESULT, CALL_ERROR, SEND = 2, 3, 4, 6
SCHEMAS = os.path.dirname(ocpp.__file__)
NOW = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
# The one message that is a SEND (2.1).
UNANSWERED = "NotifyPeriodicEventStream"


def schema_names(version):
    folder = os.path.join(SCHEMAS, "v" + version.replace(".", ""), "schemas")
    return {re.sub(r"(Request|Response)?\.json$", "", name) for name in os.listdir(folder) if name.endswith(".json")}


def listed(document, heading, direction):
    """The names in the table of that direction below a heading."""
    section = document.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = section.split(f"| {direction} a station |")[1].split("\n\n")[0].splitlines()[2:]
    return {row.split("|")[1].strip() for row in rows}


def example(schema, full, root=None, depth=0):
    """A value that the schema takes: with what is required, or with all that is allowed."""
    root = root or schema
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        names = [name for name in schema.get("properties", {}) if name in required or (full and name != "customData" and depth < 8)]
        return {name: example(schema["properties"][name], full, root, depth + 1) for name in names}
    if kind == "array":
        return [example(schema["items"], full, root, depth + 1)] * max(1, schema.get("minItems", 1))
    if kind == "string":
        return NOW if schema.get("format") == "date-time" else "1"
    if kind == "integer":
        return int(schema.get("minimum", 1))
    if kind == "number":
        return schema.get("minimum", min(1.5, schema.get("maximum", 1.5)))
    return {"boolean": True}.get(kind, "any")


class Station:
    def __init__(self, name, version, socket):
        self.name, self.version, self.socket, self.sent = name, version, socket, 0

    async def call(self, action, payload):
        """The answer's type and what follows its id."""
        self.sent += 1
        message_id = f"{self.name}-{self.sent}"
        await self.socket.send(json.dumps([CALL, message_id, action, payload]))
        answer = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
        assert answer[1] == message_id, (action, answer)
        return answer[0], answer[2:]

    async def accepted(self, action, full):
        request = get_validator(CALL, action, self.version)
        payload = example(request.schema, full)
        request.validate(payload)
        kind, rest = await self.call(action, payload)
        assert kind == CALL_RESULT, (self.version, action, rest)
        [answer] = rest
        get_validator(CALL_RESULT, action, self.version).validate(answer)

    async def refused(self, action, wanted):
        kind, rest = await self.call(action, {})
        assert (kind, rest[0]) == (CALL_ERROR, wanted), (self.version, action, kind, rest)
        assert action in rest[1] and self.version in rest[1], rest


async def station(url, version, document, headings, not_yet=()):
    name = f"EVERY-{version}"
    theirs = set().union(*(listed(document, heading, "from") for heading in headings))
    ours = set().union(*(listed(document, heading, "to") for heading in headings))
    assert theirs | ours == schema_names(version), (version, (theirs | ours) ^ schema_names(version))
    assert theirs & ours == {"DataTransfer"}, theirs & ours
    async with websockets.connect(f"{url}/{name}", subprotocols=[f"ocpp{version}"]) as socket:
        it = Station(name, version, socket)
        for action in sorted(theirs - {UNANSWERED}):
            for full in (False, True):
                await it.accepted(action, full)
        if UNANSWERED in theirs:
            await socket.send(json.dumps([SEND, "unanswered", UNANSWERED, {"id": 1, "pending": 0, "basetime": NOW, "data": [{"t": 0, "v": "1"}]}]))
        for action in sorted(ours - theirs):
            await it.refused(action, "NotSupported")
        for action in ("Nonsense", *not_yet):
            await it.refused(action, "NotImplemented")
        print(json.dumps({"station": name, "messages": sorted(theirs)}), flush=True)


async def main(url, path):
    with open(path, encoding="utf-8") as file:
        document = file.read()
    old, new = "OCPP 2.0.1", "What OCPP 2.1 adds"
    added = sorted(listed(document, new, "from") | listed(document, new, "to"))
    await station(url, "1.6", document, ["OCPP 1.6"])
    await station(url, "2.0.1", document, [old], added)
    await station(url, "2.1", document, [old, new])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
