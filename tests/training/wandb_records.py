"""What W&B wrote offline, read back; and servers that it talks to, good and bad."""

import gzip
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER, BLOCK = 7, 32768
WHOLE, LAST = 1, 4


class Record:
    """One run as an offline file tells it.

    Args:
        path: Of the `.wandb` file.
    """

    def __init__(self, path: Path) -> None:
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.artifacts: list[Any] = []
        for record in _records(path.read_bytes()):
            match record.WhichOneof("record_type"):
                case "run":
                    self.run = record.run
                case "history":
                    self.history.append(_nested(record.history.item))
                case "summary":
                    self.summary |= _nested(record.summary.update)
                case "artifact":
                    self.artifacts.append(record.artifact)
                case "exit":
                    self.status = record.exit.exit_code
        updates = self.run.config.update
        self.config = {u.key: json.loads(u.value_json) for u in updates if u.key != "_wandb"}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of the epochs, without what W&B adds."""
        epochs = [row for row in self.history if "train/meta_loss" in row]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in epochs]


def offline_records(run: Path) -> list[Record]:
    """All offline records in a run's directory, the oldest first."""
    paths = sorted(run.glob("wandb/offline-run-*/*.wandb"))
    return [Record(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


def _nested(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[Any]:
    """LevelDB's log format: blocks of 32 KB, chunks with checksum, length and kind."""
    assert content[:4] == b":W&B"
    place, parts = HEADER, b""
    while place < len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


class Server:
    """Answers wandb as W&B would, as far as a run needs it, and keeps what it is sent.

    Args:
        fault: "silent": never answers; "broken": answers that something is wrong; "deaf": takes
            no history; None.
    """

    def __init__(self, fault: str | None = None) -> None:
        self.fault = fault
        self.rows: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.uploaded: list[str] = []
        self.closed = threading.Event()

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """The status and content of an answer."""
        if self.fault == "silent":
            self.closed.wait()
        if self.fault == "broken":
            return 401, {"errors": [{"message": "out of order"}]}
        if path.endswith("/graphql"):
            query = json.loads(body)
            return 200, {"data": self._data(query.get("operationName"), query)}
        if path.endswith("/file_stream"):
            if self.fault == "deaf":
                return 400, {"error": "no"}
            history = (json.loads(body).get("files") or {}).get("wandb-history.jsonl")
            if history:
                self.rows[history["offset"] :] = map(json.loads, history["content"])
        return 200, {}

    def _data(self, operation: str, query: dict[str, Any]) -> dict[str, Any]:
        variables, entity = query.get("variables") or {}, {"id": "e", "name": "me"}
        project = {"id": "p", "name": "l2o", "entity": entity}
        if operation == "Viewer":
            return {"viewer": {"id": "v", "entity": "me", "flags": "{}", "teams": {"edges": []}}}
        if operation == "RunResumeStatus":
            return {"model": {**project, "bucket": self._resumed()}}
        if operation == "UpsertBucket":
            self.runs.append(variables)
            bucket = {"id": "b", "name": variables["name"], "config": "{}", "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if operation == "CreateArtifact":
            sequence = {"id": "s", "latestArtifact": None}
            artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}
            self.uploaded.append(variables["input"]["artifactCollectionName"])
            return {"createArtifact": {"artifact": artifact}}
        if operation == "CreateRunFiles":
            self.uploaded += variables["files"]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
        return {"project": {"artifact": None, "artifactType": None}}

    def _resumed(self) -> dict[str, Any] | None:
        if not self.rows:
            return None
        tails = {"historyTail": json.dumps([json.dumps(self.rows[-1])]), "eventsTail": "[]"}
        counts = {"logLineCount": 0, "historyLineCount": len(self.rows), "eventsLineCount": 0}
        texts = {"summaryMetrics": "{}", "config": "{}", "wandbConfig": '{"t": 1}'}
        return {"id": "b", "name": "n", "tags": [], **tails, **counts, **texts}


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """The address at which a server answers while in the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status, content = server.answer(self.path, body)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            server.closed.set()
            http.shutdown()
            thread.join()
