"""The commands of setuptools that build a wheel under one name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

__all__ = ["BuildPy", "EditableWheel", "Wheel", "renamed"]

NAME = "backprop_ninja"
#: Where the folders of a checkout lie in a wheel.
PLACES = {"derive": f"{NAME}/derive", "codegen": f"{NAME}/codegen", "generated": NAME}
IMPORT = re.compile(r"^(\s*from )(derive|codegen)\b", re.MULTILINE)
KERNELS = re.compile(r"\bgenerated(?=\.[a-z_])")


def renamed(text: str) -> str:
    """The source of a module with the names that an installation has.

    Imports of the engine and the generator are absolute and stand on lines of their own; kernels import one another by relative
    names, so what names them are texts.
    """
    return KERNELS.sub(NAME, IMPORT.sub(rf"\1{NAME}.\2", text))


class BuildPy(build_py):
    """Collects the files, and puts them below one name."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            gather(Path(self.build_lib))


def gather(built: Path) -> None:
    """Move the folders below one name and rename what their modules import."""
    for folder, place in PLACES.items():
        for path in sorted((built / folder).rglob("*")):
            if path.is_file():
                target = built / place / path.relative_to(built / folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".py":
                    target.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
                else:
                    shutil.copyfile(path, target)
        shutil.rmtree(built / folder, ignore_errors=True)


class Wheel(bdist_wheel):
    """Says in the metadata which name is taken."""

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        (Path(distinfo_path) / "top_level.txt").write_text(f"{NAME}\n", encoding="utf-8")


class EditableWheel(editable_wheel):
    """A checkout keeps its folders' names; the name of an installation is another one for them."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.distribution.packages = [*self.distribution.packages, NAME]
        directories: dict[str, Any] = dict(self.distribution.package_dir or {})
        self.distribution.package_dir = directories | {NAME: "codegen/packaging/checkout"}
