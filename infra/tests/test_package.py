"""The packaging script: that its checks can fail, and that equal contents are equal zips. Run it by `make check`."""

import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import elf
import package

PACKAGE = pathlib.Path(package.__file__)


def program(glibc=("GLIBC_2.2.5", "GLIBC_2.34"), libraries=("libc.so.6",), machine=62, padding=0):
    """A program of nothing but what a loader reads: two segments, the dynamic one, and the versions it asks of glibc."""
    texts, at = b"\0", {}
    for text in {"libc.so.6", *glibc, *libraries}:
        at[text] = len(texts)
        texts += text.encode() + b"\0"
    base, texts_at = 0x40_0000, 0x200
    needs_at = texts_at + len(texts)
    needs = struct.pack("<HHIII", 1, len(glibc), at["libc.so.6"], 16, 0)
    for number, name in enumerate(glibc):
        needs += struct.pack("<IHHII", 0, 0, number + 2, at[name], 16 if number + 1 < len(glibc) else 0)
    dynamic_at = needs_at + len(needs)
    dynamic = b"".join(struct.pack("<qQ", 1, at[library]) for library in libraries)
    dynamic += struct.pack("<qQqQqQqQ", 5, base + texts_at, 0x6FFF_FFFE, base + needs_at, 0x6FFF_FFFF, 1, 0, 0)
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    segments += struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, base + dynamic_at, 0, len(dynamic), len(dynamic), 8)
    head = header + segments
    # Bytes that no compression makes fewer.
    return head + bytes(texts_at - len(head)) + texts + needs + dynamic + random.Random(1).randbytes(padding)


class Packages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"
        for function in package.FUNCTIONS:
            self.build(function, program())

    def build(self, function, binary):
        (self.folder / f"alluvium-lambda-{function}").write_bytes(binary)

    def run_script(self, *arguments):
        """The exit code, and what was said."""
        command = [sys.executable, "-B", PACKAGE, "--binaries", self.folder, "--out", self.out, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    def assert_refused(self, *words):
        code, said = self.run_script("--architecture", "x86_64")
        self.assertEqual(code, 1)
        for word in words:
            self.assertIn(word, said)

    def test_a_zip_holds_the_executable_bootstrap_and_the_schemas(self):
        code, said = self.run_script("--architecture", "x86_64")
        self.assertEqual((code, said), (0, ""))
        self.assertEqual({path.name for path in self.out.iterdir()}, {f"{function}.zip" for function in package.FUNCTIONS})
        schemas = sorted(f"datasets/{path.name}" for path in (package.ROOT / "datasets").glob("*.json"))
        reports = sorted(f"reports/{path.name}" for path in (package.ROOT / "reports").glob("*.sql"))
        self.assertTrue(reports)
        for path in self.out.iterdir():
            with zipfile.ZipFile(path) as found:
                self.assertEqual(found.namelist(), ["bootstrap", *schemas, *(reports if path.stem == "report" else [])])
                self.assertEqual(found.read("bootstrap"), program())
                self.assertEqual(found.infolist()[0].external_attr >> 16, 0o100755)

    def test_binaries_are_taken_as_cargo_lambda_leaves_them(self):
        for function in package.FUNCTIONS:
            named = self.folder / f"alluvium-lambda-{function}"
            binary = named.read_bytes()
            named.unlink()
            named.mkdir()
            (named / "bootstrap").write_bytes(binary)
        self.assertEqual(self.run_script("--architecture", "x86_64"), (0, ""))

    def test_equal_contents_are_equal_zips(self):
        self.run_script("--architecture", "x86_64")
        first = (self.out / "transform.zip").read_bytes()
        for path in self.folder.glob("alluvium-lambda-*"):
            path.chmod(0o700)
        self.run_script("--architecture", "x86_64")
        self.assertEqual((self.out / "transform.zip").read_bytes(), first)

    def test_a_newer_glibc_is_refused_and_nothing_written(self):
        self.build("query", program(glibc=["GLIBC_2.17", "GLIBC_2.35", "GLIBC_2.4"]))
        self.assert_refused("query: it needs glibc 2.35, and Amazon Linux 2023 has 2.34")
        self.assertFalse(self.out.exists())

    def test_packed_relocations_are_refused(self):
        self.build("query", program(glibc=["GLIBC_2.17", "GLIBC_ABI_DT_RELR"]))
        self.assert_refused("glibc 2.36")

    def test_a_library_that_is_not_there_is_refused(self):
        self.build("commit", program(libraries=["libc.so.6", "libssl.so.3"]))
        self.assert_refused("commit: it needs libssl.so.3")

    def test_another_architecture_is_refused(self):
        self.build("gateway", program(machine=183))
        self.assert_refused("gateway: it is built for arm64, not for x86_64")

    def test_what_is_no_program_is_refused(self):
        self.build("gateway", b"#!/bin/sh\n")
        self.assert_refused("gateway", "not a 64-bit little-endian ELF binary")

    def test_a_missing_binary_is_named(self):
        (self.folder / "alluvium-lambda-authorizer").unlink()
        self.assert_refused("not built:", "alluvium-lambda-authorizer")

    def test_a_transform_of_8_mb_is_refused(self):
        self.build("commit", program(padding=8_000_000))
        code, _ = self.run_script("--architecture", "x86_64")
        self.assertEqual(code, 0, "other functions may be larger")
        self.build("transform", program(padding=8_000_000))
        self.assert_refused("transform: its zip has", "fewer than 8,000,000")
        self.assertFalse((self.out / "transform.zip").exists())

    def test_a_zip_that_lambda_would_not_take_is_refused(self):
        self.build("maintain", program(padding=50 * 1024 * 1024))
        self.assert_refused("maintain: its zip has", "fewer than 52,428,800")

    @unittest.skipUnless(sys.platform == "linux", "other systems have other binaries")
    def test_a_zip_for_this_machine_is_stripped_and_held_to_no_limit(self):
        source = self.folder / "main.c"
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-g", "-o", self.folder / "alluvium-lambda-transform", source], check=True)
        for function in package.FUNCTIONS:
            self.build(function, (self.folder / "alluvium-lambda-transform").read_bytes())
        code, said = self.run_script("--local")
        self.assertEqual((code, said), (0, ""))
        with zipfile.ZipFile(self.out / "transform.zip") as found:
            self.assertLess(found.getinfo("bootstrap").file_size, (self.folder / "alluvium-lambda-transform").stat().st_size)


class Elf(unittest.TestCase):
    @unittest.skipUnless(sys.platform == "linux", "other systems have other binaries")
    def test_this_python_needs_a_glibc(self):
        needs = elf.read(pathlib.Path(sys.executable).resolve().read_bytes())
        self.assertIn("libc.so.6", needs.libraries)
        self.assertEqual(needs.glibc[0], 2)


if __name__ == "__main__":
    unittest.main()
