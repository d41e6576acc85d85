"""Weights from the network: fetched once and kept where torch and torchvision keep theirs."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import torch

from frcnn.fetching import DownloadError as DownloadError
from frcnn.fetching import Progress as Progress
from frcnn.fetching import fetch_file


def fetch(
    url: str, sha256_prefix: str | None = None, folder: Path | None = None, progress: Progress | None = None
) -> Path:
    """The file at `url`, kept in `folder` (default: torch hub's checkpoints) and fetched only if it is not there.

    `sha256_prefix`: the first digits of its checksum. Raises DownloadError, FrcnnError where the disk is too full.
    """
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    return fetch_file((folder or checkpoint_folder()) / name, [url], sha256_prefix, progress=progress)


def checkpoint_folder() -> Path:
    """Where torch and torchvision keep what they fetch; the variable TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def checksum_in_name(url: str) -> str | None:
    """The first digits of the SHA-256, which torchvision writes into its file names (name-0123abcd.pth)."""
    found = re.search(r"-([0-9a-f]{8,64})\.[^./]+$", urlsplit(url).path)
    return found[1] if found else None
