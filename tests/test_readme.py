"""What the pages state is so: commands, options, links, lengths, the two set-up lines."""

import argparse
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from saliency.commands import VERBS, crop
from saliency.commands import build_parser as build_main_parser
from saliency.commands.jobs import prune_module

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "MODEL_CARD.md"),
    *("data/README.md", "data/photos/README.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
)
OTHER_TOOLS_OPTIONS = {
    "--check",
    "--data-binary",
    "--head",
    "--logdir",
    "--nnodes",
    "--no-python",
    "--nproc-per-node",
    "--rdzv-backend",
    "--rdzv-endpoint",
    "--read-only",
    "--show",
    "--strict",
    "--thorough",
}
"""Of ruff, tensorboard, .ci/run, ray, vipsthumbnail, zensical, curl, podman, torchrun, …"""


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def code_blocks(page, language) -> list[str]:
    """Return the code blocks of a language, inside lists too, without their indentation."""
    found = re.finditer(rf"^( *)```{language}\n(.*?)^ *```$", read(page), re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{block[1]}", "", block[2], flags=re.MULTILINE) for block in found]


def commands(page) -> Iterator[list[str]]:
    """Yield the words of each command in a page's shell blocks."""
    for block in code_blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(command.partition(" < ")[0], comments=True)
                if words:
                    yield words


def saliency_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield verb and arguments of each `saliency VERB …` and each `python VERB.py …`."""
    for words in (words for page in PAGES for words in commands(page)):
        if words[0] == "saliency" and words[1:2] != ["--version"]:
            yield words[1], words[2:]
        elif words[0] == "python" and words[1] in {f"{verb}.py" for verb in VERBS}:
            yield words[1].removesuffix(".py"), words[2:]


def parser_of(verb):
    return import_module(f"saliency.commands.{verb}").build_parser()


def options_of(parser) -> set[str]:
    """Return the options of a parser and of the verbs below it."""
    found = {name for name in parser._option_string_actions if name.startswith("--")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*map(options_of, action.choices.values()))
    return found


def options_named(text) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", re.sub("<!--.*?-->", "", text)))


def options_of_benchmarks() -> set[str]:
    """Return the options that scripts beside the package define, by their texts."""
    scripts = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("docs/*.py")]
    return set(re.findall(r'"(--[a-z][a-z0-9-]*)"', "".join(path.read_text() for path in scripts)))


def headings(page) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("verb", "arguments"), list(saliency_commands()))
def test_command_is_one_that_its_parser_takes(verb, arguments):
    module = import_module(f"saliency.commands.{verb}")
    parse = getattr(module, "parse_arguments", module.build_parser().parse_args)
    assert parse(arguments)


@pytest.mark.parametrize("page", PAGES)
def test_options_that_a_page_names_exist(page):
    parsers = [build_main_parser(), prune_module.build_parser(), *map(parser_of, VERBS)]
    known = options_of_benchmarks().union(*map(options_of, parsers))
    assert options_named(read(page)) - known - OTHER_TOOLS_OPTIONS == set()


def test_readme_shows_every_verb():
    named = set(re.findall(r"saliency ([a-z]+)", read("README.md")))
    assert set(VERBS) <= named


def test_reference_is_what_the_parsers_and_docstrings_say():
    spec = spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert read("docs/reference/cli.md") == script.command_line()
    assert read("docs/reference/python.md") == script.python()


def test_reference_of_the_json_has_every_key(capsys):
    assert crop.main([str(ROOT / "data" / "photos" / "rocket.jpg"), "--json", "--dry-run"]) == 0
    report = json.loads(capsys.readouterr().out)
    named = set(re.findall(r"`(\w+)`", read("docs/reference/json.md")))
    assert {*report, *report["windows"][0]} - named == set()
    (example,) = map(json.loads, code_blocks("docs/reference/json.md", "json"))
    assert list(example) == list(report)
    assert list(example["windows"][0]) == list(report["windows"][0])


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("MODEL_CARD.md", 140)])
def test_page_is_short(page, most):
    assert len(read(page).splitlines()) <= most


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r": ([\w/-]+\.md)$", read("mkdocs.yml"), re.MULTILINE))
    assert listed == {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", read(page)):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in headings(file), target


def test_ci_runs_the_two_set_up_lines_of_the_readme():
    shown = subprocess.run(
        ["bash", ROOT / ".ci" / "run", "--show"], capture_output=True, text=True, check=True
    )
    set_up = read("README.md").partition("## Set up")[2].partition("\n## ")[0]
    assert shown.stdout.splitlines() == [
        block.strip() for block in code_blocks("README.md", "sh") if block in set_up
    ]
    assert len(shown.stdout.splitlines()) == 2


def test_python_example_of_the_readme_gives_a_crop(monkeypatch):
    (example,) = code_blocks("README.md", "python")
    monkeypatch.chdir(ROOT)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["density"].sum() == pytest.approx(1, abs=1e-4)
    assert names["crop"].shape == (360, 640, 3)
    assert (names["square"].width, names["square"].height) == (427, 427)
