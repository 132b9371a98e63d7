"""A client of `cloakroom serve`, with the standard library alone.

    cloakroom serve --store memory: --auth env:CLOAKROOM_HTTP_TOKEN
    python3 sessions.py http://127.0.0.1:8100

A session is bytes under a key. Each write names the version that was read, so that nobody's is lost: on a Conflict,
do it again over what is there.
"""

import http.client
import json
import os
import ssl
import sys
import uuid
from urllib.parse import quote, urlsplit


class Failed(Exception):
    """It did not happen, and will not."""


class Unknown(Exception):
    """It happened, did not happen, or will happen later: load to see."""


class Exists(Exception):
    """Something is under the key already."""


class Absent(Exception):
    """Nothing is under the key."""


class Conflict(Exception):
    """Another version is there; `found` is what, or None where the store does not bring it."""

    def __init__(self, found):
        super().__init__("another version is there")
        self.found = found


class Found:
    """What is under a key: the bytes, the version, and how many milliseconds it has left."""

    def __init__(self, value, version, ttl):
        self.value, self.version, self.ttl = value, version, ttl


class Sessions:
    """The sessions of a service. One request at a time; a lock is yours to add."""

    def __init__(self, url, token=None, timeout=3.0, context=None):
        parts = urlsplit(url)
        if parts.scheme == "https":
            context = context or ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
        else:
            self._connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def load(self, key):
        """Returns what is there, or None."""
        try:
            return self._ask("GET", self._session(key))
        except Absent:
            return None

    def create(self, key, value, ttl):
        """Stores a value under a key that has none; returns its version."""
        return self._ask("PUT", self._session(key), value, ttl, {"If-None-Match": "*"})

    def replace(self, key, version, value, ttl):
        """Stores a value in place of the version that was read; returns the next version."""
        return self._ask("PUT", self._session(key), value, ttl, {"If-Match": version})

    def touch(self, key, version, value, ttl):
        """Lets a value, as it was read, live on; returns the next version."""
        return self._ask("PATCH", self._session(key), value, ttl, {"If-Match": version})

    def remove(self, key, version):
        """Removes the version that was read."""
        self._ask("DELETE", self._session(key), headers={"If-Match": version})

    def enroll(self, index, member, ttl):
        """Puts the key of a session into an index."""
        self._ask("PUT", self._member(index, member), b"", ttl)

    def unenroll(self, index, member):
        """Takes it out."""
        self._ask("DELETE", self._member(index, member))

    def list(self, index, limit=10000):
        """Returns members of an index, and how many there are."""
        listing = self._ask("GET", f"/indexes/{self._quote(index)}/members?limit={limit}")
        return listing["members"], listing["total"]

    @staticmethod
    def _quote(key):
        # Segments of dots alone mean other folders.
        return quote(key, safe="").replace(".", "%2E")

    def _session(self, key):
        return f"/sessions/{self._quote(key)}"

    def _member(self, index, member):
        return f"/indexes/{self._quote(index)}/members/{self._quote(member)}"

    def _ask(self, method, path, body=None, ttl=None, headers=None):
        headers = {**self._headers, **(headers or {})}
        if ttl is not None:
            headers["Cloakroom-TTL"] = str(ttl)
        reads = method == "GET"
        try:
            self._connection.request(method, self._base + path, body, headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise (Failed if reads else Unknown)(f"no answer: {error}") from error
        return self._read(answer, body, reads)

    def _read(self, answer, body, reads):
        # Without an outcome it is not the service that answers, and proves nothing: not even that a session is absent.
        outcome = answer.getheader("Cloakroom-Outcome")
        etag = answer.getheader("ETag")
        if outcome == "done":
            return etag
        if outcome in ("found", "conflict") and answer.status in (200, 409):
            ttl = answer.getheader("Cloakroom-TTL")
            found = Found(body, etag, None if ttl == "none" else int(ttl))
            if outcome == "found":
                return found
            raise Conflict(found)
        if outcome == "conflict":
            raise Conflict(None)
        if outcome == "listed":
            return json.loads(body)
        if outcome == "exists":
            raise Exists()
        if outcome == "absent":
            raise Absent()
        if outcome in ("failed", "refused", "unsupported"):
            raise Failed(f"{answer.status} {json.loads(body)['error']}")
        raise (Failed if reads else Unknown)(f"{answer.status} {answer.reason}")


def main():
    if len(sys.argv) != 2:
        print("usage: sessions.py URL (the token, where one is asked for, in CLOAKROOM_HTTP_TOKEN)", file=sys.stderr)
        sys.exit(2)
    sessions = Sessions(sys.argv[1], os.environ.get("CLOAKROOM_HTTP_TOKEN"))
    key, index = f"example/{uuid.uuid4()}", f"user/{uuid.uuid4()}"
    minute = 60_000

    first = sessions.create(key, b'{"visits": 1}', minute)
    print("created")
    try:
        sessions.create(key, b"{}", minute)
    except Exists:
        print("created again: exists")

    found = sessions.load(key)
    assert found.version == first and 0 < found.ttl <= minute
    print("loaded:", found.value.decode())

    second = sessions.replace(key, first, b'{"visits": 2}', minute)
    print("replaced")
    try:
        sessions.replace(key, first, b'{"visits": 99}', minute)
    except Conflict as conflict:
        assert conflict.found.version == second
        print("replaced a stale version: conflict with", conflict.found.value.decode())

    third = sessions.touch(key, second, b'{"visits": 2}', 2 * minute)
    print("touched")

    sessions.enroll(index, key, minute)
    members, total = sessions.list(index)
    assert members == [key]
    print(f"listed: {len(members)} of {total}")
    sessions.unenroll(index, key)

    sessions.remove(key, third)
    print("removed")
    try:
        sessions.remove(key, third)
    except Absent:
        print("removed again: absent")


if __name__ == "__main__":
    main()
