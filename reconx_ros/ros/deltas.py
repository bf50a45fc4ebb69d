"""A cloud that travels as changes: what the sender sends, and what the receiver has afterwards.

Rows carry an ``id``. A delta says which ids are gone and which rows are new or changed; it applies to
one version of the cloud and makes the next. Number and checksum of the ids tell the receiver that it
ended up right; where a delta was lost it asks for a complete one (``base_version`` 0).
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import ReconxError
from reconx_ros.ros.row_changes import excess
from reconx_ros.ros.rows import Rows, joined

Ids = NDArray[np.uint32]


class DeltaGapError(ReconxError):
    """A delta does not follow on what was received before: one was lost."""


@dataclass(frozen=True, eq=False)
class RowDelta:
    """Changes of a cloud.

    Attributes:
        version: of the cloud afterwards, from 1.
        base_version: of the cloud it applies to; 0: it is complete.
        count: rows afterwards.
        checksum: of their ids (``checksum_of``).
        removed: ids that are gone.
        changed: rows that are new or changed, ascending by ``id``.
    """

    version: int
    base_version: int
    count: int
    checksum: int
    removed: Ids
    changed: Rows

    @property
    def complete(self) -> bool:
        """Whether it needs nothing before it."""
        return self.base_version == 0


def checksum_of(ids: Ids) -> int:
    """Return the CRC-32 of ascending ids as little-endian uint32."""
    return zlib.crc32(np.ascontiguousarray(ids, dtype="<u4").data)


def complete_delta(version: int, rows: Rows) -> RowDelta:
    """Return ``rows`` (ascending by id) as a delta that needs nothing before it."""
    none = np.empty(0, np.uint32)
    return RowDelta(version, 0, len(rows), checksum_of(rows["id"]), none, rows)


class DeltaMaker:
    """The sender's side: remembers what was sent.

    Attributes:
        left: changed rows that the last delta had no room for.
    """

    def __init__(self) -> None:
        self.left = 0
        self._version = 0
        self._sent: Rows | None = None
        self._still: Rows | None = None
        self._still_sent: Rows | None = None

    def make(
        self, rows: Rows, coarse: float = 1.0, most: int | None = None, still: Rows | None = None
    ) -> RowDelta:
        """Return what brings the receiver to ``rows`` [N] (distinct ids), or on the way there.

        Changes are counted against what was *sent*, so those that are left out add up until they go.

        Args:
            rows: the cloud.
            coarse: how many times the tolerances may be left unsent.
            most: rows to send at most, the farthest from what was sent first; ids that are new or gone
                always go, and count. ``None``: all.
            still: more rows, ascending by id, none of which is in ``rows``. The same array as last time
                is not looked at again; with it neither ``coarse`` nor ``most`` may leave anything out.
        """
        rows = _sorted(rows)
        if still is not None and still is self._still:
            delta = self._changes(rows, coarse, most)
            ids = _merged(rows["id"], still["id"])
            return replace(delta, count=len(ids), checksum=checksum_of(ids))
        if self._sent is not None and self._still_sent is not None:
            self._sent = _sorted(joined([self._sent, self._still_sent]))
        delta = self._changes(rows if still is None else _sorted(joined([rows, still])), coarse, most)
        self._still, self._still_sent = still, None
        if still is not None and self._sent is not None:
            rests = np.isin(self._sent["id"], still["id"], assume_unique=True)
            self._sent, self._still_sent = self._sent[~rests], self._sent[rests]
        return delta

    def reset(self) -> None:
        """Forget what was sent: the next delta is complete."""
        self._sent = self._still = self._still_sent = None

    def _changes(self, rows: Rows, coarse: float, most: int | None) -> RowDelta:
        """Return the changes from what was sent to ``rows``, ascending by id, which are sent then."""
        base, self._version = self._version, self._version + 1
        if self._sent is None or self._sent.dtype != rows.dtype:
            self._sent, self.left = rows.copy(), 0
            return complete_delta(self._version, self._sent)
        old, ids = self._sent, rows["id"]
        removed = np.setdiff1d(old["id"], ids, assume_unique=True)
        _, before, after = np.intersect1d(old["id"], ids, assume_unique=True, return_indices=True)
        send = np.ones(len(rows), bool)
        room = None if most is None else max(most - (len(rows) - len(after)), 0)
        send[after], self.left = _chosen(excess(old[before], rows[after]), coarse, room)
        sent = rows.copy()
        unsent = ~send[after]
        sent[after[unsent]] = old[before[unsent]]
        self._sent = sent
        return RowDelta(self._version, base, len(rows), checksum_of(ids), removed, rows[send])


class RowMirror:
    """The receiver's side: the cloud as far as it is known.

    Attributes:
        rows: [N] ascending by id; ``None`` before the first complete delta.
        version: of ``rows``, 0 before.
    """

    def __init__(self) -> None:
        self.rows: Rows | None = None
        self.version = 0

    def apply(self, delta: RowDelta) -> None:
        """Bring the cloud up to date; an older delta than what is here is ignored.

        Raises:
            DeltaGapError: a delta between was lost, or the ids come out wrong; ask for a complete
                one. What was here stays.
        """
        if delta.complete:
            rows = delta.changed
        elif self.rows is None or delta.base_version > self.version:
            raise DeltaGapError(
                f"a delta from version {delta.base_version} to {delta.version} does not follow on "
                f"version {self.version}; ask for the whole"
            )
        elif delta.version <= self.version:
            return
        else:
            rows = _applied(self.rows, delta)
        if len(rows) != delta.count or checksum_of(rows["id"]) != delta.checksum:
            raise DeltaGapError(
                f"version {delta.version} has {delta.count} rows at the sender and {len(rows)} here; "
                "ask for the whole"
            )
        self.rows, self.version = rows, delta.version


def _sorted(rows: Rows) -> Rows:
    return rows[np.argsort(rows["id"], kind="stable")]


def _merged(first: Ids, second: Ids) -> Ids:
    """Return ascending ids of two ascending arrays."""
    merged: Ids = np.insert(second, np.searchsorted(second, first), first)
    return merged


def _applied(rows: Rows, delta: RowDelta) -> Rows:
    """Return ``rows`` (ascending by id) after a delta; nothing is sorted, most of a large map stays."""
    changed = delta.changed.astype(rows.dtype, copy=False)
    place, known = _found(rows["id"], changed["id"])
    kept = rows.copy()
    kept[place[known]] = changed[known]
    gone, there = _found(rows["id"], delta.removed)
    kept = np.delete(kept, gone[there])
    new = changed[~known]
    fresh = np.zeros(len(kept) + len(new), bool)
    fresh[np.searchsorted(kept["id"], new["id"]) + np.arange(len(new))] = True
    whole = np.zeros(len(fresh), rows.dtype)
    whole[fresh], whole[~fresh] = new, kept
    return whole


def _found(ids: Ids, wanted: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return where each ``wanted`` id is, or would be, in ascending ``ids``, and whether it is there."""
    place = np.searchsorted(ids, wanted)
    there = np.zeros(len(wanted), bool)
    inside = place < len(ids)
    there[inside] = ids[place[inside]] == wanted[inside]
    return place, there


def _chosen(times: NDArray[np.float32], coarse: float, room: int | None) -> tuple[NDArray[np.bool_], int]:
    """Return [N] bool, which of the changed rows go, and how many of them have to wait.

    Args:
        times: [N] by how many tolerances each has changed.
        coarse: tolerances that may stay unsent.
        room: rows to send at most; ``None``: all.
    """
    changed = times > coarse
    count = int(np.count_nonzero(changed))
    if room is None or count <= room:
        return changed, 0
    first = np.argpartition(-times, room)[:room] if room else np.empty(0, np.intp)
    chosen = np.zeros(len(times), bool)
    chosen[first] = True
    return chosen, count - room
