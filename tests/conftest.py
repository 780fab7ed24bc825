"""For all tests: offline, quiet, nothing of the user's own, and one thread a worker on shared cores."""

import os
import tempfile

import pytest
from hypothesis import settings

from flows.settings import quiet

# libraries read these when they are first imported, which is after this file
quiet()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.pop("GESSO_WORKSPACE", None)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# a home for each process: workers that share one would lock each other's database
_prefect_home = tempfile.TemporaryDirectory(prefix="gesso-prefect-", ignore_cleanup_errors=True)
os.environ["PREFECT_HOME"] = _prefect_home.name

# no deadline: how long an example takes tells of the machine's other work, not of the code
settings.register_profile("gesso", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("gesso")


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory):
    """The folder of a tiny model of SDXL's shape, not to be changed."""
    from pipeline.starter.sdxl import write

    folder = tmp_path_factory.mktemp("bases") / "sdxl"
    write(folder)
    return folder


@pytest.fixture(scope="session")
def lavis():
    """The Python of LAVIS's environment, built where it is not there; where it cannot be, tests skip, but not in CI."""
    from filelock import FileLock

    from pipeline.errors import GessoError
    from pipeline.lavis import environment

    with FileLock(f"{environment.HOME}.tests.lock"):
        if environment.state().name != "ready":
            try:
                environment.install(say=print)
            except GessoError as error:
                if "CI" in os.environ:
                    raise
                pytest.skip(str(error))
    return environment.python()
