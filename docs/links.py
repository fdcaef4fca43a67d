"""Whether the links of the site to elsewhere are alive: `python docs/links.py [DOCTREES]`, with a network.

Sphinx follows each (`-b linkcheck`). A page that its server says is gone fails. What nobody answered for (no network, a
server that is down or slow, a journal that refuses robots) is printed and does not: it says nothing of the page.
DOCTREES are those of a build of the site, so that nothing is read and no notebook runs again.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).parent
GONE = re.compile(r"\b(404|410) Client Error")


def sorted_out(lines: Iterable[str]) -> tuple[list[str], list[str], int]:
    """The lines of Sphinx's output.json as links that are gone, links without an answer, and how many are alive."""
    gone, unanswered, alive = [], [], 0
    for line in lines:
        found = json.loads(line)
        said = f"{found['filename']}:{found['lineno']}: {found['uri']}: {found['info'] or found['status']}"
        if found["status"] == "broken" and GONE.search(found["info"]):
            gone.append(said)
        elif found["status"] in ("broken", "timeout"):
            unanswered.append(said)
        elif found["status"] in ("working", "redirected"):
            alive += 1
    return gone, unanswered, alive


def main(doctrees: str | None = None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        kept = ["-d", doctrees or f"{folder}/doctrees"]
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "linkcheck", *kept, str(DOCS), folder]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        output = Path(folder, "output.json")
        if not output.is_file():
            print(done.stderr)
            return 1
        gone, unanswered, alive = sorted_out(output.read_text(encoding="utf-8").splitlines())
    print(*(f"no answer: {line}" for line in unanswered), *(f"GONE: {line}" for line in gone), sep="\n")
    print(f"links to elsewhere: {alive} alive, {len(unanswered)} without an answer, {len(gone)} gone")
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
