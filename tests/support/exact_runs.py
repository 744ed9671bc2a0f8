"""Runs of the exact level by a limitation's short name, such as h1."""

from importlib import import_module

from experiments.studies import STEMS

ALL = {
    stem.split("_")[0]: import_module(f"experiments.studies.{stem}.exact_runs").exact_runs
    for stem in STEMS
    if stem != "components"
}
