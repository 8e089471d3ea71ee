"""What importing web3.py must leave as it was."""

import subprocess
import sys

CODE = """
import json
import moonx.core.chains.web3py
try:
    json.loads("[" * 200_000)
except RecursionError:
    print("refused")
"""


def test_a_text_of_many_brackets_is_an_error_beside_web3py_and_not_the_end_of_the_process() -> None:
    # In an interpreter of its own: in this one another test may have imported the packages.
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")
