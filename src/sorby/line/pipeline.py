"""Reading, scoring and recording at the same time, with bounded queues between them.

Three threads: one reads and decodes, one keeps the detector busy, the caller's own labels and records. Where the
reader is faster than the detector, a recording waits (back-pressure), and a live line loses whole strips: they are
counted, and their place on the web is kept as lost lines.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.errors import SorbyError
from sorby.line.latency import Latencies
from sorby.line.lines import Item, Lane, web_width
from sorby.line.recorder import RollRecorder
from sorby.line.scorer import NamedMap, NameMap, ScoreMap, StripScorer
from sorby.line.strips import EndOfRoll, Strip, StripMaker, Window, cut, windows

_WAIT_S = 0.1  # how often a waiting thread looks whether it should stop


@dataclass(frozen=True, eq=False)
class _Broken:
    """The source failed: what it gave before is recorded first."""

    error: BaseException


@dataclass(frozen=True, eq=False)
class _Feed:
    """What the reader hands on: strips dropped since the last, then a strip, the end, or the source's failure."""

    dropped: tuple[Strip, ...]
    next: Strip | EndOfRoll | _Broken


@dataclass(frozen=True, eq=False)
class _Scored:
    """What the detector hands on: a strip without a map was recorded before."""

    feed: _Feed
    scores: ScoreMap | None
    names: NameMap | None = None


class _Stopped(Exception):
    """Another thread gave up."""


