"""What hangs together: disjoint sets of views, joined pair by pair."""

from collections.abc import Iterable


class Groups:
    """A partition of ``count`` views, each alone at first (union-find)."""

    def __init__(self, count: int) -> None:
        self._root = list(range(count))

    def join(self, first: int, second: int) -> bool:
        """Join the groups of two views; return whether they were apart."""
        one, two = self._find(first), self._find(second)
        self._root[max(one, two)] = min(one, two)
        return one != two

    def listed(self) -> list[list[int]]:
        """Return the groups, largest first and of equals that with the lowest view, each ascending."""
        members: dict[int, list[int]] = {}
        for view in range(len(self._root)):
            members.setdefault(self._find(view), []).append(view)
        return sorted(members.values(), key=lambda group: (-len(group), group))

    def _find(self, view: int) -> int:
        while self._root[view] != view:
            self._root[view] = self._root[self._root[view]]
            view = self._root[view]
        return view


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the groups that ``pairs`` make of ``count`` views (``Groups.listed``)."""
    found = Groups(count)
    for first, second in pairs:
        found.join(first, second)
    return found.listed()
