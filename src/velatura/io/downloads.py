"""Politeness towards public servers: one request at a time, pauses, and waiting as long as they ask."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from importlib.metadata import metadata
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from velatura.base.errors import FileFormatError, InputError

TOO_MANY = 429
SERVER_ERROR = 500
REMEDY = {403: "Say whom to write to with --contact, then again"}


class RefusedError(InputError):
    """A server answers, but does not give what was asked for."""

    def __init__(self, message: str, *, status: int) -> None:
        """Keep the HTTP status beside the message."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Manners:
    """How to behave; the defaults keep well within what Wikimedia asks of programs."""

    pause: float = 1.0
    """Seconds between the end of one request and the start of the next."""
    attempts: int = 6
    """How often a request is sent before the server counts as out of order."""
    first_wait: float = 5.0
    """Seconds before the second attempt, doubled with each further one, where the server says nothing of it."""
    longest_wait: float = 600.0
    """Seconds; who asks for more is left alone until another day."""
    timeout: float = 75.0
    """Seconds without a byte after which a connection counts as broken; the query service itself stops at 60."""
    largest: int = 64 << 20
    """Bytes of one answer."""


def user_agent(contact: str | None = None) -> str:
    """Return how we present ourselves: name and version, whom to write to, library.

    contact: address or page of whoever runs the program; where it is missing, the project's page from the package's
    metadata, if that names one. Form: "client/version (contact) library/version" (Wikimedia's User-Agent policy).
    Raises InputError for a contact that cannot stand in a header.
    """
    about = metadata("velatura")
    pages = [entry.split(",", 1)[1].strip() for entry in about.get_all("Project-URL") or []]
    whom = contact or next(iter(pages), None)
    inner = f" ({whom})" if whom else ""
    name = f"{about['Name'].capitalize()}/{about['Version']}{inner} Python-urllib/{platform.python_version()}"
    if not name.isascii() or not name.isprintable():
        raise InputError(f"contact {contact!r} cannot stand in a request. Give an e-mail address or a page's address")
    return name


class Visitor:
    """Sends requests one after the other and remembers when the last one ended."""

    def __init__(
        self, agent: str, *, manners: Manners | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """Present ourselves as `agent`; `sleep` waits for seconds (tests count them instead)."""
        self.agent = agent
        self.manners = manners or Manners()
        self.answered = False
        self._sleep = sleep
        self._ended = -float("inf")

    def get(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        accept: str = "*/*",
        attempts: int | None = None,
        busy: Callable[[bytes], bool] | None = None,
    ) -> bytes:
        """Return what lies at an address.

        Waits and tries again after "too many requests", server errors, broken connections and answers that `busy` takes
        for "come back later". Raises InputError when nothing answers or the server wants to be left alone, RefusedError
        when it has not what was asked for, or fails `attempts` times.
        """
        whole = f"{address}?{urlencode(parameters)}" if parameters else address
        tries = attempts or self.manners.attempts
        for attempt in range(tries):
            content, headers, failure = self._send(Request(whole, headers=self._headers(accept)))
            if failure is None and not (busy and busy(content)):
                return content
            failure = failure or _refused(whole, "it is busy", status=TOO_MANY)
            if attempt + 1 == tries or not _passing(failure, answered=self.answered):
                raise failure
            self._sleep(self._wait(headers, attempt, whole))
        raise AssertionError("a request is sent at least once")

    def get_json(self, address: str, parameters: Mapping[str, str], **options: Any) -> Any:
        """Return the JSON at an address; options: those of `get`. Raises also FileFormatError for anything else."""
        content = self.get(address, parameters, **options)
        try:
            return json.loads(content)
        except ValueError as error:
            raise FileFormatError(
                f"{urlsplit(address).netloc} was asked for JSON; found {content[:60]!r}. Try again later"
            ) from error

    def _headers(self, accept: str) -> dict[str, str]:
        return {"User-Agent": self.agent, "Accept": accept}

    def _send(self, request: Request) -> tuple[bytes, Message | None, InputError | None]:
        """One request: (content, headers, None) or (nothing, headers where there are, what went wrong)."""
        since = time.monotonic() - self._ended
        if since < self.manners.pause:
            self._sleep(self.manners.pause - since)
        try:
            with urlopen(request, timeout=self.manners.timeout) as answer:
                self.answered = True
                content = answer.read(self.manners.largest + 1)
                if len(content) > self.manners.largest:
                    return b"", None, _refused(request.full_url, "the answer is too long", status=413)
                return content, answer.headers, None
        except HTTPError as error:
            self.answered = True
            with error:
                told = f"it answers {error.code} {error.reason}"
                return b"", error.headers, _refused(request.full_url, told, status=error.code)
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error or type(error).__name__
            host = urlsplit(request.full_url).netloc
            return b"", None, InputError(f"{host} cannot be reached: {reason}. Check the network, then again")
        finally:
            self._ended = time.monotonic()

    def _wait(self, headers: Message | None, attempt: int, address: str) -> float:
        told = retry_after(headers.get("Retry-After") if headers else None)
        if told is not None and told > self.manners.longest_wait:
            raise _refused(address, f"it asks to be left alone for {told:.0f} s", status=TOO_MANY)
        usual = min(self.manners.first_wait * 2**attempt, self.manners.longest_wait)
        return usual if told is None else max(told, self.manners.pause)


def retry_after(told: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or a date; None where it says nothing.

    >>> retry_after("120"), retry_after(None), retry_after("soon")
    (120.0, None, None)
    """
    if told is None:
        return None
    try:
        return max(float(told), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _passing(failure: InputError, *, answered: bool) -> bool:
    """Whether trying again makes sense: not where nothing has ever answered, nor after a plain no."""
    if isinstance(failure, RefusedError):
        return failure.status == TOO_MANY or failure.status >= SERVER_ERROR
    return answered


def _refused(address: str, what: str, *, status: int) -> RefusedError:
    parts = urlsplit(address)
    remedy = REMEDY.get(status, "Try again later; what is there is kept")
    return RefusedError(f"{parts.netloc} was asked for {parts.path}: {what}. {remedy}", status=status)
