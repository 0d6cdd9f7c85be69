"""Video jobs: one worker thread, progress written to SQLite by the thread that runs the tool."""

import json
import queue
import sqlite3
import threading
import uuid

from plugward.forgesyte.tool_runner import run_plugin_tool

SCHEMA = """
create table if not exists job(id text primary key, state text, current integer, total integer, result text,
                               error text, error_type text)
"""


class Jobs:
    """Submit, and look."""

    def __init__(self, path):
        self.path = path
        self.queue = queue.Queue()
        with self.session() as session:
            session.execute(SCHEMA)
        self.thread = threading.Thread(target=self.work, name="job-worker", daemon=True)
        self.thread.start()

    def session(self):
        """A connection that refuses every thread but this one."""
        return sqlite3.connect(self.path, timeout=10)

    def submit(self, plugin_id, tool_name, args):
        job = uuid.uuid4().hex
        with self.session() as session:
            session.execute("insert into job(id, state, current, total) values (?, 'queued', 0, 0)", (job,))
        self.queue.put((job, plugin_id, tool_name, args))
        return job

    def look(self, job):
        session = self.session()
        session.row_factory = sqlite3.Row
        row = session.execute("select * from job where id = ?", (job,)).fetchone()
        session.close()
        return row and {**dict(row), "result": json.loads(row["result"] or "null")}

    def work(self):
        session = self.session()
        while (item := self.queue.get()) is not None:
            self.do(session, *item)
        session.close()

    def do(self, session, job, plugin_id, tool_name, args):
        def progress(current, total):
            session.execute("update job set current = ?, total = ? where id = ?", (current, total, job))
            session.commit()

        session.execute("update job set state = 'running' where id = ?", (job,))
        session.commit()
        try:
            result = run_plugin_tool(plugin_id, tool_name, args, progress_callback=progress)
        except Exception as error:
            values = ("failed", None, str(error), type(error).__name__, job)
        else:
            values = ("done", json.dumps(result), None, None, job)
        session.execute("update job set state = ?, result = ?, error = ?, error_type = ? where id = ?", values)
        session.commit()

    def close(self):
        self.queue.put(None)
        self.thread.join(10)
