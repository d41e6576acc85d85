"""Faults to be planted in a clean data set, each in one place."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from data_sets import (
    FIRST_OBJECT,
    HEIGHT,
    LINES,
    ORIENTATION,
    WIDTH,
    name_of,
    picture,
    things,
    write_annotation,
    write_coco_file,
)
from PIL import Image


class Fault(NamedTuple):
    """What has to be found."""

    severity: str
    kind: str
    file: Path
    line: int | None


Plant = Callable[[Path, str], Fault]

IN_VAL, IN_TEST = name_of(36), name_of(42)


def xml(root: Path, name: str) -> Path:
    return root / "Annotations" / f"{name}.xml"


def jpg(root: Path, name: str) -> Path:
    return root / "JPEGImages" / f"{name}.jpg"


def box_line(number: int) -> int:
    """Of the bndbox of an object, counted from 0."""
    return FIRST_OBJECT + LINES * number + 2


def set_box(path: Path, number: int, box: Sequence[object]) -> None:
    """The numbers of a box, as the file is to have them."""
    lines = path.read_text().splitlines()
    for i, (tag, value) in enumerate(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)):
        lines[box_line(number) + i] = f"<{tag}>{value}</{tag}>"
    path.write_text("\n".join(lines) + "\n")


def plant_box(severity: str, kind: str, box: Sequence[object]) -> Plant:
    """In place of the second object's."""

    def plant(root: Path, name: str) -> Fault:
        set_box(xml(root, name), 1, box)
        return Fault(severity, kind, xml(root, name), box_line(1))

    return plant


def torn_annotation(root: Path, name: str) -> Fault:
    xml(root, name).write_text("<annotation>\n<object>\n</annotation>\n")
    return Fault("error", "unreadable annotation", xml(root, name), 3)


def object_without_name(root: Path, name: str) -> Fault:
    path = xml(root, name)
    path.write_text(path.read_text().replace("<name>circle</name>", "<name/>"))
    return Fault("error", "unreadable object", path, FIRST_OBJECT + 2 * LINES)


def name_of_two_lines(root: Path, name: str) -> Fault:
    path = xml(root, name)
    path.write_text(path.read_text().replace("<name>circle</name>", "<name>a&#13;circle</name>"))
    return Fault("error", "unreadable object", path, FIRST_OBJECT + 2 * LINES)


def missing_picture(root: Path, name: str) -> Fault:
    jpg(root, name).unlink()
    return Fault("error", "missing picture", xml(root, name), 2)


