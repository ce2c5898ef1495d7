#!/usr/bin/env python3
"""An external worker in Python: takes jobs from a queue and works them outside
the server. Here the work is to count the words of a text.

usage: worker.py QUEUE

Needs psycopg2. The connection is the one that libpq's environment variables
name. The worker ends on SIGINT and SIGTERM, after the job that it has begun,
and if the connection is lost: let your service manager start it again.

It does not poll. It listens to the queue's channel, dequeues until the queue is
empty, and then sleeps until the connection's socket has something to read.
Listening comes before the first look at the queue, so that no job can come in
between. Jobs that were delayed, have failed or whose holder has died are
announced as well, as soon as they are ready.
"""
import contextlib
import json
import os
import select
import signal
import sys
import threading
import time

import psycopg2

# A notification is a hint: look now and then without one (seconds).
LOOK_ANYWAY = 60

LEASE_LOST = "JQ001"

# A heartbeat each third of the lease, by the server's clock
DEQUEUE = """SELECT id, lease, attempt, payload,
    extract(epoch FROM lease_until - now())::float / 3
    FROM jobq.dequeue(%s)"""


def connect():
    """With autocommit: a claim holds only once dequeue() has been committed."""
    conn = psycopg2.connect(fallback_application_name="worker.py")
    conn.autocommit = True
    return conn


def count_words(payload):
    """The work: returns the job's result, or raises an error."""
    time.sleep(payload.get("seconds", 0))  # pretend that it takes a while
    return {"words": len(payload["text"].split())}


@contextlib.contextmanager
def heartbeats(job, lease, seconds):
    """Extends the lease while the work goes on, over a connection of its own,
    which is made only if the work takes longer than the first interval."""
    done = threading.Event()

    def beat():
        if done.wait(seconds):
            return
        with contextlib.closing(connect()) as conn, conn.cursor() as cursor:
            held = True
            while held:  # false: the job has been cancelled
                cursor.execute("SELECT jobq.heartbeat(%s, %s)", (job, lease))
                held = cursor.fetchone()[0] and not done.wait(seconds)

    def beat_quietly():
        try:
            beat()
        except psycopg2.Error as error:  # complete() will fail with the same
            print(f"job {job}: heartbeat: {error}", file=sys.stderr)

    thread = threading.Thread(target=beat_quietly)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def work(cursor, job, lease, attempt, payload, beat):
    """Works one job and reports the outcome. If the lease is lost, another
    worker has the job by now, or it was cancelled; there is nothing to undo."""
    try:
        with heartbeats(job, lease, beat):
            outcome = json.dumps(count_words(payload))
        report = "SELECT jobq.complete(%s, %s, %s)"
    except Exception as error:
        outcome = repr(error)
        report = "SELECT jobq.fail(%s, %s, %s)"
    try:
        cursor.execute(report, (job, lease, outcome))
        print(f"job {job}, attempt {attempt}: {outcome}", flush=True)
    except psycopg2.Error as error:
        if error.pgcode != LEASE_LOST:
            raise
        print(f"job {job}: {error}", file=sys.stderr)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: worker.py QUEUE")
    queue = sys.argv[1]

    # Signals set a flag, and write a byte here so that select() returns.
    stopping = threading.Event()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for signo in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signo, lambda *_: stopping.set())

    conn = connect()
    cursor = conn.cursor()
    cursor.execute("SELECT jobq.listen(%s)", (queue,))
    print(f'listening for jobs in queue "{queue}"', flush=True)
    while not stopping.is_set():
        cursor.execute(DEQUEUE, (queue,))
        if job := cursor.fetchone():
            work(cursor, *job)
            continue
        if not conn.notifies:  # what came while we worked has been read already
            select.select([conn, wake_read], [], [], LOOK_ANYWAY)
            conn.poll()
        conn.notifies.clear()


if __name__ == "__main__":
    main()
