"""Recordings cut anywhere: frames up to the damage and ``partial``, or one clear line."""

import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import apsw
import numpy as np
import pytest
from rosbags.rosbag1 import Reader as Ros1Reader

from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.sources.protocol import SourceReport
from reconx_ros.sources.recording import IndexedRecording, open_recording
from reconx_ros.sources.salvage import SalvagedRecording
from reconx_ros.sources.scan_db3 import has_log, scan_db3
from reconx_ros.sources.scan_mcap import scan_mcap
from reconx_ros.sources.scan_ros1 import scan_ros1

if TYPE_CHECKING:
    from conftest import Bags

SCANS = {"mcap": scan_mcap, "db3": scan_db3, "bag": scan_ros1}


def read(path: Path) -> tuple[list[Keyframe], SourceReport]:
    with open_source(path, SourceConfig()) as source:
        return list(source.frames()), source.report


def storage(path: Path, kind: str) -> Path:
    return path if kind == "bag" else next(path.glob(f"*.{kind}"))


@pytest.mark.parametrize("kind", SCANS)
def test_a_scan_finds_what_the_index_finds(bags: "Bags", recording: SimpleNamespace, kind: str) -> None:
    path = storage(bags.write(kind, recording.entries(bags.messages(kind))), kind)
    indexed, scanned = IndexedRecording(path), SalvagedRecording(path, SCANS[kind])
    assert scanned.topics == indexed.topics and scanned.damage == ""
    assert list(scanned.messages(indexed.topics)) == list(indexed.messages(indexed.topics))
    only = list(scanned.messages({"/odom"}))
    assert only == list(indexed.messages({"/odom"})) and len(only) == 6


