"""Models from the hub: the local cache first, then one attempt to download, then one sentence."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pipeline.errors import ModelError

SECONDS = 5.0
"""How long the hub may take to answer."""

NETWORK_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
"""What a request may raise: the HTTP client's own base error has another package (httpx, httpx2) in each release."""


def download(
    reference: str,
    revision: str | None,
    *,
    wanted: Sequence[str],
    unwanted: Sequence[str],
    complete: Callable[[Path], bool],
    field: str,
) -> Path:
    """The folder of a hub model in the local cache, downloaded where the cache has none that is `complete`.

    `wanted` are the patterns of the files to fetch, but for those that are `unwanted`. Raises ModelError, within
    seconds, where the hub does not answer, does not know the model or the revision, or does not let it be had.
    """
    fetch = partial(snapshot_download, reference, allow_patterns=list(wanted), ignore_patterns=list(unwanted))
    try:
        cached = Path(str(fetch(revision=revision, local_files_only=True)))
        if complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    try:
        # asked first, because a download tries for half a minute to reach a hub that does not answer
        commit = HfApi().model_info(reference, revision=revision, timeout=SECONDS).sha
        return Path(str(fetch(revision=commit, etag_timeout=SECONDS)))
    except NETWORK_ERRORS as error:
        problem, remedy = _explain(error, reference)
        named = reference if revision is None else f"{reference} at {revision}"
        raise ModelError(problem, field=field, value=named, remedy=remedy) from error


def _explain(error: Exception, reference: str) -> tuple[str, str]:
    match error:
        case GatedRepoError():
            return (
                "this model's owners let only those have it who accepted their terms",
                "Accept them on the model's page, then log in with `hf auth login`.",
            )
        case RevisionNotFoundError():
            return "the model has no such revision", "Name one of its commits."
        case RepositoryNotFoundError():
            return (
                "there is no such folder or file here, and no such public model on the hub",
                "Mend the path or the id; for a private model log in with `hf auth login`.",
            )
        case _:
            return (
                "the model is not in the local cache, and the hub cannot be reached",
                f"Get it where there is a network (`hf download {reference}`), or name a local folder, or `starter`.",
            )
