#!/usr/bin/env python3
"""Zips the functions for Lambda: `package.py --architecture arm64 --binaries FOLDER --out FOLDER`.

Each zip holds what ../infra/README.md promises: `bootstrap`, the binary `alluvium-lambda-<function>`, `datasets/*.json`, and for `report`
`reports/*.sql`. The same binary, schemas and reports give the same bytes, so that a function that did not change is not deployed again. Before anything is written
each binary is held to what it will meet there: the architecture, Amazon Linux 2023's glibc and libraries, and for the transform
a size. With `--local` the zips are for an emulator on this machine, from binaries of any profile: copies are stripped, no limit holds.

Run it by `make package` or `make package-local`. Needs nothing but Python, and with `--local` binutils' `strip`.
"""

import argparse
import pathlib
import stat
import subprocess
import sys
import tempfile
import zipfile

import elf

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUNCTIONS = ["transform", "commit", "gateway", "query", "authorizer", "hot-writer", "maintain", "report", "loader"]
# Which of them have the reports in their zip.
REPORTING = {"report"}
# Amazon Linux 2023's, under which `provided.al2023` runs.
GLIBC = (2, 34)
# Of all that a binary may link to, what that image is sure to have: glibc's own and the compiler's.
LIBRARIES = {
    "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0",
    "librt.so.1", "libutil.so.1",
}  # fmt: skip
# The transform starts with every burst; its zip stays under 8 MB. Lambda takes no zip over 50 MB that is sent to it, as Terraform does
# (AWS Lambda Developer Guide, "Lambda quotas").
MOST_BYTES = {"transform": 8_000_000}
MOST_BYTES_OF_ANY = 50 * 1024 * 1024


def wrong_with(function, binary, architecture):
    """What keeps a binary from running as a function, as sentences."""
    try:
        found = elf.read(binary)
    except ValueError as error:
        return [f"{function}: {error}"]
    wrong = []
    if found.architecture != architecture:
        wrong.append(f"it is built for {found.architecture}, not for {architecture}")
    if found.glibc > GLIBC:
        wrong.append(f"it needs glibc {version(found.glibc)}, and Amazon Linux 2023 has {version(GLIBC)}")
    if strange := sorted(found.libraries - LIBRARIES):
        wrong.append(f"it needs {', '.join(strange)}, which Amazon Linux 2023 need not have: link it into the binary")
    return [f"{function}: {sentence}" for sentence in wrong]


def version(numbers):
    return ".".join(map(str, numbers))


def write_zip(path, binary, beside, level):
    """Writes a zip whose bytes depend on the contents alone: times, order and modes are fixed."""
    files = [("bootstrap", binary, 0o755)] + [(f"{folder}/{file.name}", file.read_bytes(), 0o644) for folder, file in beside]
    unfinished = path.with_suffix(".tmp")
    with zipfile.ZipFile(unfinished, "w") as out:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, the one whose modes Lambda reads.
            entry.external_attr = (stat.S_IFREG | mode) << 16
            out.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=level)
    unfinished.replace(path)
    return path.stat().st_size


def binary_of(folder, function):
    """Where a function's binary is: cargo leaves a file named like it, cargo-lambda a folder with `bootstrap`."""
    named = folder / f"alluvium-lambda-{function}"
    return named / "bootstrap" if named.is_dir() else named


def stripped(path):
    """The bytes of a copy without symbols and debug information."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, path], check=True)
        return pathlib.Path(copy.name).read_bytes()


def package(arguments):
    """Writes the zips and says how large they are. Returns what is wrong, as sentences: what cannot run there keeps all zips from being
    written, a size its own."""
    schemas = [("datasets", file) for file in sorted(arguments.datasets.glob("*.json"))]
    reports = [("reports", file) for file in sorted(arguments.reports.glob("*.sql"))]
    if not schemas:
        return [f"{arguments.datasets} holds no schema; name the folder of your datasets"]
    paths = {function: binary_of(arguments.binaries, function) for function in FUNCTIONS}
    if missing := [str(path) for path in paths.values() if not path.is_file()]:
        return [f"not built: {', '.join(missing)}"]
    binaries = {function: stripped(path) if arguments.local else path.read_bytes() for function, path in paths.items()}
    if not arguments.local:
        wrong = [sentence for function, binary in binaries.items() for sentence in wrong_with(function, binary, arguments.architecture)]
        if wrong:
            return wrong

    arguments.out.mkdir(parents=True, exist_ok=True)
    too_large = []
    # Debug binaries are large, and nobody waits for their download.
    level = 1 if arguments.local else 9
    print(f"{'function':<12}{'binary, bytes':>15}{'zip, bytes':>13}{'glibc':>8}")
    for function, binary in binaries.items():
        path = arguments.out / f"{function}.zip"
        size = write_zip(path, binary, schemas + (reports if function in REPORTING else []), level)
        print(f"{function:<12}{len(binary):>15,}{size:>13,}{version(elf.read(binary).glibc):>8}")
        most = MOST_BYTES.get(function, MOST_BYTES_OF_ANY)
        if size >= most and not arguments.local:
            path.unlink()
            too_large.append(f"{function}: its zip has {size:,} bytes, and must have fewer than {most:,}")
    print(f"in {arguments.out}")
    return too_large


def main():
    parser = argparse.ArgumentParser(description="Zips the functions for Lambda.")
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="the folder of alluvium-lambda-*")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where the zips go: Terraform's package_dir")
    parser.add_argument("--datasets", type=pathlib.Path, default=ROOT / "datasets", help="the folder of the schemas")
    parser.add_argument("--reports", type=pathlib.Path, default=ROOT / "reports", help="the folder of the reports; it may be empty")
    built_for = parser.add_mutually_exclusive_group(required=True)
    built_for.add_argument("--architecture", choices=["arm64", "x86_64"], help="what the binaries must be built for")
    built_for.add_argument("--local", action="store_true", help="for an emulator on this machine: strip, and hold to no limit")
    wrong = package(parser.parse_args())
    for sentence in wrong:
        print(f"package: {sentence}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
