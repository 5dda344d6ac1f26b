"""After real calls no public object, error, log or traceback shows the key, however it is looked at."""

import copy
import io
import logging
import pickle
import traceback

import pytest

from faults import CHAT, JSON, KEY, reply, serving
from quoth import ModelsAPI, Settings
from quoth.errors import AuthenticationError
from quoth.providers import ProviderTable
from servers import RawServer
from test_error_secrets import leads_to
from ways import WAYS

ECHO = b'{"error": {"message": "the key %b is wrong", "code": "%b"}}' % (KEY.encode(), KEY.encode())


def api_of(server):
    table = ProviderTable()
    table.register("mine", base_url=server.url("/v1"), key_variables=("MINE_KEY",))
    return ModelsAPI(Settings(api_keys={"mine": KEY}, timeout=10, retries=0), providers=table)


def texts_of(value):
    """What can be seen of a value: as text, by its attributes, copied, and pickled where it can be."""
    yield from (str(value), repr(value), f"{value}", repr(getattr(value, "__dict__", None)))
    try:
        yield pickle.dumps(value).decode("latin-1")
    except Exception as error:  # noqa: BLE001  # what cannot be pickled must say so without the key
        yield "".join(traceback.format_exception(error))
    try:
        yield repr(copy.copy(value))
    except TypeError as error:
        yield str(error)


@pytest.fixture
def log():
    """All that is logged, by anyone, at DEBUG."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("way", WAYS)
def test_no_public_object_shows_the_key_after_an_answer(way, log, recwarn):
    with RawServer(serving(CHAT)) as server:
        api, records = api_of(server), []
        handle = api.on_call(records.append)
        answer = WAYS[way](api, model="mine/m")
        binding = api.bind("mine/m")
        stream = api.stream("mine/m", "Hi")
        whole = stream.read()
        seen = [answer, whole, answer.call, answer.usage, answer.cost, answer.message, *records, api.usage(), handle]
        for value in (*seen, stream, binding, api, api.aio, api.providers()):
            assert not [text for text in texts_of(value) if KEY in text], type(value)
        for value in seen[:-1]:  # what holds results holds nothing that leads to the key either
            assert not [text for text in leads_to(value, {}) if KEY in text], type(value)
        assert KEY.encode() in server.requests[0][0]  # else there would be nothing to find
        api.close()
    assert len(records) == 2
    assert KEY not in log.getvalue()
    assert not [warning for warning in recwarn if KEY in str(warning.message)]


@pytest.mark.parametrize("way", WAYS)
def test_no_error_shows_the_key_that_the_provider_echoes_even_with_the_locals_of_its_traceback(way, log):
    with RawServer(reply(ECHO, JSON, status=401)) as server:
        api, records = api_of(server), []
        api.on_call(records.append)
        with pytest.raises(AuthenticationError) as caught:
            WAYS[way](api, model="mine/m")
        error = caught.value
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        logging.getLogger("application").error("failed", exc_info=error)
        seen = ["".join(shown.format()), *texts_of(error), *map(repr, records), repr(api.usage())]
        assert not [text for text in seen if KEY in text]
        assert KEY.encode() in server.requests[0][0]
        api.close()
    assert KEY not in log.getvalue()
