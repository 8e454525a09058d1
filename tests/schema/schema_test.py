#!/usr/bin/env python3
"""Holds config/schema/clusterd.schema.json against the loader and against every config that is shipped.

    python3 schema_test.py CONF_LOADER

CONF_LOADER is the program of loader.cpp. What is held:
  keys      each key that the loader knows stands in the schema, with a description, and the reverse
  defaults  each default in the schema is the one that config/clusterd.toml shows, and the reverse
  documents each key is named in config/clusterd.toml and in clusterd.toml(5)
  shipped   config/clusterd.toml (as it is, and with every setting switched on), the quickstart and all examples are
            right for both
  corpus    corpus/good is right for both, corpus/bad wrong for both; corpus/loader_only is what a schema cannot say:
            right for the schema, wrong for the loader
  values    a table of values, and the bounds of numbers, are given to each key in turn, and both say the same
"""

import json
import pathlib
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("SKIPPED: no python3-jsonschema; packaging/install-build-deps.sh --tests installs it")
    sys.exit(0)
try:
    import tomllib
except ImportError:
    try:
        import tomli as tomllib
    except ImportError:
        print("SKIPPED: neither tomllib (Python 3.11) nor python3-tomli")
        sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA_NAME = "config/schema/clusterd.schema.json"
SCHEMA = json.loads((ROOT / SCHEMA_NAME).read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
NAME = "NAME"

# Given to each key in turn. Every kind of value, right and wrong, that some key tells apart.
VALUES = [
    "true", "false", "-1", "0", "1", "5", "17", "64", "19", "32", "256", "4097", "70000", "99999", "0.5", "2.0", "-0.5", "1000.0",
    "''", "' '", "'text'", "'two words'", "'all'", "'max'", "'unlimited'", "'none'", "'a:b'", "'a:b:c'", "'a b'",
    "'10s'", "'1.5m'", "'0s'", "'0.0s'", "'10'", "'10 s'", "'-1s'", "'5 minutes'", "'64MiB'", "'1.5GB'", "'64 MiB'",
    "'64mib'", "'/abs/path'", "'rel/path'", "'~'", "'~/x'", "'022'", "'0777'", "'1777'", "'9'", "'00022'",
    "'SIGTERM'", "'term'", "'SIGSTOP'", "'STOP'", "'RTMIN+3'", "'rtmax-1'", "'SIGNAL'", "'127.0.0.1:80'", "'[::1]:80'",
    "'::1:80'", "'localhost:80'", "'localhost'", "'example.org:80'", "'always'", "'exec'", "'slow'", "'info'",
    "[]", "['a']", "['a', 'b']", "['a', 'a']", "['']", "[1]", "[256]", "['a', 1]", "[[]]", "[{}]", "{}",
    "{ a = 1 }", "{ 'a b' = 1 }", "{ A = 'x' }", "{ A = [] }", "{ CLUSTER_X = '1' }", "{ NOTIFY_SOCKET = '1' }",
    "{ path = 'x' }", "{ path = '' }", "{ path = 'x', interpolate = 1 }", "{ soft = 1, hard = 2 }", "{ soft = 1 }",
    "{ soft = '1MiB', hard = 'unlimited' }", "{ nofile = '1KiB' }", "{ core = '1KiB' }",
    "{ tcp = '127.0.0.1:80' }", "{ command = 'a' }", "{ tcp = '127.0.0.1:80', command = 'a' }", "{ period = '1s' }",
]

# (key, value): why the two may disagree. Always: the schema accepts what the loader refuses.
LOADER_KNOWS_MORE = {
    ("channel.max_line", "'1.5GB'"): "too large",
    ("channel.max_queue", "'1.5GB'"): "too large",
    ("worker.NAME.command", "['']"): "an array's first item names the program",
    ("worker.NAME.ready.command", "['']"): "an array's first item names the program",
    ("worker.NAME.liveness.command", "['']"): "an array's first item names the program",
    ("worker.NAME.backoff.initial", "'1.5m'"): "longer than the default of max",
    ("worker.NAME.log.max_line", "'64MiB'"): "too large",
    ("worker.NAME.log.max_line", "'1.5GB'"): "too large",
}

failures = []


def fail(text):
    failures.append(text)


class Loader:
    def __init__(self, program):
        self.program = program

    def keys(self):
        return subprocess.run([self.program, "keys"], check=True, capture_output=True, text=True).stdout.split()

    def verdicts(self, texts):
        """One "ok" or one mistake for each text."""
        joined = "".join(text + "\0" for text in texts)
        answer = subprocess.run([self.program, "check"], input=joined, check=True, capture_output=True, text=True).stdout
        lines = answer.split("\n")[:-1]
        if len(lines) != len(texts):
            sys.exit(f"conf_loader answered {len(lines)} of {len(texts)} texts")
        return lines


def schema_verdict(text):
    """"ok" or the first mistake."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return f"no TOML: {error}"
    errors = sorted(VALIDATOR.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    if not errors:
        return "ok"
    return ".".join(map(str, errors[0].absolute_path)) + ": " + errors[0].message[:200]


# --- keys -------------------------------------------------------------------------------------------------------------

def resolve(node):
    while "$ref" in node:
        target = SCHEMA
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def alternatives(node):
    """The node and whatever it allows instead of itself."""
    node = resolve(node)
    yield node
    for other in node.get("anyOf", []) + node.get("oneOf", []) + node.get("allOf", []):
        yield from alternatives(other)
    if isinstance(node.get("items"), dict):
        yield from alternatives(node["items"])


def is_forbidden(node):
    return resolve(node).get("not") == {}


def schema_keys(node, path=""):
    """path → the schema of that key. Patterns of names become NAME; free keys (env) are not listed."""
    found = {}
    for one in alternatives(node):
        children = dict(one.get("properties", {}))
        for child in one.get("patternProperties", {}).values():
            if any("properties" in other for other in alternatives(child)):
                children[NAME] = child
        for key, child in children.items():
            if is_forbidden(child):
                continue
            inner = f"{path}.{key}" if path else key
            found.setdefault(inner, child)
            found.update(schema_keys(child, inner))
    return found


def check_keys(loader):
    known, described = loader.keys(), schema_keys(SCHEMA)
    for key in known:
        if key in described:
            continue
        table, _, name = key.rpartition(".")
        place = f'where the schema has "{table}"' if table else "on its top level"
        snippet = json.dumps({name: {"description": "WHAT IT IS, ITS UNIT AND BOUNDS", "type": "string|integer|boolean|…",
                                     "default": "AS IN config/clusterd.toml"}}, ensure_ascii=False)[1:-1]
        fail(f'the loader knows the key {key}, the schema does not. Add to "properties" {place} in {SCHEMA_NAME}:\n'
             f"      {snippet}\n"
             f'      (a duration: "anyOf": [{{"$ref": "#/definitions/duration"}}] in place of the type; also size, path, '
             f"command, name)")
    for key in described:
        if key not in known:
            fail(f"the schema describes the key {key}, the loader does not know it. Take it out of {SCHEMA_NAME}, "
                 "or add its reader in lib/conf")
    for key, node in described.items():
        if not key.endswith("." + NAME) and not node.get("description") and not resolve(node).get("description"):
            fail(f'{key} has no "description" in {SCHEMA_NAME}')
    return [key for key in known if key in described]


# --- defaults and shipped files ---------------------------------------------------------------------------------------

REFERENCE = ROOT / "config/clusterd.toml"


def switched_on(text):
    """A setting that is off is written `#key = …`, prose is `# text`."""
    text = re.sub(r"(?m)^#stdin = .*", "", text)  # stdin_socket excludes it
    return re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", text)


def flat(value, path=""):
    """dotted path → value, names of workers and the like as NAME."""
    found = {path: value} if path else {}
    if isinstance(value, dict):
        for key, inner in value.items():
            key = NAME if path in ("worker", "socket") else key
            found.update(flat(inner, f"{path}.{key}" if path else key))
    return found


def check_defaults():
    shown = flat(tomllib.loads(REFERENCE.read_text()))
    examples = flat(tomllib.loads(switched_on(REFERENCE.read_text())))
    described = schema_keys(SCHEMA)
    for key, node in described.items():
        if "default" not in node:
            parts = [inner for inner in described if inner.startswith(key + ".")]
            if key in shown and not parts and key != "worker.NAME.command":
                fail(f"config/clusterd.toml shows the default {key} = {shown[key]!r}: add "
                     f'"default": {json.dumps(shown[key])} in {SCHEMA_NAME}')
        elif key in examples and examples[key] != node["default"]:
            fail(f"the default of {key} is {examples[key]!r} in config/clusterd.toml and {node['default']!r} in the schema")


def check_documents(keys):
    """Each key is named in the config that shows every key, and in the manual."""
    for name in ("config/clusterd.toml", "packaging/man/clusterd.toml.5"):
        words = set(re.findall(r"[a-z0-9_]+", (ROOT / name).read_text()))
        for key in keys:
            if key.rpartition(".")[2] not in words | {NAME}:
                fail(f"{name} does not name the key {key}")


def check_shipped(loader):
    files = [REFERENCE, ROOT / "config/quickstart.toml", *sorted((ROOT / "config/examples").glob("**/*.toml"))]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    texts["config/clusterd.toml with every setting switched on"] = switched_on(REFERENCE.read_text())
    expect("ok", "ok", texts, loader)


# --- agreement --------------------------------------------------------------------------------------------------------

def expect(by_schema, by_loader, texts, loader):
    """texts: name → TOML. by_…: "ok" or "mistake"."""
    for (name, text), loader_says in zip(texts.items(), loader.verdicts(list(texts.values()))):
        schema_says = schema_verdict(text)
        for who, wanted, says in (("the schema", by_schema, schema_says), ("the loader", by_loader, loader_says)):
            if (says == "ok") != (wanted == "ok"):
                fail(f"{name}: expected {wanted} from {who}, got {says}")


def check_corpus(loader):
    corpus = pathlib.Path(__file__).parent / "corpus"
    for folder, by_schema, by_loader in (("good", "ok", "ok"), ("bad", "mistake", "mistake"),
                                         ("loader_only", "ok", "mistake")):
        texts = {f"{folder}/{path.name}": path.read_text() for path in sorted((corpus / folder).glob("*.toml"))}
        if not texts:
            fail(f"corpus/{folder} is empty")
        expect(by_schema, by_loader, texts, loader)


# What a key needs beside itself to be right: (keys, lines; {key} stands for the key).
NEEDS = [
    (r"(?!worker\.w(\.command)?$|worker$).*", 'worker.w.command = ["srv"]'),
    (r"worker\.w\.ready\.(?!tcp$|unix$|http$|command$|notification_fd$|status$).*", 'worker.w.ready.tcp = "127.0.0.1:80"'),
    (r"worker\.w\.ready\.status", 'worker.w.ready.http = "http://127.0.0.1/"'),
    (r"worker\.w\.liveness\.(?!tcp$|unix$|http$|command$|status$).*", 'worker.w.liveness.tcp = "127.0.0.1:80"'),
    (r"worker\.w\.liveness\.status", 'worker.w.liveness.http = "http://127.0.0.1/"'),
    (r"worker\.w\.node_(?!cluster$).*", "worker.w.node_cluster = true"),
    (r".*\.interpolate", 'worker.w.env_file.path = "x"'),
    (r"socket\.w\b.*", 'worker.w.sockets = "w"'),
    (r"socket\.w\.(mode|user|group)", 'socket.w.listen = "/run/x.sock"'),
    (r"socket\.w\.(?!mode$|user$|group$|listen$).*", 'socket.w.listen = "[::1]:80"'),
]


def text_with(key, value):
    """A config that is right but for, perhaps, this value."""
    key = key.replace(NAME, "w")
    lines = [line for keys, line in NEEDS if re.fullmatch(keys, key)]
    lines.append(f"{key} = {value}")
    if key.endswith((".soft", ".hard")):
        lines.append(f"{key[:-4]}{'hard' if key.endswith('soft') else 'soft'} = {value}")
    return "\n".join(lines) + "\n"


def bounds_of(node):
    """The bounds of numbers, and what lies behind them."""
    for one in alternatives(node):
        for bound, step in ((one.get("minimum"), -1), (one.get("maximum"), 1)):
            if bound is not None:
                yield from (str(bound), str(bound + step))


def check_values(loader, keys):
    described = schema_keys(SCHEMA)
    cases = [(key, value) for key in keys for value in dict.fromkeys([*VALUES, *bounds_of(described[key])])]
    texts = [text_with(key, value) for key, value in cases]
    for (key, value), text, loader_says in zip(cases, texts, loader.verdicts(texts)):
        schema_says = schema_verdict(text)
        agree = (schema_says == "ok") == (loader_says == "ok")
        # What a name stands for is not the schema's business.
        is_reference = "there is no [socket." in loader_says
        excused = schema_says == "ok" and ((key, value) in LOADER_KNOWS_MORE or is_reference)
        if not agree and not excused:
            fail(f"{key} = {value}: the schema says {schema_says}; the loader says {loader_says}")
    return len(cases)


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    loader = Loader(arguments[0])
    jsonschema.Draft4Validator.check_schema(SCHEMA)
    keys = check_keys(loader)
    check_defaults()
    check_documents(keys)
    check_shipped(loader)
    check_corpus(loader)
    count = check_values(loader, keys)
    for failure in failures:
        print("FAILED: " + failure)
    print(f"{len(keys)} keys, {count} values, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