def truncated_picture(root: Path, name: str) -> Fault:
    content = jpg(root, name).read_bytes()
    jpg(root, name).write_bytes(content[: len(content) // 2])
    return Fault("error", "broken picture", jpg(root, name), None)


def no_picture_at_all(root: Path, name: str) -> Fault:
    jpg(root, name).write_text("<html>404</html>")
    return Fault("error", "broken picture", jpg(root, name), None)


def missing_annotation(root: Path, name: str) -> Fault:
    xml(root, name).unlink()
    jpg(root, name).unlink()
    file = root / "ImageSets/Main/train.txt"
    return Fault("error", "missing annotation", file, file.read_text().splitlines().index(name) + 1)


def unseen_rotation(root: Path, name: str) -> Fault:
    """The camera was held sideways; the annotator's tool did not turn the picture, and wrote its size so."""
    turn(jpg(root, name), 6)
    return Fault("error", "exif rotation not seen", xml(root, name), 3)


def seen_rotation(root: Path, name: str) -> Fault:
    turn(jpg(root, name), 8)
    path = write_annotation(root, name, [("square", (5, 7, 50, 120)), ("circle", (50, 20, 90, 100))])
    text = path.read_text().replace("<width>128", "<width>96").replace("<height>96", "<height>128")
    path.write_text(text)
    return Fault("warning", "exif rotation", jpg(root, name), None)


def turn(path: Path, orientation: int) -> None:
    """Say in the EXIF data that a picture is to be turned."""
    with Image.open(path) as image:
        exif = image.getexif()
        exif[ORIENTATION] = orientation
        image.save(path, exif=exif, quality=90)


def smaller_picture(root: Path, name: str) -> Fault:
    with Image.open(jpg(root, name)) as image:
        image.resize((WIDTH // 2, HEIGHT // 2)).save(jpg(root, name))
    return Fault("error", "other size", xml(root, name), 3)


def wrong_size(root: Path, name: str) -> Fault:
    path = xml(root, name)
    path.write_text(path.read_text().replace("<width>128", "<width>129"))
    return Fault("warning", "other size", path, 3)


def file_in_other_layout(root: Path, name: str) -> Fault:
    """Three small boxes of a large picture as x, y, width, height."""
    write_annotation(root, name, [("square", (0, 0, 9, 9)), ("square", (0, 0, 9, 9)), ("circle", (0, 0, 9, 9))])
    for number, box in enumerate([(61, 41, 20, 10), (81, 51, 12, 14), (31, 71, 18, 11)]):
        set_box(xml(root, name), number, box)
    return Fault("error", "other layout", xml(root, name), box_line(0))


def same_box_again(root: Path, name: str) -> Fault:
    first, second, third = things(3)
    write_annotation(root, name, [first, second, third, ("square", (11 + 3, 8, 50 + 3, 40))])
    return Fault("warning", "duplicate box", xml(root, name), box_line(3))


def box_of_two_classes(root: Path, name: str) -> Fault:
    write_annotation(root, name, [*things(4), ("circle", things(4)[0][1])])
    return Fault("warning", "two classes", xml(root, name), box_line(3))


def copy_in_test(root: Path, name: str) -> Fault:
    shutil.copyfile(jpg(root, name), jpg(root, IN_TEST))
    return Fault("error", "picture in two splits", jpg(root, name), None)


def stored_anew_in_val(root: Path, name: str) -> Fault:
    with Image.open(jpg(root, name)) as image:
        image.resize((300, 225)).save(jpg(root, IN_VAL), quality=40)
    write_annotation(root, IN_VAL, [("square", (20, 20, 200, 100)), ("circle", (100, 90, 290, 220))])
    text = xml(root, IN_VAL).read_text().replace("<width>128", "<width>300").replace("<height>96", "<height>225")
    xml(root, IN_VAL).write_text(text)
    return Fault("error", "picture in two splits", jpg(root, name), None)


def copy_in_train(root: Path, name: str) -> Fault:
    """The later one is told."""
    shutil.copyfile(jpg(root, name_of(0)), jpg(root, name))
    return Fault("warning", "duplicate picture", jpg(root, name), None)


def scene_once_more(root: Path, name: str) -> Fault:
    """With a thing in it that has moved."""
    again = picture(1)
    again.paste((0, 0, 0), (60, 40, 66, 46))
    again.save(jpg(root, name), quality=90)
    return Fault("warning", "alike pictures", jpg(root, name), None)


def listed_twice(root: Path, name: str) -> Fault:
    file = root / "ImageSets/Main/train.txt"
    file.write_text(file.read_text() + f"{name}\n")
    return Fault("warning", "listed twice", file, len(file.read_text().splitlines()))


def listed_in_test(root: Path, name: str) -> Fault:
    file, train = root / "ImageSets/Main/test.txt", root / "ImageSets/Main/train.txt"
    file.write_text(file.read_text() + f"{name}\n")
    return Fault("error", "in two splits", train, train.read_text().splitlines().index(name) + 1)


def misspelt_class(root: Path, name: str) -> Fault:
    path = xml(root, name)
    path.write_text(path.read_text().replace("<name>circle</name>", "<name>cicle</name>"))
    return Fault("warning", "misspelt class", path, FIRST_OBJECT + 2 * LINES + 1)


def cmyk_picture(root: Path, name: str) -> Fault:
    with Image.open(jpg(root, name)) as image:
        image.convert("CMYK").save(jpg(root, name))
    return Fault("warning", "cmyk", jpg(root, name), None)


def picture_of_16_bits(root: Path, name: str) -> Fault:
    with Image.open(jpg(root, name)) as image:
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    jpg(root, name).unlink()
    path = jpg(root, name).with_suffix(".png")
    Image.fromarray(grey).save(path)
    return Fault("warning", "16 bit", path, None)


def moving_picture(root: Path, name: str) -> Fault:
    with Image.open(jpg(root, name)) as image:
        frames = [image.convert("RGB"), image.convert("L").convert("RGB")]
    jpg(root, name).unlink()
    path = jpg(root, name).with_suffix(".gif")
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return Fault("warning", "several frames", path, None)


def unlisted_annotation(root: Path, name: str) -> Fault:
    file = root / "ImageSets/Main/train.txt"
    file.write_text(file.read_text().replace(f"{name}\n", ""))
    return Fault("warning", "annotation in no split", root / "Annotations", None)


def unannotated_picture(root: Path, name: str) -> Fault:
    xml(root, name).unlink()
    file = root / "ImageSets/Main/train.txt"
    file.write_text(file.read_text().replace(f"{name}\n", ""))
    return Fault("warning", "picture without annotation", root / "JPEGImages", None)


VOC_PLANTS: dict[str, Plant] = {  # those that move the lines of a list last
    "torn annotation": torn_annotation,
    "no name": object_without_name,
    "name of two lines": name_of_two_lines,
    "missing picture": missing_picture,
    "truncated picture": truncated_picture,
    "no picture": no_picture_at_all,
    "missing annotation": missing_annotation,
    "unseen rotation": unseen_rotation,
    "seen rotation": seen_rotation,
    "smaller picture": smaller_picture,
    "wrong size": wrong_size,
    "no area": plant_box("error", "no area", (30, 40, 30, 70)),
    "swapped": plant_box("error", "swapped corners", (100, 40, 60, 20)),
    "outside": plant_box("error", "outside", (100, 40, 140, 70)),
    "fractions": plant_box("error", "fractions", (0.1, 0.25, 0.5, 0.75)),
    "not a number": plant_box("error", "not a number", (30, "forty", 60, 70)),
    "nan": plant_box("error", "not a number", (30, 40, "nan", 70)),
    "tiny": plant_box("warning", "tiny box", (30, 40, 30.5, 44)),
    "other layout": file_in_other_layout,
    "same box": same_box_again,
    "two classes": box_of_two_classes,
    "copy in test": copy_in_test,
    "stored anew in val": stored_anew_in_val,
    "copy in train": copy_in_train,
    "alike": scene_once_more,
    "misspelt": misspelt_class,
    "cmyk": cmyk_picture,
    "16 bit": picture_of_16_bits,
    "gif": moving_picture,
    "in test too": listed_in_test,
}
LIST_PLANTS: dict[str, Plant] = {
    "listed twice": listed_twice,
    "in no split": unlisted_annotation,
    "unannotated": unannotated_picture,
}


def coco_file(root: Path) -> Path:
    return root / "annotations/instances_train2017.json"


def edit_item(root: Path, list_name: str, place: int, /, **changes: object) -> tuple[Path, int]:
    """Change an item of a list; the file, and the item's line."""
    path = coco_file(root)
    lists = json.loads(path.read_text())
    lists[list_name][place] |= changes
    write_coco_file(path, lists)
    lines = path.read_text().splitlines()
    return path, next(i for i, line in enumerate(lines) if f'"{list_name}"' in line) + 2 + place


def plant_item(severity: str, kind: str, list_name: str, **changes: object) -> Plant:
    """Change the second object of a picture, or the picture."""

    def plant(root: Path, name: str) -> Fault:
        number = int(name[1:])
        place = number if list_name == "images" else 3 * number + 1
        return Fault(severity, kind, *edit_item(root, list_name, place, **changes))

    return plant


def torn_json(root: Path, name: str) -> Fault:
    lines = coco_file(root).read_text().splitlines()
    coco_file(root).write_text("\n".join([*lines[:40], '{"id": 5, "image_id"']))
    return Fault("error", "unreadable annotation", coco_file(root), 41)


def missing_coco_picture(root: Path, name: str) -> Fault:
    (root / "train2017" / f"{name}.jpg").unlink()
    return Fault("error", "missing picture", coco_file(root), 2 + int(name[1:]))


def annotation_id_again(root: Path, name: str) -> Fault:
    number = int(name[1:])
    return Fault("error", "duplicate id", *edit_item(root, "annotations", 3 * number + 1, id=3 * number))


def image_id_again(root: Path, name: str) -> Fault:
    """Of a picture that comes later."""
    number = int(name[1:])
    return Fault("error", "duplicate id", *edit_item(root, "images", number, id=1000 + number - 1))


def picture_in_two_files(root: Path, name: str) -> Fault:
    """The list of `val` has it too, with its folder."""
    path = root / "annotations/instances_val2017.json"
    lists = json.loads(path.read_text())
    lists["images"].append({"id": 7, "file_name": f"../train2017/{name}.jpg", "width": WIDTH, "height": HEIGHT})
    write_coco_file(path, lists)
    return Fault("error", "in two splits", coco_file(root), 2 + int(name[1:]))


def unlisted_coco_picture(root: Path, name: str) -> Fault:
    picture(99).save(root / "train2017/new.jpg")
    return Fault("warning", "picture without annotation", root / "train2017", None)


def category_of_two_ids(root: Path, name: str) -> Fault:
    lists = json.loads(coco_file(root).read_text())
    lists["categories"].append({"id": 30, "name": " square"})
    write_coco_file(coco_file(root), lists)
    return Fault("warning", "class of two ids", coco_file(root), len(coco_file(root).read_text().splitlines()) - 1)


COCO_PLANTS: dict[str, Plant] = {
    "two ids": category_of_two_ids,
    "unknown image": plant_item("error", "unknown picture", "annotations", image_id=5),
    "no image": plant_item("error", "unknown picture", "annotations", image_id="p01.jpg"),
    "unknown category": plant_item("error", "unknown class", "annotations", category_id=15),
    "annotation id again": annotation_id_again,
    "no area": plant_item("error", "no area", "annotations", bbox=[30, 40, 0, 20]),
    "swapped": plant_item("error", "swapped corners", "annotations", bbox=[90, 70, -30, -20]),
    "outside": plant_item("error", "outside", "annotations", bbox=[90, 70, 60, 20]),
    "fractions": plant_item("error", "fractions", "annotations", bbox=[0.25, 0.5, 0.25, 0.125]),
    "far outside": plant_item("error", "outside", "annotations", bbox=[-1e308, 1, 1.7e308, 5]),
    "three numbers": plant_item("error", "not a number", "annotations", bbox=[1, 2, 3]),
    "nan": plant_item("error", "not a number", "annotations", bbox=[1, 2, float("nan"), 4]),
    "crowd": plant_item("error", "unreadable object", "annotations", iscrowd="0"),
    "difficult": plant_item("error", "unreadable object", "annotations", difficult="false"),
    "no size": plant_item("error", "other size", "images", width=None),
    "other size": plant_item("error", "other size", "images", width=WIDTH * 2, height=HEIGHT * 2),
    "size turned": plant_item("error", "other size", "images", width=HEIGHT, height=WIDTH),
    "missing picture": missing_coco_picture,
    "in val too": picture_in_two_files,
    "unlisted": unlisted_coco_picture,
}


def plant_label(severity: str, kind: str, line: str) -> Plant:
    """In place of the second object's."""

    def plant(root: Path, name: str) -> Fault:
        path = root / "labels/train" / f"{name}.txt"
        first, _, third = path.read_text().splitlines()
        path.write_text("\n".join((first, line, third)))
        return Fault(severity, kind, path, 2)

    return plant


def label_without_picture(root: Path, name: str) -> Fault:
    (root / "images/train" / f"{name}.jpg").unlink()
    return Fault("error", "missing picture", root / "labels/train" / f"{name}.txt", None)


def picture_without_label(root: Path, name: str) -> Fault:
    (root / "labels/train" / f"{name}.txt").unlink()
    return Fault("warning", "picture without annotation", root, None)


def label_that_is_no_text(root: Path, name: str) -> Fault:
    path = root / "labels/train" / f"{name}.txt"
    path.write_bytes(b"\xff\xfe\x00")
    return Fault("error", "unreadable annotation", path, None)


def turned_yolo_picture(root: Path, name: str) -> Fault:
    turn(root / "images/train" / f"{name}.jpg", 6)
    return Fault("warning", "exif rotation", root / "images/train" / f"{name}.jpg", None)


def other_number_of_classes(root: Path, name: str) -> Fault:
    path = root / "data.yaml"
    path.write_text(path.read_text() + "nc: 3\n")
    return Fault("warning", "other number of classes", path, None)


YOLO_PLANTS: dict[str, Plant] = {
    "nc": other_number_of_classes,
    "four numbers": plant_label("error", "unreadable object", "1 0.5 0.5 0.2"),
    "a word": plant_label("error", "unreadable object", "square 0.5 0.5 0.2 0.2"),
    "unknown class": plant_label("error", "unknown class", "2 0.5 0.5 0.2 0.2"),
    "negative class": plant_label("error", "unknown class", "-1 0.5 0.5 0.2 0.2"),
    "pixels": plant_label("error", "pixels", "1 64 48 32 16"),
    "outside": plant_label("error", "outside", "1 0.9 0.5 0.4 0.2"),
    "no area": plant_label("error", "no area", "1 0.5 0.5 0.2 0"),
    "swapped": plant_label("error", "swapped corners", "1 0.5 0.5 -0.2 0.2"),
    "nan": plant_label("error", "not a number", "1 0.5 nan 0.2 0.2"),
    "outline outside": plant_label("error", "outside", "1 0.5 0.5 1.2 0.5 0.7 0.9"),
    "no picture": label_without_picture,
    "no label": picture_without_label,
    "no text": label_that_is_no_text,
    "rotation": turned_yolo_picture,
}


def only(faults: Sequence[Fault]) -> Fault:
    assert len(faults) == 1, faults
    return faults[0]
