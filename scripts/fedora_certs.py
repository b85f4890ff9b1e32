"""The public client certificate of Fedora's message bus, out of fedora-messaging's source distribution.

Everybody's certificate, hence no secret; but it is upstream's, and expires: fetched, not committed.
"""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from cryptography import x509

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "certs"
CERTIFICATES = ("cacert.pem", "fedora-cert.pem")
FILES = (*CERTIFICATES, "fedora-key.pem")


def locked(name: str) -> str:
    """The package's lines in the lock: exact version and hashes, which pip holds the download to."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*$", lock, flags=re.MULTILINE)
    if found is None:
        raise SystemExit(f"requirements.lock: no {name}; run `make lock`")
    return found[0]


def configs(scratch: Path) -> Path:
    """The folder with the certificates, unpacked in `scratch`."""
    requirement = scratch / "requirement.txt"
    requirement.write_text(locked("fedora-messaging") + "\n", encoding="utf-8")
    # pip checks the hash, unpacks, and then fails on this package's metadata, which no pip of today accepts.
    # All that is wanted is in the folder that --no-clean leaves, so its exit code says nothing.
    options = ["--no-deps", "--no-build-isolation", "--no-clean", "--no-binary=:all:", "--require-hashes"]
    run = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(scratch), "-r", str(requirement)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    for folder in scratch.glob("pip-*/*/configs"):
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise SystemExit(f"fedora-messaging's source cannot be had:\n{run.stdout}{run.stderr}")


def expiry(folder: Path) -> datetime:
    """When the first of the certificates expires."""
    loaded = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in CERTIFICATES)
    return min(certificate.not_valid_after_utc for certificate in loaded)


def main() -> None:
    """Fetch, check, copy, and say until when it serves."""
    with TemporaryDirectory() as scratch:
        folder = configs(Path(scratch))
        until = expiry(folder)
        if until <= datetime.now(UTC):
            raise SystemExit(
                f"the certificate in this fedora-messaging expired on {until:%Y-%m-%d}, nothing was written:"
                " raise its version in pyproject.toml, `make lock`, and try again"
            )
        TARGET.mkdir(exist_ok=True)
        for name in FILES:
            copyfile(folder / name, TARGET / name)
    print(f"{TARGET}: {', '.join(FILES)}; valid until {until:%Y-%m-%d}")


if __name__ == "__main__":
    main()
