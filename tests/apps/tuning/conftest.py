import shutil

import pandas as pd
import pytest
from eager import eagerly
from searching import LABELS, TEXTS, flags

from rnnapps import cli
from rnnapps.files import locked


@pytest.fixture(scope="session")
def table(shared):
    path = shared / "reviews.csv"
    with locked(shared / "reviews.lock"):
        if not path.exists():
            pd.DataFrame({"text": TEXTS, "label": LABELS}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def searched(table, shared, tmp_path_factory):
    """A search that nothing disturbed, made once for all workers."""
    project = shared / "searched"
    with locked(shared / "searched.lock"):
        if not project.exists():
            with eagerly():
                assert cli.main(flags(table, project, "--trials", "4", "--json")) == 0
    return shutil.copytree(project, tmp_path_factory.mktemp("search") / "whole")


@pytest.fixture(autouse=True)
def trained_step_by_step():
    """A search trains anew so often that tracing would be all that it does."""
    with eagerly():
        yield
