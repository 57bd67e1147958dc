"""The container file: a user without rights, a pinned base, nothing from elsewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [
    line.split(maxsplit=1)
    for line in (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def values(instruction):
    return [rest for name, rest in LINES if name == instruction]


def test_base_has_a_version():
    (base,) = values("FROM")
    assert re.fullmatch(r"[a-z/]+:\d[\w.-]*", base)


def test_it_ends_as_a_user_without_rights():
    names = [name for name, _ in LINES]
    (user,) = values("USER")
    assert user not in ("root", "0")
    assert names.index("USER") > names.index("RUN")
    assert names[-1] == "ENTRYPOINT"


def test_what_is_copied_exists_and_is_enough_to_install():
    copied = {word for rest in values("COPY") for word in rest.split()[:-1]}
    assert all((ROOT / word).exists() for word in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "saliency"} <= copied


@pytest.mark.parametrize("word", ["curl", "wget", "git ", "ADD", "apt-get", "sudo"])
def test_nothing_is_fetched_but_from_the_package_index(word):
    commands = [" ".join(line) for line in LINES if line[0] != "HEALTHCHECK"]
    assert not any(word in command for command in commands)


def test_command_is_one_of_ours():
    (entry,) = values("ENTRYPOINT")
    assert entry == '["saliency", "serve", "--host", "0.0.0.0"]'
