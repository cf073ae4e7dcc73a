"""Writing a simulated corpus: sentences, signers, motion, and the files of a corpus's official layout."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.synthetic.clip_writer import ClipWriter
from slt_zoo.synthetic.grammars import GRAMMARS, Grammar, spelling
from slt_zoo.synthetic.layouts import LAYOUTS, Layout, QuestionLayout, layout_of
from slt_zoo.synthetic.performer import Performer, SharedSigns, SkeletonPerformer
from slt_zoo.synthetic.questions import OVERLAP, Asker, make_asker
from slt_zoo.synthetic.recordings import Lexicon, RecordingPerformer, read_lexicon
from slt_zoo.synthetic.sentences import SPLITS, Row
from slt_zoo.synthetic.signers import Signer, make_signers
from slt_zoo.synthetic.variation import Variation

__all__ = ["MARK", "RENDERS", "simulate"]

log = logging.getLogger(__name__)

MARK = "SIMULATED.json"
NOTE = "simulated signing is no sign language, and no score on it is a translation result"
RENDERS = ("pose", "frames", "video", "features")

Progress = Callable[[int, int], None]


def simulate(
    corpus: str,
    root: str | Path,
    samples: Sequence[int] = (800, 100, 100),
    seed: int = 0,
    difficulty: float = 0.3,
    render: Sequence[str] = ("pose",),
    *,
    annotations: str | Path | None = None,
    lexicon: str | Path | None = None,
    question_overlap: float | None = None,
    fps: float | None = None,
    signers: Sequence[int] | None = None,
    frame_size: tuple[int, int] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a corpus of simulated signing. It is no sign language, and no score on it is a translation result.

    The same arguments give the same bytes.

    Args:
        corpus: whose layout, by the class name of the data module (``"Phoenix14T"``).
        root: folder to write; must be new, empty, or (with ``overwrite``) an earlier simulated corpus.
        samples: how many for train, dev and test; of ``annotations`` the first so many of each split.
        seed: of sentences, lexicon, signers and takes.
        difficulty: from 0 (clean) to 1 (hard): sizes all differences between signers, takes and detections.
        render: what to write of each clip: ``"pose"``, ``"frames"`` (PNG or JPEG), ``"video"`` (mp4), ``"features"``
            (see `slt_zoo.synthetic.features`), as far as the corpus has such. Sign boundaries always.
        annotations: annotation file or folder of this corpus: its names, splits, signers and sentences are used.
        lexicon: folder of real recordings with ``index.csv``, joined instead of made-up signs. Recordings of single
            letters spell the texts.
        question_overlap: share of a sentence's words that its question may repeat, 0 to 1 (0.3); for corpora with
            questions, some of whose signs only the question tells apart. Those of ``annotations`` stay as they are.
        fps: frames a second; by default the corpus's.
        signers: how many different ones in train, dev and test, none of them in two splits; by default the corpus's.
        frame_size: width and height of the image in pixels; by default the corpus's.
        overwrite: replace an earlier simulated corpus.
        progress: called after each clip with how many are written, and how many there will be.

    Returns:
        The root.

    Raises:
        UnknownNameError: a corpus or a kind of rendering that does not exist.
        ConfigError: arguments out of range, more samples than sentences, glosses that the lexicon lacks, or a folder
            that holds something else.
        DatasetError: annotations or lexicon are missing or damaged.
    """
    layout, variation, root = layout_of(corpus), Variation.at(difficulty), Path(root).expanduser()
    render = tuple(dict.fromkeys([render] if isinstance(render, str) else render))
    fps, signers = layout.fps if fps is None else fps, layout.signers if signers is None else signers
    frame_size = layout.frame_size if frame_size is None else frame_size
    _check(layout, samples, render, fps, signers, frame_size)
    words = None if lexicon is None else read_lexicon(lexicon)
    asker = _asker(layout, words, question_overlap, seed, drawn=annotations is None)
    rows = _rows(layout, words, annotations, samples, signers, seed, asker)
    people = make_signers(layout.signer_order(rows), seed, variation)
    performer = _performer(words, seed, variation, fps, asker)
    facts = {"corpus": corpus, "seed": seed, "difficulty": difficulty, "render": render}
    facts |= {"fps": fps, "frame_size": frame_size, **({} if asker is None else asker.facts())}
    facts |= {"annotations": annotations and Path(annotations).name, "lexicon": lexicon and Path(lexicon).name}
    _prepare(root, overwrite)
    _mark(root, facts, rows, people)
    with ClipWriter(layout, root, performer, variation, seed, render, fps, frame_size) as writer:
        written = _write_clips(writer, rows, people, progress)
    layout.write_annotations(root, written, fps)  # last: a corpus that was cut short has none and is refused
    log.info("%s: %d simulated clips; %s", root, len(rows), NOTE)
    return root


