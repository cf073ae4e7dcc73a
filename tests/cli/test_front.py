"""The first word of the command: help, versions, misspelt words; nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from slt_zoo import __version__, recipes
from slt_zoo.cli import COMMANDS, main
from slt_zoo.errors import UnknownNameError


def test_help_names_every_command(capsys):
    assert main([]) == main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_a_misspelt_command_gets_the_nearest(capsys):
    assert main(["simulat"]) == 2
    assert "did you mean 'simulate'" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["fit", "validate", "test", "predict"])
def test_the_word_alone_is_an_error_of_use(word, capsys):
    assert main([word]) == 2
    assert "error" in capsys.readouterr().err


def test_list(capsys):
    assert main(["list", "models", "corpora", "recipes", "protocols"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "SignAttention" in shown and "Phoenix14T" in shown
    assert "zoo:sign_attention/synthetic/translate" in shown and any("signjoey" in line for line in shown)
    assert main(["list", "model"]) == 2
    assert "did you mean 'models'" in capsys.readouterr().err
    assert main(["list"]) == 2


def test_show(capsys):
    assert main(["show", "zoo:sign_attention/synthetic"]) == 0
    assert "zoo:sign_attention/synthetic/translate" in capsys.readouterr().out
    assert main(["show", "zoo:sign_attention/synthetic/translate"]) == 0
    assert "class_path: slt_zoo.SignAttention" in capsys.readouterr().out
    assert main(["show", "zoo:sign_attention/phoenix14"]) == 2
    assert "zoo:sign_attention/phoenix14t" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["show"], ["fit", "--config"], ["run"]], ids=" ".join)
def test_overlays_are_no_recipes(words, capsys):
    assert main([*words, "zoo:sign_attention/tinny"]) == 2
    message = capsys.readouterr().err
    expected = next(line for line in message.splitlines() if "Expected" in line)
    meant = message.partition("did you mean ")[2].partition("?")[0]
    assert "zoo:sign_attention/synthetic" in expected and "tiny" not in expected and "tiny" not in meant
    assert "or is the overlay 'zoo:sign_attention/tiny' meant?" in message
    overlays = message.partition("Overlays go on top of a recipe: ")[2].split("\n")[0].split(", ")
    assert "zoo:sign_attention/tiny" in overlays and all(name.endswith("/tiny") for name in overlays)


def test_an_overlay_is_not_run_alone(capsys):
    assert main(["run", "zoo:sign_attention/tiny", "--data.root", "x"]) == 2
    assert "zoo:sign_attention/tiny is an overlay and no recipe" in capsys.readouterr().err


def test_recipe_names():
    path, name = recipes.resolve("zoo:sign_attention/synthetic")
    assert name == "zoo:sign_attention/synthetic/translate" and path.is_file()
    assert recipes.resolve("zoo:sign_attention/tiny")[0].name == "tiny.yaml"
    with pytest.raises(UnknownNameError, match="zoo:sign_attention/synthetic/translate"):
        recipes.resolve("zoo:sign_attention/synthetic/transalte")
    with pytest.raises(UnknownNameError):
        recipes.resolve("zoo:nothing")


def test_phases_are_numbered_without_gaps():
    by_recipe: dict[tuple[str, str], list[int]] = {}
    for recipe in recipes.all_recipes():
        by_recipe.setdefault((recipe.model, recipe.corpus), []).append(recipe.number)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_recipe.values())


def test_the_installed_command_answers():
    done = subprocess.run([sys.executable, "-m", "slt_zoo", "--version"], capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
