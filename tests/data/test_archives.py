"""The table of what is published; that it is right can only be seen with a network, and is not seen here."""

import re
from urllib.parse import urlsplit

import pytest
from torchvision.datasets.voc import DATASET_YEAR_DICT

from frcnn.data.archives import PUBLISHED, Archive

ARCHIVES = [archive for published in PUBLISHED.values() for part in published.parts for archive in part.archives]


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)
def test_an_archive_is_known_by_its_size_and_its_checksum(archive: Archive) -> None:
    assert re.fullmatch("[0-9a-f]{64}", archive.sha256)
    assert archive.size < archive.unpacked < 5 * archive.size
    assert len(archive.servers) > 1
    assert all(urlsplit(server).scheme in ("http", "https") and not server.endswith("/") for server in archive.servers)


def test_no_two_are_taken_for_each_other() -> None:
    assert len({archive.name for archive in ARCHIVES}) == len({archive.sha256 for archive in ARCHIVES}) == 6


def test_voc_comes_first_from_where_torchvision_fetches_it() -> None:
    theirs = [DATASET_YEAR_DICT[year]["url"] for year in ("2007", "2007-test", "2012")]
    assert [f"{archive.servers[0]}/{archive.name}" for archive in ARCHIVES[:3]] == theirs
