"""Pin exact versions, for every Python we support at once: run by `make lock`, options go to uv."""

import subprocess
import sys

RESOLVE = ["pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]


def main() -> None:
    """The image's versions first; the development ones agree with them."""
    options = sys.argv[1:]
    for extra in (
        ["--extra", "schemas", "--extra", "scale", "--output-file", "requirements.lock"],
        ["--all-extras", "--constraint", "requirements.lock", "--output-file", "requirements-dev.lock"],
    ):
        command = [sys.executable, "-m", "uv", *RESOLVE, "--custom-compile-command", "make lock"]
        subprocess.run([*command, *options, *extra, "pyproject.toml"], check=True)


if __name__ == "__main__":
    main()
