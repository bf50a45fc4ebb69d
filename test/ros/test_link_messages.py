"""Commands and replies over the link: what comes out is what went in, and nonsense is one line."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reconx_msgs.msg import WorkerCommand, WorkerReply

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.errors import ReconxError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros import link_commands, link_replies
from reconx_ros.ros.deltas import complete_delta
from reconx_ros.ros.link_messages import (
    PictureFormat,
    ReplyReader,
    command_from_message,
    command_message,
    reply_messages,
)
from reconx_ros.ros.rows import CLOUD_TYPE, POINT_TYPE, Rows, gaussian_type, point_rows, refresh_rgb

FOLDER = Path("/maps/here")
CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), np.eye(4), 64, 48)


def rows(count: int, kind: np.dtype[np.void]) -> Rows:
    rng = np.random.default_rng(count)
    made = np.zeros(count, kind)
    for name in kind.names or ():
        if kind[name].kind == "f":
            made[name] = rng.uniform(0.01, 1, count)
    made["id"], made["provenance"] = np.arange(count) * 3, rng.integers(0, 2, count)
    if "opacity" in (kind.names or ()):
        refresh_rgb(made)
    return made


def same(got: object, wanted: object) -> bool:
    """Whether two dataclasses hold the same, arrays included."""
    if isinstance(wanted, np.ndarray):
        return np.array_equal(got, wanted)  # type: ignore[arg-type]
    if hasattr(wanted, "__dataclass_fields__"):
        return type(got) is type(wanted) and all(
            same(getattr(got, f.name), getattr(wanted, f.name))
            for f in fields(wanted)  # type: ignore[arg-type]
        )
    return bool(got == wanted)


@pytest.mark.parametrize(
    "command",
    [
        link_commands.Begin(load_config("balanced"), 5, 1.5),
        link_commands.Pause(True),
        link_commands.Reset(4),
        link_commands.Save(3, FOLDER),
        link_commands.Load(4, Path("/maps/other")),
        link_commands.Stop(5, FOLDER),
        link_commands.Stop(6, None),
        link_commands.Correct(("1", "2"), np.arange(32.0).reshape(2, 4, 4)),
        link_commands.ClearBox(7, np.zeros(3), np.ones(3), np.eye(4)),
        link_commands.Reconstruct(8, Path("/bags/one"), load_config("fast"), 70, FOLDER),
        link_commands.Reconstruct(8, None, load_config("fast"), 70, FOLDER),
        link_commands.Cancel(8),
        link_commands.Resend(),
    ],
    ids=lambda c: type(c).__name__,
)
def test_commands_survive(command: link_commands.Command) -> None:
    message = command_message(command, "map", PictureFormat())
    assert same(command_from_message(message, FOLDER), command)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        (link_commands.WORKERS_OWN, FOLDER),
        (Path("asked"), FOLDER / "asked"),
        (Path("/else"), Path("/else")),
    ],
)
def test_folders_are_those_of_the_workers_machine(named: Path, meant: Path) -> None:
    for command in (
        link_commands.Save(3, named),
        link_commands.Load(4, named),
        link_commands.Reconstruct(8, None, load_config("fast"), 70, named),
    ):
        message = command_message(command, "map", PictureFormat())
        got = command_from_message(message, FOLDER)
        assert isinstance(got, type(command)) and got.folder == meant


@pytest.mark.parametrize(
    ("image", "depth"), [("png", "png"), ("png", "rvl"), ("jpeg", "png"), ("webp", "rvl")]
)
def test_keyframes_survive(image: str, depth: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    measured = rng.uniform(0.4, 90, (48, 64)).astype(np.float32)
    measured[:9] = np.nan
    keyframe = Keyframe("7", 123456789012, picture, CAMERA, measured, True, np.diag(np.arange(6.0)))
    message = command_message(
        link_commands.AddKeyframe(keyframe, "camera"), "map", PictureFormat(image, 95, depth)
    )
    got = command_from_message(message, FOLDER)
    assert isinstance(got, link_commands.AddKeyframe)
    assert np.abs(got.keyframe.image.astype(int) - picture).mean() < (0.01 if image == "png" else 15)
    assert got.keyframe.depth is not None
    np.testing.assert_allclose(got.keyframe.depth, measured, atol=90 / 65_000)
    assert (got.keyframe.stamp_ns, got.camera_frame) == (123456789012, "camera")
    np.testing.assert_array_equal(got.keyframe.pose_covariance, keyframe.pose_covariance)


@pytest.mark.parametrize(
    "reply",
    [
        link_replies.Ready(12),
        link_replies.Refused("3", "no depth"),
        link_replies.Activity("splatting", 0.5, 10**10, 5, "loss 0.1"),
        link_replies.Answer(3, "ok", "saved", "/maps", 9),
        link_replies.Trouble("oh"),
        link_replies.Released(("000001", "front_000002")),
    ],
    ids=lambda r: type(r).__name__,
)
def test_small_replies_survive(reply: link_replies.Reply) -> None:
    (message,) = reply_messages(reply)
    assert ReplyReader(lambda _: None).read(message) == reply


def test_a_map_travels_in_parts_at_less_than_half_the_size() -> None:
    points, gaussians = rows(9000, CLOUD_TYPE), rows(5000, gaussian_type(4))
    update = link_replies.MapUpdate(
        3,
        complete_delta(1, points),
        complete_delta(1, gaussians),
        ((77, CAMERA),),
        0.5,
        {"geometry": 1.5},
        np.full((48, 64, 3), 99, np.uint8),
        "camera",
        (4, 2),
        geometry="rgbd: 1 of 1",
        pruned={"needles": 7},
    )
    reader = ReplyReader(lambda _: None)
    messages = list(reply_messages(update))
    assert len(messages) == 3
    *first, got = [reader.read(message) for message in messages]
    assert first == [None, None]
    assert isinstance(got, link_replies.MapUpdate)
    assert (got.epoch, got.loss, got.seconds, got.submaps) == (3, 0.5, {"geometry": 1.5}, (4, 2))
    assert (got.geometry, got.pruned) == ("rgbd: 1 of 1", {"needles": 7})
    for had, have in ((points, got.points.changed), (gaussians, got.gaussians.changed)):
        for name in had.dtype.names or ():
            exact = name in ("x", "y", "z", "id", "provenance")
            if name != "rgb":
                rtol, atol = (0.0, 0.0) if exact else (1e-3, 0.005)
                np.testing.assert_allclose(have[name], had[name], rtol=rtol, atol=atol)
    assert (points["rgb"].view(np.uint32) == got.points.changed["rgb"].view(np.uint32)).all()
    carried = sum(len(m.gaussians[0].data) for m in messages)
    assert carried < 0.5 * gaussians.nbytes
    assert got.preview is not None
    assert np.abs(got.preview.astype(int) - 99).max() <= 2
    np.testing.assert_array_equal(got.views[0][1].intrinsics, CAMERA.intrinsics)


def test_points_of_a_keyframe_travel_as_pictures() -> None:
    rng = np.random.default_rng(1)
    depth = rng.uniform(0.5, 5, (48, 64)).astype(np.float32)
    known = rng.random((48, 64)) < 0.7
    image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    local = (CAMERA.rays() * depth[..., None])[known].astype(np.float32)
    confidence = rng.random(len(local)).astype(np.float32)
    sent = link_replies.Added(
        2,
        "5",
        55,
        "camera",
        point_rows(local, image[known], confidence, np.zeros(len(local), np.uint8)),
        CAMERA,
    )
    (message,) = reply_messages(sent)
    got = ReplyReader(lambda name: image if name == "5" else None).read(message)
    assert isinstance(got, link_replies.Added)
    for axis in "xyz":
        np.testing.assert_allclose(got.points[axis], sent.points[axis], atol=1e-3)
    np.testing.assert_array_equal(got.points["rgb"].view(np.uint32), sent.points["rgb"].view(np.uint32))
    np.testing.assert_allclose(got.points["confidence"], confidence, atol=2e-3)
    assert sum(len(p.data) for p in message.pictures) < 0.3 * sent.points.nbytes
    empty = link_replies.Added(2, "6", 55, "camera", np.zeros(0, POINT_TYPE), CAMERA)
    (message,) = reply_messages(empty)
    back = ReplyReader(lambda _: None).read(message)
    assert isinstance(back, link_replies.Added)
    assert len(back.points) == 0


KINDS = st.sampled_from(
    ["begin", "save", "correct", "clear_box", "reconstruct", "added", "map", "answer", "?"]
)
JSON = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["{}", "[]", "null", '{"request": "x"}', '{"part": 0, "parts": 1}']),
)


@given(KINDS, JSON)
@settings(max_examples=150, deadline=None)
def test_nonsense_is_refused_in_one_line(kind: str, values: str) -> None:
    with pytest.raises(ReconxError) as err:
        command_from_message(WorkerCommand(kind=kind, values=values), FOLDER)
    assert "\n" not in str(err.value)
    with pytest.raises(ReconxError) as err:
        ReplyReader(lambda _: None).read(WorkerReply(kind=kind, values=values))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize("values", ["", "[]", "{"])
def test_a_keyframe_with_nonsense_beside_it_is_one_error(values: str) -> None:
    keyframe = Keyframe("7", 7, np.zeros((48, 64, 3), np.uint8), CAMERA)
    message = command_message(link_commands.AddKeyframe(keyframe, "camera"), "map", PictureFormat())
    message.values = values
    with pytest.raises(ReconxError, match="'keyframe' over the link makes no sense"):
        command_from_message(message, FOLDER)


def test_distance_fields_travel_in_half_a_millimetre() -> None:
    distance = np.random.default_rng(0).uniform(-3, 30, (9, 7, 5)).astype(np.float32)
    distance[3:5], distance[0, 0, 0], distance[0, 0, 1] = np.nan, np.inf, 0.0
    update = link_replies.FieldUpdate(3, 77, np.array([-1.0, 2.0, 0.5]), 0.1, distance)
    (message,) = reply_messages(update)
    got = ReplyReader(lambda _: None).read(message)
    assert isinstance(got, link_replies.FieldUpdate)
    assert (got.epoch, got.stamp_ns, got.voxel_size) == (3, 77, 0.1)
    np.testing.assert_array_equal(got.origin, update.origin)
    np.testing.assert_allclose(got.distance, np.minimum(distance, 32.767), atol=5.1e-4)


def test_a_damaged_distance_field_is_one_error() -> None:
    (message,) = reply_messages(
        link_replies.FieldUpdate(3, 7, np.zeros(3), 0.1, np.zeros((4, 4, 4), np.float32))
    )
    message.values = message.values.replace("[4, 4, 4]", "[4, 4, 5]")
    with pytest.raises(ReconxError, match="'field' over the link makes no sense"):
        ReplyReader(lambda _: None).read(message)
