"""Which archives the public data sets are published in, where, and how each is known to be the right one.

The makers publish no checksums. These SHA-256 sums and sizes stand in TensorFlow Datasets (url_checksums/voc.txt, for
pjreddie.com, and coco.txt); torchvision's prototype data sets (voc.py, coco.py) have the same sums for the official
addresses. torchvision's VOCDetection names thor.robots.ox.ac.uk, where the older host leads to.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file on several servers: its name follows each of the addresses."""

    name: str
    servers: tuple[str, ...]
    size: int
    sha256: str
    unpacked: int  # bytes it takes on a disk, rounded up generously; more is no honest archive


@dataclass(frozen=True)
class Part:
    """A folder of a data set, the archives that are unpacked into it, and how to see that it is whole."""

    folder: str
    archives: tuple[Archive, ...]
    pattern: str
    files: int  # at least so many match the pattern


@dataclass(frozen=True)
class Published:
    """A data set: its parts, which folder a training takes, and whose terms apply."""

    parts: tuple[Part, ...]
    path: str
    terms: str


def _voc_servers(year: int) -> tuple[str, ...]:
    official = ("https://thor.robots.ox.ac.uk/pascal/VOC", "http://host.robots.ox.ac.uk/pascal/VOC")
    mirrors = ("https://pjreddie.com/media/files", "https://data.pjreddie.com/files")
    return (*(f"{server}/voc{year}" for server in official), *mirrors)


def _coco_servers(folder: str) -> tuple[str, ...]:
    """The second is where the first keeps its files."""
    return f"http://images.cocodataset.org/{folder}", f"https://s3.amazonaws.com/images.cocodataset.org/{folder}"


FLICKR = "Flickr and are under its terms (https://www.flickr.com/help/terms)"
VOC_TERMS = f"PASCAL VOC is meant for research; its pictures come from {FLICKR}"
COCO_TERMS = f"COCO's annotations are under CC BY 4.0; its pictures come from {FLICKR}"

VOC2007_TRAINVAL = Archive(
    "VOCtrainval_06-Nov-2007.tar",
    _voc_servers(2007),
    460_032_000,
    "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
    unpacked=600_000_000,
)
VOC2007_TEST = Archive(
    "VOCtest_06-Nov-2007.tar",
    _voc_servers(2007),
    451_020_800,
    "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
    unpacked=600_000_000,
)
VOC2012_TRAINVAL = Archive(
    "VOCtrainval_11-May-2012.tar",
    _voc_servers(2012),
    1_999_639_040,
    "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    unpacked=2_400_000_000,
)
COCO2017_ANNOTATIONS = Archive(
    "annotations_trainval2017.zip",
    _coco_servers("annotations"),
    252_907_541,
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    unpacked=1_200_000_000,
)
COCO2017_VAL = Archive(
    "val2017.zip",
    _coco_servers("zips"),
    815_585_330,
    "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    unpacked=1_000_000_000,
)
COCO2017_TRAIN = Archive(
    "train2017.zip",
    _coco_servers("zips"),
    19_336_861_798,
    "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    unpacked=22_000_000_000,
)

PUBLISHED = {
    "voc2007": Published(
        (Part("VOCdevkit/VOC2007", (VOC2007_TRAINVAL, VOC2007_TEST), "JPEGImages/*.jpg", 5_011 + 4_952),),
        path="VOCdevkit",
        terms=VOC_TERMS,
    ),
    "voc2012": Published(
        (Part("VOCdevkit/VOC2012", (VOC2012_TRAINVAL,), "JPEGImages/*.jpg", 17_125),),
        path="VOCdevkit",
        terms=VOC_TERMS,
    ),
    "coco2017": Published(
        (
            Part("annotations", (COCO2017_ANNOTATIONS,), "*.json", 6),  # the smallest first: what fails, fails soon
            Part("val2017", (COCO2017_VAL,), "*.jpg", 5_000),
            Part("train2017", (COCO2017_TRAIN,), "*.jpg", 118_287),
        ),
        path="",
        terms=COCO_TERMS,
    ),
}
