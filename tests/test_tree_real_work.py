"""Real work under a mirror: what programs do to a tree, and what is known of it then.

Each runs a program that people use while a watcher reads, then compares a strict
mirror with the tree, and the kernel's watches with its directories.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import churn
import pytest
from conftest import PATIENCE

QUIET_GIT = {
    **os.environ,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def work(consumer: churn.Consumer, *command: str | Path) -> None:
    """Read while a command runs, then check."""
    consumer.halves_are_sure = False  # files come and go through new directories
    consumer.mirror.names_are_sure = False  # it writes while it renames
    with subprocess.Popen(
        command, env=QUIET_GIT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while running.poll() is None:
            consumer.read(timeout=20)
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, said.decode()
    consumer.check()


def fill(top: Path, *, offset: int, count: int = 60) -> None:
    for number in range(offset, offset + count):
        path = top / f"d{number % 7}" / f"e{number % 5}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * (number + 1))


def git(root: Path, *arguments: str) -> None:
    command = [need("git"), "-C", str(root), *arguments]
    subprocess.run(command, env=QUIET_GIT, check=True, capture_output=True)


@pytest.fixture
def commits(root: Path) -> list[str]:
    """Two commits that have little in common."""
    git(root, "init", "-b", "one")
    fill(root, offset=0)
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    git(root, "checkout", "-b", "two")
    for number in (1, 3, 5):
        shutil.rmtree(root / f"d{number}")
    (root / "d1").write_text("a file now")
    (root / "d0").rename(root / "moved")
    fill(root / "more", offset=200)
    git(root, "add", "-A")
    git(root, "commit", "-m", "two")
    return ["one", "two"]


def test_checkout_of_far_commits(root: Path, commits: list[str]) -> None:
    """``git checkout`` between commits that have little in common."""
    with churn.Consumer(root) as consumer:
        for commit in commits * 2:
            work(consumer, need("git"), "-C", root, "checkout", "-q", commit)


def test_rsync_with_deletions(root: Path, tmp_path: Path) -> None:
    """``rsync -a --delete`` from one tree and from another, in turn."""
    rsync = need("rsync")
    fill(tmp_path / "one", offset=0)
    fill(tmp_path / "two", offset=40)
    with churn.Consumer(root) as consumer:
        for source in ("one", "two", "one"):
            work(consumer, rsync, "-a", "--delete", f"{tmp_path / source}/", root)


def test_archive(root: Path, tmp_path: Path) -> None:
    """``tar x`` into a tree, over what is there, and ``rm -r`` of it."""
    tar = need("tar")
    fill(tmp_path / "one", offset=0)
    archive = tmp_path / "archive.tar"
    subprocess.run([tar, "cf", archive, "-C", tmp_path / "one", "."], check=True)
    with churn.Consumer(root) as consumer:
        for _ in range(2):
            work(consumer, tar, "xf", archive, "-C", root)
        work(consumer, "sh", "-c", f"rm -r '{root}'/*")


def test_a_venv(root: Path) -> None:
    """A virtual environment is made, with pip in it, and removed."""
    with churn.Consumer(root) as consumer:
        work(consumer, sys.executable, "-m", "venv", root / "venv")
        work(consumer, "rm", "-r", root / "venv")


WHEEL = """
import base64, hashlib, sys, zipfile
top = sys.argv[1]
info = "example-1.0.dist-info"
files = {
    f"example/{package}/module{number}.py": f"VALUE = {number}\\n"
    for package in ("one", "two/three") for number in range(40)
}
files["example/__init__.py"] = ""
files[f"{info}/METADATA"] = "Metadata-Version: 2.1\\nName: example\\nVersion: 1.0\\n"
files[f"{info}/WHEEL"] = (
    "Wheel-Version: 1.0\\nGenerator: tests\\n"
    "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
)
files[f"{info}/entry_points.txt"] = "[console_scripts]\\nexample = example:main\\n"
record = ""
with zipfile.ZipFile(f"{top}/example-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).digest()
        encoded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        record += f"{name},sha256={encoded},{len(text)}\\n"
        wheel.writestr(name, text)
    wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\\n")
"""


def test_a_package_that_pip_installs(root: Path, tmp_path: Path) -> None:
    """``pip install`` of a wheel into a venv, again over it, and ``pip uninstall``."""
    subprocess.run([sys.executable, "-c", WHEEL, tmp_path], check=True)
    wheel = tmp_path / "example-1.0-py3-none-any.whl"
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    pip: list[str | Path] = [
        root / "venv/bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
    ]
    offline = ["--no-index", "--no-cache-dir"]
    with churn.Consumer(root) as consumer:
        work(consumer, *pip, "install", *offline, wheel)
        assert (root / "venv/bin/example").exists()
        work(consumer, *pip, "install", *offline, "--force-reinstall", wheel)
        work(consumer, *pip, "uninstall", "--yes", "example")
        assert not (root / "venv/bin/example").exists()


def test_packages_that_npm_installs(root: Path, tmp_path: Path) -> None:
    """``npm install`` of packages by their paths, ``npm prune``, and again."""
    npm = need("npm")
    names = ["one", "two", "three"]
    for name in names:
        package = tmp_path / name
        fill(package / "lib", offset=0)
        (package / "package.json").write_text(
            f'{{"name": "{name}", "version": "1.0.0"}}'
        )
    (root / "package.json").write_text('{"name": "example", "version": "1.0.0"}')
    options = ["--offline", "--no-audit", "--no-fund", "--install-links"]
    options += ["--prefix", str(root), "--cache", str(tmp_path / "cache")]
    packages = [str(tmp_path / name) for name in names]
    with churn.Consumer(root) as consumer:
        work(consumer, npm, "install", *options, *packages)
        assert (root / "node_modules/two/lib/d1/e1/file1").exists()
        work(consumer, npm, "uninstall", *options, "two")
        assert not (root / "node_modules/two").exists()
        work(consumer, npm, "ci", *options)


def test_an_editor_that_saves(root: Path) -> None:
    """Files are saved by writing another one and renaming it over them."""
    fill(root, offset=0, count=10)
    code = """
import os, sys
for _ in range(20):
    for directory, _, files in os.walk(sys.argv[1]):
        for name in files:
            path = os.path.join(directory, name)
            os.rename(path, path + "~")
            with open(path + ".swp", "w") as file:
                file.write("saved")
            os.rename(path + ".swp", path)
            os.unlink(path + "~")
"""
    with churn.Consumer(root) as consumer:
        work(consumer, sys.executable, "-c", code, root)
