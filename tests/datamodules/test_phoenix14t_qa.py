"""PHOENIX14T with questions: the real files and small ones."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from slt_zoo import Phoenix14T, Phoenix14TQA
from slt_zoo.data.question_rules import generate_question
from slt_zoo.errors import AnnotationError, DatasetError
from slt_zoo.testing import CorpusContract, simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:.*the release has")
HEADER = "name|video|start|end|speaker|orth|translation"


class TestContract(CorpusContract):
    data_class: ClassVar = "Phoenix14TQA"


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "annotations/manual"
    folder.mkdir(parents=True)
    (tmp_path / "questions").mkdir()
    path = folder / "PHOENIX-2014-T.dev.corpus.csv"
    path.write_text(f"{HEADER}\na-1|a-1/1/*.png|-1|-1|Signer01|REGEN|am montag regen\n", "utf-8")
    (tmp_path / "questions/dev.txt").write_text("dev/a-1 am montag regen%Was kommt am Montag%REGEN", "utf-8")
    return tmp_path


def test_native_questions_are_joined_to_the_byte(corpus):
    (sample,) = Phoenix14TQA(str(corpus)).manifest("dev")
    assert (sample.id, sample.question, sample.text) == ("a-1", "Was kommt am Montag", "am montag regen")
    assert (sample.gloss, sample.signer, sample.meta["question_source"]) == (("REGEN",), "Signer01", "released")


def test_only_the_mark_of_simulated_questions_makes_them_simulated(corpus):
    for mark, source in [
        ('{"question_overlap": 0.3}', "simulated"),
        ('{"annotations": "own"}', "released"),
        ("[]", "released"),
    ]:
        (corpus / "SIMULATED.json").write_text(mark)
        (sample,) = Phoenix14TQA(str(corpus)).manifest("dev")
        assert sample.meta["question_source"] == source
    (corpus / "SIMULATED.json").write_text("{")
    with pytest.raises(DatasetError, match="note of a simulated corpus is damaged") as error:
        Phoenix14TQA(str(corpus)).manifest("dev")
    assert str(corpus / "SIMULATED.json") in str(error.value)


def test_questions_from_elsewhere_are_not_called_simulated(corpus, tmp_path_factory):
    (corpus / "SIMULATED.json").write_text('{"question_overlap": 0.3}')
    other = tmp_path_factory.mktemp("other") / "dev.txt"
    (corpus / "questions/dev.txt").rename(other)
    (sample,) = Phoenix14TQA(str(corpus), questions=str(other)).manifest("dev")
    assert sample.meta["question_source"] == "released"


def test_older_files_without_glosses(corpus):
    (corpus / "questions/dev.txt").write_text("dev/a-1 am montag regen%Was kommt", "utf-8")
    (sample,) = Phoenix14TQA(str(corpus)).manifest("dev")
    assert (sample.question, sample.gloss) == ("Was kommt", ("REGEN",))


def test_files_with_negative_questions_are_refused(corpus):
    (corpus / "questions/dev.txt").write_text("dev/a-1 am montag regen%REGEN%Was%nein%x%nein", "utf-8")
    with pytest.raises(AnnotationError, match="line 1: 6 fields between '%'"):
        Phoenix14TQA(str(corpus)).manifest("dev")


def as_json(sample_id, split):
    keys = {"num_frames": None, "fps": None, "language": "de", "question_source": "human"}
    return json.dumps({"id": sample_id, "split": split, "question": "Was kommt", "text": "x", **keys})


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_one_file_that_has_not_all_splits(corpus, ending):
    annotations = corpus / "annotations/manual"
    for split, count in (("train", 2), ("test", 1)):
        rows = [f"{split}-{i}|x|-1|-1|Signer01|REGEN|regen" for i in range(count)]
        (annotations / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join([HEADER, *rows]), "utf-8")
    path = corpus / f"asked{ending}"
    written = [("train", "train-0"), ("train", "train-1"), ("test", "test-0")]
    lines = [as_json(i, s) if ending == ".jsonl" else f"{s}/{i} regen%Was kommt%REGEN" for s, i in written]
    path.write_text("\n".join(lines), "utf-8")
    data = Phoenix14TQA(str(corpus), questions=str(path))
    assert len(data.manifest("train")) == 2
    with pytest.raises(AnnotationError, match="no sample of dev has a question") as error:
        data.manifest("dev")
    message = str(error.value)
    assert "questions of other splits: 2 of train, 1 of test" in message and f"'DIR/{{split}}{ending}'" in message
    assert "data.questions=generated" in message and "add those of dev to the file" in message
    (annotations / "PHOENIX-2014-T.train.corpus.csv").unlink()
    with pytest.raises(AnnotationError, match="1 of test"):
        Phoenix14TQA(str(corpus), questions=str(path)).manifest("dev")


def test_one_file_a_split_by_its_name(corpus, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (corpus / "questions/dev.txt").rename(other / "mine.val.txt")
    (sample,) = Phoenix14TQA(str(corpus), questions=f"{other}/mine.{{split}}.txt").manifest("dev")
    assert sample.question == "Was kommt am Montag"
    (other / "mine.val.txt").rename(other / "mine.train.txt")
    with pytest.raises(DatasetError, match="no questions of dev") as error:
        Phoenix14TQA(str(corpus), questions=f"{other}/mine.{{split}}.txt").manifest("dev")
    assert "mine.dev.txt or mine.val.txt" in str(error.value) and "there: mine.train.txt" in str(error.value)


def test_generated_questions_are_marked(corpus):
    with pytest.warns(UserWarning, match="generated .* not comparable"):
        (sample,) = Phoenix14TQA(str(corpus), questions="generated").manifest("dev")
    assert sample.meta["question_source"] == "generated"
    assert sample.question == generate_question("am montag regen", "de") and "am montag" in sample.question


def test_the_real_questions(shared_data, recwarn):
    root = str(shared_data / "phoenix14t")
    data = Phoenix14TQA(root, questions=str(shared_data / "phoenix14t_qa"))
    marks = []
    for split in SPLITS:
        manifest, parent = data.manifest(split), Phoenix14T(root).manifest(split)
        assert manifest.ids == parent.ids and manifest.column("text") == parent.column("text")
        assert all(manifest.column("question"))
        marks.append(sum("?" in q or "？" in q for q in manifest.column("question")))
    assert marks == [93, 16, 4]
    assert not [w for w in recwarn if "release" in str(w.message) or "texts differ" in str(w.message)]
