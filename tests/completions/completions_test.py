#!/usr/bin/env python3
"""What the completions of a shell offer, asked of the shell itself, with a daemon that has workers.

    python3 completions_test.py bash|zsh|fish CLUSTERCTL

Verbs and options are held against what clusterctl says of itself, so that a new one cannot be forgotten.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
COMPLETIONS = HERE.parents[1] / "packaging/completions"
SHELLS = {
    "bash": ["bash", str(HERE / "capture.bash"), str(COMPLETIONS / "clusterctl.bash")],
    "zsh": ["zsh", "-f", str(HERE / "capture.zsh"), str(COMPLETIONS)],
    "fish": ["fish", "--no-config", str(HERE / "capture.fish"), str(COMPLETIONS / "clusterctl.fish")],
}
CONFIG = """
[worker.api]
command = ["tail", "-f", "/dev/null"]
instances = 2
group = "site"
[worker.db]
command = ["tail", "-f", "/dev/null"]
"""
SELECTORS = {"api", "api.0", "api.1", "db", "db.0", "@site", "all"}
WORKERS = {"api", "db"}
# Verbs, and other names of them, that take selectors.
SELECTING = ["start", "stop", "restart", "delete", "remove", "rm", "reset", "status", "ls", "list", "ps", "describe",
             "show", "env", "pid", "top", "monit", "logs", "log"]


def own_words(clusterctl, verb):
    """The long options of a verb, as its help lists them; none for a name that is no verb."""
    help_text = subprocess.run([clusterctl, verb, "--help"], capture_output=True, text=True).stdout
    return set(re.findall(r"(?m)^  (?:-\w,)?(--[a-z-]+)", help_text))


def questions(clusterctl, runtime_dir):
    """(command line, what must be offered, what must not)."""
    verbs = set(subprocess.run([clusterctl, "complete", "verbs"], capture_output=True, text=True, check=True)
                .stdout.split())
    assert len(verbs) > 15
    asked = [("clusterctl ", verbs, SELECTORS), ("clusterctl sta", {v for v in verbs if v.startswith("sta")}, {"stop"}),
             ("clusterctl --json sto", {"stop"}, {"start"}), ("clusterctl help sto", {"stop"}, {"start"})]
    for verb in sorted(verbs - {"help"}):
        options = own_words(clusterctl, verb)
        assert "--json" in options, verb
        asked.append((f"clusterctl {verb} --", options, set()))
    for verb in SELECTING:
        asked.append((f"clusterctl {verb} ", SELECTORS, {"stop"} if verb != "start" else set()))
        asked.append((f"clusterctl {verb} d", {"db", "db.0"}, {"api", "describe"}))
    asked += [
        ("clusterctl stop api d", {"db"}, {"api"}),
        ("clusterctl scale ", WORKERS, {"api.0", "all", "@site"}),
        ("clusterctl signal H", {"HUP"}, WORKERS),
        ("clusterctl signal HUP ", SELECTORS, {"INT"}),
        ("clusterctl start --restart ", {"always", "on-failure", "never"}, WORKERS),
        ("clusterctl logs --out d", {"db"}, {"api"}),
        ("clusterctl validate cl", {"cluster.toml"}, WORKERS),
        ("clusterctl apply cl", {"cluster.toml"}, WORKERS),
        ("clusterctl start cl", {"cluster.toml"}, WORKERS),
        ("clusterctl start --name x -- tru", {"true"}, WORKERS),
        (f"clusterctl --runtime-dir {runtime_dir} stop d", {"db"}, {"api"}),
        (f"clusterctl stop --runtime-dir {runtime_dir} d", {"db"}, {"api"}),
        # Nobody is there: nothing is offered, and nothing is said.
        (f"clusterctl --runtime-dir {runtime_dir}-not stop ", set(), SELECTORS),
    ]
    return asked


def plain(candidates):
    """bash offers "SIGHUP", fish and zsh "HUP"; zsh offers a word with what may stand behind it."""
    return {re.sub(r"^SIG(?=[A-Z])", "", word).rstrip(" ") for word in candidates}


def run(shell, clusterctl, place):
    for name in ("RUNTIME", "STATE", "LOG"):
        directory = place / name.lower()
        directory.mkdir(mode=0o700)
        os.environ[f"CLUSTER_{name}_DIR"] = str(directory)
    os.environ["PATH"] = str(pathlib.Path(clusterctl).parent) + ":" + os.environ["PATH"]
    os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = str(place)
    (place / "cluster.toml").write_text(CONFIG)
    os.chdir(place)
    subprocess.run([clusterctl, "start", "cluster.toml"], check=True, capture_output=True, timeout=60)
    try:
        asked = questions(clusterctl, place / "runtime")
        answer = subprocess.run(SHELLS[shell], input="".join(line + "\n" for line, _, _ in asked), text=True,
                                capture_output=True, timeout=120)
    finally:
        subprocess.run([clusterctl, "shutdown"], capture_output=True, timeout=60)
    blocks = re.split(r"(?m)^--\n", answer.stdout)[:-1]
    if len(blocks) != len(asked):
        print(f"FAILED: {len(blocks)} answers to {len(asked)} questions\n{answer.stdout[-500:]}\n{answer.stderr[-2000:]}")
        return 1
    failures = 0
    for (line, wanted, unwanted), block in zip(asked, blocks):
        offered = plain(block.splitlines())
        missing, wrong = wanted - offered, unwanted & offered
        if missing or wrong:
            failures += 1
            print(f'FAILED: "{line}": ' + (f"not offered: {', '.join(sorted(missing))} " if missing else "")
                  + (f"offered: {', '.join(sorted(wrong))} " if wrong else "") + f"(of {len(offered)})")
    if answer.stderr.strip():
        failures += 1
        print(f"FAILED: {shell} complained: {answer.stderr[:2000]}")
    print(f"{shell}: {len(asked)} questions, {failures} failures")
    return 1 if failures else 0


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in SHELLS:
        sys.exit(__doc__)
    if not shutil.which(arguments[0]):
        print(f"SKIPPED: no {arguments[0]}; packaging/install-build-deps.sh --tests installs it")
        return 0
    with tempfile.TemporaryDirectory(prefix="clusterd-completions.") as place:
        return run(arguments[0], os.path.abspath(arguments[1]), pathlib.Path(place))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
