"""The facts of the schemas of the public Python package `ocpp` in the notation of src/ocpp/facts.

Usage: facts.py VERSION docs/messages.md

Prints the messages that a CSMS sends in that version, their answers, and the types in them; which messages those are, the document says. The
test compares it with the table that the program reads. What the notation means stands in src/ocpp/facts.rs.
"""

import json
import os
import re
import sys

import ocpp

FACTS = {
    "object": {"type", "properties", "required", "additionalProperties"},
    "array": {"type", "items", "additionalItems", "minItems", "maxItems"},
    "string": {"type", "enum", "maxLength", "format", "additionalProperties"},
    "integer": {"type", "minimum", "maximum"},
    "number": {"type", "minimum", "maximum", "multipleOf"},
    "boolean": {"type"},
    None: set(),
}
WORDS = {"description", "javaType", "comment", "default", "$schema", "$id", "title", "definitions"}
FORMATS = {"date-time": "time", "uri": "uri"}


def sent_by_csms(document, version):
    """The names in the tables of what is sent to a station."""
    headings = {"1.6": ["OCPP 1.6"], "2.0.1": ["OCPP 2.0.1"], "2.1": ["OCPP 2.0.1", "What OCPP 2.1 adds"]}[version]
    names = set()
    for heading in headings:
        section = document.split(f"## {heading}\n")[1].split("\n## ")[0]
        rows = section.split("| to a station |")[1].split("\n\n")[0].splitlines()[2:]
        names |= {row.split("|")[1].strip() for row in rows}
    return sorted(names)


class Table:
    def __init__(self, version):
        self.version, self.types = version, {}
        self.folder = os.path.join(os.path.dirname(ocpp.__file__), "v" + version.replace(".", ""), "schemas")

    def schema(self, name):
        with open(os.path.join(self.folder, name + ".json"), encoding="utf-8-sig") as file:
            return json.load(file)

    def message(self, action, is_answer):
        """The lines of the payload's members."""
        request = action if self.version == "1.6" else action + "Request"
        root = self.schema(action + "Response" if is_answer else request)
        return self.members(root, root)

    def members(self, node, root):
        assert node["additionalProperties"] is False, node
        properties = dict(node.get("properties", {}))
        if self.version != "1.6":
            # Every object has it; the notation does not repeat it.
            assert properties.pop("customData") == {"$ref": "#/definitions/CustomDataType"}, node
        required = node.get("required", [])
        assert set(required) <= set(properties), node
        return [f"  {name}{'' if name in required else '?'} {self.value(name, properties[name], root)}" for name in sorted(properties)]

    def value(self, name, node, root):
        if "$ref" in node:
            kind = node["$ref"].rsplit("/", 1)[1]
            return self.named(kind, root["definitions"][kind], root)
        kind = node.get("type")
        assert set(node) - WORDS <= FACTS[kind], (name, node)
        bounds = "".join([f" {sign}{node[key]:g}" for sign, key in ((">=", "minimum"), ("<=", "maximum")) if key in node])
        if kind == "object":
            return self.named(name[0].upper() + name[1:], node, root)
        if kind == "array":
            least, most = node.get("minItems", 0), node.get("maxItems", "")
            # A list of `…s`: one of them is named without it, as are those of named types.
            return f"list {least}..{most} of {self.value(name.removesuffix('s'), node['items'], root)}"
        if kind == "string" and "enum" in node:
            return "one of " + " ".join(node["enum"])
        if kind == "string":
            text = FORMATS[node["format"]] if "format" in node else "text"
            return text + (f" {node['maxLength']}" if "maxLength" in node else "")
        if kind == "number":
            assert node.get("multipleOf", 0.1) == 0.1, node
            return "number" + bounds + (" tenths" if "multipleOf" in node else "")
        return {"integer": "integer", "boolean": "boolean", None: "any"}[kind] + bounds

    def named(self, kind, node, root):
        short = kind.removesuffix("Type")
        if node["type"] != "object" and "enum" not in node:
            return self.value(kind, node, root)
        if "enum" in node:
            lines = [f"type {short} one of " + " ".join(node["enum"])]
        else:
            lines = [f"type {short}", *self.members(node, root)]
        # One name, one meaning, in whatever message it stands.
        assert self.types.setdefault(short, lines) == lines, (short, lines)
        return short


def main(version, path):
    with open(path, encoding="utf-8") as file:
        actions = sent_by_csms(file.read(), version)
    table = Table(version)
    blocks = []
    for action in actions:
        blocks.append([f"call {action}", *table.message(action, False)])
        blocks.append([f"answer {action}", *table.message(action, True)])
    blocks += [lines for _, lines in sorted(table.types.items())]
    print("\n\n".join("\n".join(lines) for lines in blocks))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
