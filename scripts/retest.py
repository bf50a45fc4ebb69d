#!/usr/bin/env python3
"""Run the files of node tests that have just failed once more, each alone on the machine.

    python scripts/retest.py

Real processes find each other and keep time beside whatever else the machine does, so a failure may be the
machine's. A file that fails twice is broken, and so are more than ``MOST`` that fail at once: then this
ends as pytest does. Both outcomes stay in the log; a test that needs this often has a fault worth finding.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
NODE_TESTS = "test/ros/"
MOST = 2


def failed_files() -> list[str]:
    """Return the files of node tests in which a test failed when it was last run."""
    names = json.loads(FAILED.read_text()) if FAILED.is_file() else {}
    return sorted({name.split("::")[0] for name in names if name.startswith(NODE_TESTS)})


def main() -> int:
    """Run them; return what a process ends with."""
    files = failed_files()
    if not 0 < len(files) <= MOST:
        print(f"{len(files)} files of node tests have failed: too many, or none, to be run again")
        return 1
    print(f"once more, alone: {', '.join(files)}", flush=True)
    again = [
        subprocess.run([sys.executable, "-m", "pytest", file], cwd=ROOT, check=False) for file in files
    ]
    return max(done.returncode for done in again)


if __name__ == "__main__":
    sys.exit(main())
