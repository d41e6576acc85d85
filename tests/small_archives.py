"""Data sets of a few files in archives like the published ones, to be served by this machine."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping

from frcnn.data.archives import Archive, Part, Published

Files = Mapping[str, bytes]
TERMS = "made up by a test"
NO_SERVER = ("http://127.0.0.1:9/closed",)


def voc_files(split: str, identities: tuple[str, ...]) -> dict[str, bytes]:
    """One split as its archive holds it. Its pictures are noise, which is all that this module needs."""
    root = "VOCdevkit/VOC2007"
    files = {f"{root}/ImageSets/Main/{split}.txt": "".join(f"{identity}\n" for identity in identities).encode()}
    for identity in identities:
        xml = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
        files[f"{root}/Annotations/{identity}.xml"] = f"{xml}</bndbox></object></annotation>".encode()
        files[f"{root}/JPEGImages/{identity}.jpg"] = hashlib.sha256(identity.encode()).digest() * 100
    return files


TRAINVAL = voc_files("trainval", ("000001", "000002", "000003"))
TEST = voc_files("test", ("000004", "000005"))
COCO = {
    "annotations": {"annotations/instances_train2017.json": b"{}", "annotations/instances_val2017.json": b"{}"},
    "val2017": {"val2017/000000000001.jpg": b"one"},
    "train2017": {"train2017/000000000002.jpg": b"two" * 1000, "train2017/000000000003.jpg": b"three" * 1000},
}


def tar_of(files: Files) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def zip_of(files: Files) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


SERVED = {
    "trainval.tar": tar_of(TRAINVAL),
    "test.tar": tar_of(TEST),
    **{f"{name}.zip": zip_of(files) for name, files in COCO.items()},
}


def archive_of(name: str, unpacked: int = 100_000) -> Archive:
    content = SERVED[name]
    return Archive(name, NO_SERVER, len(content), hashlib.sha256(content).hexdigest(), unpacked)


SMALL = {
    "voc2007": Published(
        (Part("VOCdevkit/VOC2007", (archive_of("trainval.tar"), archive_of("test.tar")), "JPEGImages/*.jpg", 5),),
        path="VOCdevkit",
        terms=TERMS,
    ),
    "coco2017": Published(
        tuple(
            Part(name, (archive_of(f"{name}.zip"),), pattern, len(COCO[name]))
            for name, pattern in (("annotations", "*.json"), ("val2017", "*.jpg"), ("train2017", "*.jpg"))
        ),
        path="",
        terms=TERMS,
    ),
}
