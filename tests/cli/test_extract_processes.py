"""slt-zoo extract on several processes, whoever starts them, and two extractions on one folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.data.stores import open_store
from slt_zoo.data.stores.lock import FolderLock
from slt_zoo.data.stores.writer import PieceWriter, StoreBuilder
from slt_zoo.errors import StoreError
from slt_zoo.extraction import running
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

POSE = ["--encoder", "pose", "--no-progress", "--accelerator", "cpu"]
FORK = ["--devices", "2", "--strategy", "ddp_fork"]


@pytest.fixture
def corpus(simulated) -> list[str]:
    root = simulated("Phoenix14T", samples=(6, 3, 3), seed=3, render=("pose",))
    return ["extract", "--corpus", "Phoenix14T", "--root", str(root), *POSE]


def launched(words: list[str]) -> tuple[int, str]:
    """The command on two processes that torchrun has started; 124: they wait for each other."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
    run = (  # whoever does not wait for the one that begins sees the folder as it was
        "import sys, time\nfrom slt_zoo.cli import main\nfrom slt_zoo.data.stores.writer import StoreBuilder\n"
        "begin = StoreBuilder.begin\n"
        "def slow(*given):\n    time.sleep(3)\n    begin(*given)\n"
        "StoreBuilder.begin = slow\nsys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [*torchrun, sys.executable, "-c", run, *words, "--devices", "2", "--strategy", "ddp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        said = process.communicate(timeout=90)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return 124, process.communicate()[0]
    return process.returncode, said


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def whole(corpus, tmp_path) -> Path:
    assert main([*corpus, "--out", str(tmp_path / "whole")]) == 0
    return tmp_path / "whole"


class TestStartedFromOutside:
    @pytest.mark.parametrize("state", ["fresh", "resumed", "finished", "overwrite"])
    def test_all_states_of_the_folder(self, corpus, whole, tmp_path, monkeypatch, state):
        out, words = tmp_path / "s", []
        if state == "resumed":
            done = []

            def stop(self, record, add=PieceWriter.add):
                if len(done) == 5:
                    raise KeyboardInterrupt
                done.append(record.id)
                add(self, record)

            monkeypatch.setattr(PieceWriter, "add", stop)
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                main([*corpus, "--out", str(out), "--save-every", "0"])
            monkeypatch.undo()
            assert not json.loads((out / "manifest.json").read_text())["complete"]
        elif state != "fresh":
            shutil.copytree(whole, out)
            words = ["--overwrite"] if state == "overwrite" else []
        status, said = launched([*corpus, "--out", str(out), *words])
        assert status == 0, said
        told = {"fresh": 12, "resumed": 7, "finished": 0, "overwrite": 12}
        assert f"extracted {told[state]} samples" in said and said.count("extracted ") == 1
        assert files(out) == files(whole)

    def test_a_refusal_stops_all(self, corpus, whole):
        before = files(whole)
        status, said = launched([*corpus, "--out", str(whole), "--points", "hands42"])
        assert status not in (0, 124) and "must not be mixed" in said, said
        assert files(whole) == before

    def test_samples_that_one_process_cannot_read_are_told(self, corpus, tmp_path):
        root = Path(corpus[4])
        shutil.copytree(root, tmp_path / "corpus")
        words = [*corpus[:4], str(tmp_path / "corpus"), *corpus[5:], "--out", str(tmp_path / "s")]
        bad = list(Phoenix14T(str(tmp_path / "corpus"), poses=None).manifest("train"))[1]
        Path(bad.media["pose"].path).write_bytes(b"cut")
        status, said = launched(words)
        assert status not in (0, 124) and "1 samples could not be read" in said and bad.id in said, said
        status, said = launched([*words, "--on-bad-sample", "skip"])
        assert status == 0, said
        assert set(open_store(tmp_path / "s").manifest.unreadable) == {bad.id}


@pytest.mark.parametrize("strategy", ["ddp_fork", "ddp_spawn"])
def test_processes_that_lightning_starts(corpus, whole, tmp_path, strategy):
    script = "import sys\nfrom slt_zoo.cli import main\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
    (tmp_path / "run.py").write_text(script)
    words = [*corpus, "--out", str(tmp_path / "s"), "--devices", "2", "--strategy", strategy]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py"), *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert files(tmp_path / "s") == files(whole)


@pytest.mark.parametrize("devices", [[], FORK], ids=["one", "two"])
def test_a_refusal_is_told_whoever_finds_it(corpus, whole, capfd, devices):
    before = files(whole)
    assert main([*corpus, "--out", str(whole), "--points", "hands42", *devices]) == 2
    said = capfd.readouterr().err
    assert "must not be mixed" in said and "points" in said and files(whole) == before


class TestLost:
    def lose(self, monkeypatch, ids) -> None:
        """What a process on another machine writes to a disk of its own."""
        write = StoreBuilder.write
        monkeypatch.setattr(
            StoreBuilder,
            "write",
            lambda self, path, records: None if {r.id for r in records} & ids else write(self, path, records),
        )

    @pytest.mark.parametrize("devices", [[], FORK], ids=["one", "two"])
    def test_a_store_without_them_stays_unfinished(self, corpus, whole, tmp_path, monkeypatch, capfd, devices):
        monkeypatch.setattr(running, "PAUSES", (0.0,))
        ids = open_store(whole).ids("train")
        self.lose(monkeypatch, {ids[2], ids[4]})
        words = [*corpus, "--out", str(tmp_path / "s"), "--save-every", "0", *devices]
        assert main(words) == 2
        said = capfd.readouterr().err
        assert (
            "2 samples were extracted and are not in the folder" in said and "on a disk that all of them share" in said
        )
        assert ids[2] in said and ids[4] in said
        assert not json.loads((tmp_path / "s" / "manifest.json").read_text())["complete"]
        monkeypatch.undo()
        assert main(words) == 0
        assert files(tmp_path / "s") == files(whole)

    def test_what_shows_late_is_waited_for(self, corpus, whole, tmp_path, monkeypatch):
        missing, calls = StoreBuilder.missing, []

        def late(self, split, ids):
            calls.append(split)
            return list(ids) if len(calls) <= 2 * 3 else missing(self, split, ids)  # before, and at the first look

        monkeypatch.setattr(StoreBuilder, "missing", late)
        monkeypatch.setattr(running, "PAUSES", (0.0,))
        assert main([*corpus, "--out", str(tmp_path / "s")]) == 0
        assert files(tmp_path / "s") == files(whole)


class TestLock:
    def held(self, folder: Path, **changes) -> FolderLock:
        lock = FolderLock(folder / "parts" / "lock")
        lock.holder.update(changes)
        lock.take()
        return lock

    @pytest.mark.parametrize("devices", [[], FORK], ids=["one", "two"])
    def test_another_extraction_is_told_with_its_holder(self, corpus, tmp_path, capfd, devices):
        out = tmp_path / "s"
        lock = self.held(out, host="far.example", pid=77)
        before = files(out)
        assert main([*corpus, "--out", str(out), *devices]) == 2
        said = capfd.readouterr().err
        assert "another extraction is filling this store" in said and "process 77 on far.example since 20" in said
        assert f"delete {lock.path}" in said and files(out) == before
        lock.release()
        assert main([*corpus, "--out", str(out), *devices]) == 0

    def test_a_process_of_this_machine_that_lives_holds_it(self, tmp_path):
        self.held(tmp_path, pid=os.getppid())
        with pytest.raises(StoreError, match=f"process {os.getppid()} on {socket.gethostname()}"):
            FolderLock(tmp_path / "parts" / "lock").take()

    def test_what_a_dead_process_has_left_is_taken_over(self, corpus, whole, tmp_path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        self.held(tmp_path / "s", pid=dead.pid)
        assert main([*corpus, "--out", str(tmp_path / "s")]) == 0
        assert files(tmp_path / "s") == files(whole)

    def test_it_is_given_back_after_errors(self, corpus, tmp_path, monkeypatch):
        def fail(self, path, records):
            raise StoreError("the disk is full")

        monkeypatch.setattr(StoreBuilder, "write", fail)
        assert main([*corpus, "--out", str(tmp_path / "s")]) == 2
        assert not (tmp_path / "s" / "parts" / "lock").exists()

    def test_one_of_many_gets_it(self, tmp_path):
        code = (
            "import sys, time\nfrom pathlib import Path\nfrom slt_zoo.data.stores.lock import FolderLock\n"
            "from slt_zoo.errors import StoreError\n"
            "lock = FolderLock(Path(sys.argv[1]))\nprint('ready', flush=True)\nsys.stdin.readline()\n"
            "try:\n    lock.take()\n    print('mine', flush=True)\nexcept StoreError:\n    print('not', flush=True)\n"
            "sys.stdin.readline()\n"
        )
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        lock = self.held(tmp_path, pid=dead.pid)
        words = [sys.executable, "-c", code, str(lock.path)]
        many = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for process in many:
            assert process.stdout.readline() == "ready\n"
        for process in many:
            process.stdin.write("\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in many) == ["mine\n", "not\n", "not\n", "not\n"]
        for process in many:
            process.communicate("\n")

    def test_a_finished_store_is_looked_at_without_it(self, corpus, whole):
        self.held(whole, host="far.example")
        before = files(whole)
        assert main([*corpus, "--out", str(whole)]) == 0
        assert files(whole) == before
