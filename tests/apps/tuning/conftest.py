import pandas as pd
import pytest
from eager import eagerly
from searching import LABELS, TEXTS, flags

from rnnapps import cli


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    pd.DataFrame({"text": TEXTS, "label": LABELS}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def searched(table, tmp_path_factory):
    """A search that nothing disturbed."""
    project = tmp_path_factory.mktemp("search") / "whole"
    with eagerly():
        assert cli.main(flags(table, project, "--trials", "4", "--json")) == 0
    return project


@pytest.fixture(autouse=True)
def trained_step_by_step():
    """A search trains anew so often that tracing would be all that it does."""
    with eagerly():
        yield
