"""Rows that are added to: those there are stay where they are, also for whoever took note of them."""

import pytest
import torch

from reconx_ros.mapping.undo import all_or_nothing
from reconx_ros.splatting.growing import Growing


def counted(first: int, last: int) -> torch.Tensor:
    return torch.arange(first, last, dtype=torch.float32)[:, None].repeat(1, 3)


@pytest.mark.parametrize("room", [0, 4, 100])
def test_rows_come_behind_the_others(room: int) -> None:
    growing = Growing(counted(0, 3), room)
    for first in range(3, 40, 4):
        growing.append(counted(first, first + 4))
        torch.testing.assert_close(growing.rows, counted(0, first + 4))


def test_nothing_moves_within_the_room() -> None:
    growing = Growing(counted(0, 3), 50)
    place = growing.rows.data_ptr()
    growing.append(counted(3, 50))
    assert growing.rows.data_ptr() == place
    growing.append(counted(50, 51))
    assert growing.rows.data_ptr() != place


def test_rows_that_are_taken_back_leave_the_others_as_they_were() -> None:
    growing = Growing(counted(0, 3), 10)
    before = growing.rows
    with pytest.raises(ValueError, match="no"), all_or_nothing(growing):
        growing.append(counted(7, 9))
        raise ValueError("no")
    torch.testing.assert_close(before, counted(0, 3))
    torch.testing.assert_close(growing.rows, counted(0, 3))
    growing.append(counted(3, 5))
    torch.testing.assert_close(growing.rows, counted(0, 5))
