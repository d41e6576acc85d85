"""What the page, the table and the remedies say, in each language."""

from typing import Literal

Language = Literal["en", "ko"]

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Suspicious annotations",
        "lead": "{pictures:,} pictures with {objects:,} objects ({split}), compared with what {model} detects. "
        "The likeliest mistakes come first.",
        "caution": "The model must not have been trained on these pictures: it would repeat their mistakes. For those "
        "that it was trained on, use --folds.",
        "cross_validated": "Cross-validated: each of {folds} models was asked only about pictures that it had not been "
        "trained on.",
        "all_but_test": "all but test",
        "all": "all",
        "missing": "not annotated",
        "class": "wrong class",
        "box": "wrong box",
        "spurious": "nothing there",
        "annotated": "as annotated",
        "proposed": "as detected",
        "others": "other annotations",
        "object": "object {number}",
        "line": "line {line}",
        "identity": "annotation id {identity}",
        "score": "score {score:.2f}",
        "suspicion": "suspicion",
        "kind": "kind",
        "where": "where",
        "remedy": "what to look at",
        "none": "No annotation is suspicious.",
        "page": "{count} with their pictures",
        "add": "Is this {a_proposed}? Then add it.",
        "rename": "Is this {a_proposed} rather than {a_annotated}?",
        "shift": "Is this box shifted? The {annotated} seems to be where the other one is.",
        "shrink": "Is this box too large for the {annotated}?",
        "grow": "Is this box too small for the {annotated}?",
        "remove": "Is there really {a_annotated} here? If not, take it out.",
    },
    "ko": {
        "title": "의심스러운 주석",
        "lead": "사진 {pictures:,}장, 객체 {objects:,}개({split})를 {model}의 검출 결과와 비교했습니다. "
        "틀렸을 가능성이 높은 것부터 나옵니다.",
        "caution": "이 사진들로 학습한 모델을 쓰면 안 됩니다. 주석의 실수까지 그대로 따라 하기 때문입니다. "
        "학습에 쓴 사진에는 --folds를 쓰세요.",
        "cross_validated": "교차 검증: 모델 {folds}개가 각각 학습에 쓰지 않은 사진만 검출했습니다.",
        "all_but_test": "test를 뺀 전부",
        "all": "전체",
        "missing": "주석 없음",
        "class": "클래스 오류",
        "box": "상자 오류",
        "spurious": "객체 없음",
        "annotated": "주석",
        "proposed": "검출",
        "others": "다른 주석",
        "object": "객체 {number}",
        "line": "{line}번째 줄",
        "identity": "주석 id {identity}",
        "score": "점수 {score:.2f}",
        "suspicion": "의심도",
        "kind": "종류",
        "where": "위치",
        "remedy": "확인할 것",
        "none": "의심스러운 주석이 없습니다.",
        "page": "사진과 함께 {count}건",
        "add": "{proposed}입니까? 그렇다면 주석을 추가하세요.",
        "rename": "{annotated}보다 {proposed}에 가깝지 않습니까?",
        "shift": "상자가 어긋나지 않았습니까? {annotated}의 위치는 다른 상자 쪽으로 보입니다.",
        "shrink": "{annotated}보다 상자가 너무 크지 않습니까?",
        "grow": "{annotated}보다 상자가 너무 작지 않습니까?",
        "remove": "여기에 정말 {annotated} 객체가 있습니까? 없다면 주석을 지우세요.",
    },
}


def with_article(name: str) -> str:
    """As English has it: a dog, an eel."""
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"
