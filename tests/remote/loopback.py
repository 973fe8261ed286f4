"""A web server on loopback that serves a folder, counts what it is asked, and can be made to fail."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Loopback:
    """Serves ``folder``; ``fail`` is asked (path, count) -> status to send, "stall", "cut" or None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: Counter[str] = Counter()
        self.fail = lambda path, count: None
        self.ranges = True
        self.tags = True
        self.head = True
        self.stop_stalling = threading.Event()
        self.gone = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):  # quiet
                pass

            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, body):
                outer.asked[f"{self.command} {self.path}"] += 1
                fault = outer.fail(self.path, outer.asked[f"{self.command} {self.path}"])
                if outer.gone:
                    self.close_connection = True
                    return
                if fault == "stall":
                    outer.stop_stalling.wait(30)
                    self.close_connection = True
                    return
                if isinstance(fault, int):
                    return self.end(fault, b"")
                file = outer.folder / self.path.lstrip("/")
                if not body and not outer.head:
                    return self.end(405, b"")
                if not file.is_file():
                    return self.end(404, b"")
                content = file.read_bytes()
                status, whole = 200, len(content)
                wanted = self.headers.get("Range", "")
                extra = {}
                if wanted and outer.ranges:
                    first, last = wanted.removeprefix("bytes=").split("-")
                    start = int(first) if first else whole - int(last)
                    stop = min(whole, int(last) + 1) if first and last else whole
                    content, status = content[start:stop], 206
                    extra["Content-Range"] = f"bytes {start}-{stop - 1}/{whole}"
                if outer.tags:
                    said = file.stat()
                    extra["ETag"] = f'"{said.st_mtime_ns:x}-{said.st_size:x}"'
                if fault == "cut":
                    return self.end(status, content[: len(content) // 2], extra, length=len(content))
                self.end(status, content, extra, body=body)

            def end(self, status, content, extra=None, length=None, body=True):
                self.send_response(status)
                for name, value in (extra or {}).items():
                    self.send_header(name, value)
                if outer.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(content) if length is None else length))
                self.end_headers()
                if body:
                    self.wfile.write(content)
                if length is not None and length != len(content):
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def chunks(self) -> list[str]:
        """Return the requests for pixels."""
        return [name for name in self.asked if "/c/" in name]

    def vanish(self) -> None:
        self.gone = True  # kept connections end too
        self.stop_stalling.set()
        self.server.shutdown()
        self.server.server_close()
