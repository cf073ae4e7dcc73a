"""CSL-Daily with questions: the real files, the interchange format, empty questions, questions made by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from slt_zoo import CSLDailyQA, InputSpec
from slt_zoo.data.question_rules import generate_question
from slt_zoo.errors import AnnotationError, DatasetNotFoundError
from slt_zoo.testing import CorpusContract, simulated

__all__ = ["simulated"]  # a fixture

IDS = {"train": "S000001_P0000_T00", "dev": "S000002_P0001_T00", "test": "S000003_P0002_T00"}
ASKS = InputSpec(modality="none", needs=frozenset({"question"}))
pytestmark = pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")


class TestContract(CorpusContract):
    data_class: ClassVar = "CSLDailyQA"


@pytest.fixture
def corpus(tmp_path):
    labels = tmp_path / "sentence_label"
    labels.mkdir()
    (labels / "split_1.txt").write_text("name|split\n" + "".join(f"{i}|{s}\n" for s, i in IDS.items()), "utf-8")
    rows = "".join(f"00000{n}|{i}|3|我 书|我 有 书 。|我 有 书 。|r v n w\n" for n, i in enumerate(IDS.values()))
    (labels / "video_map.txt").write_text("index|name|length|gloss|char|word|postag\n" + rows, "utf-8")
    (tmp_path / "questions").mkdir()
    for split in IDS:
        native(tmp_path, split, "你 有 什么 ？")
    return tmp_path


def native(root: Path, split: str, question: str, end: str = "|") -> None:
    line = f"000000|{IDS[split]}|3|我 书|我 有 书 。|我 有 书 。|{question}{end}"
    (root / f"questions/{split}.txt").write_text(line, "utf-8")


@pytest.mark.parametrize("end", ["", "|", "|Overlap!"])
def test_native_files_are_joined_and_lose_the_spaces_of_segmentation(corpus, end):
    native(corpus, "dev", "你 有 什么 ？", end)
    (sample,) = CSLDailyQA(str(corpus)).manifest("dev")
    assert (sample.question, sample.text, sample.signer) == ("你有什么？", "我有书。", "1")
    assert sample.meta["question_source"] == "released"


def test_json_lines_of_all_splits(corpus):
    rows = [
        {"id": i, "split": s, "num_frames": 3, "fps": 30.0, "question": "你 有 什么？", "text": "我有书。"}
        | {"gloss": "我 书", "language": "zh", "question_source": "human"}
        for s, i in IDS.items()
    ]
    path = corpus / "all.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    for split in IDS:
        (sample,) = CSLDailyQA(str(corpus), questions=str(path)).manifest(split)
        assert (sample.id, sample.question, sample.meta["question_source"]) == (IDS[split], "你有什么？", "human")
    for key, value, message in [
        ("language", "de", "another language"),
        ("question_source", "model", "unknown question_source"),
        ("split", "tset", "line 1: unknown split 'tset'"),
        ("question", 3, "question is no string"),
    ]:
        path.write_text(json.dumps(rows[0] | {key: value}), "utf-8")
        with pytest.raises(AnnotationError, match=message) as error:
            CSLDailyQA(str(corpus), questions=str(path)).manifest("train")
        assert f"{path}, line 1" in str(error.value)


def test_an_empty_question_is_an_error_unless_kept(corpus):
    native(corpus, "dev", "")
    with pytest.raises(AnnotationError, match="dev: 1 of 1 questions are empty") as error:
        CSLDailyQA(str(corpus)).bind(ASKS, ["dev"])
    assert IDS["dev"] in str(error.value) and "data.empty_question=keep" in str(error.value)
    data = CSLDailyQA(str(corpus), empty_question="keep")
    data.bind(ASKS, ["dev"])
    assert data.manifest("dev")[0].question == ""


def test_other_texts_are_told_and_references_stay(corpus):
    path = corpus / "questions/dev.txt"
    path.write_text(path.read_text("utf-8").replace("我 有 书 。", "他 有 书 。"), "utf-8")
    with pytest.warns(UserWarning, match="1 texts differ from the corpus's"):
        (sample,) = CSLDailyQA(str(corpus)).manifest("dev")
    assert sample.references == ("我有书。",)


def test_no_questions_and_those_of_another_split(corpus):
    with pytest.raises(DatasetNotFoundError, match="no questions of dev") as error:
        CSLDailyQA(str(corpus), questions=str(corpus / "nowhere")).manifest("dev")
    assert "data.questions" in str(error.value)
    (corpus / "questions/train.txt").replace(corpus / "questions/dev.txt")
    with pytest.raises(AnnotationError, match="no sample of dev has a question"):
        CSLDailyQA(str(corpus)).manifest("dev")


def test_generated_questions_are_marked(corpus):
    with pytest.warns(UserWarning, match="generated .* not comparable"):
        (sample,) = CSLDailyQA(str(corpus), questions="generated").manifest("dev")
    assert sample.meta["question_source"] == "generated"
    assert sample.question == generate_question("我有书。", "zh") and "谁" in sample.question


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_without_a_file_questions_are_generated_and_every_place_says_so(corpus, gone):
    for path in (corpus / "questions").iterdir():
        if gone == "folder" or path.stem == "dev":
            path.unlink()
    if gone == "folder":
        (corpus / "questions").rmdir()
    data = CSLDailyQA(str(corpus))
    assert "generated_questions" not in data.score_notes("dev")
    with pytest.warns(UserWarning, match="generated .* not comparable") as told:
        (sample,) = data.manifest("dev")
    (text,) = [str(w.message) for w in told if "generated" in str(w.message)]
    for name in ("dev.txt", "dev.jsonl", "val.txt", "val.jsonl"):
        assert str(corpus / "questions" / name) in text
    assert "CSLDailyQA dev" in text and "data.questions=<file or folder>" in text
    assert (sample.question, sample.meta["question_source"]) == (generate_question("我有书。", "zh"), "generated")
    assert data.score_notes("dev")["generated_questions"] == {"dev": 1}
    data.manifest("train")
    assert data.score_notes("dev")["generated_questions"] == {"dev": 1} | ({"train": 1} if gone == "folder" else {})


def test_the_real_questions(shared_data, recwarn):
    data = CSLDailyQA(
        str(shared_data / "csl_daily"), questions=str(shared_data / "csl_daily_qa"), empty_question="keep"
    )
    manifests = [data.manifest(split) for split in ("dev", "test")]
    assert [len(m) for m in manifests] == [1077, 1176]
    assert [sum(not q for q in m.column("question")) for m in manifests] == [1, 2]
    assert not any(" " in q for m in manifests for q in m.column("question"))
    assert not [w for w in recwarn if "release has" in str(w.message) or "texts" in str(w.message)]
    strict = CSLDailyQA(str(shared_data / "csl_daily"), questions=str(shared_data / "csl_daily_qa"))
    with pytest.raises(AnnotationError, match="test: 2 of 1176 questions are empty"):
        strict.bind(ASKS, ["test"])
