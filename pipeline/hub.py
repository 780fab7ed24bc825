"""Models from the hub: the local cache first, then one attempt to download, then one sentence."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pipeline.errors import InputError, ModelError

SECONDS = 5.0
"""How long the hub may take to answer."""

NETWORK_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
"""What a request may raise: the HTTP client's own base error has another package (httpx, httpx2) in each release."""


def cached(reference: str, revision: str | None) -> Path | None:
    """The folder of a hub model in the local cache, whole or not; None where it was never fetched."""
    try:
        return Path(str(snapshot_download(reference, revision=revision, local_files_only=True)))
    except LocalEntryNotFoundError:
        return None


def download(
    reference: str,
    revision: str | None,
    *,
    wanted: Sequence[str],
    unwanted: Sequence[str],
    complete: Callable[[Path], bool],
    field: str,
    kind: Literal["model", "dataset"] = "model",
) -> Path:
    """The folder of a hub model or dataset in the local cache, downloaded where the cache has none that is `complete`.

    `wanted` are the patterns of the files to fetch, but for those that are `unwanted`. Raises ModelError (InputError of
    a dataset), within seconds, where the hub does not answer, does not know it or its revision, or does not let it be
    had.
    """
    fetch = partial(
        snapshot_download, reference, repo_type=kind, allow_patterns=list(wanted), ignore_patterns=list(unwanted)
    )
    try:
        cached = Path(str(fetch(revision=revision, local_files_only=True)))
        if complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    try:
        # asked first, because a download tries for half a minute to reach a hub that does not answer
        commit = HfApi().repo_info(reference, repo_type=kind, revision=revision, timeout=SECONDS).sha
        return Path(str(fetch(revision=commit, etag_timeout=SECONDS)))
    except NETWORK_ERRORS as error:
        problem, remedy = _explain(error, reference, kind)
        named = reference if revision is None else f"{reference} at {revision}"
        raise (ModelError if kind == "model" else InputError)(
            problem, field=field, value=named, remedy=remedy
        ) from error


def _explain(error: Exception, reference: str, kind: str) -> tuple[str, str]:
    of_kind, starter = ("", ", or `starter`") if kind == "model" else (" --repo-type dataset", "")
    match error:
        case GatedRepoError():
            return (
                f"this {kind}'s owners let only those have it who accepted their terms",
                f"Accept them on the {kind}'s page, then log in with `hf auth login`.",
            )
        case RevisionNotFoundError():
            return f"the {kind} has no such revision", "Name one of its commits."
        case RepositoryNotFoundError():
            return (
                f"there is no such folder or file here, and no such public {kind} on the hub",
                "Mend the path or the id; for a private one log in with `hf auth login`.",
            )
        case _:
            return (
                f"the {kind} is not in the local cache, and the hub cannot be reached",
                f"Get it where there is a network (`hf download {reference}{of_kind}`), or a local folder{starter}.",
            )
