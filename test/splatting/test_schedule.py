from collections import Counter

from reconx_ros.splatting.schedule import ViewSchedule


def test_every_epoch_draws_each_view_once() -> None:
    schedule = ViewSchedule(0, 0.5)
    schedule.add(7)
    epochs = [[schedule.draw() for _ in range(7)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_same_seed_same_order() -> None:
    first, second = ViewSchedule(3, 0.5), ViewSchedule(3, 0.5)
    for schedule in (first, second):
        schedule.add(5)
        schedule.add(2)
    assert [first.draw() for _ in range(60)] == [second.draw() for _ in range(60)]


def test_new_views_come_more_often_at_first_only() -> None:
    schedule = ViewSchedule(0, 0.5)
    schedule.add(9)
    schedule.add(1)
    early = Counter(schedule.draw() for _ in range(100))
    late = Counter(schedule.draw() for _ in range(100))
    assert early[9] > 20
    assert late[9] <= 11
    assert min(early[view] for view in range(9)) >= 4


def test_generated_views_take_turns_and_at_most_their_share() -> None:
    schedule = ViewSchedule(0, 0.0, generated_share=1 / 3)
    schedule.add(4)
    schedule.add(10, range(10))
    drawn = [schedule.draw() for _ in range(6 * 10)]
    epochs = [drawn[at : at + 6] for at in range(0, 60, 6)]
    assert all(sum(view >= 4 for view in epoch) == 2 for epoch in epochs)
    assert all({0, 1, 2, 3} < set(epoch) for epoch in epochs)
    counts = Counter(view for view in drawn if view >= 4)
    assert set(counts.values()) == {2}
    schedule.keep([0, 1, 4, 5])
    assert sum(view >= 2 for view in (schedule.draw() for _ in range(30))) == 10


def test_less_than_one_generated_view_an_epoch_comes_every_few_epochs() -> None:
    schedule = ViewSchedule(0, 0.0, generated_share=0.2)
    schedule.add(3, [1, 2])
    drawn = [schedule.draw() for _ in range(250)]
    assert 45 <= sum(view > 0 for view in drawn) <= 55
    assert abs(drawn.count(1) - drawn.count(2)) <= 1


def test_few_generated_views_are_in_every_epoch() -> None:
    schedule = ViewSchedule(0, 0.0, generated_share=0.5)
    schedule.add(5, [3, 4])
    assert sorted(schedule.draw() for _ in range(5)) == [0, 1, 2, 3, 4]


def test_generated_views_that_come_later_get_no_more_than_their_share() -> None:
    schedule = ViewSchedule(0, 0.5, generated_share=0.15)
    schedule.add(5)
    schedule.add(1)
    for _ in range(8):
        schedule.add(1, [0])  # one by one: the last of them is not new either
    drawn = [schedule.draw() for _ in range(280)]
    assert 0.10 < sum(view > 5 for view in drawn) / 280 <= 0.15
    assert drawn[:60].count(5) > 60 / 6 + 4  # the last real view still is


def test_reprojected_views_are_in_every_epoch_and_never_new() -> None:
    schedule = ViewSchedule(0, 0.5, generated_share=0.15)
    schedule.add(3)
    schedule.add(2, unobserved=[0, 1])
    epochs = [[schedule.draw() for _ in range(5)] for _ in range(4)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)


def test_the_share_of_new_views_stays_when_others_leave() -> None:
    schedule = ViewSchedule(0, 0.5)
    schedule.add(19)
    schedule.add(1)
    schedule.keep([0, 17, 18, 19])
    drawn = Counter(schedule.draw() for _ in range(20))
    assert drawn[3] < 19
