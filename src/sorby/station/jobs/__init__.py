"""Work that takes longer than a request: queued in the database, done by worker processes, each job finished once.

A worker holds a job by a lease that it renews. A worker that dies renews nothing; when the lease has run out another
takes the job. What a job changes is written in one transaction with its state, under the condition that the lease is
still held, so that two workers who both believe to have a job cannot both write.
"""

from sorby.station.jobs.queue import (
    Cancelled,
    Lost,
    Work,
    as_dict,
    cancel,
    claim,
    enqueue,
    get,
    listed,
    retry,
)

__all__ = ["Cancelled", "Lost", "Work", "as_dict", "cancel", "claim", "enqueue", "get", "listed", "retry"]