class Pipeline:
    """One pass over a roll.

    Parameters
    ----------
    scorer : StripScorer
    recorder : RollRecorder
    live : bool
        Drop strips rather than make the source wait.
    queue_strips : int
        Strips that may wait for the detector.
    """

    def __init__(self, scorer: StripScorer, recorder: RollRecorder, *, live: bool, queue_strips: int = 4) -> None:
        self._scorer, self._recorder, self._live = scorer, recorder, live
        self._to_score: queue.Queue[_Feed] = queue.Queue(queue_strips)
        self._to_record: queue.Queue[_Scored] = queue.Queue(max(2, queue_strips))
        self._known_row = recorder.row  # strips up to here are recorded: they are made again for their pictures only
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self.latencies = Latencies()
        self.seconds = 0.0

    def run(self, items: Iterable[Item], maker: StripMaker, progress: Callable[[int], None] | None = None) -> None:
        """Pass everything that *items* yields through the detector into the recorder.

        Parameters
        ----------
        items : iterable of LineBlock and LostLines
        maker : StripMaker
        progress : callable, optional
            Gets the number of lines just recorded.

        Raises
        ------
        Exception
            Whatever the source or the detector raised; what was recorded until then is safe. Strips that a failing
            source had given are scored and recorded first, for it may not be able to give them again.
        """
        started = time.perf_counter()
        threads = [
            threading.Thread(target=self._guarded, args=(self._read, items, maker), daemon=True),
            threading.Thread(target=self._guarded, args=(self._score,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self._record(progress)
        except _Stopped:
            raise self._failures[0] from None
        finally:
            self._stop.set()
            threads[1].join()  # the detector must not be let go of while strips are under way
            threads[0].join(timeout=1.0)  # a read from a silent pipe cannot be ended
            self.seconds = time.perf_counter() - started
            if not self._recorder.finished:
                self._recorder.checkpoint()

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except _Stopped:
            return
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._failures.append(error)
            self._stop.set()

    def _put(self, where: queue.Queue[Any], what: Any) -> None:
        while not self._stop.is_set():
            try:
                where.put(what, timeout=_WAIT_S)
            except queue.Full:
                continue
            return
        raise _Stopped

    def _get(self, where: queue.Queue[Any]) -> Any:
        while not self._stop.is_set():
            try:
                return where.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
        raise _Stopped

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self, items: Iterable[Item], maker: StripMaker) -> None:
        dropped: list[Strip] = []
        try:
            for item in items:
                for strip in maker.feed(item):
                    self._hand_over(strip, dropped)
                if self._stop.is_set():
                    raise _Stopped
        except _Stopped:
            raise
        except BaseException as error:  # handed to the caller's thread, which raises it after what came before
            self._put(self._to_score, _Feed(tuple(dropped), _Broken(error)))
            return
        for last in maker.finish():
            if isinstance(last, Strip):
                self._hand_over(last, dropped)
            else:
                self._put(self._to_score, _Feed(tuple(dropped), last))

    def _hand_over(self, strip: Strip, dropped: list[Strip]) -> None:
        known = strip.end_row <= self._known_row
        if self._live and not known:
            try:
                self._to_score.put_nowait(_Feed(tuple(dropped), strip))
            except queue.Full:
                dropped.append(strip.without_pixels())
                return
        else:
            self._put(self._to_score, _Feed(tuple(dropped), strip))
        dropped.clear()

    # -- scoring ---------------------------------------------------------------------------------------------

    def _score(self) -> None:
        under_way: deque[_Job] = deque()
        strips: deque[_Pending] = deque()
        free = deque(range(self._scorer.slots))
        try:
            while True:
                feed = self._next_feed(wait=not under_way)
                if feed is None:
                    self._finish(under_way, free)
                    self._pass_on(strips)
                    continue
                pending = _Pending(feed, self._scorer.stride)
                strips.append(pending)
                if isinstance(feed.next, Strip) and feed.next.end_row > self._known_row:
                    for job in self._jobs(feed.next, pending):
                        if not free:
                            self._finish(under_way, free)
                            self._pass_on(strips)
                        job.slot = free.popleft()
                        self._scorer.start(job.slot, job.pixels(self._scorer))
                        under_way.append(job)
                if isinstance(feed.next, (EndOfRoll, _Broken)):
                    while under_way:
                        self._finish(under_way, free)
                    self._pass_on(strips)
                    return
                self._pass_on(strips)
        finally:
            for job in under_way:
                self._scorer.finish(job.slot)

    def _next_feed(self, *, wait: bool) -> _Feed | None:
        if wait:
            feed: _Feed = self._get(self._to_score)
            return feed
        if self._stop.is_set():
            raise _Stopped
        try:
            return self._to_score.get_nowait()
        except queue.Empty:
            return None

    def _jobs(self, strip: Strip, pending: _Pending) -> list[_Job]:
        scorer = self._scorer
        jobs = [
            _Job(pending, strip, lane, window)
            for lane in strip.lanes
            for window in windows(lane.width, scorer.width, scorer.margin_px, scorer.stride)
        ]
        pending.expect(len(jobs))
        return jobs

    def _finish(self, under_way: deque[_Job], free: deque[int]) -> None:
        job = under_way.popleft()
        scores = self._scorer.finish(job.slot)
        free.append(job.slot)
        job.pending.place(job, scores, self._scorer)

    def _pass_on(self, strips: deque[_Pending]) -> None:
        while strips and strips[0].complete:
            pending = strips.popleft()
            self._put(self._to_record, _Scored(pending.feed, pending.scores, pending.names))

    # -- recording -------------------------------------------------------------------------------------------

    def _record(self, progress: Callable[[int], None] | None) -> None:
        while True:
            scored: _Scored = self._get(self._to_record)
            for strip in scored.feed.dropped:
                self._recorder.drop(strip)
                if progress:
                    progress(strip.core_rows)
            last = scored.feed.next
            if isinstance(last, _Broken):
                raise last.error
            if isinstance(last, EndOfRoll):
                self._recorder.end(last)
                return
            if scored.scores is None:
                self._recorder.recall(last)
            else:
                self._recorder.add(last, scored.scores, scored.names)
                self.latencies.add(1000 * (time.perf_counter() - last.arrived))
            if progress:
                progress(last.core_rows)


@dataclass(eq=False)
class _Job:
    """One window of a strip on its way through the detector."""

    pending: _Pending
    strip: Strip
    lane: Lane
    window: Window
    slot: int = -1

    def pixels(self, scorer: StripScorer) -> Any:
        return cut(self.strip, self.lane, self.window, scorer.rows, scorer.width, scorer.margin_px)


class _Pending:
    """A strip whose windows come back one by one; their maps are laid on the web, the larger score counting."""

    def __init__(self, feed: _Feed, stride: int) -> None:
        self.feed = feed
        self._stride = stride
        self._missing = 0
        self.scores: ScoreMap | None = None
        self.names: NameMap | None = None

    @property
    def complete(self) -> bool:
        return self._missing == 0

    def expect(self, windows: int) -> None:
        strip = self.feed.next
        assert isinstance(strip, Strip)
        shape = (-(-strip.core_rows // self._stride), -(-web_width(strip.lanes) // self._stride))
        self.scores = np.full(shape, -np.inf, np.float32)
        self._missing = windows

    def place(self, job: _Job, found: ScoreMap | NamedMap, scorer: StripScorer) -> None:
        assert self.scores is not None
        stride = self._stride
        scores, names = (found.scores, found.names) if isinstance(found, NamedMap) else (found, None)
        expected = (scorer.rows // stride, scorer.width // stride)
        if scores.shape != expected:
            raise SorbyError(f"the detector returned a map of {scores.shape}, not {expected}")
        if not np.isfinite(scores).all():
            raise SorbyError(
                "the detector returned scores that are not finite", "use fp32 instead of a lower precision"
            )
        top, left = scorer.margin_px // stride, (job.window.keep[0] - job.window.left) // stride
        wide = -(-(job.window.keep[1] - job.window.keep[0]) // stride)
        taken = slice(top, top + self.scores.shape[0]), slice(left, left + wide)
        part = scores[taken]
        at = round((job.lane.across_px + job.window.keep[0]) / stride)
        target = self.scores[:, at : at + wide]
        if names is not None:
            if self.names is None:
                self.names = np.full(self.scores.shape, -1, np.int16)
            more = part[:, : target.shape[1]] > target
            self.names[:, at : at + wide][more] = names[taken][:, : target.shape[1]][more]
        np.maximum(target, part[:, : target.shape[1]], out=target)
        self._missing -= 1
