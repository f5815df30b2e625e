"""`kioskwatch share verify FILE --key KEY`: whether a shared package is whole and from whom it says, for its receiver.

Needs `pip install kioskwatch` without any extra, the package, and the district's public key, which comes by another
way than the package. FILE is the one file (`….zip`), the package's folder, or its manifest.json. With --earlier, a
package received before, it also checks that the chain of releases was only added to. Exit codes: 0 everything holds,
1 something does not (one sentence on stderr), 2 an option is wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import SharingError
from contracts.shared_releases import FILE as RELEASES
from contracts.shared_releases import Link, check_chain, check_continues
from contracts.shared_sums import FILE as ROLL_UPS
from contracts.shared_sums import check_sums
from contracts.sharing import MANIFEST, MAX_FILES, MAX_PACKAGE_BYTES, Package, opened, read_public_key, shown, unpack
from kioskwatch.errors import OPERATOR_MUST_ACT

HOLDS: Final = 0
DOES_NOT_HOLD: Final = 1
MAX_KEY_FILE_BYTES: Final = 1024


def main(argv: Sequence[str]) -> int:
    """Check one package; return how it ended."""
    given = _parser().parse_args(argv)
    try:
        key = _key(given.key)
    except SharingError as exc:
        return _complain(str(exc), OPERATOR_MUST_ACT)
    try:
        package = opened(_read(given.file), key)
        print("\n".join(_said(package, _earlier(given.earlier, key))))
    except SharingError as exc:
        return _complain(f"do not use this package: {exc}", DOES_NOT_HOLD)
    return HOLDS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kioskwatch share verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--key", required=True, help="the public key, or a file that holds it")
    parser.add_argument("--earlier", type=Path, metavar="FILE", help="a package received before from the same district")
    return parser


def _said(package: Package, earlier: Sequence[Link]) -> list[str]:
    """Check the chain and say everything that was checked."""
    manifest = package.manifest
    said = ["SIMULATED: no person was tested"] if manifest.simulated else []
    said += [
        f"district {manifest.district}, agreement {manifest.agreement}, for {manifest.recipient}",
        f"days {manifest.first_day} to {manifest.last_day}, made {manifest.created} by {manifest.program}",
        "signature: made with the key given",
        f"files: {len(manifest.files)} of {len(manifest.files)} whole and unaltered, none besides",
    ]
    if RELEASES in package.files:
        chain = check_chain(package.files[RELEASES], manifest.chain)
        how = "computed again from each release" if chain.releases else "in order; the releases are not in it"
        said.append(f"chain: {len(chain.links)} releases, {how}")
        if chain.releases and ROLL_UPS in package.files:
            spans = check_sums(package.files[ROLL_UPS], chain.releases)
            said.append(f"roll-ups: {spans} spans with numbers, each added up again from the releases")
        if earlier:
            both = check_continues(earlier, chain.links)
            said.append(f"earlier package: {both} releases in both, the same in both")
    said.append(f"chain head: {manifest.chain.head} after release {manifest.chain.head_number}")
    return said


def _earlier(path: Path | None, key: Ed25519PublicKey) -> Sequence[Link]:
    if path is None:
        return ()
    package = opened(_read(path), key)
    if RELEASES not in package.files:
        raise SharingError("the earlier package has no releases to compare")
    return check_chain(package.files[RELEASES], package.manifest.chain).links


def _read(path: Path) -> dict[str, bytes]:
    try:
        if path.is_dir():
            return _folder(path)
        return _folder(path.parent) if path.name == MANIFEST else unpack(_bytes(path, MAX_PACKAGE_BYTES))
    except OSError as exc:
        raise SharingError(f"{path} cannot be read: {exc.strerror}") from exc


def _folder(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.iterdir())
    if len(found) > MAX_FILES:
        raise SharingError(f"the folder has more than {MAX_FILES} files")
    strange = [path for path in found if path.is_symlink() or not path.is_file()]
    if strange:
        raise SharingError(f"{shown(strange[0].name)} does not belong to the package")
    return {path.name: _bytes(path, MAX_PACKAGE_BYTES) for path in found}


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise SharingError(f"{shown(path.name)} is longer than {most} bytes")
    return data


def _key(text: str) -> Ed25519PublicKey:
    path = Path(text)
    try:
        if path.is_file():
            text = _bytes(path, MAX_KEY_FILE_BYTES).decode("ascii", "replace")
    except OSError as exc:
        raise SharingError(f"{path} cannot be read: {exc.strerror}") from exc
    return read_public_key(text)


def _complain(sentence: str, code: int) -> int:
    print(f"kioskwatch share verify: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
