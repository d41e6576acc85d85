"""What is wrong with pictures: missing, torn, turned, of another size than their annotation says, or of an odd kind."""

from frcnn.data.checking.examination import ExaminedSet
from frcnn.data.checking.findings import Finding, error, warning
from frcnn.data.checking.frames import OTHER, OTHER_BUT_FITS, TURN_DOUBTFUL, TURN_KNOWN, TURN_NOT_KNOWN
from frcnn.data.checking.looks import Look
from frcnn.data.checking.statements import PictureSaid
from frcnn.data.index import Kind
from frcnn.naming import pixels


def find_picture_faults(one: ExaminedSet) -> list[Finding]:
    """All faults of the pictures of a set."""
    findings = []
    for picture, look, verdict in zip(one.said.pictures, one.looks, one.frames.verdicts.tolist(), strict=True):
        if look is None:
            findings.append(_missing(picture))
        elif look.problem:
            message = f"{look.problem}: put a whole copy in its place, or take it out"
            findings.append(error("broken picture", picture.path, None, message))
        else:
            findings += _of_size(one.said.kind, picture, look, verdict) + _of_kind(picture, look)
    return findings


def _missing(picture: PictureSaid) -> Finding:
    message = f"its picture {picture.path} is missing: add it, or take the annotation out"
    return error("missing picture", picture.annotation, picture.line, message)


def _of_size(kind: Kind, picture: PictureSaid, look: Look, verdict: int) -> list[Finding]:
    said = "no size" if picture.size is None else pixels(picture.size)
    if verdict == TURN_NOT_KNOWN:
        message = (
            f"EXIF rotation that the annotator did not see: the picture is shown as {pixels(look.seen)}, its boxes "
            f"were drawn on {pixels(look.stored)}: store it upright and turn its boxes"
        )
        return [error("exif rotation not seen", picture.annotation, picture.size_line, message)]
    if verdict in (TURN_KNOWN, TURN_DOUBTFUL):
        doubt = "; whether the annotator saw that, its size does not tell" if verdict == TURN_DOUBTFUL else ""
        message = f"EXIF data turn it (orientation {look.orientation}){doubt}: store it upright"
        return [warning("exif rotation", picture.path, None, message)]
    what = f"says {said}, but {picture.path.name} has {pixels(look.seen)}"
    if verdict == OTHER:
        message = f"{what}, so that its boxes lie elsewhere: annotate the picture that is there, or scale the boxes"
        return [error("other size", picture.annotation, picture.size_line, message)]
    if verdict == OTHER_BUT_FITS and kind == "coco":
        return [error("other size", picture.annotation, picture.size_line, f"{what}: mend its width and height")]
    if verdict == OTHER_BUT_FITS:
        message = f"{what}: its boxes fit nevertheless, so mend its <size>, unless the picture was made smaller"
        return [warning("other size", picture.annotation, picture.size_line, message)]
    return []


def _of_kind(picture: PictureSaid, look: Look) -> list[Finding]:
    findings = []
    if look.mode == "CMYK":
        message = "has the colours of print (CMYK), which programs show differently: store it as RGB"
        findings.append(warning("cmyk", picture.path, None, message))
    if look.is_deep:
        message = "has more than 8 bits a channel, which programs scale differently: store it with 8"
        findings.append(warning("16 bit", picture.path, None, message))
    if look.frames > 1:
        message = f"has {look.frames} frames, of which the first alone is used: store it as a still picture"
        findings.append(warning("several frames", picture.path, None, message))
    return findings