@pytest.mark.parametrize("kind", ["mcap-zstd", "mcap", "db3", "bag"])
def test_a_bag_cut_anywhere(bags: "Bags", recording: SimpleNamespace, kind: str) -> None:
    """Every 1/25 of the file: the frames before the cut are right, and it is told or there is one line."""
    kind, _, zstd = kind.partition("-")
    make, noise = bags.messages(kind), np.random.default_rng(0)  # noise: zstd must not make it one block

    def image(stamp: int, index: int) -> tuple[str, object]:
        pixels = recording.scene(index)[0]
        if zstd:  # rows padded with noise
            pixels = np.hstack([pixels, noise.integers(0, 256, (36, 1500, 3), dtype=np.uint8)])
        return "/camera/color/image_raw", make.image(stamp, "camera", "rgb8", pixels, width=48)

    path = bags.write(kind, recording.entries(make, frames=10, image=image), zstd=bool(zstd))
    whole, _ = read(path)
    content = storage(path, kind).read_bytes()
    counts = []
    for part in range(1, 25):
        cut = bags.folder / f"cut_{part}.{kind}"
        cut.write_bytes(content[: len(content) * part // 25])
        try:
            frames, report = read(cut)
        except SourceError as err:
            assert "\n" not in str(err)
            counts.append(0)
            continue
        assert report.partial or len(frames) == len(whole)
        assert not report.partial or "damaged after" in report.warnings[-1]
        for frame, right in zip(frames, whole, strict=False):
            assert frame.name == right.name
            np.testing.assert_array_equal(frame.image, right.image)
            if frame.depth is None:  # cut before the first depth image: nobody knows of a depth topic
                assert frame.name == "000000"
            else:
                np.testing.assert_array_equal(frame.depth, right.depth)
        counts.append(len(frames))
    assert counts == sorted(counts) and counts[-1] >= 8 and len(set(counts)) > (3 if zstd else 5)


def test_redkitchen_cut_at_random_offsets(redkitchen_bag: Path, tmp_path: Path) -> None:
    content = next(redkitchen_bag.glob("*.mcap")).read_bytes()
    chance = random.Random(7)
    cut = tmp_path / "cut.mcap"
    for _ in range(10):
        size = chance.randrange(len(content))
        cut.write_bytes(content[:size])
        try:
            frames, report = read(cut)
        except SourceError as err:
            assert "\n" not in str(err) and size < len(content) / 40
            continue
        assert report.partial and len(report.warnings) == 1
        # the frames are spread evenly over the file: not more than two are lost with the cut
        assert len(frames) >= int(80 * size / len(content)) - 2
        assert all(frame.posed for frame in frames[:-1])


def test_a_damaged_chunk_ends_the_recording(redkitchen_bag: Path, tmp_path: Path) -> None:
    content = bytearray(next(redkitchen_bag.glob("*.mcap")).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5_000] = bytes(5_000)
    path = tmp_path / "hole.mcap"
    path.write_bytes(content)
    frames, report = read(path)
    assert report.partial or report.dropped
    assert 30 < len(frames) < 80


@pytest.mark.parametrize("kind", SCANS)
def test_bytes_changed_at_random_never_crash(bags: "Bags", recording: SimpleNamespace, kind: str) -> None:
    path = storage(bags.write(kind, recording.entries(bags.messages(kind))), kind)
    content = path.read_bytes()
    chance = random.Random(3)
    for attempt in range(40):
        changed = bytearray(content)
        for _ in range(30):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        bad = bags.folder / f"bad_{attempt}{path.suffix}"
        bad.write_bytes(changed)
        try:
            read(bad)
        except SourceError as err:
            assert "\n" not in str(err)


def test_a_ros1_bag_that_was_never_closed(bags: "Bags", recording: SimpleNamespace) -> None:
    """The recorder writes index_pos = 0 first and the index last."""
    path = bags.write("bag", recording.entries(bags.messages("bag")))
    content = path.read_bytes()
    at = content.index(b"index_pos=") + len(b"index_pos=")
    index_pos = int.from_bytes(content[at : at + 8], "little")
    path.write_bytes(content[:at] + bytes(8) + content[at + 8 : index_pos])
    with pytest.raises(Exception, match="not indexed"):
        Ros1Reader(path).open()
    frames, report = read(path)
    assert len(frames) == 4 and report.partial and "never closed" in report.warnings[0]


def test_a_split_recording_with_a_damaged_part(bags: "Bags", recording: SimpleNamespace) -> None:
    entries = recording.entries(bags.messages("mcap"), frames=8)
    middle = recording.start_ns + int(3.5 * recording.step_ns) + 1
    first = bags.write("mcap", [e for e in entries if e[2] <= middle], name="run_0") / "run_0.mcap"
    second = bags.write("mcap", [e for e in entries if e[2] > middle], name="run_1") / "run_1.mcap"
    folder = bags.folder / "run"
    folder.mkdir()
    shutil.copy(first, folder)
    (folder / "run_1.mcap").write_bytes(second.read_bytes()[:200])
    frames, report = read(folder)
    assert [frame.name for frame in frames][:3] == ["000000", "000001", "000002"]
    assert report.partial and "run_1.mcap" in report.warnings[-1]


@pytest.mark.parametrize("name", ["empty.mcap", "empty.db3", "empty.bag"])
@pytest.mark.parametrize("content", [b"", b"not a bag at all" * 20])
def test_files_that_are_no_bags(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_messages_in_a_write_ahead_log_are_read(bags: "Bags", recording: SimpleNamespace) -> None:
    """The resilient profile of rosbag2 writes one; after a kill the newest messages are only there."""
    path = storage(bags.write("db3", recording.entries(bags.messages("db3"))), "db3")
    writer = apsw.Connection(str(path))
    writer.execute("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
    later = "UPDATE messages SET timestamp = timestamp + 5"
    writer.execute(later)
    killed = bags.folder / "killed.db3"
    shutil.copy(path, killed)
    shutil.copy(f"{path}-wal", f"{killed}-wal")
    assert has_log(killed)
    stamps = [message.log_ns % 10 for message in open_recording(killed).messages({"/odom"})]
    assert stamps == [5] * 6
    writer.close()


def test_other_places(tmp_path: Path) -> None:
    for place, words in (("nowhere", "does not exist"), (".", "empty folder")):
        with pytest.raises(SourceError, match=words):
            open_source(tmp_path / place, SourceConfig())
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match="none of 1 photos can be read"):
        read(tmp_path)
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {")
    with pytest.raises(SourceError) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