def _mark(root: Path, facts: Mapping[str, object], rows: Sequence[Row], people: Mapping[str, Signer]) -> None:
    counts = {split: sum(row.split == split for row in rows) for split in SPLITS}
    left = sorted(name for name, person in people.items() if person.left_handed)
    whole = {**facts, "samples": counts, "left_handed": left, "note": NOTE}
    (root / MARK).write_bytes((json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode())


def _write_clips(
    writer: ClipWriter, rows: Sequence[Row], people: Mapping[str, Signer], progress: Progress | None
) -> list[Row]:
    written = []
    for row in rows:
        written.append(writer.write(row, people[row.signer]))
        if progress is not None:
            progress(len(written), len(rows))
    return written


def _performer(words: Lexicon | None, seed: int, variation: Variation, fps: float, asker: Asker | None) -> Performer:
    performer: Performer = (
        SkeletonPerformer(seed, variation, fps) if words is None else RecordingPerformer(words, variation, fps)
    )
    return performer if asker is None else SharedSigns(performer, asker.grammar.signs)


def _rows(
    layout: Layout,
    words: Lexicon | None,
    annotations: str | Path | None,
    samples: Sequence[int],
    signers: Sequence[int],
    seed: int,
    asker: Asker | None,
) -> list[Row]:
    """What will be signed, by whom; with a lexicon, only what it can sign."""
    if annotations is None:
        rows = layout.plan(_grammar(layout, words) if asker is None else asker.grammar, samples, signers, seed)
        if asker is not None:
            rows = [dataclasses.replace(row, question=asker.question(row.gloss, row.text)) for row in rows]
    else:
        rows = _annotated(layout, Path(annotations).expanduser(), samples)
    if words is not None:
        rows = [dataclasses.replace(r, gloss=words.letters(r.text)) for r in rows] if words.spells else rows
        words.require(g for row in rows for g in row.gloss)
    return rows


def _check(
    layout: Layout,
    samples: Sequence[int],
    render: Sequence[str],
    fps: float,
    signers: Sequence[int],
    frame_size: tuple[int, int],
) -> None:
    for name in render:
        if name not in RENDERS:
            raise UnknownNameError("kind of rendering", name, RENDERS)
    layout.check_render(render)
    if len(samples) != 3 or min(samples) < 0 or samples[0] < 1:
        raise ConfigError(
            "not three numbers of samples",
            where="samples",
            expected="train, dev and test: at least 1 for train, at least 0 for the others",
            found=tuple(samples),
        )
    if len(signers) != 3 or min(signers) < 1:
        raise ConfigError(
            "not three numbers of signers",
            where="signers",
            expected="train, dev and test, at least 1 each",
            found=tuple(signers),
        )
    if not 5 <= fps <= 120:
        raise ConfigError("frame rate out of range", where="fps", expected="5 to 120 frames a second", found=fps)
    if min(frame_size) < 16 or ("video" in render and any(n % 2 for n in frame_size)):
        raise ConfigError(
            "frames cannot have this size",
            where="frame_size",
            expected="width and height of at least 16 pixels, even ones for video",
            found=tuple(frame_size),
        )


def _grammar(layout: Layout, lexicon: Lexicon | None) -> Grammar:
    """What sentences are drawn from: the layout's language, or spelled words for a lexicon of letters."""
    if lexicon is not None and lexicon.spells:
        return spelling(lexicon.language)
    return GRAMMARS[layout.language]


def _asker(layout: Layout, lexicon: Lexicon | None, overlap: float | None, seed: int, *, drawn: bool) -> Asker | None:
    """What asks about drawn sentences; None where the corpus has no questions, or annotations bring them."""
    if drawn and isinstance(layout, QuestionLayout):
        return make_asker(layout.corpus, _grammar(layout, lexicon), OVERLAP if overlap is None else overlap, seed)
    if overlap is not None:
        asks = [name for name, other in LAYOUTS.items() if isinstance(other, QuestionLayout)]
        raise ConfigError(
            f"{layout.corpus} has no questions" if drawn else "the questions of annotations are kept as they are",
            where="question_overlap",
            found=overlap,
            todo=f"simulate {' or '.join(asks)}, or leave question_overlap out" if drawn else "leave it out",
        )
    return None


def _annotated(layout: Layout, path: Path, samples: Sequence[int]) -> list[Row]:
    """The first rows of each split of the annotation."""
    rows = layout.read_annotations(path)
    limit, taken, kept = dict(zip(SPLITS, samples, strict=True)), Counter[str](), []
    for row in rows:
        if taken[row.split] < limit[row.split]:
            taken[row.split] += 1
            kept.append(row)
    if len(kept) < len(rows):
        log.warning("%d of %d annotated rows are used; raise `samples` for more", len(kept), len(rows))
    empty = [row.id for row in kept if not row.gloss]
    if empty:
        raise ConfigError(
            f"{len(empty)} annotated rows have no gloss, so there is nothing to sign",
            where=path,
            found=f"first: {empty[0]}",
            todo="take these rows out",
        )
    return kept


def _prepare(root: Path, overwrite: bool) -> None:
    """Make the folder; refuse to touch what is not a simulated corpus."""
    inside = sorted(p.name for p in root.iterdir()) if root.is_dir() else []
    if root.exists() and not root.is_dir():
        raise ConfigError("the corpus's folder is a file", where=root, todo="choose another root")
    if inside and MARK not in inside:
        raise ConfigError(
            "the folder is not empty and holds no simulated corpus",
            where=root,
            expected=f"a new or empty folder, or one with {MARK}",
            found=", ".join(inside[:5]),
            todo="choose another root; nothing was touched",
        )
    if inside and not overwrite:
        raise ConfigError(
            "the folder holds a simulated corpus already",
            where=root / MARK,
            todo="pass overwrite=True (--overwrite) to replace it, or choose another root",
        )
    if inside:
        _remove(root)
    root.mkdir(parents=True, exist_ok=True)


def _remove(root: Path) -> None:
    """Delete the corpus that the mark names, and nothing else that lies beside it."""
    try:
        earlier = layout_of(json.loads((root / MARK).read_text(encoding="utf-8"))["corpus"])
    except (ValueError, KeyError, TypeError) as cause:
        raise ConfigError(
            f"{MARK} is damaged, so it is not clear what may be replaced",
            where=root / MARK,
            found=str(cause),
            todo="remove the folder yourself, or choose another root",
        ) from cause
    for folder in earlier.folders:
        if (root / folder).exists():
            shutil.rmtree(root / folder)
